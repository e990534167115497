import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import * as z from 'zod'
import { TooLargeError, UnavailableError } from '../platform/errors.ts'
import { type Answer, json } from '../platform/http/index.ts'
import { refuseCoding } from '../platform/http/parse.ts'
import { logger } from '../platform/log.ts'
import { MetricUnit, metrics } from '../platform/metrics.ts'
import { webhookPrefix } from '../platform/names.ts'
import { messageBody, type Queue } from '../platform/queue.ts'
import type { Storage } from '../platform/storage.ts'
import { refuseWrongShape } from './agent-events.ts'
import {
  InvalidSignatureError,
  sha256,
  verifyWebhook,
  type WebhookSecrets,
  type WebhookSource,
  webhookSources,
} from './webhook-signatures.ts'

/** Bytes of a webhook's body at the most. */
const largestBody = 6 * 1024 * 1024
/** Bytes of a message with the body in it: the body of a larger one goes to S3. SQS takes 1 MiB. */
const largestMessage = 200 * 1024

const received = {
  source: z.enum(webhookSources),
  /** The sender's: by it an event that comes twice is known. */
  id: z.string().min(1),
  received_at: z.iso.datetime(),
}
/** A verified webhook on its way to the worker: its body as it came, or the key of the object that holds it. */
export const webhookMessage = z.union([
  z.object({ ...received, body: z.string() }),
  z.object({ ...received, body_key: z.string() }),
])
export type WebhookMessage = z.output<typeof webhookMessage>

export const webhookAnswer = z.strictObject({
  status: z.literal('success'),
  id: z.string().meta({ description: "The event's id, as its sender gave it" }),
})

export type WebhookReceiver = {
  secrets: WebhookSecrets
  queue: Queue
  /** Asked for only where a body is large. */
  storage(): Promise<Pick<Storage, 'put'>>
}

/**
 * Takes a webhook in: verified, kept in the queue, and answered by 202 with the database out of the way. What it
 * says, and whether it came before, is the worker's business. Rejects with InvalidSignatureError,
 * TooLargeError over 6 MB, 415 for a content coding, UnprocessableError for what is no JSON object with a type or has not the
 * shape of an agent's event, and UnavailableError where it could not be verified or kept, so that it is sent again.
 */
export async function receiveWebhook(
  source: WebhookSource,
  event: Pick<APIGatewayProxyEventV2, 'headers' | 'body' | 'isBase64Encoded'>,
  receiver: WebhookReceiver,
): Promise<Answer> {
  const started = performance.now()
  try {
    refuseCoding(event.headers)
    const body = bodyOf(event)
    const id = await verifyWebhook(source, body, event.headers, receiver.secrets)
    refuseWrongShape(source, body)
    await keep({ source, id, received_at: new Date().toISOString() }, body, receiver)
    measure(source, 'WebhooksReceived', MetricUnit.Count, 1)
    return json(202, { status: 'success', id } satisfies z.output<typeof webhookAnswer>)
  } catch (error) {
    measure(source, 'WebhooksRefused', MetricUnit.Count, 1)
    if (error instanceof InvalidSignatureError) logger.warn('Webhook refused', { source, check: error.check })
    throw error
  } finally {
    measure(source, 'WebhookDuration', MetricUnit.Milliseconds, performance.now() - started)
  }
}

function bodyOf({
  body = '',
  isBase64Encoded,
}: Pick<APIGatewayProxyEventV2, 'body' | 'isBase64Encoded'>): string {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8')
  if (bytes.length > largestBody) throw new TooLargeError('The body is larger than 6 MB')
  return bytes.toString('utf8')
}

async function keep(
  event: Pick<WebhookMessage, 'source' | 'id' | 'received_at'>,
  body: string,
  { queue, storage }: WebhookReceiver,
): Promise<void> {
  try {
    const message = { ...event, body }
    if (Buffer.byteLength(messageBody(message)) <= largestMessage) return await queue.send([message])
    const body_key = `${webhookPrefix}${event.source}/${sha256(event.id)}`
    await (await storage()).put(body_key, body, 'application/octet-stream')
    await queue.send([{ ...event, body_key }])
  } catch (error) {
    throw new UnavailableError('The event could not be kept: it is to be sent again', error)
  }
}

function measure(
  source: WebhookSource,
  metric: string,
  unit: (typeof MetricUnit)[keyof typeof MetricUnit],
  value: number,
): void {
  const single = metrics.singleMetric()
  single.addDimension('Source', source)
  single.addMetric(metric, unit, value)
}
