import type { StackProps } from 'aws-cdk-lib'
import { Stack } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { env, exportsPrefix, queues } from '../../lib/platform/names.ts'
import type { LambdaFunction, Surroundings } from '../functions.ts'
import { allowObjects, applicationUser, databaseEnvironment, makeFunction } from '../functions.ts'
import type { WorkQueue } from '../queues.ts'
import { consume, makeWorkQueue } from '../queues.ts'
import type { DataStack } from './data.ts'

/** Exports that are too large for one answer: each is written into the bucket by one run of a function. */
export class ExportsStack extends Stack {
  readonly files: WorkQueue
  readonly queues: readonly WorkQueue[]
  readonly export: LambdaFunction

  constructor(scope: Construct, id: string, surroundings: Surroundings, data: DataStack, props?: StackProps) {
    super(scope, id, props)
    const { bucket, cluster } = data
    this.files = makeWorkQueue(this, surroundings.stage, queues.exports, 'export')
    this.queues = [this.files]
    this.export = makeFunction(this, 'export', surroundings, {
      ...databaseEnvironment(cluster),
      [env.uploadBucket]: bucket.bucketName,
    })
    applicationUser(surroundings.stage, cluster, this.export)
    allowObjects(this.export, bucket, exportsPrefix, ['s3:PutObject', 's3:AbortMultipartUpload'])
    consume(this.export, this.files, surroundings.stage)
  }
}
