import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../../infra/local/metrics.ts'

const minute = 60_000
const noon = Date.UTC(2026, 10, 20, 12)
const latency = { namespace: 'Insighta', metric: 'latency' }

function emf(timestamp: number, values: Record<string, unknown>, dimensions: string[][] = [[]]) {
  const Metrics = Object.keys(values)
    .filter((name) => !dimensions.flat().includes(name))
    .map((Name) => ({ Name, Unit: 'Count' }))
  return JSON.stringify({
    _aws: {
      Timestamp: timestamp,
      CloudWatchMetrics: [{ Namespace: 'Insighta', Dimensions: dimensions, Metrics }],
    },
    ...values,
  })
}

describe('metric points', () => {
  test('are summed up a minute, and periods are whole minutes put together', () => {
    const metrics = createMetrics(() => noon + 3 * minute)
    for (const [offset, value] of [
      [0, 1],
      [30_000, 3],
      [minute, 10],
      [2 * minute, 100],
    ] as const) {
      metrics.record({ ...latency, value, timestamp: noon + offset })
    }
    expect(metrics.query({ ...latency, statistic: 'Sum' })).toEqual([
      { timestamp: noon, value: 4 },
      { timestamp: noon + minute, value: 10 },
      { timestamp: noon + 2 * minute, value: 100 },
    ])
    const whole = (statistic: 'Sum' | 'Average' | 'Minimum' | 'Maximum' | 'SampleCount') =>
      metrics.query({ ...latency, statistic, periodSeconds: 300 })
    expect(whole('Sum')).toEqual([{ timestamp: noon, value: 114 }])
    expect(whole('Average')[0]?.value).toBe(28.5)
    expect(whole('Minimum')[0]?.value).toBe(1)
    expect(whole('Maximum')[0]?.value).toBe(100)
    expect(whole('SampleCount')[0]?.value).toBe(4)
  })

  test('are asked for by time', () => {
    const metrics = createMetrics(() => noon + 3 * minute)
    for (const i of [0, 1, 2]) metrics.record({ ...latency, value: i, timestamp: noon + i * minute })
    const query = { ...latency, statistic: 'Sum', from: noon + minute, to: noon + 2 * minute } as const
    expect(metrics.query(query)).toEqual([{ timestamp: noon + minute, value: 1 }])
  })

  test('are told apart by all their dimensions, in any order', () => {
    const metrics = createMetrics(() => noon)
    metrics.record({ ...latency, value: 1, dimensions: { service: 'profiles', route: '/api/profiles' } })
    metrics.record({ ...latency, value: 2, dimensions: { service: 'profiles' } })
    const dimensions = { route: '/api/profiles', service: 'profiles' }
    expect(metrics.query({ ...latency, dimensions, statistic: 'Sum' })).toEqual([
      { timestamp: noon, value: 1 },
    ])
    expect(metrics.query({ ...latency, statistic: 'Sum' })).toEqual([])
    expect(metrics.list()).toHaveLength(2)
  })

  test('have exact percentiles while they are few, and near ones when they are many', () => {
    const metrics = createMetrics(() => noon)
    for (let i = 1; i <= 100; i++) metrics.record({ ...latency, value: i })
    expect(metrics.query({ ...latency, statistic: 'p50' })[0]?.value).toBe(50)
    expect(metrics.query({ ...latency, statistic: 'p99' })[0]?.value).toBe(99)
    expect(metrics.query({ ...latency, statistic: 'p100' })[0]?.value).toBe(100)
    for (let i = 0; i < 20_000; i++) metrics.record({ ...latency, metric: 'many', value: i })
    const median = metrics.query({ ...latency, metric: 'many', statistic: 'p50' })[0]?.value ?? 0
    expect(median).toBeGreaterThan(6000)
    expect(median).toBeLessThan(14_000)
  })

  test('are forgotten after three hours', () => {
    let now = noon
    const metrics = createMetrics(() => now)
    metrics.record({ ...latency, value: 1 })
    now += 3 * 60 * minute + minute
    metrics.record({ ...latency, value: 2 })
    expect(metrics.query({ ...latency, statistic: 'Sum', from: 0 })).toEqual([{ timestamp: now, value: 2 }])
  })

  test('that are no numbers are dropped, and so is a flood of dimensions', () => {
    const metrics = createMetrics(() => noon)
    metrics.record({ ...latency, value: Number.NaN })
    expect(metrics.list()).toEqual([])
    for (let i = 0; i < 6000; i++) metrics.record({ ...latency, value: 1, dimensions: { id: String(i) } })
    expect(metrics.list()).toHaveLength(5000)
  })
})

describe('lines in Embedded Metric Format', () => {
  test('are recorded once for each set of dimensions', () => {
    const metrics = createMetrics(() => noon)
    const line = emf(noon, { service: 'insert', reason: 'invalid_age', skipped: 3 }, [
      ['service'],
      ['service', 'reason'],
    ])
    expect(metrics.recordEmf(line)).toBe(true)
    for (const dimensions of [{ service: 'insert' }, { service: 'insert', reason: 'invalid_age' }]) {
      const query = { namespace: 'Insighta', metric: 'skipped', dimensions, statistic: 'Sum' } as const
      expect(metrics.query(query)).toEqual([{ timestamp: noon, value: 3 }])
    }
    expect(metrics.list()[0]).toEqual({
      namespace: 'Insighta',
      metric: 'skipped',
      dimensions: { service: 'insert' },
      unit: 'Count',
    })
  })

  test('may hold several values of one metric', () => {
    const metrics = createMetrics(() => noon)
    metrics.recordEmf(emf(noon, { latency: [1, 2, 'three', 4] }))
    expect(metrics.query({ ...latency, statistic: 'SampleCount' })[0]?.value).toBe(3)
  })

  test.each([
    'plain text',
    '{"message":"an ordinary JSON line"}',
    '{"CloudWatchMetrics" not json',
    '{"_aws":{"CloudWatchMetrics":7}}',
    '{"_aws":null,"CloudWatchMetrics":[]}',
  ])('are told from others: %s', (line) => {
    expect(createMetrics().recordEmf(line)).toBe(false)
  })

  test('without their directive in order record nothing and break nothing', () => {
    const metrics = createMetrics(() => noon)
    metrics.recordEmf('{"_aws":{"CloudWatchMetrics":[null,7,{"Metrics":"x"},{"Metrics":[null,{}]}]}}')
    expect(metrics.list()).toEqual([])
  })
})
