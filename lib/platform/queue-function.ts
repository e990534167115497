import middy, { type MiddyfiedHandler } from '@middy/core'
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda'
import { databaseUnavailable, replacePool } from './db.ts'
import { isInsightaError } from './errors.ts'
import { logger } from './log.ts'
import { metrics } from './metrics.ts'

export type MessageContext = {
  /** Milliseconds until Lambda ends the environment. */
  remainingMs(): number
}

/**
 * A Lambda handler for an SQS queue with partial batch responses: each message is handled by itself, and one
 * that throws goes back to the queue alone, to come again after its visibility timeout.
 */
export function queueFunction(
  handle: (body: unknown, context: MessageContext) => Promise<void>,
): MiddyfiedHandler<SQSEvent, SQSBatchResponse> {
  return recordFunction((record, context) => handle(JSON.parse(record.body), context))
}

/** The same for a handler that wants the whole message, whatever its body is. */
export function recordFunction(
  handle: (record: SQSRecord, context: MessageContext) => Promise<void>,
): MiddyfiedHandler<SQSEvent, SQSBatchResponse> {
  return middy<SQSEvent, SQSBatchResponse>().handler(async (event: SQSEvent, context: Context) => {
    logger.addContext(context)
    const batchItemFailures: SQSBatchResponse['batchItemFailures'] = []
    for (const record of event.Records) {
      try {
        await handle(record, { remainingMs: () => context.getRemainingTimeInMillis() })
      } catch (error) {
        logFailure(record, error)
        if (databaseUnavailable(error)) replacePool()
        batchItemFailures.push({ itemIdentifier: record.messageId })
      } finally {
        logger.resetKeys()
      }
    }
    metrics.publishStoredMetrics()
    return { batchItemFailures }
  })
}

function logFailure(record: SQSRecord, error: unknown): void {
  const receiveCount = Number(record.attributes.ApproximateReceiveCount)
  const fields = { message_id: record.messageId, receive_count: receiveCount }
  // What is expected to pass by itself is no error yet; the dead-letter queue's alarm speaks if it does not.
  if (isInsightaError(error) && error.retryable) {
    logger.warn('Message goes back to its queue', { ...fields, code: error.code, reason: error.message })
  } else {
    logger.error('Message failed', { ...fields, error: error as Error })
  }
}
