import * as z from 'zod'
import type { Metrics } from '../metrics.ts'
import type { Alarm } from '../resources/services.ts'
import { answersOf, type Query, type Result } from './queries.ts'

const dimensions = z.array(z.object({ Name: z.string(), Value: z.string() })).default([])
const number = z.coerce.number()

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html */
const alarmSchema = z.object({
  AlarmDescription: z.string().default(''),
  ComparisonOperator: z.string(),
  EvaluationPeriods: number,
  DatapointsToAlarm: number.optional(),
  Threshold: number.default(0),
  TreatMissingData: z.enum(['notBreaching', 'breaching', 'ignore', 'missing']).default('missing'),
  MetricName: z.string().optional(),
  Namespace: z.string().default(''),
  Dimensions: dimensions,
  Period: number.default(60),
  Statistic: z.string().optional(),
  ExtendedStatistic: z.string().optional(),
  Metrics: z
    .array(
      z.object({
        Id: z.string(),
        Expression: z.string().optional(),
        Label: z.string().optional(),
        ReturnData: z.boolean().default(true),
        Period: number.optional(),
        MetricStat: z
          .object({
            Metric: z.object({ Namespace: z.string(), MetricName: z.string(), Dimensions: dimensions }),
            Period: number,
            Stat: z.string(),
          })
          .optional(),
      }),
    )
    .default([]),
})
type AlarmSettings = z.infer<typeof alarmSchema>

export type AlarmState = {
  name: string
  description: string
  /** Section of docs/operations.md. */
  runbook: string | undefined
  state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA'
  reason: string
}

const comparisons: Readonly<
  Record<string, { sign: string; holds(value: number, threshold: number): boolean }>
> = {
  GreaterThanThreshold: { sign: '>', holds: (value, threshold) => value > threshold },
  GreaterThanOrEqualToThreshold: { sign: '≥', holds: (value, threshold) => value >= threshold },
  LessThanThreshold: { sign: '<', holds: (value, threshold) => value < threshold },
  LessThanOrEqualToThreshold: { sign: '≤', holds: (value, threshold) => value <= threshold },
}

/** Periods looked at beyond those that are evaluated, for values where the newest have none. */
const morePeriods = 2

/**
 * The state of an alarm of the templates at `now`, in Unix milliseconds. As on AWS its last period ends with the
 * minute that runs, the newest values that there are count, and what is missing is filled only where they are too
 * few. What the state was before is not kept.
 */
export function alarmState({ name, properties }: Alarm, now: number, metrics: Metrics): AlarmState {
  const settings = alarmSchema.parse(properties)
  const [, description, runbook] =
    /^(.*?)(?:\s*Runbook: docs\/operations\.md#([a-z-]+))?$/s.exec(settings.AlarmDescription) ?? []
  return { name, description: description ?? '', runbook, ...judge(settings, now, metrics) }
}

function judge(settings: AlarmSettings, now: number, metrics: Metrics): Pick<AlarmState, 'state' | 'reason'> {
  const comparison = comparisons[settings.ComparisonOperator]
  if (!comparison) return insufficient(`${settings.ComparisonOperator} is not known here`)
  const periodMs = periodSecondsOf(settings) * 1000
  const to = (Math.floor(now / 60_000) + 1) * 60_000
  const window = {
    from: to - (settings.EvaluationPeriods + morePeriods) * periodMs,
    to,
    shiftMs: to % periodMs,
  }
  const [answer] = answersOf(queriesOf(settings), window, metrics)
  const { values, problem } = valuesOf(answer?.result)
  if (problem !== undefined) return insufficient(problem)

  const { EvaluationPeriods, Threshold, TreatMissingData } = settings
  const present = values.slice(-EvaluationPeriods)
  if (present.length === 0 && (TreatMissingData === 'missing' || TreatMissingData === 'ignore'))
    return insufficient('no data')
  const missing = EvaluationPeriods - present.length
  const over = present.filter((value) => comparison.holds(value, Threshold)).length
  const breaching = over + (TreatMissingData === 'breaching' ? missing : 0)
  const state = breaching >= (settings.DatapointsToAlarm ?? EvaluationPeriods) ? 'ALARM' : 'OK'
  const seen = [...present.map((value) => Number(value.toFixed(2))), ...Array<string>(missing).fill('none')]
  return { state, reason: `${seen.join(', ')} (${comparison.sign} ${Threshold})` }
}

function insufficient(reason: string) {
  return { state: 'INSUFFICIENT_DATA' as const, reason }
}

/** Oldest first; periods without one are left out. */
function valuesOf(result: Result | undefined): { values: number[]; problem?: string } {
  if (!result) return { values: [], problem: 'it has no metric' }
  if (result.kind === 'without source') return { values: [], problem: `only on AWS: ${result.metric}` }
  if (result.kind === 'unknown') return { values: [], problem: result.reason }
  const points = [...(result.series[0]?.points ?? [])]
  return { values: points.sort(([a], [b]) => a - b).map(([, value]) => value) }
}

function periodSecondsOf({ Metrics, Period }: AlarmSettings): number {
  const periods = Metrics.flatMap(({ MetricStat }) => (MetricStat ? [MetricStat.Period] : []))
  return periods.length > 0 ? Math.max(...periods) : Period
}

function queriesOf(settings: AlarmSettings): Query[] {
  const { MetricName, Namespace, Dimensions, Period, Statistic, ExtendedStatistic } = settings
  if (MetricName !== undefined) {
    const statistic = ExtendedStatistic ?? Statistic ?? 'Average'
    const measure = { statistic, periodSeconds: Period }
    const metric = { namespace: Namespace, metric: MetricName, dimensions: byName(Dimensions) }
    return [{ id: undefined, label: undefined, visible: true, ...metric, ...measure }]
  }
  return settings.Metrics.map(({ Id: id, Label: label, ReturnData: visible, Expression, MetricStat }) => {
    if (!MetricStat) return { id, label, visible, expression: Expression ?? '' }
    const { Metric, Period, Stat } = MetricStat
    const metric = {
      namespace: Metric.Namespace,
      metric: Metric.MetricName,
      dimensions: byName(Metric.Dimensions),
    }
    return { id, label, visible, ...metric, statistic: Stat, periodSeconds: Period }
  })
}

function byName(pairs: z.infer<typeof dimensions>): Record<string, string> {
  return Object.fromEntries(pairs.map(({ Name, Value }) => [Name, Value]))
}
