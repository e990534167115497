import type { StackProps } from 'aws-cdk-lib'
import { Stack } from 'aws-cdk-lib'
import { Dashboard } from 'aws-cdk-lib/aws-cloudwatch'
import { Topic } from 'aws-cdk-lib/aws-sns'
import type { Construct } from 'constructs'
import type { FunctionName } from '../../lib/platform/names.ts'
import { addAlarms } from '../alarms.ts'
import { databaseWidgets, importWidgets, queryWidgets } from '../dashboards.ts'
import type { LambdaFunction } from '../functions.ts'
import type { WorkQueue } from '../queues.ts'
import type { Stage } from '../stage.ts'
import type { ApiStack } from './api.ts'
import type { DataStack } from './data.ts'
import type { ExportsStack } from './exports.ts'
import type { ImportsStack } from './imports.ts'

export type Observed = {
  stage: Stage
  data: DataStack
  exports: ExportsStack
  imports: ImportsStack
  api: ApiStack
}

/** Three dashboards, and alarms that reach people through one topic. */
export class ObservabilityStack extends Stack {
  readonly topic: Topic

  constructor(scope: Construct, id: string, observed: Observed, props?: StackProps) {
    super(scope, id, props)
    const { stage, data, exports, imports, api } = observed
    const workQueues: WorkQueue[] = [
      data.importObjects,
      imports.slices,
      imports.finishes,
      imports.removals,
      exports.files,
    ]
    const functions: Record<FunctionName, LambdaFunction> = {
      ...api.functions,
      enrich: api.enrich,
      migrate: data.migrate,
      split: imports.split,
      insert: imports.insert,
      finish: imports.finish,
      remove: imports.remove,
      export: exports.export,
      'dead-letters': imports.deadLetters,
      sweep: imports.sweep,
    }
    this.topic = new Topic(this, 'Alarms', { enforceSSL: true })
    addAlarms(this, { stage, topic: this.topic, workQueues, functions, api: api.api, cluster: data.cluster })

    const dashboards = {
      queries: queryWidgets(api.api, functions),
      imports: importWidgets(workQueues, functions),
      database: databaseWidgets(data.cluster),
    }
    for (const [name, widgets] of Object.entries(dashboards)) {
      new Dashboard(this, `${name}Dashboard`, { dashboardName: `insighta-${stage.name}-${name}`, widgets })
    }
  }
}
