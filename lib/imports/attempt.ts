import type { Sql } from '../platform/db.ts'
import { InsightaError } from '../platform/errors.ts'
import { describeFailure, type WorkFailure } from '../platform/failures.ts'
import { logger } from '../platform/log.ts'
import {
  beginImportAttempt,
  beginSliceAttempt,
  noteImportFailure,
  noteSliceFailure,
} from './recovery-store.ts'

/** Thrown when another worker is at the same slice: the message goes back to the queue. */
export class SliceBusyError extends InsightaError {
  constructor() {
    super('Another worker is at this slice', { code: 'slice_busy', status: 409, retryable: true })
  }
}

/**
 * Runs an attempt at a slice. That it began and why it failed are noted outside its transaction, for SQS says
 * neither: a dead letter with fewer attempts than deliveries tells of a database that could not be reached.
 */
export async function attemptSlice<T>(
  sql: Sql,
  id: string,
  sliceNo: number,
  work: () => Promise<T>,
): Promise<T> {
  await beginSliceAttempt(sql, id, sliceNo)
  return noting(work, (failure) => noteSliceFailure(sql, id, sliceNo, failure))
}

/** The same for the scan and the end of an import. */
export async function attemptImport<T>(sql: Sql, id: string, work: () => Promise<T>): Promise<T> {
  await beginImportAttempt(sql, id)
  return noting(work, (failure) => noteImportFailure(sql, id, failure))
}

async function noting<T>(work: () => Promise<T>, note: (failure: WorkFailure) => Promise<void>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    // A twin is at work: that is no failure.
    if (!(error instanceof SliceBusyError)) {
      await note(describeFailure(error)).catch((reason: unknown) =>
        logger.warn('Why an attempt failed could not be noted', { code: describeFailure(reason).error }),
      )
    }
    throw error
  }
}
