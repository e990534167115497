import { databaseUnavailable } from '../db.ts'
import { describeFailure } from '../failures.ts'
import { logger } from '../log.ts'
import { retry } from '../retry.ts'
import { within } from '../within.ts'

/** Milliseconds for one try: longer than a connection may take to be made. */
const timeout = 7000

/**
 * Gives work up, so that the next delivery need not wait for the end of its lease; also when a connection was cut,
 * once the database is back within seconds. Never rejects: what cannot be given up is taken up after its lease.
 */
export async function giveUp(release: () => Promise<unknown>, remainingMs: () => number): Promise<void> {
  try {
    await retry(
      {
        name: 'Give up work',
        attempts: 4,
        initialDelay: 500,
        retryOn: databaseUnavailable,
        remainingMs,
      },
      () => within(timeout, release()),
    )
  } catch (error) {
    logger.warn('Work is held until its lease ends', { code: describeFailure(error).error })
  }
}
