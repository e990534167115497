import { randomUUID } from 'node:crypto'
import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { UnavailableError } from './errors.ts'
import { logger } from './log.ts'

export type Queue = {
  /** Sends each value as JSON. Rejects with UnavailableError where some were not accepted after three tries. */
  send(messages: readonly unknown[]): Promise<void>
}

/** A queue as an operator sees it: messages go in as they once came out. */
export type SourceQueue = {
  /** Sends each text as it is, to be delivered after `delaySeconds` (0 to 900). Rejects as Queue's send does. */
  sendBodies(bodies: readonly string[], options?: { delaySeconds?: number }): Promise<void>
  depth(): Promise<QueueDepth>
}

/** Messages, approximately: SQS counts over many servers. */
export type QueueDepth = { ready: number; in_flight: number; delayed: number }

/** What was asked for is committed: where the queue does not take its messages now, the sweep sends them. */
export async function sendOrLeave(send: () => Promise<void>): Promise<void> {
  try {
    await send()
  } catch (error) {
    logger.error('Messages are left to the sweep', { error: error as Error })
  }
}

/** SQS takes ten messages a call, of 1 MiB together. */
const batchSize = 10
const batchBytes = 1000 * 1024

// The SDK would call the host inside the queue's URL, which on one machine is not where the queue is.
const client = () => new SQSClient({ useQueueUrlAsEndpoint: false })

export function createQueue(url: string, sqs = client()): Queue {
  return {
    send: (messages) => sendBodies(sqs, url, messages.map(messageBody)),
  }
}

/** A value as JSON that SQS takes: of all characters that JSON leaves as they are it refuses these two. */
export function messageBody(value: unknown): string {
  return JSON.stringify(value).replaceAll('\ufffe', '\\ufffe').replaceAll('\uffff', '\\uffff')
}

/** What SQS gave Lambda of a message, by which its visibility is changed. */
export type Received = { eventSourceARN: string; receiptHandle: string }

/**
 * Lets a received message come back in so many seconds, 43,200 at most, instead of when its queue's visibility
 * timeout ends.
 */
export async function postpone(message: Received, seconds: number): Promise<void> {
  const command = new ChangeMessageVisibilityCommand({
    QueueUrl: urlOf(message),
    ReceiptHandle: message.receiptHandle,
    VisibilityTimeout: seconds,
  })
  await visibility().send(command)
}

/**
 * The same for messages of one queue, ten a call. Rejects with UnavailableError if some were not changed: SQS has
 * deleted them, or given them out again.
 */
export async function postponeAll(
  messages: readonly Received[],
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  for (let at = 0; at < messages.length; at += batchSize) {
    const some = messages.slice(at, at + batchSize)
    const command = new ChangeMessageVisibilityBatchCommand({
      QueueUrl: urlOf(some[0]!),
      Entries: some.map(({ receiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: seconds,
      })),
    })
    const { Failed = [] } = await visibility().send(command, { abortSignal: signal })
    if (Failed.length > 0) {
      throw new UnavailableError(
        `The visibility of ${Failed.length} messages was not changed: ${Failed[0]?.Code}`,
      )
    }
  }
}

function urlOf({ eventSourceARN }: Received): string {
  const [, , , region, account, name] = eventSourceARN.split(':')
  return `https://sqs.${region}.amazonaws.com/${account}/${name}`
}

// One for all messages: a failure in every one of a batch must not make as many clients.
function visibility(): SQSClient {
  changing ??= client()
  return changing
}

let changing: SQSClient | undefined

export function createSourceQueue(url: string, sqs = client()): SourceQueue {
  return {
    sendBodies: (bodies, options) => sendBodies(sqs, url, bodies, options?.delaySeconds),
    async depth() {
      const { Attributes } = await sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl: url,
          AttributeNames: [
            'ApproximateNumberOfMessages',
            'ApproximateNumberOfMessagesNotVisible',
            'ApproximateNumberOfMessagesDelayed',
          ],
        }),
      )
      return {
        ready: Number(Attributes?.ApproximateNumberOfMessages ?? 0),
        in_flight: Number(Attributes?.ApproximateNumberOfMessagesNotVisible ?? 0),
        delayed: Number(Attributes?.ApproximateNumberOfMessagesDelayed ?? 0),
      }
    },
  }
}

async function sendBodies(
  sqs: SQSClient,
  url: string,
  bodies: readonly string[],
  delaySeconds?: number,
): Promise<void> {
  for (let at = 0; at < bodies.length; ) {
    let bytes = 0
    let to = at
    while (to < bodies.length && to - at < batchSize) {
      bytes += Buffer.byteLength(bodies[to]!)
      if (to > at && bytes > batchBytes) break
      to++
    }
    await sendBatch(sqs, url, bodies.slice(at, to), delaySeconds)
    at = to
  }
}

async function sendBatch(
  sqs: SQSClient,
  url: string,
  bodies: readonly string[],
  DelaySeconds: number | undefined,
): Promise<void> {
  const delay = DelaySeconds === undefined ? {} : { DelaySeconds }
  let entries = bodies.map((MessageBody) => ({ Id: randomUUID(), MessageBody, ...delay }))
  for (let attempt = 1; entries.length > 0; attempt++) {
    const answer = await sqs.send(new SendMessageBatchCommand({ QueueUrl: url, Entries: entries }))
    const failed = new Set(answer.Failed?.map(({ Id }) => Id))
    entries = entries.filter(({ Id }) => failed.has(Id))
    if (entries.length > 0 && attempt === 3) {
      throw new UnavailableError(`The queue did not accept a message: ${answer.Failed?.[0]?.Code}`)
    }
  }
}
