import type { Dimensions, Metrics, Statistic } from '../metrics.ts'
import { databaseMetrics } from './database-metrics.ts'
import { ExpressionError, evaluate, type Search, type Series } from './expression.ts'

/** One line of a widget or an alarm: a metric, or an expression over the others' ids. */
export type Query = {
  id: string | undefined
  /** Undefined where nobody gave it one: what it measures then stands for it. */
  label: string | undefined
  /** False where it only serves expressions. */
  visible: boolean
} & ({ expression: string } | MetricQuery)

type MetricQuery = {
  namespace: string
  metric: string
  dimensions: Dimensions
  statistic: string
  periodSeconds: number
}

export type Window = {
  /** Unix milliseconds; `to` itself is not in it. */
  from: number
  to: number
  /** Periods begin this much after their multiples. */
  shiftMs: number
}

export type Result =
  | { kind: 'series'; series: Series[] }
  /** Nothing measures it on this machine. */
  | { kind: 'without source'; metric: string }
  /** The local cloud does not know how to work it out. */
  | { kind: 'unknown'; reason: string }

/** The metrics of AWS's own namespaces that the local cloud records; those of other namespaces are ours. */
const recorded: Readonly<Record<string, ReadonlySet<string>>> = {
  'AWS/ApiGateway': new Set(['Count', '4xx', '5xx', 'Latency', 'IntegrationLatency']),
  'AWS/RDS': new Set(databaseMetrics),
  'AWS/Lambda': new Set(['Invocations', 'Errors', 'Throttles', 'ConcurrentExecutions', 'Duration']),
  'AWS/SQS': new Set([
    'ApproximateNumberOfMessagesVisible',
    'ApproximateNumberOfMessagesNotVisible',
    'ApproximateAgeOfOldestMessage',
  ]),
}

const statistics = /^(?:Sum|Average|Minimum|Maximum|SampleCount|p\d{1,2}(?:\.\d+)?|p100)$/

/** What each visible query gives in the window, in their order. Numbers are never made up. */
export function answersOf(
  queries: readonly Query[],
  window: Window,
  metrics: Metrics,
): { query: Query; result: Result }[] {
  const byId = new Map(queries.flatMap((query) => (query.id === undefined ? [] : [[query.id, query]])))
  const busy = new Set<Query>()

  function resultOf(query: Query): Result {
    if (busy.has(query)) return { kind: 'unknown', reason: `${query.id} is made of itself` }
    busy.add(query)
    try {
      return { kind: 'series', series: seriesOf(query) }
    } catch (error) {
      if (error instanceof WithoutSource) return { kind: 'without source', metric: error.metric }
      if (error instanceof ExpressionError) return { kind: 'unknown', reason: error.message }
      throw error
    } finally {
      busy.delete(query)
    }
  }

  function seriesOf(query: Query): Series[] {
    if (!('expression' in query)) return [measured(query, query.label ?? query.metric)]
    const value = evaluate(query.expression, { series: operand, search, times })
    if (typeof value === 'number') throw new ExpressionError(`${query.expression} is a number, not a series`)
    const { label } = query
    if (!Array.isArray(value)) return [{ ...value, label: label ?? query.expression }]
    return value.map((one) => ({ ...one, label: label ? `${label} ${one.label}` : one.label }))
  }

  function operand(id: string): Series | undefined {
    const query = byId.get(id)
    if (!query) return undefined
    const result = resultOf(query)
    if (result.kind === 'without source') throw new WithoutSource(result.metric)
    if (result.kind === 'unknown') throw new ExpressionError(result.reason)
    return result.series.length === 1 ? result.series[0] : undefined
  }

  function measured(query: MetricQuery, label: string): Series {
    const { namespace, metric, dimensions, statistic, periodSeconds } = query
    if (namespace.startsWith('AWS/') && !recorded[namespace]?.has(metric))
      throw new WithoutSource(`${namespace} ${metric}`)
    if (!statistics.test(statistic)) throw new ExpressionError(`the statistic ${statistic} is not known here`)
    const { from, to, shiftMs } = window
    const values = metrics.query({
      namespace,
      metric,
      dimensions,
      statistic: statistic as Statistic,
      periodSeconds,
      from,
      to,
      shiftMs,
    })
    return { label, periodSeconds, points: new Map(values.map(({ timestamp, value }) => [timestamp, value])) }
  }

  function search({ namespace, metric, dimensions, statistic, periodSeconds }: Search): Series[] {
    const wanted = [...dimensions].sort().join()
    const found = metrics
      .list()
      .filter((one) => one.namespace === namespace && one.metric === metric)
      .filter((one) => Object.keys(one.dimensions).sort().join() === wanted)
    // What all of them share tells none of them apart.
    const telling = dimensions.filter((name) => new Set(found.map((one) => one.dimensions[name])).size > 1)
    const names = telling.length > 0 ? telling : dimensions
    return found.map((one) => {
      const label = names.map((name) => one.dimensions[name]).join(' ')
      return measured({ ...one, statistic, periodSeconds }, label)
    })
  }

  function times(periodSeconds: number): number[] {
    const step = periodSeconds * 1000
    const first = Math.floor((window.from - window.shiftMs) / step) * step + window.shiftMs
    return Array.from({ length: Math.ceil((window.to - first) / step) }, (_, at) => first + at * step)
  }

  return queries.filter(({ visible }) => visible).map((query) => ({ query, result: resultOf(query) }))
}

class WithoutSource extends Error {
  override readonly name = 'WithoutSource'
  readonly metric: string

  constructor(metric: string) {
    super(`${metric} has no local source`)
    this.metric = metric
  }
}
