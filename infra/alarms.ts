import { CfnOutput, Duration, type Stack } from 'aws-cdk-lib'
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2'
import type { IMetric } from 'aws-cdk-lib/aws-cloudwatch'
import { Alarm, ComparisonOperator, MathExpression, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds'
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns'
import type { Construct } from 'constructs'
import { type FunctionName, thirdParties } from '../lib/platform/names.ts'
import { capacityUsed, replicaLag } from './dashboards.ts'
import type { LambdaFunction } from './functions.ts'
import { pascal } from './functions.ts'
import type { PublishedMetrics } from './published-metrics.ts'
import type { WorkQueue } from './queues.ts'
import type { Stage } from './stage.ts'

export type AlarmSubjects = {
  stage: Stage
  published: PublishedMetrics
  topic: ITopic
  workQueues: WorkQueue[]
  functions: Record<FunctionName, LambdaFunction>
  api: HttpApi
  cluster: DatabaseCluster
}

export type Condition = {
  id: string
  says: string
  /** Section of docs/operations.md that tells what to do. */
  runbook:
    | 'dead-letters'
    | 'backlog'
    | 'function-errors'
    | 'api-errors'
    | 'latency'
    | 'database-capacity'
    | 'facets'
    | 'exports'
    | 'interviews-that-failed'
    | 'refused-work'
    | 'webhooks'
    | 'reader'
    | 'edge-errors'
    | 'edge-blocked'
  metric: IMetric
  above: number
  /** Periods of the metric that must be over the threshold, of as many. */
  periods?: number
}

const minute = { period: Duration.minutes(1) }

/** The alarms on all but what stands before the API. */
export function addAlarms(scope: Construct, subjects: AlarmSubjects): void {
  raise(scope, subjects.topic, conditions(subjects))
}

/** One alarm for each thing that wants a person, with the runbook's section in its description. */
export function raise(scope: Construct, topic: ITopic, found: readonly Condition[]): void {
  const action = new SnsAction(topic)
  for (const condition of found) {
    const alarm = new Alarm(scope, condition.id, {
      alarmDescription: `${condition.says} Runbook: docs/operations.md#${condition.runbook}`,
      metric: condition.metric,
      threshold: condition.above,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: condition.periods ?? 1,
      // A quiet night sends no data, and that is no alarm.
      treatMissingData: TreatMissingData.NOT_BREACHING,
    })
    alarm.addAlarmAction(action)
    alarm.addOkAction(action)
  }
}

/** For the alarms of one region. */
export function makeAlarmTopic(scope: Stack): Topic {
  const topic = new Topic(scope, 'Alarms', { enforceSSL: true })
  // With a policy of its own a topic lets in nobody whom that does not name: an alarm neither.
  topic.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': scope.account } },
    }),
  )
  // By outputs of this end a deployment finds the topics that no one listens to.
  new CfnOutput(scope, 'AlarmTopicArn', { value: topic.topicArn })
  return topic
}

