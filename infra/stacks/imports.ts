import type { StackProps } from 'aws-cdk-lib'
import { Stack } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { env, queues, rejectsPrefix, uploadPrefix } from '../../lib/platform/names.ts'
import type { LambdaFunction, Surroundings } from '../functions.ts'
import {
  allowObjects,
  allowToMiss,
  applicationUser,
  databaseEnvironment,
  makeFunction,
} from '../functions.ts'
import type { WorkQueue } from '../queues.ts'
import { consume, makeWorkQueue, sendTo } from '../queues.ts'
import type { DataStack } from './data.ts'

/** An uploaded file on its way into the table: split into slices, insert each, finish with the report. */
export class ImportsStack extends Stack {
  readonly slices: WorkQueue
  readonly finishes: WorkQueue
  readonly removals: WorkQueue
  /** All of them, that of the bucket's events too. */
  readonly queues: readonly WorkQueue[]
  readonly split: LambdaFunction
  readonly insert: LambdaFunction
  readonly finish: LambdaFunction
  readonly remove: LambdaFunction

  constructor(scope: Construct, id: string, surroundings: Surroundings, data: DataStack, props?: StackProps) {
    super(scope, id, props)
    const { stage } = surroundings
    const { bucket, cluster, importObjects } = data
    this.slices = makeWorkQueue(this, stage, queues.importSlices, 'insert')
    this.finishes = makeWorkQueue(this, stage, queues.importFinish, 'finish')
    this.removals = makeWorkQueue(this, stage, queues.importRemovals, 'remove')
    this.queues = [importObjects, this.slices, this.finishes, this.removals]

    const environment = { ...databaseEnvironment(cluster), [env.uploadBucket]: bucket.bucketName }
    this.split = makeFunction(this, 'split', surroundings, environment)
    this.insert = makeFunction(this, 'insert', surroundings, environment)
    this.finish = makeFunction(this, 'finish', surroundings, environment)
    this.remove = makeFunction(this, 'remove', surroundings, databaseEnvironment(cluster))
    applicationUser(surroundings.stage, cluster, this.split, this.insert, this.finish, this.remove)
    if (stage.sliceRecords !== undefined) {
      this.split.addEnvironment(env.importSliceRecords, String(stage.sliceRecords))
    }

    for (const worker of [this.split, this.insert, this.finish]) {
      allowObjects(worker, bucket, uploadPrefix, ['s3:GetObject'])
      allowToMiss(worker, bucket)
    }
    allowObjects(this.insert, bucket, rejectsPrefix, ['s3:PutObject'])
    allowObjects(this.finish, bucket, rejectsPrefix, [
      's3:GetObject',
      's3:PutObject',
      's3:DeleteObject',
      's3:AbortMultipartUpload',
    ])

    // A scan longer than one invocation goes on with a message of its own.
    sendTo(this.split, importObjects, env.importObjectsQueueUrl)
    sendTo(this.split, this.slices, env.importSlicesQueueUrl)
    for (const worker of [this.split, this.insert, this.finish]) {
      sendTo(worker, this.finishes, env.importFinishQueueUrl)
    }

    // So does a removal.
    sendTo(this.remove, this.removals, env.importRemovalsQueueUrl)

    consume(this.split, importObjects, stage)
    consume(this.insert, this.slices, stage)
    consume(this.finish, this.finishes, stage)
    consume(this.remove, this.removals, stage)
  }
}
