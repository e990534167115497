import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildApp } from 'fauxqs'
import { forOwnHosts } from './hosts.ts'
import { isSignatureRefusal } from './sigv4/refusal.ts'
import { readSignedBody, type SignedBody } from './sigv4/signed-body.ts'
import type { AwsCredentials } from './sigv4/verify.ts'
import { errorNames } from './sigv4/wire-errors.ts'
import { answerQuery, isQueryRequest, type JsonCall, maxBodyBytes } from './sqs-query.ts'
import { loadStore, type SqsQueue } from './sqs-store.ts'

/** The only account fauxqs knows. */
export const accountId = '000000000000'

export type SqsOptions = {
  /** Queues and messages are kept here, in SQLite. */
  dataDir: string
  /** A free one when absent or 0. */
  port?: number
  region: string
  /** Whose signed requests are answered. */
  credentials: AwsCredentials
  log?(line: string): void
}

export type QueueReference = { url: string; arn: string }

/** Attributes and their names as SQS gives them to a Lambda function. */
export type ReceivedMessage = {
  messageId: string
  receiptHandle: string
  body: string
  md5OfBody: string
  attributes: Record<string, string>
  messageAttributes: Record<string, MessageAttribute>
}

export type MessageAttribute = { DataType: string; StringValue?: string; BinaryValue?: string }

export type ReceiveOptions = {
  /** 1 to 10. */
  max: number
  /** Seconds to wait for the first message; 0 looks once. */
  waitSeconds: number
  signal?: AbortSignal
}

export type QueueInspection = {
  attributes: Record<string, string>
  /** Each in the order they would be received, with the whole message and without receiving it. */
  ready: QueuedMessage[]
  delayed: QueuedMessage[]
  inFlight: QueuedMessage[]
}

export type QueuedMessage = {
  messageId: string
  body: string
  messageAttributes: Record<string, MessageAttribute>
  /** Unix milliseconds. */
  sentTimestamp: number
  receiveCount: number
  /** Unix milliseconds; of messages in flight only. */
  visibleAt?: number
}

export type Sqs = {
  /** The endpoint for SDKs and the CLI, `http://127.0.0.1:port`. */
  url: string
  port: number
  /** Creates the queue, or gives an existing one these attributes. */
  createQueue(name: string, attributes?: Record<string, string>): QueueReference
  queues(): (QueueReference & { name: string })[]
  sendMessage(queueArn: string, body: string): { messageId: string }
  receive(queueArn: string, options: ReceiveOptions): Promise<ReceivedMessage[]>
  deleteMessages(queueArn: string, receiptHandles: string[]): void
  /** Undefined for an unknown queue. */
  inspect(name: string): QueueInspection | undefined
  close(): Promise<void>
}

/**
 * SQS over fauxqs on 127.0.0.1: the JSON and the query protocol over HTTP for signed requests, and the same queues by
 * direct calls.
 */
