import { isTooManyRequests } from './lambda/errors.ts'
import type { InvokeResult, Lambda } from './lambda/functions.ts'
import type { ReceivedMessage, Sqs } from './sqs.ts'

/** What one AWS::Lambda::EventSourceMapping of an SQS queue says. */
export type EventSourceMapping = {
  functionName: string
  queueArn: string
  queueUrl: string
  /** 1 to 10,000. Over 10 the messages of several receives are put together while the window is open. */
  batchSize: number
  /** Seconds to wait for a fuller batch after the first message; 0 sends what is there. */
  windowSeconds: number
  /** Invocations at the same time: 5 when absent, where AWS would go up to 1,250. */
  maximumConcurrency?: number
  reportBatchItemFailures: boolean
}

export type EventSourceOptions = {
  sqs: Pick<Sqs, 'receive' | 'deleteMessages' | 'inspect'>
  lambda: Pick<Lambda, 'invoke'>
  mapping: EventSourceMapping
  /** Told of batches that failed or could not be run. */
  log?(message: string): void
  /** Milliseconds that close() waits for running invocations: 10 s. */
  closeWithinMs?: number
}

export type EventSource = {
  /** Ends polling; what was received is still run, and waited for. */
  close(): Promise<void>
}

/** The event of a synchronous invocation may have 6 MiB; the envelope of the batch takes a few bytes of it. */
const payloadLimit = 6 * 1024 * 1024 - 1024
const longPollSeconds = 20
const errorPauseMs = 1000

type SqsRecord = ReturnType<typeof recordOf>
type Batch = { messages: ReceivedMessage[]; records: SqsRecord[]; bytes: number; receivedAt: number }

/**
 * Polls a queue and invokes a function with what it finds, as Lambda's event source mapping does. Messages of
 * a failed batch are left alone: they come back when their visibility timeout ends, and so do those of an
 * invocation that nobody saw the end of.
 */
export function startEventSource(options: EventSourceOptions): EventSource {
  const { sqs, lambda, mapping } = options
  const log = options.log ?? (() => {})
  const closing = new AbortController()
  const abandoned = new AbortController()
  const running = new Set<Promise<void>>()
  const maximumConcurrency = mapping.maximumConcurrency ?? 5
  // A message that did not fit into its batch is the first of the next.
  let left: ReceivedMessage[] = []
  let leftAt = 0

  async function poll() {
    while (!closing.signal.aborted || left.length > 0) {
      if (running.size >= maximumConcurrency) {
        await Promise.race(running)
        continue
      }
      const batch = await gather().catch(async (error: unknown) => {
        log(`${mapping.functionName}: receiving from ${mapping.queueArn} failed: ${String(error)}`)
        await pause(errorPauseMs, closing.signal)
      })
      if (batch === undefined || batch.messages.length === 0) continue
      const work = run(batch)
        .catch((error: unknown) => log(`${mapping.functionName}: ${String(error)}`))
        .finally(() => running.delete(work))
      running.add(work)
    }
  }

  async function gather(): Promise<Batch> {
    const batch: Batch = { messages: [], records: [], bytes: 0, receivedAt: leftAt }
    if (left.length === 0) {
      left = await receive(mapping.batchSize, longPollSeconds)
      leftAt = Date.now()
      batch.receivedAt = leftAt
    }
    fill(batch)
    const windowEnds = Date.now() + mapping.windowSeconds * 1000
    while (batch.messages.length > 0 && left.length === 0 && batch.messages.length < mapping.batchSize) {
      const waitSeconds = Math.max(0, (windowEnds - Date.now()) / 1000)
      left = await receive(mapping.batchSize - batch.messages.length, waitSeconds)
      leftAt = Date.now()
      if (left.length === 0) break
      fill(batch)
      if (mapping.windowSeconds === 0) break
    }
    return batch
  }

  /** Moves what fits from the messages left to the batch; at least one. */
  function fill(batch: Batch) {
    while (left[0] !== undefined) {
      const record = recordOf(left[0], mapping.queueArn)
      const bytes = Buffer.byteLength(JSON.stringify(record)) + 1
      if (batch.messages.length > 0 && batch.bytes + bytes > payloadLimit) return
      batch.messages.push(left.shift()!)
      batch.records.push(record)
      batch.bytes += bytes
    }
  }

  function receive(wanted: number, waitSeconds: number) {
    const { signal } = closing
    return sqs.receive(mapping.queueArn, { max: Math.min(wanted, 10), waitSeconds, signal })
  }

  async function run(batch: Batch) {
    const result = await invoke(batch)
    if (result === undefined) return
    if (result.functionError !== undefined) {
      return log(`${mapping.functionName}: batch of ${batch.messages.length} failed: ${result.payload}`)
    }
    const ids = batch.messages.map(({ messageId }) => messageId)
    const failed = mapping.reportBatchItemFailures ? failedItems(result.payload, ids) : new Set<string>()
    if (failed.size > 0) {
      log(`${mapping.functionName}: ${failed.size} of ${ids.length} messages failed`)
    }
    const done = batch.messages.filter(({ messageId }) => !failed.has(messageId))
    sqs.deleteMessages(
      mapping.queueArn,
      done.map(({ receiptHandle }) => receiptHandle),
    )
  }

  /** Tries again while Lambda throttles and the messages are still ours; undefined when they no longer are. */
  async function invoke(batch: Batch): Promise<InvokeResult | undefined> {
    const payload = JSON.stringify({ Records: batch.records })
    for (let attempt = 0; ; attempt++) {
      try {
        return await lambda.invoke(mapping.functionName, payload, { signal: abandoned.signal })
      } catch (error) {
        if (!isTooManyRequests(error)) throw error
      }
      const backoffMs = Math.min(100 * 2 ** attempt, 5000) * (0.5 + Math.random() / 2)
      if (Date.now() + backoffMs >= batch.receivedAt + visibilityMs() || closing.signal.aborted) {
        log(`${mapping.functionName}: throttled, ${batch.messages.length} messages go back to the queue`)
        return undefined
      }
      await pause(backoffMs, closing.signal)
    }
  }

  function visibilityMs(): number {
    const name = mapping.queueArn.split(':').at(-1) ?? ''
    return Number(sqs.inspect(name)?.attributes.VisibilityTimeout ?? 30) * 1000
  }

  const polling = poll()
  return {
    async close() {
      closing.abort()
      const timer = setTimeout(
        () => abandoned.abort(new Error('the local cloud is shutting down')),
        options.closeWithinMs ?? 10_000,
      )
      await polling
      await Promise.all(running)
      clearTimeout(timer)
    },
  }
}

