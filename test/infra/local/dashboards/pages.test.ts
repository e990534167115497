import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createPages } from '../../../../infra/local/dashboards/pages.ts'
import { recordQueues } from '../../../../infra/local/dashboards/queue-metrics.ts'
import { type GatewayAnswer, startGateway } from '../../../../infra/local/gateway.ts'
import type { HttpApi } from '../../../../infra/local/http-api.ts'
import { createMetrics, type Metrics } from '../../../../infra/local/metrics.ts'

const minute = 60_000
const now = Date.UTC(2026, 0, 5, 12, 2, 30)

const metric = (...parts: unknown[]) => parts
const widget = (title: string, metrics: unknown[], more: object = {}) => ({
  type: 'metric',
  ...{ x: 0, y: 0, width: 8, height: 6 },
  properties: { title, metrics, region: 'us-east-1', view: 'timeSeries', ...more },
})
const body = {
  widgets: [
    widget('Sales', [
      metric('Shop', 'Sales', 'service', 'till', { label: 'sold', stat: 'Sum', period: 60 }),
      metric({ expression: 'sales / PERIOD(sales)', label: 'per second' }),
      metric('Shop', 'Sales', 'service', 'till', { id: 'sales', visible: false, stat: 'Sum', period: 60 }),
    ]),
    widget('By reason', [
      metric({ expression: `SEARCH('{Shop,Reason,service} MetricName="Refused"', 'Sum', 60)` }),
    ]),
    widget('Database', [
      metric('AWS/RDS', 'CPUUtilization', 'DBClusterIdentifier', 'main'),
      metric({ expression: 'cpu * 2', label: 'twice' }),
      metric('AWS/RDS', 'CPUUtilization', 'DBClusterIdentifier', 'main', { id: 'cpu', visible: false }),
    ]),
    widget('Odd', [
      metric({ expression: 'ANOMALY_DETECTION_BAND(a)' }),
      metric('Shop', 'Sales', { stat: 'TM(1%:99%)' }),
      metric({ id: 'loop', expression: 'loop + 1' }),
    ]),
    { type: 'text', x: 0, y: 0, width: 8, height: 6, properties: { markdown: 'Hello' } },
  ],
}

let metrics: Metrics
let answers: GatewayAnswer[]
let gateway: Awaited<ReturnType<typeof startGateway>>

async function start(routes: HttpApi['routes']) {
  const api = { apiId: 'shop', name: 'shop', stage: '$default', routes, routeThrottles: new Map() }
  return startGateway({
    api,
    accountId: '000000000000',
    port: 0,
    log: () => {},
    onAnswer: (answer) => answers.push(answer),
    invoke: async () => ({ payload: JSON.stringify({ statusCode: 418, body: 'the API' }) }),
    pages: createPages({
      dashboards: [
        { name: 'shop-<sales>', body },
        { name: 'shop-sales', body },
      ],
      alarms: [
        {
          name: 'Unsold',
          properties: {
            AlarmDescription: 'Nothing is sold. Runbook: docs/operations.md#latency',
            ...{ ComparisonOperator: 'LessThanThreshold', EvaluationPeriods: 1, Threshold: 100 },
            ...{ Namespace: 'Shop', MetricName: 'Sales', Period: 60, Statistic: 'Sum' },
            Dimensions: [{ Name: 'service', Value: 'till' }],
          },
        },
      ],
      metrics,
      now: () => now,
    }),
  })
}

beforeEach(async () => {
  metrics = createMetrics(() => now)
  answers = []
  gateway = await start([{ routeKey: '$default', functionName: 'rest' }])
})
afterEach(() => gateway.close())

const get = (path: string) => fetch(gateway.url + path)

type Drawn = { title: string; times: number[]; series: { label: string; values: (number | null)[] }[] }
type Data = { from: number; to: number; widgets: (Drawn & { withoutSource: string[]; unknown: string[] })[] }

async function data(minutes = 10): Promise<Data> {
  const response = await get(`/dashboards/shop-sales/data?minutes=${minutes}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Data
}

describe('the data of a dashboard', () => {
  test('are the metrics and expressions of its widgets, minute by minute', async () => {
    const dimensions = { service: 'till' }
    for (const [ago, value] of [
      [2, 120],
      [1, 30],
      [1, 30],
    ] as const)
      metrics.record({ namespace: 'Shop', metric: 'Sales', dimensions, value, timestamp: now - ago * minute })
    const { widgets, from, to } = await data()
    const noon = Date.UTC(2026, 0, 5, 12) / 1000
    expect([from, to]).toEqual([(now - 10 * minute) / 1000, now / 1000])
    expect(widgets[0]).toMatchObject({
      title: 'Sales',
      times: [noon, noon + 60],
      series: [
        { label: 'sold', values: [120, 60] },
        { label: 'per second', values: [2, 1] },
      ],
      withoutSource: [],
      unknown: [],
    })
  })

  test('are what a search finds, each told apart by what differs', async () => {
    for (const [Reason, value] of [
      ['age', 1],
      ['cash', 2],
    ] as const) {
      const dimensions = { Reason, service: 'till' }
      metrics.record({ namespace: 'Shop', metric: 'Refused', dimensions, value, timestamp: now })
    }
    metrics.record({ namespace: 'Shop', metric: 'Refused', dimensions: { Reason: 'x' }, value: 9 })
    expect((await data()).widgets[1]?.series).toMatchObject([
      { label: 'age', values: [1] },
      { label: 'cash', values: [2] },
    ])
  })

  test('say what has no source on this machine, and what is not known', async () => {
    const [, , database, odd, text] = (await data()).widgets
    expect(database).toMatchObject({ series: [], withoutSource: ['AWS/RDS CPUUtilization'], unknown: [] })
    expect(odd?.unknown).toEqual([
      'the function ANOMALY_DETECTION_BAND is not known here',
      'the statistic TM(1%:99%) is not known here',
      'loop is made of itself',
    ])
    expect(text?.unknown).toEqual(['widgets of the type text are not known here'])
  })

  test.each(['0', '181', '1.5', 'ten', ''])('are not given for %j minutes', async (minutes) => {
    const response = await get(`/dashboards/shop-sales/data?minutes=${minutes}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ message: 'minutes must be a whole number from 1 to 180' })
  })
})

