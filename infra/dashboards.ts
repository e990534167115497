import { Duration } from 'aws-cdk-lib'
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2'
import type { IMetric, IWidget } from 'aws-cdk-lib/aws-cloudwatch'
import { GraphWidget, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds'
import type { FunctionName, QueueName } from '../lib/platform/names.ts'
import { metricsNamespace } from '../lib/platform/names.ts'
import type { LambdaFunction } from './functions.ts'
import type { WorkQueue } from './queues.ts'
import type { Stage } from './stage.ts'

type Functions = Record<FunctionName, LambdaFunction>

const period = Duration.minutes(1)
const sum = { period, statistic: 'Sum' }
const maximum = { period, statistic: 'Maximum' }

/** Rows of widgets for the query half: latency, cache, errors. */
export function queryWidgets(api: HttpApi, functions: Functions): IWidget[][] {
  const counted = {
    hits: own('profiles', 'CacheHit'),
    stale: own('profiles', 'CacheStale'),
    shared: own('profiles', 'CacheSharedHit'),
    misses: own('profiles', 'CacheMiss'),
  }
  // What was not counted in a minute has no value there, not 0.
  const answers = '(FILL(hits, 0) + FILL(stale, 0) + FILL(misses, 0))'
  const hitRatio = new MathExpression({
    label: 'hit ratio',
    expression: `100 * (FILL(hits, 0) + FILL(stale, 0)) / ${answers}`,
    usingMetrics: { hits: counted.hits, stale: counted.stale, misses: counted.misses },
    period,
  })
  const sharedRatio = new MathExpression({
    label: 'from the shared tier',
    expression: `100 * FILL(shared, 0) / ${answers}`,
    usingMetrics: counted,
    period,
  })
  const percentiles = ['p50', 'p95', 'p99']
  return [
    [
      graph('Requests', [api.metricCount({ ...sum, label: 'requests' })]),
      graph(
        'Latency at the gateway, ms',
        percentiles.map((p) => api.metricLatency({ period, statistic: p, label: p })),
      ),
      graph(
        'Queries in the function, ms',
        percentiles.map((p) => own('profiles', 'QueryDuration', p, p)),
      ),
    ],
    [
      graph('Cache hits, %', [hitRatio, sharedRatio]),
      graph('Errors', [
        api.metricClientError({ ...sum, label: '4xx' }),
        api.metricServerError({ ...sum, label: '5xx' }),
        ...(['profiles', 'imports', 'system'] as const).map((name) =>
          own(name, 'RequestErrors', 'Sum', `${name} errors`),
        ),
      ]),
      graph('Environments at work', [
        ...(['profiles', 'imports', 'system'] as const).map((name) =>
          functions[name].metric('ConcurrentExecutions', { ...maximum, label: name }),
        ),
      ]),
    ],
    [
      graph('Shared cache: errors', [byFunction('CacheErrors')]),
      graph('Requests over their limit', [byFunction('RateLimited')]),
      graph('Limits counted without the shared cache', [byFunction('RateLimitFallbacks')]),
    ],
    retryWidgets(),
  ]
}

function retryWidgets(): IWidget[] {
  return [
    graph('Third parties: calls tried again', [byDimension('RetryAttempts', 'Call')]),
    graph('Third parties: then answered', [byDimension('RetryRecoveries', 'Call')]),
    graph('Third parties: given up', [byDimension('RetryExhaustions', 'Call')]),
  ]
}

/** A metric of each function that has published it. */
function byFunction(metricName: string): MathExpression {
  return new MathExpression({
    label: '',
    expression: `SEARCH('{${metricsNamespace},service} MetricName="${metricName}"', 'Sum', 60)`,
    usingMetrics: {},
    period,
  })
}

/** A metric for each value of a dimension that had any, whichever function published it. */
function byDimension(metricName: string, dimension: string, statistic = 'Sum'): MathExpression {
  return new MathExpression({
    label: '',
    expression: `SEARCH('{${metricsNamespace},${dimension},service} MetricName="${metricName}"', '${statistic}', 60)`,
    usingMetrics: {},
    period,
  })
}

/** Rows of widgets for imports: throughput, skipped rows, backlog, dead letters; and for exports. */
export function importWidgets(workQueues: readonly WorkQueue[], functions: Functions): IWidget[][] {
  const rowsPerSecond = new MathExpression({
    label: 'rows/s',
    expression: 'rows / PERIOD(rows)',
    usingMetrics: { rows: own('insert', 'RowsInserted') },
    period,
  })
  const workers = (['split', 'insert', 'finish'] as const).map((name) => [name, functions[name]] as const)
  return [
    [
      graph('Rows inserted per second', [rowsPerSecond]),
      // The reasons are the business's; the search finds whichever occurred.
      graph('Rows skipped, by reason', [byDimension('RowsSkipped', 'Reason')]),
      graph(
        'Slice, ms',
        ['p50', 'p95'].map((p) => own('insert', 'SliceDuration', p, p)),
      ),
    ],
    queueWidgets(workQueues),
    [
      graph('Imports', [
        own('finish', 'ImportsCompleted', 'Sum', 'completed'),
        own('finish', 'ImportsFailed', 'Sum', 'failed at the end'),
        own('split', 'ImportsFailed', 'Sum', 'failed in split'),
      ]),
      graph(
        'Function errors',
        workers.map(([name, lambda]) => lambda.metricErrors({ ...sum, label: name })),
      ),
      graph(
        'Function duration, ms',
        workers.map(([name, lambda]) => lambda.metricDuration({ ...maximum, label: name })),
      ),
    ],
    [
      graph('Rows exported', [own('export', 'ExportRows', 'Sum', 'rows')]),
      graph(
        'Export, ms',
        ['p50', 'p95'].map((p) => own('export', 'ExportDuration', p, p)),
      ),
      graph('Exports failed', [exportsFailed()]),
    ],
  ]
}

/** Rows of widgets for interviews: webhooks, assessments, third parties, backlog, dead letters. */
export function interviewWidgets(workQueues: readonly WorkQueue[], functions: Functions): IWidget[][] {
  const workers = (['apply-event', 'assess', 'send-email', 'read-resume'] as const).map(
    (name) => [name, functions[name]] as const,
  )
  return [
    [
      graph('Webhooks received, by sender', [byDimension('WebhooksReceived', 'Source')]),
      graph('Webhooks refused, by sender', [byDimension('WebhooksRefused', 'Source')]),
      graph('Webhook, ms, p95', [byDimension('WebhookDuration', 'Source', 'p95')]),
    ],
    [
      graph('Events, by outcome', [byDimension('InterviewEvents', 'Outcome')]),
      graph('Assessments', [
        own('assess', 'AssessmentsCompleted', 'Sum', 'completed'),
        byDimension('AssessmentsFailed', 'Reason'),
      ]),
      graph(
        'Assessment, ms',
        ['p50', 'p95'].map((p) => own('assess', 'AssessmentDuration', p, p)),
      ),
    ],
    [
      graph('E-mails sent, by kind', [byDimension('EmailsSent', 'Kind')]),
      graph('E-mails held back or failed', [
        byDimension('EmailsSuppressed', 'Kind'),
        byDimension('EmailsFailed', 'Reason'),
      ]),
      graph('Résumés', [
        own('read-resume', 'ResumesCompleted', 'Sum', 'read'),
        byDimension('ResumesFailed', 'Reason'),
      ]),
    ],
    retryWidgets(),
    queueWidgets(workQueues),
    [
      graph(
        'Function errors',
        workers.map(([name, lambda]) => lambda.metricErrors({ ...sum, label: name })),
      ),
      graph(
        'Function duration, ms',
        workers.map(([name, lambda]) => lambda.metricDuration({ ...maximum, label: name })),
      ),
    ],
  ]
}

function queueWidgets(workQueues: readonly WorkQueue[]): IWidget[] {
  return [
    graph(
      'Backlog, messages',
      workQueues.map(({ name, queue }) =>
        queue.metricApproximateNumberOfMessagesVisible({ ...maximum, label: name }),
      ),
    ),
    graph(
      'Oldest message, s',
      workQueues.map(({ name, queue }) =>
        queue.metricApproximateAgeOfOldestMessage({ ...maximum, label: name }),
      ),
    ),
    graph(
      'Dead letters',
      workQueues.flatMap(({ name, deadLetters }) => [
        openDeadLetters(name).with({ label: name }),
        deadLetters.metricApproximateNumberOfMessagesVisible({
          ...maximum,
          label: `${name}, not yet recorded`,
        }),
      ]),
    ),
  ]
}

/** Rows of widgets for the database: size, connections, work; and its readers where the stage has any. */
export function databaseWidgets(cluster: DatabaseCluster, { aurora }: Stage): IWidget[][] {
  const readers = [
    graph('Replica lag, ms', [replicaLag(cluster)]),
    graph('Queries by reader', [
      own('profiles', 'ReaderReads', 'Sum', 'by the reader'),
      own('profiles', 'ReaderBehind', 'Sum', 'by the writer, the reader behind'),
      own('profiles', 'ReaderFailures', 'Sum', 'by the writer, the reader failing'),
    ]),
  ]
  return [
    [
      graph('Capacity, ACU', [cluster.metricServerlessDatabaseCapacity({ ...maximum, label: 'capacity' })]),
      graph('Capacity used, %', capacityUsed(cluster)),
      graph('Connections', [cluster.metricDatabaseConnections({ ...maximum, label: 'connections' })]),
    ],
    [
      graph('CPU, %', [cluster.metricCPUUtilization({ period, label: 'CPU' })]),
      graph('Commit latency, ms', [cluster.metric('CommitLatency', { period, label: 'commit' })]),
      graph('Deadlocks', [cluster.metricDeadlocks({ ...sum, label: 'deadlocks' })]),
    ],
    [
      graph('Storage, bytes', [cluster.metricVolumeBytesUsed({ ...maximum, label: 'volume' })]),
      graph('Buffer cache hits, %', [cluster.metric('BufferCacheHitRatio', { period, label: 'hits' })]),
    ],
    ...(aurora.readers > 0 ? [readers] : []),
  ]
}

/**
 * Percent of the largest capacity that each instance uses. That of the cluster is their average, which hides one
 * behind the others.
 */
export function capacityUsed(cluster: DatabaseCluster): Metric[] {
  return cluster.instanceIdentifiers.map(
    (DBInstanceIdentifier) =>
      new Metric({
        namespace: 'AWS/RDS',
        metricName: 'ACUUtilization',
        dimensionsMap: { DBInstanceIdentifier },
        statistic: 'Average',
        label: DBInstanceIdentifier,
        period,
      }),
  )
}

/** Milliseconds that the reader furthest behind is behind the writer. */
export function replicaLag(cluster: DatabaseCluster): Metric {
  return cluster.metric('AuroraReplicaLagMaximum', { ...maximum, label: 'furthest behind' })
}

/** Times that the writer had to answer, as a reader failed. */
export function readerFailures(): Metric {
  return own('profiles', 'ReaderFailures')
}

/** Dead letters of a queue that nobody has redriven or discarded; the sweep counts them every minute. */
export function openDeadLetters(queue: QueueName): Metric {
  return new Metric({
    namespace: metricsNamespace,
    metricName: 'DeadLetters',
    dimensionsMap: { Queue: queue, service: 'sweep' },
    ...maximum,
  })
}

/** Exports that ended without a file. */
export function exportsFailed(): Metric {
  return own('export', 'ExportsFailed', 'Sum', 'failed')
}

/** Milliseconds that 95 of 100 queries on profiles take at the most, in their function. */
export function queryLatency(): Metric {
  return own('profiles', 'QueryDuration', 'p95')
}

/** Webhooks that were refused in five minutes, whoever sent them. */
export function webhooksRefused(): MathExpression {
  return total('webhooks', 'WebhooksRefused', 'Source', ['agent', 'livekit', 'resend'])
}

/** Assessments that ended without an answer of use in five minutes. One without a transcript has nothing to tell. */
export function assessmentsRefused(): MathExpression {
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
      namespace: metricsNamespace,
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
export function facetDifferences(): Metric {
  return own('facets', 'FacetDifferences', 'Maximum', 'wrong cells').with({ period: Duration.days(1) })
}

/** A metric that the code publishes; Powertools adds the function's name as `service`. */
function own(service: FunctionName, metricName: string, statistic = 'Sum', label = metricName): Metric {
  return new Metric({
    namespace: metricsNamespace,
    metricName,
    dimensionsMap: { service },
    statistic,
    label,
    period,
  })
}

function graph(title: string, left: IMetric[]): GraphWidget {
  return new GraphWidget({ title, left, width: 8, height: 6, leftYAxis: { min: 0, showUnits: false } })
}
