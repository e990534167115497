import { isInsightaError } from './errors.ts'

const programming = [TypeError, ReferenceError, RangeError, SyntaxError, EvalError, URIError]
/** Statuses below 500 that pass by themselves. */
const passing = new Set([408, 425, 429])

/** Whether an error says that the same call fails again: bad input, or a mistake in the program. */
export function neverRetried(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  // zod's errors, of every build of it.
  if (error.name === 'ZodError' || error.name === '$ZodError' || error.name === 'AssertionError') return true
  // fetch says TypeError for a connection that failed too, with the connection's error as the cause.
  if (error.cause instanceof Error && 'code' in error.cause) return false
  return programming.some((kind) => error instanceof kind)
}

/**
 * Whether the same call may succeed in a while. Ours say so themselves. Of others' errors a 4xx that is not
 * 408, 425 or 429 is final; the rest (5xx, no answer, timeouts, unknown) may pass.
 */
export function isTransient(error: unknown): boolean {
  if (neverRetried(error)) return false
  if (isInsightaError(error)) return error.retryable
  const status = statusOf(error)
  return status === undefined || status >= 500 || passing.has(status)
}

/** Whether an answer of this status may be another one in a while. */
export function isTransientStatus(status: number): boolean {
  return status >= 500 || passing.has(status)
}

/** The HTTP status that an SDK hangs on its error, under whichever name. */
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  const { status, statusCode, $metadata } = error as Error & {
    status?: unknown
    statusCode?: unknown
    $metadata?: { httpStatusCode?: unknown }
  }
  return [status, statusCode, $metadata?.httpStatusCode].find((value) => typeof value === 'number')
}
