import { Duration } from 'aws-cdk-lib'
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2'
import type { IMetric, IWidget } from 'aws-cdk-lib/aws-cloudwatch'
import { GraphWidget, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds'
import { type FunctionName, thirdParties } from '../lib/platform/names.ts'
import type { LambdaFunction } from './functions.ts'
import type { PublishedMetrics } from './published-metrics.ts'
import type { WorkQueue } from './queues.ts'
import type { Stage } from './stage.ts'

type Functions = Record<FunctionName, LambdaFunction>

const period = Duration.minutes(1)
const sum = { period, statistic: 'Sum' }
const maximum = { period, statistic: 'Maximum' }

/** Rows of widgets for the query half: latency, cache, errors. */
export function queryWidgets(published: PublishedMetrics, api: HttpApi, functions: Functions): IWidget[][] {
  const counted = {
    hits: published.own('profiles', 'CacheHit'),
    stale: published.own('profiles', 'CacheStale'),
    shared: published.own('profiles', 'CacheSharedHit'),
    misses: published.own('profiles', 'CacheMiss'),
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
        percentiles.map((p) => published.own('profiles', 'QueryDuration', p, p)),
      ),
    ],
    [
      graph('Cache hits, %', [hitRatio, sharedRatio]),
      graph('Errors', [
        api.metricClientError({ ...sum, label: '4xx' }),
        api.metricServerError({ ...sum, label: '5xx' }),
        ...(['profiles', 'imports', 'system'] as const).map((name) =>
          published.own(name, 'RequestErrors', 'Sum', `${name} errors`),
        ),
      ]),
      graph('Environments at work', [
        ...(['profiles', 'imports', 'system'] as const).map((name) =>
          functions[name].metric('ConcurrentExecutions', { ...maximum, label: name }),
        ),
      ]),
    ],
    [
      graph('Shared cache: errors', [published.byFunction('CacheErrors')]),
      graph('Requests over their limit', [published.byFunction('RateLimited')]),
      graph('Limits counted without the shared cache', [published.byFunction('RateLimitFallbacks')]),
    ],
    retryWidgets(published),
  ]
}

function retryWidgets(published: PublishedMetrics): IWidget[] {
  return [
    graph('Third parties: calls tried again', [published.byDimension('RetryAttempts', 'Call')]),
    graph('Third parties: then answered', [published.byDimension('RetryRecoveries', 'Call')]),
    graph('Third parties: given up', [published.byDimension('RetryExhaustions', 'Call')]),
  ]
}

/** Rows of widgets for imports: throughput, skipped rows, backlog, dead letters; and for exports. */
export function importWidgets(
  published: PublishedMetrics,
  workQueues: readonly WorkQueue[],
  functions: Functions,
): IWidget[][] {
  const rowsPerSecond = new MathExpression({
    label: 'rows/s',
    expression: 'rows / PERIOD(rows)',
    usingMetrics: { rows: published.own('insert', 'RowsInserted') },
    period,
  })
  const workers = (['split', 'insert', 'finish'] as const).map((name) => [name, functions[name]] as const)
  return [
    [
      graph('Rows inserted per second', [rowsPerSecond]),
      // The reasons are the business's; the search finds whichever occurred.
      graph('Rows skipped, by reason', [published.byDimension('RowsSkipped', 'Reason')]),
      graph(
        'Slice, ms',
        ['p50', 'p95'].map((p) => published.own('insert', 'SliceDuration', p, p)),
      ),
    ],
    queueWidgets(published, workQueues),
    [
      graph('Imports', [
        published.own('finish', 'ImportsCompleted', 'Sum', 'completed'),
        published.own('finish', 'ImportsFailed', 'Sum', 'failed at the end'),
        published.own('split', 'ImportsFailed', 'Sum', 'failed in split'),
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
      graph('Rows exported', [published.own('export', 'ExportRows', 'Sum', 'rows')]),
      graph(
        'Export, ms',
        ['p50', 'p95'].map((p) => published.own('export', 'ExportDuration', p, p)),
      ),
      graph('Exports failed', [published.exportsFailed()]),
    ],
  ]
}

/** Rows of widgets for interviews: webhooks, assessments, third parties, backlog, dead letters. */
export function interviewWidgets(
  published: PublishedMetrics,
  workQueues: readonly WorkQueue[],
  functions: Functions,
): IWidget[][] {
  const workers = (['apply-event', 'assess', 'send-email', 'read-resume'] as const).map(
    (name) => [name, functions[name]] as const,
  )
  return [
    [
      graph('Webhooks received, by sender', [published.byDimension('WebhooksReceived', 'Source')]),
      graph('Webhooks refused, by sender', [published.byDimension('WebhooksRefused', 'Source')]),
      graph('Webhook, ms, p95', [published.byDimension('WebhookDuration', 'Source', 'p95')]),
    ],
    [
      graph('Events, by outcome', [published.byDimension('InterviewEvents', 'Outcome')]),
      graph('Assessments', [
        published.own('assess', 'AssessmentsCompleted', 'Sum', 'completed'),
        published.byDimension('AssessmentsFailed', 'Reason'),
      ]),
      graph(
        'Assessment, ms',
        ['p50', 'p95'].map((p) => published.own('assess', 'AssessmentDuration', p, p)),
      ),
    ],
    [
      graph('E-mails sent, by kind', [published.byDimension('EmailsSent', 'Kind')]),
      graph('E-mails held back or failed', [
        published.byDimension('EmailsSuppressed', 'Kind'),
        published.byDimension('EmailsFailed', 'Reason'),
      ]),
      graph('Résumés', [
        published.own('read-resume', 'ResumesCompleted', 'Sum', 'read'),
        published.byDimension('ResumesFailed', 'Reason'),
      ]),
    ],
    [
      ...retryWidgets(published),
      graph("The model's answers: not whole", [published.byDimension('ModelAnswersIncomplete', 'Call')]),
      graph("The model's answers: texts and lists cut", [
        published.byDimension('ModelTextsShortened', 'Call'),
      ]),
      graph(
        'Work that waits since a third party refuses it',
        thirdParties.map((party) => published.refusedWork(party).with({ label: party })),
      ),
    ],
    queueWidgets(published, workQueues),
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

function queueWidgets(published: PublishedMetrics, workQueues: readonly WorkQueue[]): IWidget[] {
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
        published.openDeadLetters(name).with({ label: name }),
        deadLetters.metricApproximateNumberOfMessagesVisible({
          ...maximum,
          label: `${name}, not yet recorded`,
        }),
      ]),
    ),
  ]
}

/** Rows of widgets for the database: size, connections, work; and its readers where the stage has any. */
export function databaseWidgets(
  published: PublishedMetrics,
  cluster: DatabaseCluster,
  { aurora }: Stage,
): IWidget[][] {
  const readers = [
    graph('Replica lag, ms', [replicaLag(cluster)]),
    graph('Queries by reader', [
      published.own('profiles', 'ReaderReads', 'Sum', 'by the reader'),
      published.own('profiles', 'ReaderBehind', 'Sum', 'by the writer, the reader behind'),
      published.own('profiles', 'ReaderFailures', 'Sum', 'by the writer, the reader failing'),
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

function graph(title: string, left: IMetric[]): GraphWidget {
  return new GraphWidget({ title, left, width: 8, height: 6, leftYAxis: { min: 0, showUnits: false } })
}
