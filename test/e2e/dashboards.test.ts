import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestCloud, type TestCloud, until } from './cloud.ts'

let cloud: TestCloud

beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud?.close())

type Widget = { title: string; series: { label: string; values: (number | null)[] }[] }

test('dashboards draw what callers and queues do', async () => {
  for (let at = 0; at < 3; at++) expect((await cloud.call('GET /api/profiles?gender=male')).status).toBe(200)
  const data = async (name: string): Promise<Widget[]> => {
    const response = await fetch(`${cloud.url}/dashboards/insighta-local-${name}/data?minutes=15`)
    return ((await response.json()) as { widgets: Widget[] }).widgets
  }
  const last = (widgets: Widget[], title: string, label: string) =>
    widgets
      .find((widget) => widget.title === title)
      ?.series.find((series) => series.label === label)
      ?.values.findLast((value) => value !== null)

  const queries = await data('queries')
  expect(last(queries, 'Requests', 'requests')).toBeGreaterThanOrEqual(1)
  expect(last(queries, 'Latency at the gateway, ms', 'p95')).toBeGreaterThan(0)
  // What functions write and what queues hold comes a moment later.
  await until(async () => Number(last(await data('queries'), 'Cache hits, %', 'hit ratio')) > 0)
  await until(async () => last(await data('imports'), 'Backlog, messages', 'import-slices') === 0)
  // The dimension is the name that the deployment gave the cluster.
  await until(async () => Number(last(await data('database'), 'Storage, bytes', 'volume')) > 1e6)
  expect(last(await data('database'), 'Connections', 'connections')).toBeGreaterThanOrEqual(0)

  const page = await (await fetch(`${cloud.url}/dashboards/alarms`)).text()
  expect(page.match(/<td class="(?:OK|ALARM|INSUFFICIENT_DATA)"/g)).toHaveLength(cloud.alarms.length)
  expect(page).not.toContain('not known here')
})
