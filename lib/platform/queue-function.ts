import middy, { type MiddyfiedHandler } from '@middy/core'
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import { numberEnv } from './config.ts'
import { databaseUnavailable, replacePool } from './db.ts'
import { isInsightaError } from './errors.ts'
import { beginLog, logger } from './log.ts'
import { metrics } from './metrics.ts'
import { env } from './names.ts'
import { postpone, postponeAll } from './queue.ts'
import { isRetryLater } from './retry.ts'
import { beating, type Heart, type Pulse } from './work/heartbeat.ts'

export type MessageContext = {
  /** Milliseconds until Lambda ends the environment. */
  remainingMs(): number
}

export type QueueFunctionOptions = {
  /**
   * How long a failed message stays away: after the first delivery half of `baseSeconds` to the whole, twice as
   * long after each one more, `maxSeconds` at the most. Without it the queue's visibility timeout holds.
   */
  backoff?: Backoff
  /**
   * Hides messages for as long as this function lives and shortly after, rather than for the queue's visibility
   * timeout: SQS delivers them again soon after its death. For queues with a backoff, which a failure needs then.
   */
  pulse?: Pulse
}

export type Backoff = { baseSeconds: number; maxSeconds: number }

/** The waits that the environment names: from 10 seconds to 15 minutes unless it does. */
export function backoffFromEnvironment(): Backoff {
  return {
    baseSeconds: numberEnv(env.redeliveryBaseSeconds, 10),
    maxSeconds: numberEnv(env.redeliveryMaxSeconds, longestWait),
  }
}

/** Seconds that an error's own wait is at the most where the queue names no bound. */
const longestWait = 900

/**
 * A Lambda handler for an SQS queue with partial batch responses: each message is handled by itself, and one
 * that throws goes back to the queue alone, to come again after its visibility timeout. A RetryLaterError says
 * how long that is.
 */
export function queueFunction(
  handle: (body: unknown, context: MessageContext) => Promise<void>,
  options?: QueueFunctionOptions,
): MiddyfiedHandler<SQSEvent, SQSBatchResponse> {
  return recordFunction((record, context) => handle(JSON.parse(record.body), context), options)
}

/** The same for a handler that wants the whole message, whatever its body is. */
export function recordFunction(
  handle: (record: SQSRecord, context: MessageContext) => Promise<void>,
  { backoff, pulse }: QueueFunctionOptions = {},
): MiddyfiedHandler<SQSEvent, SQSBatchResponse> {
  return middy<SQSEvent, SQSBatchResponse>().handler(async (event: SQSEvent, context: Context) => {
    const batchItemFailures: SQSBatchResponse['batchItemFailures'] = []
    const open = new Set(event.Records)
    const handleAll = async (settled: () => Promise<void>) => {
      for (const record of event.Records) {
        beginLog(context)
        try {
          await handle(record, { remainingMs: () => context.getRemainingTimeInMillis() })
          open.delete(record)
        } catch (error) {
          open.delete(record)
          logFailure(record, error)
          if (databaseUnavailable(error)) replacePool()
          // A beat that is under way would undo the wait.
          await settled()
          await putOff(record, secondsAway(error, receiveCountOf(record), backoff))
          batchItemFailures.push({ itemIdentifier: record.messageId })
        }
      }
    }
    await (pulse ? beating(hiding(open, pulse), handleAll) : handleAll(async () => {}))
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics()
    return { batchItemFailures }
  })
}

/** Keeps the messages that are still to be handled from being delivered elsewhere. */
function hiding(open: ReadonlySet<SQSRecord>, { beat, visibility }: Pulse): Heart {
  return {
    name: 'Hiding messages at work',
    everySeconds: beat,
    beat: (signal) => postponeAll([...open], visibility, signal),
    atOnce: true,
  }
}

const receiveCountOf = (record: SQSRecord) => Number(record.attributes.ApproximateReceiveCount)

/**
 * Whole seconds until a failed message comes back: what its error asks for or its queue's growing wait,
 * whichever is longer, spread so that those who failed together do not return together; or exactly when the error
 * says that it is time. Undefined where neither says anything.
 */
export function secondsAway(
  error: unknown,
  receiveCount: number,
  backoff: Backoff | undefined,
  random = Math.random,
): number | undefined {
  const asked = isRetryLater(error) ? error.waitSeconds : undefined
  if (isRetryLater(error) && error.exact) return Math.min(longestWait, error.waitSeconds)
  if (asked === undefined && !backoff) return undefined
  const most = backoff?.maxSeconds ?? longestWait
  const growing = backoff ? Math.min(most, backoff.baseSeconds * 2 ** (receiveCount - 1)) : 0
  // What was asked for is the least: a tenth more at the most.
  const wait = Math.max((asked ?? 0) * (1 + random() / 10), growing * (0.5 + random() / 2))
  return Math.ceil(Math.min(most, wait))
}

async function putOff(record: SQSRecord, seconds: number | undefined): Promise<void> {
  if (seconds === undefined) return
  try {
    await postpone(record, seconds)
  } catch (error) {
    logger.warn('Message keeps the visibility timeout of its queue', {
      message_id: record.messageId,
      error: error as Error,
    })
  }
}

function logFailure(record: SQSRecord, error: unknown): void {
  const fields = { message_id: record.messageId, receive_count: receiveCountOf(record) }
  // What is expected to pass by itself is no error yet; the dead-letter queue's alarm speaks if it does not.
  if (isInsightaError(error) && error.retryable) {
    logger.warn('Message goes back to its queue', { ...fields, code: error.code, reason: error.message })
  } else {
    logger.error('Message failed', { ...fields, error: error as Error })
  }
}
