import { databaseUnavailable } from './db.ts'
import { isInsightaError } from './errors.ts'
import { isRetryLater } from './retry.ts'

/**
 * Why a piece of work failed. `dependency`: something it stands on was out, and the same will do once that is
 * back. `defect`: the same will fail again until somebody changes something.
 */
export type FailureCause = 'dependency' | 'defect' | 'unknown'

export type WorkFailure = { error: string; cause: FailureCause }

/**
 * What a failed attempt may say about itself to an operator. Messages of libraries are left out: PostgreSQL's
 * and the parsers' quote values, which here are people.
 */
export function describeFailure(error: unknown): WorkFailure {
  if (isInsightaError(error)) {
    // A wait that was handed back says when to come again; what was wrong is its cause.
    const reason = isRetryLater(error) && isInsightaError(error.cause) ? error.cause : error
    return { error: reason.message, cause: error.retryable ? 'dependency' : 'defect' }
  }
  const { name, code, status } = signs(error)
  if (status !== undefined) {
    const out = status >= 500 || status === 429
    return { error: `AWS answered ${status} (${name})`, cause: out ? 'dependency' : 'defect' }
  }
  if (isAwsError(error)) return { error: `AWS did not answer (${code ?? name})`, cause: 'dependency' }
  if (databaseUnavailable(error)) return { error: 'The database did not answer', cause: 'dependency' }
  if (name === 'PostgresError') return { error: `The database answered with error ${code}`, cause: 'defect' }
  return { error: `An internal error occurred (${code ? `${name}, ${code}` : name})`, cause: 'defect' }
}

function signs(error: unknown): { name: string; code: string | undefined; status: number | undefined } {
  if (!(error instanceof Error)) return { name: typeof error, code: undefined, status: undefined }
  const { code, $metadata } = error as Error & { code?: unknown; $metadata?: { httpStatusCode?: number } }
  return {
    name: error.name,
    code: code === undefined ? undefined : String(code),
    status: $metadata?.httpStatusCode,
  }
}

/** The SDK leaves its notes on whatever it throws, also where no answer came. */
function isAwsError(error: unknown): boolean {
  return error instanceof Error && '$metadata' in error
}
