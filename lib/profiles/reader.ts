import { setTimeout as wait } from 'node:timers/promises'
import { databaseUnavailable, retryRead, type Sql } from '../platform/db.ts'
import { logger } from '../platform/log.ts'
import { MetricUnit, metrics } from '../platform/metrics.ts'
import { NoAnswerError, within } from '../platform/within.ts'
import { totalBudget } from './counts.ts'
import { holdsState } from './facets.ts'

/**
 * Runs an idempotent read where nothing of a state of the data is missing (see datasetState). What is read may be
 * newer. Rejects as `work` does.
 */
export type ReadAt = <T>(state: string, work: (sql: Sql) => Promise<T>) => Promise<T>

export type ReaderPool = {
  /** Undefined where there are no readers. */
  connect(): Sql | undefined
  /** Lets go of connections that are not to be trusted any more. */
  replace(): void
}

/** Milliseconds that a reader may take to catch up: Aurora's are some 20 behind, rarely 100. */
const catchUpLimit = 100
const catchUpPause = 5
/** Milliseconds in which a sound reader says how far it is. */
const answerLimit = 1000
/** Nothing that is read of profiles takes longer than the budget of a total, by much. */
const workLimit = totalBudget + 1000
/** Milliseconds in which a reader that failed is not asked again. */
const avoidedFor = 10_000

/**
 * Of errors that the writer need not have too: what was read was cleaned up by the writer meanwhile (40001), the
 * login is refused (28...), and TLS fails.
 */
const ofReadersAlone = /^(?:40001$|28|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/

/**
 * Reads by a reader that has caught up with the state, else by the writer: where the reader stays behind, is gone
 * or gives no answer. `now` is in milliseconds and never goes back.
 *
 * What was asked how far it is must be what is read: a pool of a reader endpoint has connections to several
 * readers. So the two go over one connection, which is the read's own until it ends.
 */
export function readingByReader(
  writer: Sql,
  readers: ReaderPool,
  now: () => number = () => performance.now(),
): ReadAt {
  let avoidedUntil = Number.NEGATIVE_INFINITY

  /** Undefined where the reader stays behind. */
  async function readBy<T>(
    reader: Sql,
    state: string,
    work: (sql: Sql) => Promise<T>,
  ): Promise<{ value: T } | undefined> {
    const connection = await within(answerLimit, reader.reserve())
    // A connection that failed stays reserved: it goes with its pool.
    const found = (await catchesUp(connection, state, now))
      ? { value: await within(workLimit, work(connection)) }
      : undefined
    connection.release()
    return found
  }

  return async (state, work) => {
    const reader = now() < avoidedUntil ? undefined : readers.connect()
    if (!reader) return retryRead(() => work(writer))
    try {
      const found = await readBy(reader, state, work)
      metrics.addMetric(found ? 'ReaderReads' : 'ReaderBehind', MetricUnit.Count, 1)
      if (found) return found.value
    } catch (error) {
      readers.replace()
      if (!isReadersFault(error)) throw error
      avoidedUntil = now() + avoidedFor
      metrics.addMetric('ReaderFailures', MetricUnit.Count, 1)
      logger.warn('The reader fails, and the writer answers', { error })
    }
    return retryRead(() => work(writer))
  }
}

async function catchesUp(connection: Sql, state: string, now: () => number): Promise<boolean> {
  const deadline = now() + catchUpLimit
  while (!(await within(answerLimit, holdsState(connection, state)))) {
    if (now() > deadline) return false
    await wait(catchUpPause)
  }
  return true
}

function isReadersFault(error: unknown): boolean {
  if (error instanceof NoAnswerError || databaseUnavailable(error)) return true
  return error instanceof Error && 'code' in error && ofReadersAlone.test(String(error.code))
}
