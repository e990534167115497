import type * as z from 'zod'
import type { DeadMessage } from './dead-letters.ts'
import type { FailureCause, WorkFailure } from './failures.ts'

/** The body of a dead letter by its schema; undefined for any other. */
export function parseBody<Schema extends z.ZodType>(
  schema: Schema,
  message: DeadMessage,
): z.output<Schema> | undefined {
  try {
    return schema.parse(JSON.parse(message.body))
  } catch {
    // Whatever it is, it is kept as it came, and its letter says that it belongs to nobody.
    return undefined
  }
}

/**
 * Why the work of a dead letter failed. Attempts are counted in the database before they begin: where there were
 * fewer than deliveries, the rest found it away, or were throttled before they ran.
 */
export function judge(
  work: { attempts: number; error: string | null; error_cause: FailureCause | null },
  maxReceiveCount: number,
): WorkFailure {
  const { attempts, error, error_cause } = work
  if (attempts < maxReceiveCount) {
    const noted = error_cause === 'dependency' ? error : null
    return { error: noted ?? 'The database could not be reached', cause: 'dependency' }
  }
  if (error === null || error_cause === null) {
    return { error: 'The worker ended without saying why: out of time or memory', cause: 'unknown' }
  }
  return { error, cause: error_cause }
}
