const resolutionMs = 60_000
const retentionMs = 3 * 60 * resolutionMs
/** Values kept per minute to estimate percentiles from. */
const sampleSize = 256
/** More combinations of dimensions than this are a mistake in the metric (an id as a dimension). */
const maxSeries = 5_000

export type Dimensions = Record<string, string>

export type MetricPoint = {
  namespace: string
  metric: string
  dimensions?: Dimensions
  value: number
  unit?: string
  /** Unix milliseconds; now when absent. */
  timestamp?: number
}

/** As CloudWatch names them; percentiles are `p0` to `p100`, `p99.9` too. */
export type Statistic = 'Sum' | 'Average' | 'Minimum' | 'Maximum' | 'SampleCount' | `p${number}`

export type MetricQuery = {
  namespace: string
  metric: string
  /** All of them and no others, as CloudWatch matches. */
  dimensions?: Dimensions
  statistic: Statistic
  /** A multiple of 60; 60 when absent. */
  periodSeconds?: number
  /** Unix milliseconds; the last three hours when absent. */
  from?: number
  to?: number
  /** Periods begin this many milliseconds after their multiples, a multiple of a minute; 0 when absent. */
  shiftMs?: number
}

export type MetricValue = { timestamp: number; value: number }
export type MetricName = {
  namespace: string
  metric: string
  dimensions: Dimensions
  unit: string | undefined
}

/** Metric points of the last three hours in memory, at a resolution of a minute. */
export type Metrics = {
  record(point: MetricPoint): void
  /** Records the metrics of one line in Embedded Metric Format; false when the line is something else. */
  recordEmf(line: string): boolean
  /** Oldest first; periods without points are left out. */
  query(query: MetricQuery): MetricValue[]
  list(): MetricName[]
}

type Bucket = { count: number; sum: number; minimum: number; maximum: number; sample: number[] }
type Series = MetricName & { buckets: Map<number, Bucket> }

export function createMetrics(now: () => number = Date.now): Metrics {
  const series = new Map<string, Series>()

  function record(point: MetricPoint) {
    if (!Number.isFinite(point.value)) return
    const dimensions = point.dimensions ?? {}
    const key = keyOf(point.namespace, point.metric, dimensions)
    let target = series.get(key)
    if (target === undefined) {
      if (series.size >= maxSeries) return
      const { namespace, metric, unit } = point
      target = { namespace, metric, dimensions, unit, buckets: new Map() }
      series.set(key, target)
    }
    const minute = floorTo(point.timestamp ?? now(), resolutionMs)
    let bucket = target.buckets.get(minute)
    if (bucket === undefined) {
      for (const old of target.buckets.keys()) if (old < now() - retentionMs) target.buckets.delete(old)
      bucket = { count: 0, sum: 0, minimum: Infinity, maximum: -Infinity, sample: [] }
      target.buckets.set(minute, bucket)
    }
    bucket.count++
    bucket.sum += point.value
    bucket.minimum = Math.min(bucket.minimum, point.value)
    bucket.maximum = Math.max(bucket.maximum, point.value)
    // Reservoir sampling: every value of the minute is equally likely to be in the sample.
    if (bucket.sample.length < sampleSize) bucket.sample.push(point.value)
    else {
      const place = Math.floor(Math.random() * bucket.count)
      if (place < sampleSize) bucket.sample[place] = point.value
    }
  }

  return {
    record,
    recordEmf(line) {
      const points = parseEmf(line, now())
      if (points === undefined) return false
      for (const point of points) record(point)
      return true
    },
    query({ namespace, metric, dimensions = {}, statistic, periodSeconds = 60, from, to, shiftMs = 0 }) {
      const found = series.get(keyOf(namespace, metric, dimensions))
      if (found === undefined) return []
      const periodMs = Math.max(1, Math.round(periodSeconds / 60)) * resolutionMs
      const start = from ?? now() - retentionMs
      const end = to ?? Infinity
      const periodOf = (time: number) => floorTo(time - shiftMs, periodMs) + shiftMs
      const periods = new Map<number, Bucket[]>()
      for (const [minute, bucket] of found.buckets) {
        if (minute < periodOf(start) || minute >= end) continue
        const period = periodOf(minute)
        periods.set(period, [...(periods.get(period) ?? []), bucket])
      }
      return [...periods]
        .sort(([a], [b]) => a - b)
        .map(([timestamp, buckets]) => ({ timestamp, value: compute(statistic, buckets) }))
    },
    list() {
      return [...series.values()].map(({ buckets: _, ...name }) => name)
    },
  }
}

function compute(statistic: Statistic, buckets: Bucket[]): number {
  const total = (field: 'count' | 'sum') => buckets.reduce((sum, bucket) => sum + bucket[field], 0)
  switch (statistic) {
    case 'Sum':
      return total('sum')
    case 'SampleCount':
      return total('count')
    case 'Average':
      return total('sum') / total('count')
    case 'Minimum':
      return Math.min(...buckets.map((bucket) => bucket.minimum))
    case 'Maximum':
      return Math.max(...buckets.map((bucket) => bucket.maximum))
    default:
      return percentile(Number(statistic.slice(1)), buckets)
  }
}

/** A sampled value stands for as many as its minute had per kept one. */
function percentile(rank: number, buckets: Bucket[]): number {
  const weighted = buckets
    .flatMap(({ sample, count }) => sample.map((value) => ({ value, weight: count / sample.length })))
    .sort((a, b) => a.value - b.value)
  const wanted = (rank / 100) * buckets.reduce((sum, bucket) => sum + bucket.count, 0)
  let seen = 0
  for (const { value, weight } of weighted) {
    seen += weight
    // Weights are fractions: their sum may miss the count in the last bit.
    if (seen >= wanted - 1e-6) return value
  }
  return weighted.at(-1)?.value ?? Number.NaN
}

/**
 * The points of one Embedded Metric Format line, or undefined when it is not one.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
function parseEmf(line: string, now: number): MetricPoint[] | undefined {
  if (!line.startsWith('{') || !line.includes('"CloudWatchMetrics"')) return undefined
  let root: unknown
  try {
    root = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isRecord(root) || !isRecord(root._aws)) return undefined
  const directives = root._aws.CloudWatchMetrics
  if (!Array.isArray(directives)) return undefined
  const timestamp = typeof root._aws.Timestamp === 'number' ? root._aws.Timestamp : now
  const points: MetricPoint[] = []
  for (const directive of directives.filter(isRecord)) {
    const namespace = String(directive.Namespace)
    for (const names of arrayOf(directive.Dimensions, [[]])) {
      const dimensions = Object.fromEntries(
        arrayOf(names, []).map((name) => [String(name), String(root[String(name)])]),
      )
      for (const { Name, Unit } of arrayOf(directive.Metrics, []).filter(isRecord)) {
        for (const value of [root[String(Name)]].flat()) {
          if (typeof value !== 'number') continue
          const unit = typeof Unit === 'string' ? { unit: Unit } : {}
          points.push({ namespace, metric: String(Name), dimensions, value, timestamp, ...unit })
        }
      }
    }
  }
  return points
}

function keyOf(namespace: string, metric: string, dimensions: Dimensions): string {
  return JSON.stringify([namespace, metric, Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1))])
}

function floorTo(time: number, step: number): number {
  return Math.floor(time / step) * step
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function arrayOf(value: unknown, otherwise: unknown[]): unknown[] {
  return Array.isArray(value) && value.length > 0 ? value : otherwise
}
