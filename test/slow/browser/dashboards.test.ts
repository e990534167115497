import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPages } from '../../../infra/local/dashboards/pages.ts'
import { startGateway } from '../../../infra/local/gateway.ts'
import { createMetrics } from '../../../infra/local/metrics.ts'
import { describeInBrowser, openPage } from './browser.ts'
import { chartWidth, drawn, pageWidth, pixels, places } from './in-page.js'

const minute = 60_000
const now = Date.now()
const line = (metric: string, label: string) => ['Shop', metric, { label, stat: 'Maximum', period: 60 }]
const widget = (at: number, title: string, metrics: unknown[]) => ({
  type: 'metric',
  ...{ x: (at % 3) * 8, y: Math.floor(at / 3) * 6, width: 8, height: 6 },
  properties: { title, metrics, yAxis: { left: { min: 0 } } },
})
const many = Array.from({ length: 14 }, (_, at) => line('Calls', `a queue with quite a long name, ${at}`))
const body = {
  widgets: [
    widget(0, 'Failures', [line('Calls', 'calls'), line('Failures', 'failures')]),
    widget(1, 'Bytes, which are very many in this shop and in all others', [line('Bytes', 'bytes')]),
    widget(2, 'Many lines', many),
    widget(3, 'CPU, %', [['AWS/RDS', 'CPUUtilization', 'DBClusterIdentifier', 'main', {}]]),
    widget(4, 'Nothing', [line('Nothing', 'nothing')]),
  ],
}

describeInBrowser('the dashboards', () => {
  let gateway: Awaited<ReturnType<typeof startGateway>>
  let window: Awaited<ReturnType<typeof openPage>>

  beforeAll(async () => {
    const metrics = createMetrics(() => now)
    const record = (metric: string, minutesAgo: number, value: number) =>
      metrics.record({
        namespace: 'Shop',
        metric,
        dimensions: {},
        value,
        timestamp: now - minutesAgo * minute,
      })
    for (let at = 0; at < 170; at++) {
      record('Calls', at, 40 + (at % 7))
      record('Bytes', at, 1_234_567_890_123 + at)
    }
    record('Failures', 30, 20)
    const alarm = { AlarmDescription: 'Nothing is sold. Runbook: docs/operations.md#latency' }
    const judged = { ComparisonOperator: 'LessThanThreshold', EvaluationPeriods: 1, Threshold: 100 }
    const properties = { ...alarm, ...judged, Namespace: 'Shop', MetricName: 'Calls', Statistic: 'Maximum' }
    gateway = await startGateway({
      api: { apiId: 'shop', name: 'shop', stage: '$default', routes: [], routeThrottles: new Map() },
      accountId: '000000000000',
      port: 0,
      log: () => {},
      invoke: async () => ({ payload: '{}' }),
      pages: createPages({
        dashboards: [{ name: 'shop', body }],
        alarms: [{ name: `Alarm${'OfALongName'.repeat(5)}`, properties }],
        metrics,
        now: () => now,
      }),
    })
    window = await openPage()
  })
  afterAll(async () => {
    await window?.close()
    await gateway?.close()
  })

  async function open(width: number, colorScheme: 'light' | 'dark', path: string): Promise<Page> {
    await window.page.setViewportSize({ width, height: 900 })
    await window.page.emulateMedia({ colorScheme })
    await window.page.goto(`${gateway.url}/dashboards/${path}`)
    return window.page
  }

  async function openDrawn(width: number, scheme: 'light' | 'dark', minutes = '180'): Promise<Page> {
    const page = await open(width, scheme, 'shop')
    const answered = page.waitForResponse((response) => response.url().endsWith(`minutes=${minutes}`))
    await page.locator('#minutes').selectOption(minutes)
    await answered
    await page.locator('canvas').nth(2).waitFor()
    await page.evaluate(drawn)
    return page
  }

  const pixelsOf = (page: Page, chart: number, colour: readonly number[] = []) =>
    page.evaluate(pixels, { chart, colour })

  const settings = [360, 1280].flatMap((width) => [[width, 'light'] as const, [width, 'dark'] as const])

  test.each(settings)('show a single failure among many minutes: %i pixels, %s', async (width, scheme) => {
    const page = await openDrawn(width, scheme)
    const { ofColour } = await pixelsOf(page, 0, [0xc2, 0x70, 0x0a])
    expect(ofColour).toBeGreaterThanOrEqual(9)
  })

  test.each(settings)('have labels that fit and can be read: %i pixels, %s', async (width, scheme) => {
    const page = await openDrawn(width, scheme)
    for (const chart of [0, 1, 2]) {
      const { onEdge, brightest, darkest } = await pixelsOf(page, chart)
      expect(onEdge).toBe(0)
      if (scheme === 'dark') expect(brightest).toBeGreaterThan(140)
      else expect(darkest).toBeLessThan(110)
    }
  })

  test.each(settings)(
    'have no part over another, nor beside the page: %i pixels, %s',
    async (width, scheme) => {
      const page = await openDrawn(width, scheme)
      expect(await page.evaluate(pageWidth)).toBe(width)
      const { sections, charts } = await page.evaluate(places)
      sections.forEach(({ parts, ...section }, at) => {
        for (const other of sections.slice(at + 1)) {
          const beside = other.left >= section.right || other.right <= section.left
          expect(beside || other.top >= section.bottom).toBe(true)
        }
        parts.forEach((part, n) => {
          expect(part.bottom).toBeLessThanOrEqual(section.bottom + 0.5)
          expect(part.right).toBeLessThanOrEqual(section.right + 0.5)
          if (n > 0) expect(part.top).toBeGreaterThanOrEqual(parts[n - 1]!.bottom - 0.5)
        })
      })
      expect(charts).toHaveLength(4)
      for (const { canvas, room } of charts) {
        expect(canvas.right).toBeLessThanOrEqual(room.right + 0.5)
        expect(canvas.bottom).toBeLessThanOrEqual(room.bottom + 0.5)
      }
    },
  )

  test('say in its place what only AWS knows, and what has no data', async () => {
    const page = await openDrawn(360, 'light')
    expect(await page.locator('section p').allTextContents()).toEqual([
      '',
      '',
      '',
      'only on AWS: CPUUtilization',
      'no data in this time',
    ])
  })

  test('follow the window and the colour scheme while they are open', async () => {
    const page = await openDrawn(1280, 'light')
    await page.setViewportSize({ width: 360, height: 900 })
    await expect.poll(() => page.evaluate(pageWidth)).toBe(360)
    await expect.poll(() => page.evaluate(chartWidth)).toBeLessThan(340)
    await page.emulateMedia({ colorScheme: 'dark' })
    await expect.poll(async () => (await pixelsOf(page, 0)).brightest).toBeGreaterThan(140)
  })

  test.each(settings)('have alarms that fit: %i pixels, %s', async (width, scheme) => {
    const page = await open(width, scheme, 'alarms')
    expect(await page.evaluate(pageWidth)).toBe(width)
    expect(await page.locator('td.ALARM').isVisible()).toBe(true)
  })
})
