import type { StackProps } from 'aws-cdk-lib'
import { Stack } from 'aws-cdk-lib'
import { Dashboard } from 'aws-cdk-lib/aws-cloudwatch'
import type { Topic } from 'aws-cdk-lib/aws-sns'
import type { Construct } from 'constructs'
import type { FunctionName } from '../../lib/platform/names.ts'
import { addAlarms, makeAlarmTopic } from '../alarms.ts'
import { databaseWidgets, importWidgets, interviewWidgets, queryWidgets } from '../dashboards.ts'
import type { LambdaFunction } from '../functions.ts'
import { publishedMetrics } from '../published-metrics.ts'
import type { Stage } from '../stage.ts'
import type { ApiStack } from './api.ts'
import type { Recovered, RecoveryStack } from './recovery.ts'

export type Observed = Recovered & { stage: Stage; recovery: RecoveryStack; api: ApiStack }

/** A dashboard for each half and one for the database, and alarms that reach people through one topic. */
export class ObservabilityStack extends Stack {
  readonly topic: Topic

  constructor(scope: Construct, id: string, observed: Observed, props?: StackProps) {
    super(scope, id, props)
    const { stage, data, exports, imports, interviews, recovery, api } = observed
    const profileQueues = [...imports.queues, ...exports.queues]
    const workQueues = [...profileQueues, ...interviews.queues]
    const functions: Record<FunctionName, LambdaFunction> = {
      ...api.functions,
      enrich: api.enrich,
      webhooks: api.webhooks,
      migrate: data.migrate,
      split: imports.split,
      insert: imports.insert,
      finish: imports.finish,
      remove: imports.remove,
      export: exports.export,
      ...interviews.workers,
      gemini: interviews.gemini,
      mailer: interviews.mailer,
      livekit: interviews.livekit,
      'dead-letters': recovery.deadLetters,
      sweep: recovery.sweep,
    }
    this.topic = makeAlarmTopic(this)
    const published = publishedMetrics(stage.name)
    addAlarms(this, {
      stage,
      published,
      topic: this.topic,
      workQueues,
      functions,
      api: api.api,
      cluster: data.cluster,
    })

    const dashboards = {
      queries: queryWidgets(published, api.api, functions),
      imports: importWidgets(published, profileQueues, functions),
      interviews: interviewWidgets(published, interviews.queues, functions),
      database: databaseWidgets(published, data.cluster, stage),
    }
    for (const [name, widgets] of Object.entries(dashboards)) {
      new Dashboard(this, `${name}Dashboard`, { dashboardName: `insighta-${stage.name}-${name}`, widgets })
    }
  }
}
