import { CfnOutput, Duration } from 'aws-cdk-lib'
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import type { Construct } from 'constructs'
import { env, type QueueName } from '../lib/platform/names.ts'
import type { LambdaFunction } from './functions.ts'
import { pascal } from './functions.ts'
import { policyOfNamed, type Stage, type WorkerName } from './stage.ts'

/** A queue, its dead-letter queue, and the function that works it off. */
export type WorkQueue = { name: QueueName; consumer: WorkerName; queue: Queue; deadLetters: Queue }

/** Seconds that messages may wait for others of their batch. */
const longestWindow = 1

/** Creates `insighta-<stage>-<name>` and its `-dlq`; people see these names. */
export function makeWorkQueue(
  scope: Construct,
  stage: Stage,
  name: QueueName,
  consumer: WorkerName,
): WorkQueue {
  const queueName = `insighta-${stage.name}-${name}`
  const deadLetters = new Queue(scope, `${pascal(name)}DeadLetters`, {
    queueName: `${queueName}-dlq`,
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    // A message that cannot be recorded, while the database is down, stays and comes again: it has no limit of
    // deliveries and nowhere else to go.
    retentionPeriod: Duration.days(14),
    visibilityTimeout: Duration.seconds(6 * stage.timeouts['dead-letters']),
    removalPolicy: policyOfNamed(stage),
  })
  const queue = new Queue(scope, pascal(name), {
    queueName,
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    // Under six times the function's timeout, throttled deliveries reach the dead-letter queue unprocessed:
    // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    // A worker that has begun hides its message for its lease alone, so that it comes back soon after a death.
    visibilityTimeout: Duration.seconds(6 * stage.timeouts[consumer] + longestWindow),
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: stage.maxReceiveCount },
    removalPolicy: policyOfNamed(stage),
  })
  new CfnOutput(scope, `${pascal(name)}QueueUrl`, { value: queue.queueUrl })
  new CfnOutput(scope, `${pascal(name)}DeadLetterQueueUrl`, { value: deadLetters.queueUrl })
  return { name, consumer, queue, deadLetters }
}

/** Messages of one invocation, which waits for that many so long. */
export type Batches = { size: number; windowSeconds: number }

/**
 * Feeds the queue to its consumer, one message at a time unless messages are so small that an invocation for each
 * costs more than its work, and tells it how long messages stay away after a failure or a death.
 */
export function consume(
  lambda: LambdaFunction,
  work: WorkQueue,
  stage: Stage,
  { size, windowSeconds }: Batches = { size: 1, windowSeconds: 0 },
): void {
  lambda.addEnvironment(env.redeliveryBaseSeconds, String(stage.redelivery.baseSeconds))
  lambda.addEnvironment(env.redeliveryMaxSeconds, String(stage.redelivery.maxSeconds))
  lambda.addEnvironment(env.leaseSeconds, String(stage.leaseSeconds))
  lambda.addEventSource(
    new SqsEventSource(work.queue, {
      batchSize: size,
      ...(windowSeconds > 0 && { maxBatchingWindow: Duration.seconds(windowSeconds) }),
      maxConcurrency: stage.workerConcurrency[work.consumer],
      reportBatchItemFailures: true,
    }),
  )
}

/** Feeds the dead letters of the queue to the function that records them. */
export function consumeDeadLetters(lambda: LambdaFunction, work: WorkQueue): void {
  lambda.addEventSource(
    new SqsEventSource(work.deadLetters, { batchSize: 10, maxConcurrency: 2, reportBatchItemFailures: true }),
  )
}

/** Lets the function see how full the queue and its dead-letter queue are, and tells it the latter's address. */
export function inspect(lambda: LambdaFunction, work: WorkQueue, variable: string): void {
  for (const queue of [work.queue, work.deadLetters]) queue.grant(lambda, 'sqs:GetQueueAttributes')
  lambda.addEnvironment(variable, work.deadLetters.queueUrl)
}

/** Lets the function send to the queue and tells it the address under `variable`. */
export function sendTo(lambda: LambdaFunction, work: WorkQueue, variable: string): void {
  work.queue.grantSendMessages(lambda)
  lambda.addEnvironment(variable, work.queue.queueUrl)
}
