import { Duration } from 'aws-cdk-lib'
import { MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { FunctionName, QueueName, ThirdPartyName } from '../lib/platform/names.ts'
import { metricsNamespace, type StageName } from './stage.ts'

const period = Duration.minutes(1)
const maximum = { period, statistic: 'Maximum' }

export type PublishedMetrics = ReturnType<typeof publishedMetrics>

/** The metrics that the functions of a stage publish, for whoever draws them or watches over them. */
export function publishedMetrics(stage: StageName) {
  const namespace = metricsNamespace(stage)

  /** A metric of each function that has published it. */
  function byFunction(metricName: string): MathExpression {
    return new MathExpression({
      label: '',
      expression: `SEARCH('{${namespace},service} MetricName="${metricName}"', 'Sum', 60)`,
      usingMetrics: {},
      period,
    })
  }

  /** A metric for each value of a dimension that had any, whichever function published it. */
  function byDimension(metricName: string, dimension: string, statistic = 'Sum'): MathExpression {
    return new MathExpression({
      label: '',
      expression: `SEARCH('{${namespace},${dimension},service} MetricName="${metricName}"', '${statistic}', 60)`,
      usingMetrics: {},
      period,
    })
  }

  /** Dead letters of a queue that nobody has redriven or discarded; the sweep counts them every minute. */
  function openDeadLetters(queue: QueueName): Metric {
    return new Metric({
      namespace,
      metricName: 'DeadLetters',
      dimensionsMap: { Queue: queue, service: 'sweep' },
      ...maximum,
    })
  }

  /** Work that a third party refused and that waits for an operator; the sweep counts it every minute. */
  function refusedWork(party: ThirdPartyName): Metric {
    return new Metric({
      namespace,
      metricName: 'RefusedWork',
      dimensionsMap: { ThirdParty: party, service: 'sweep' },
      ...maximum,
    })
  }

  /** Exports that ended without a file. */
  function exportsFailed(): Metric {
    return own('export', 'ExportsFailed', 'Sum', 'failed')
  }

  /** Milliseconds that 95 of 100 queries on profiles take at the most, in their function. */
  function queryLatency(): Metric {
    return own('profiles', 'QueryDuration', 'p95')
  }

  /** Webhooks that were refused in five minutes, whoever sent them. */
  function webhooksRefused(): MathExpression {
    return total('webhooks', 'WebhooksRefused', 'Source', ['agent', 'livekit', 'resend'])
  }

  /** Assessments that ended without an answer of use in five minutes. One without a transcript has nothing to tell. */
  function assessmentsRefused(): MathExpression {
    return total('assess', 'AssessmentsFailed', 'Reason', ['invalid_answer', 'refused'])
  }

  /** The sum of a metric over some values of its dimension: an alarm may not search for them. */
  function total(
    service: FunctionName,
    metricName: string,
    dimension: string,
    values: readonly string[],
  ): MathExpression {
    const five = Duration.minutes(5)
    const metrics = values.map((value, at): [string, Metric] => [
      `m${at}`,
      new Metric({
        namespace,
        metricName,
        dimensionsMap: { [dimension]: value, service },
        statistic: 'Sum',
        period: five,
      }),
    ])
    return new MathExpression({
      label: metricName,
      expression: metrics.map(([id]) => `FILL(${id}, 0)`).join(' + '),
      usingMetrics: Object.fromEntries(metrics),
      period: five,
    })
  }

  /** Cells whose count is not that of the profiles: compared every night, so that the worst of a day stands. */
  function facetDifferences(): Metric {
    return own('facets', 'FacetDifferences', 'Maximum', 'wrong cells').with({ period: Duration.days(1) })
  }

  /** A metric that the code publishes; Powertools adds the function's name as `service`. */
  function own(service: FunctionName, metricName: string, statistic = 'Sum', label = metricName): Metric {
    return new Metric({
      namespace,
      metricName,
      dimensionsMap: { service },
      statistic,
      label,
      period,
    })
  }

  /** Times that the writer had to answer, as a reader failed. */
  function readerFailures(): Metric {
    return own('profiles', 'ReaderFailures')
  }

  return {
    byFunction,
    byDimension,
    openDeadLetters,
    refusedWork,
    exportsFailed,
    queryLatency,
    webhooksRefused,
    assessmentsRefused,
    facetDifferences,
    own,
    readerFailures,
  }
}