describe('the pages', () => {
  test('list the dashboards, and draw one with scripts of their own only', async () => {
    const list = await get('/dashboards')
    const text = await list.text()
    expect(text).toContain('<a href="/dashboards/shop-sales">shop-sales</a>')
    expect(text).toContain('shop-&lt;sales&gt;')
    expect(text).not.toContain('<sales>')
    expect(list.headers.get('content-security-policy')).toMatch(/default-src 'none'; script-src 'self'/)

    const page = await (await get('/dashboards/shop-sales')).text()
    expect(page).toContain('data-source="/dashboards/shop-sales/data"')
    const own = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = '']) => path)
    expect(own).toContain('/dashboards/assets/client.js')
    for (const path of own) expect((await get(path)).status, path).toBe(200)
    expect(page).not.toMatch(/<script(?! type="module" src)|style=/)
    const imported = await (await get('/dashboards/assets/uplot.js')).text()
    expect(imported).toContain('export { uPlot as default }')
  })

  test.each(['/', '/?from=banner'])(
    'begin at %s with the reference, the dashboards and the demo',
    async (path) => {
      const text = await (await get(path)).text()
      for (const link of ['href="/api/docs"', 'href="/dashboards"']) expect(text).toContain(link)
      expect(text).toContain('npm run demo')
    },
  )

  test('are the same with a slash at the end', async () => {
    for (const path of ['/dashboards', '/dashboards/alarms', '/dashboards/shop-sales']) {
      expect(await (await get(`${path}/`)).text()).toBe(await (await get(path)).text())
    }
  })

  test('show the state of each alarm with its section of the runbook', async () => {
    const missing = await (await get('/dashboards/alarms')).text()
    expect(missing).toContain('<td class="INSUFFICIENT_DATA">INSUFFICIENT_DATA</td><td>Unsold</td>')
    const dimensions = { service: 'till' }
    metrics.record({ namespace: 'Shop', metric: 'Sales', dimensions, value: 3, timestamp: now })
    const page = await (await get('/dashboards/alarms')).text()
    expect(page).toContain('<td class="ALARM">ALARM</td>')
    expect(page).toContain('3 (&lt; 100)')
    expect(page).toContain('href="/dashboards/runbook/latency"')
    expect(await (await get('/dashboards/runbook/latency')).text()).toMatch(/<pre>## latency/)
  })

  test('leave every other path to the API, count nowhere, and allow no other origin', async () => {
    const response = await fetch(`${gateway.url}/dashboards`, { headers: { origin: 'https://elsewhere' } })
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
    expect(answers).toEqual([])
    for (const path of [
      '/start',
      '/dashboard',
      '//',
      '/dashboards/none',
      '/dashboards/assets/none',
      '/dashboards/runbook/no',
    ])
      expect((await get(path)).status, path).toBe(418)
    expect((await fetch(`${gateway.url}/dashboards`, { method: 'POST' })).status).toBe(418)
    expect(answers).toHaveLength(7)
  })

  test('do not stand before a route of the API', async () => {
    await gateway.close()
    gateway = await start([{ routeKey: 'GET /dashboards/{name}', functionName: 'own' }])
    expect((await get('/dashboards/shop-sales')).status).toBe(418)
    expect((await get('/dashboards')).status).toBe(200)
  })
})

test('a queue tells its depth and the age of its oldest message', () => {
  const message = (sentTimestamp: number) => ({
    ...{ messageId: 'a', body: '', messageAttributes: {}, receiveCount: 0 },
    sentTimestamp,
  })
  const contents = {
    busy: { ready: [message(now - 4_000), message(now - 9_000)], inFlight: [message(now - 15_000)] },
    idle: { ready: [], inFlight: [] },
  }
  const sqs = {
    queues: () => Object.keys(contents).map((name) => ({ name, url: '', arn: '' })),
    inspect: (name: string) => ({
      ...{ attributes: {}, delayed: [] },
      ...contents[name as keyof typeof contents],
    }),
  }
  recordQueues(sqs, metrics, now)
  const of = (QueueName: string, name: string) =>
    metrics.query({ namespace: 'AWS/SQS', metric: name, dimensions: { QueueName }, statistic: 'Maximum' })[0]
      ?.value
  expect(of('busy', 'ApproximateNumberOfMessagesVisible')).toBe(2)
  expect(of('busy', 'ApproximateNumberOfMessagesNotVisible')).toBe(1)
  expect(of('busy', 'ApproximateAgeOfOldestMessage')).toBe(15)
  expect(of('idle', 'ApproximateAgeOfOldestMessage')).toBe(0)
})
