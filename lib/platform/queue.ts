import { randomUUID } from 'node:crypto'
import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import { UnavailableError } from './errors.ts'

export type Queue = {
  /** Sends each value as JSON. Rejects with UnavailableError where some were not accepted after three tries. */
  send(messages: readonly unknown[]): Promise<void>
}

/** SQS takes ten messages a call. */
const batchSize = 10

// The SDK would call the host inside the queue's URL, which on one machine is not where the queue is.
export function createQueue(url: string, client = new SQSClient({ useQueueUrlAsEndpoint: false })): Queue {
  async function sendBatch(bodies: string[]): Promise<void> {
    let entries = bodies.map((MessageBody) => ({ Id: randomUUID(), MessageBody }))
    for (let attempt = 1; entries.length > 0; attempt++) {
      const answer = await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries: entries }))
      const failed = new Set(answer.Failed?.map(({ Id }) => Id))
      entries = entries.filter(({ Id }) => failed.has(Id))
      if (entries.length > 0 && attempt === 3) {
        throw new UnavailableError(`The queue did not accept a message: ${answer.Failed?.[0]?.Code}`)
      }
    }
  }
  return {
    async send(messages) {
      for (let at = 0; at < messages.length; at += batchSize) {
        await sendBatch(messages.slice(at, at + batchSize).map((message) => JSON.stringify(message)))
      }
    },
  }
}