export async function startSqs(options: SqsOptions): Promise<Sqs> {
  const { dataDir, port = 0, region, credentials, log = () => {} } = options
  const { stores, restore } = await loadStore(dataDir)
  const store = stores.sqsStore
  // Without a host of its own fauxqs takes that of the request for the URL of a new queue. Its default,
  // `sqs.<region>.localhost`, is a name that not every resolver knows.
  store.host = ''
  const app = buildApp({ logger: false, defaultRegion: region, stores })
  await app.ready()

  // fauxqs answers for S3, SNS and STS too, and on every path. Only its SQS is reached from here, at the root
  // and at the URL of a queue, which SDKs use as the endpoint unless they are told another.
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isJson = String(request.headers['x-amz-target']).startsWith('AmazonSQS.')
    const [path = '/'] = (request.url ?? '/').split('?')
    const queueName = new RegExp(`^/${accountId}/([^/]+)$`).exec(path)?.[1]
    const isSqs = path === '/' || queueName !== undefined
    const body = () => readSignedBody(request, { credentials, region, service: 'sqs' }, maxBodyBytes)
    if (request.method === 'POST' && isJson && isSqs) {
      await answerJson(request, response, body)
    } else if (isSqs && isQueryRequest(request)) {
      const queueUrl = queueName === undefined ? undefined : `${url}${path}`
      await answerQuery(request, response, { queueUrl, body, call: jsonCall(request) })
    } else {
      response.writeHead(404, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ message: 'Only SQS is answered here' }))
    }
  }

  async function answerJson(
    request: IncomingMessage,
    response: ServerResponse,
    body: () => Promise<SignedBody>,
  ): Promise<void> {
    try {
      const { bytes, size } = await body()
      if (size > maxBodyBytes) {
        return sendJsonError(response, 413, 'RequestEntityTooLarge', `The request has ${size} bytes`)
      }
      const target = String(request.headers['x-amz-target'])
      const answer = await app.inject(jsonRequest(request, target, bytes))
      response.writeHead(answer.statusCode, answer.headers)
      response.end(answer.rawPayload)
    } catch (error) {
      if (!isSignatureRefusal(error)) throw error
      const { type, queryCode } = errorNames(error)
      // What SDKs and the CLI call the error: SQS had the query protocol first.
      response.setHeader('x-amzn-query-error', `${queryCode};Sender`)
      sendJsonError(response, 403, `com.amazon.coral.service#${type}`, error.message)
    }
  }

  const jsonCall =
    (request: IncomingMessage): JsonCall =>
    async (action, body) => {
      const answer = await app.inject(jsonRequest(request, `AmazonSQS.${action}`, JSON.stringify(body)))
      const queryError = answer.headers['x-amzn-query-error']?.toString()
      return { status: answer.statusCode, queryError, body: answer.body }
    }

  const server = createServer(
    forOwnHosts((request, response) => {
      serve(request, response).catch((error: unknown) => {
        // A client that left in the middle of its body needs no answer.
        if (request.complete) log(`SQS: ${String(error)}`)
        response.destroy()
      })
    }),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const actualPort = (server.address() as AddressInfo).port
  const url = `http://127.0.0.1:${actualPort}`
  restore(url)

  function queueOf(arn: string): SqsQueue {
    const queue = store.getQueueByArn(arn)
    if (queue === undefined) throw new Error(`No queue ${arn}`)
    return queue
  }

  return {
    url,
    port: actualPort,
    createQueue(name, attributes = {}) {
      const arn = `arn:aws:sqs:${region}:${accountId}:${name}`
      const existing = store.getQueueByArn(arn)
      if (existing !== undefined) {
        existing.setAttributes({ ...removedAttributes(existing, attributes), ...attributes })
        return { url: existing.url, arn }
      }
      const queue = store.createQueue(name, `${url}/${accountId}/${name}`, arn, attributes)
      return { url: queue.url, arn }
    },
    queues: () =>
      store.listQueues().queues.map((queue) => ({ name: queue.name, url: queue.url, arn: queue.arn })),
    sendMessage(queueArn, body) {
      const queue = queueOf(queueArn)
      const limit = Number(queue.getAttribute('MaximumMessageSize'))
      if (Buffer.byteLength(body) > limit) throw new Error(`Message must be shorter than ${limit} bytes.`)
      const delaySeconds = Number(queue.getAttribute('DelaySeconds'))
      const message = stores.createMessage(body, {}, delaySeconds > 0 ? delaySeconds : undefined)
      queue.enqueue(message)
      return { messageId: message.messageId }
    },
    async receive(queueArn, { max, waitSeconds, signal }) {
      const queue = queueOf(queueArn)
      const until = Date.now() + waitSeconds * 1000
      for (;;) {
        if (signal?.aborted) return []
        const received = queue.dequeue(max, undefined, (arn) => store.getQueueByArn(arn))
        if (received.length > 0) return received.map(({ ReceiptHandle }) => describe(queue, ReceiptHandle))
        if (Date.now() >= until) return []
        await stores.change(queue, until, signal)
      }
    },
    deleteMessages(queueArn, receiptHandles) {
      const queue = queueOf(queueArn)
      for (const handle of receiptHandles) queue.deleteMessage(handle)
    },
    inspect(name) {
      const found = store.inspectQueue(name)
      if (found === undefined) return undefined
      const { ready, delayed, inflight } = found.messages
      return {
        attributes: found.attributes,
        ready: ready.map(summary),
        delayed: delayed.map(summary),
        inFlight: inflight.map((entry) => ({
          ...summary(entry.message),
          visibleAt: entry.visibilityDeadline,
        })),
      }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await app.close()
      stores.close()
    },
  }
}

/** A request of the JSON protocol to fauxqs. Host and region are in the URL and the ARN of a queue that is created. */
function jsonRequest({ headers }: IncomingMessage, target: string, payload: string | Buffer) {
  return {
    method: 'POST' as const,
    url: '/',
    headers: {
      host: headers.host ?? '',
      authorization: headers.authorization ?? '',
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': target,
    },
    payload,
  }
}

function sendJsonError(response: ServerResponse, status: number, type: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' })
  response.end(JSON.stringify({ __type: type, message }))
}

/** A redrive policy that the new template no longer has must not stay behind. */
function removedAttributes(queue: SqsQueue, wanted: Record<string, string>): Record<string, string> {
  return queue.attributes.RedrivePolicy !== undefined && wanted.RedrivePolicy === undefined
    ? { RedrivePolicy: '' }
    : {}
}

function describe(queue: SqsQueue, receiptHandle: string): ReceivedMessage {
  const entry = queue.inflightMessages.get(receiptHandle)
  if (entry === undefined) throw new Error('A message that was just received is not in flight')
  const { message } = entry
  return {
    messageId: message.messageId,
    receiptHandle,
    body: message.body,
    md5OfBody: message.md5OfBody,
    attributes: {
      ApproximateReceiveCount: String(message.approximateReceiveCount),
      SentTimestamp: String(message.sentTimestamp),
      SenderId: accountId,
      ApproximateFirstReceiveTimestamp: String(message.approximateFirstReceiveTimestamp),
      ...(message.messageGroupId !== undefined && { MessageGroupId: message.messageGroupId }),
      ...(message.messageDeduplicationId !== undefined && {
        MessageDeduplicationId: message.messageDeduplicationId,
      }),
      ...(message.sequenceNumber !== undefined && { SequenceNumber: message.sequenceNumber }),
    },
    messageAttributes: message.messageAttributes,
  }
}

type StoredMessage = ReturnType<SqsQueue['inspectMessages']>['ready'][number]

function summary(message: StoredMessage): QueuedMessage {
  return {
    messageId: message.messageId,
    body: message.body,
    messageAttributes: message.messageAttributes,
    sentTimestamp: message.sentTimestamp,
    receiveCount: message.approximateReceiveCount,
  }
}