function conditions({ stage, published, workQueues, functions, api, cluster }: AlarmSubjects): Condition[] {
  const found: Condition[] = []
  for (const { name, consumer, queue, deadLetters } of workQueues) {
    found.push({
      id: `${pascal(name)}DeadLetters`,
      says: `Messages of ${name} failed for good and wait for somebody to look at them.`,
      runbook: 'dead-letters',
      metric: published.openDeadLetters(name),
      above: 0,
    })
    found.push({
      id: `${pascal(name)}DeadLettersUnrecorded`,
      says: `Dead letters of ${name} cannot be recorded and stay in their queue.`,
      runbook: 'dead-letters',
      metric: new MathExpression({
        label: 'messages',
        // While their function fails they are out of sight most of the time.
        expression: 'visible + hidden',
        usingMetrics: {
          visible: deadLetters.metricApproximateNumberOfMessagesVisible({ ...minute, statistic: 'Maximum' }),
          hidden: deadLetters.metricApproximateNumberOfMessagesNotVisible({
            ...minute,
            statistic: 'Maximum',
          }),
        },
        ...minute,
      }),
      above: 0,
      periods: 10,
    })
    found.push({
      id: `${pascal(name)}Age`,
      says: `The oldest message of ${name} is overdue.`,
      runbook: 'backlog',
      metric: queue.metricApproximateAgeOfOldestMessage({ ...minute, statistic: 'Maximum' }),
      // One redelivery is everyday business: only what came back twice is late. At least 15 minutes, as
      // the last slices of two large files side by side may wait that long.
      above: Math.max(15 * 60, 2 * 6 * stage.timeouts[consumer]),
      periods: 3,
    })
  }
  for (const [name, lambda] of Object.entries(functions)) {
    found.push({
      id: `${pascal(name)}Errors`,
      says: `The function ${name} threw or timed out.`,
      runbook: 'function-errors',
      metric: lambda.metricErrors({ period: Duration.minutes(5) }),
      above: 0,
    })
  }
  for (const party of thirdParties) {
    found.push({
      id: `${pascal(party)}Refuses`,
      says: `Work waits because ${pascal(party)} refuses it: the key, its rights, billing, the model or the sender.`,
      runbook: 'refused-work',
      metric: published.refusedWork(party),
      above: 0,
    })
  }
  found.push(
    {
      id: 'FacetDifferences',
      says: 'Totals are wrong: the facets differ from the profiles that they count.',
      runbook: 'facets',
      metric: published.facetDifferences(),
      above: 0,
    },
    {
      id: 'ExportsFailed',
      says: 'An export failed for good.',
      runbook: 'exports',
      metric: published.exportsFailed().with({ period: Duration.minutes(5) }),
      above: 0,
    },
    {
      id: 'WebhooksRefused',
      says: 'Webhooks are refused: a secret is wrong, or somebody tries.',
      runbook: 'webhooks',
      metric: published.webhooksRefused(),
      above: 20,
    },
    {
      id: 'AssessmentsRefused',
      says: 'Assessments fail since the model refuses what they say, or its answers are of no use.',
      runbook: 'interviews-that-failed',
      metric: published.assessmentsRefused(),
      above: 0,
    },
    {
      id: 'ApiServerErrors',
      says: 'The API answered with 5xx.',
      runbook: 'api-errors',
      metric: api.metricServerError({ period: Duration.minutes(5), statistic: 'Sum' }),
      above: 0,
    },
    {
      id: 'QueryLatency',
      says: 'One query in twenty takes longer than a second.',
      runbook: 'latency',
      // Not that of the gateway: recruiters wait there for a model, which takes seconds.
      metric: published.queryLatency().with({ period: Duration.minutes(5) }),
      above: 1000,
      periods: 3,
    },
    // Of each instance: the first, until a failover, is the writer.
    ...capacityUsed(cluster).map(
      (metric, at): Condition => ({
        id: `DatabaseCapacity${at === 0 ? '' : at + 1}`,
        says: 'An instance of the database has been at the top of its capacity for a quarter of an hour.',
        runbook: 'database-capacity',
        metric: metric.with({ period: Duration.minutes(5) }),
        above: 90,
        periods: 3,
      }),
    ),
  )
  if (stage.aurora.readers > 0) {
    found.push(
      {
        id: 'ReplicaLag',
        says: 'A reader is over a second behind, and the writer answers queries.',
        runbook: 'reader',
        metric: replicaLag(cluster),
        above: 1000,
        periods: 5,
      },
      {
        id: 'ReaderFailures',
        says: 'The reader fails, and the writer answers queries.',
        runbook: 'reader',
        metric: published.readerFailures().with({ period: Duration.minutes(5) }),
        above: 0,
        // A failover takes a minute.
        periods: 3,
      },
    )
  }
  return found
}
