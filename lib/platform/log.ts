import { Logger } from '@aws-lambda-powertools/logger'
import type { Context } from 'aws-lambda'

/**
 * The structured log of this execution environment: one JSON object a line, with the service from
 * POWERTOOLS_SERVICE_NAME. Keys and ids go in; names, e-mails and secrets never do.
 */
export const logger = new Logger()

let correlation: string | undefined

/** Before the first line of an invocation: nothing of the one before is on its lines. */
export function beginLog(context: Context): void {
  logger.resetKeys()
  logger.addContext(context)
  correlation = undefined
}

/** Puts the id of what an invocation is about on its lines, and on those of the functions that it calls. */
export function correlate(id: string): void {
  logger.appendKeys({ correlation_id: id })
  correlation = id
}

/** The id that lines have now, for a function that is called. */
export function correlationId(): string | undefined {
  return correlation
}