/**
 * The ids of the messages that an answer with ReportBatchItemFailures leaves in the queue: none for null and
 * for an empty or absent list, all for an answer that makes no sense.
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
 */
export function failedItems(payload: string, messageIds: string[]): Set<string> {
  const all = new Set(messageIds)
  const answer = parse(payload)
  if (answer === null) return new Set()
  if (typeof answer !== 'object' || Array.isArray(answer)) return all
  const { batchItemFailures } = answer as { batchItemFailures?: unknown }
  if (batchItemFailures === undefined || batchItemFailures === null) return new Set()
  if (!Array.isArray(batchItemFailures)) return all
  const failed = new Set<string>()
  for (const item of batchItemFailures as unknown[]) {
    const id = (item as { itemIdentifier?: unknown } | null)?.itemIdentifier
    if (typeof id !== 'string' || !all.has(id)) return all
    failed.add(id)
  }
  return failed
}

/** Undefined, which stands for nonsense, when it is no JSON. */
function parse(payload: string): unknown {
  try {
    return JSON.parse(payload)
  } catch {
    return undefined
  }
}

function recordOf(message: ReceivedMessage, queueArn: string) {
  return {
    messageId: message.messageId,
    receiptHandle: message.receiptHandle,
    body: message.body,
    attributes: message.attributes,
    messageAttributes: Object.fromEntries(
      Object.entries(message.messageAttributes).map(([name, attribute]) => [name, attributeOf(attribute)]),
    ),
    md5OfBody: message.md5OfBody,
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn,
    awsRegion: queueArn.split(':')[3] ?? '',
  }
}

/** Lambda writes the names of an attribute's fields in another case than SQS. */
function attributeOf(attribute: ReceivedMessage['messageAttributes'][string]) {
  return {
    ...(attribute.StringValue !== undefined && { stringValue: attribute.StringValue }),
    ...(attribute.BinaryValue !== undefined && { binaryValue: attribute.BinaryValue }),
    stringListValues: [],
    binaryListValues: [],
    dataType: attribute.DataType,
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
