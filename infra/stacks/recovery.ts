import type { StackProps } from 'aws-cdk-lib'
import { Duration, Stack } from 'aws-cdk-lib'
import { Rule, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets'
import type { Construct } from 'constructs'
import { env, queueVariables, resumePrefix, uploadPrefix } from '../../lib/platform/names.ts'
import type { LambdaFunction, Surroundings } from '../functions.ts'
import {
  allowInvoke,
  allowObjects,
  allowToMiss,
  applicationUser,
  databaseEnvironment,
  makeFunction,
} from '../functions.ts'
import { consumeDeadLetters, sendTo } from '../queues.ts'
import type { DataStack } from './data.ts'
import type { ExportsStack } from './exports.ts'
import type { ImportsStack } from './imports.ts'
import type { InterviewsStack } from './interviews.ts'

export type Recovered = {
  data: DataStack
  imports: ImportsStack
  exports: ExportsStack
  interviews: InterviewsStack
}

/** What takes up work that stands still or failed, of whatever queue. */
export class RecoveryStack extends Stack {
  readonly deadLetters: LambdaFunction
  readonly sweep: LambdaFunction

  constructor(
    scope: Construct,
    id: string,
    surroundings: Surroundings,
    { data, imports, exports, interviews }: Recovered,
    props?: StackProps,
  ) {
    super(scope, id, props)
    const { stage } = surroundings
    const { bucket, cluster } = data
    this.deadLetters = makeFunction(this, 'dead-letters', surroundings, {
      ...databaseEnvironment(cluster),
      [env.maxReceiveCount]: String(stage.maxReceiveCount),
    })
    this.sweep = makeFunction(this, 'sweep', surroundings, {
      ...databaseEnvironment(cluster),
      [env.uploadBucket]: bucket.bucketName,
      [env.maxReceiveCount]: String(stage.maxReceiveCount),
      // Which passages of résumés are of a model that is no longer asked.
      ...(stage.modelSettings && { [env.modelSettings]: stage.modelSettings }),
      [env.leaseSeconds]: String(stage.leaseSeconds),
      [env.stalledAfterSeconds]: String(stage.stalledAfter),
      [env.uploadGraceSeconds]: String(stage.uploadGrace),
      [env.abandonedAfterSeconds]: String(stage.abandonedAfter),
      [env.transcriptRetentionDays]: String(stage.transcriptRetentionDays),
    })
    applicationUser(surroundings.stage, cluster, this.deadLetters, this.sweep)
    sendTo(this.deadLetters, imports.finishes, env.importFinishQueueUrl)
    // To look for uploads whose event was lost.
    for (const prefix of [uploadPrefix, resumePrefix]) {
      allowObjects(this.sweep, bucket, prefix, ['s3:GetObject'])
    }
    // Of candidates about whom nothing has happened for the time of retention.
    allowObjects(this.sweep, bucket, resumePrefix, ['s3:DeleteObject'])
    allowToMiss(this.sweep, bucket)
    allowInvoke(this.sweep, interviews.livekit, env.livekitFunctionName)
    for (const work of [...imports.queues, ...exports.queues, ...interviews.queues]) {
      consumeDeadLetters(this.deadLetters, work)
      sendTo(this.sweep, work, queueVariables[work.name].source)
    }
    // The next minute is its retry: of three at once two would be for nothing, and each fail alarm by itself.
    this.sweep.configureAsyncInvoke({ retryAttempts: 0 })
    new Rule(this, 'EveryMinute', {
      description: 'Takes up work and dead letters that stand still',
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaTarget(this.sweep)],
    })
  }
}
