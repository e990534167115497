import type postgres from 'postgres'
import type { Sql, Transaction } from '../platform/db.ts'
import type { FailureCause, WorkFailure } from '../platform/failures.ts'
import type { Failure, ImportState } from './report.ts'

/** What an attempt leaves behind: how many there were, and what the last failed one said. */
export type Attempts = {
  attempts: number
  error: string | null
  error_cause: FailureCause | null
  resent_at: Date | null
}

/** Counts an attempt at a slice. A slice that another worker holds is left alone, so that nobody waits. */
export async function beginSliceAttempt(sql: Sql, id: string, sliceNo: number): Promise<void> {
  await sql`
    update import_slices set attempts = attempts + 1, touched_at = now()
    where import_id = ${id} and slice_no = (
      select slice_no from import_slices
      where import_id = ${id} and slice_no = ${sliceNo} and state = 'pending' for update skip locked)`
}

export async function noteSliceFailure(
  sql: Sql,
  id: string,
  sliceNo: number,
  { error, cause }: WorkFailure,
): Promise<void> {
  await sql`
    update import_slices set error = ${error}, error_cause = ${cause}
    where import_id = ${id} and slice_no = (
      select slice_no from import_slices
      where import_id = ${id} and slice_no = ${sliceNo} and state = 'pending' for update skip locked)`
}

/** Counts an attempt at splitting an import, finishing it, or taking it out again. */
export async function beginImportAttempt(sql: Sql, id: string): Promise<void> {
  await sql`
    update imports set attempts = attempts + 1, touched_at = now()
    where id = ${id} and ${atWork(sql)}`
}

/** Imports that some worker may be at, as a whole. */
const atWork = (sql: Sql): postgres.Fragment => sql`
  (finished_at is null or removal_state = 'running')`

export async function noteImportFailure(sql: Sql, id: string, { error, cause }: WorkFailure): Promise<void> {
  await sql`
    update imports set last_error = ${error}, last_error_cause = ${cause}
    where id = ${id} and ${atWork(sql)}`
}

export type SliceAttempts = Attempts & { state: 'pending' | 'done' | 'failed' | 'cancelled' }

/** Locks a slice, waiting for a worker that holds it; undefined where there is none. */
export async function lockSliceAttempts(
  tx: Transaction,
  id: string,
  sliceNo: number,
): Promise<SliceAttempts | undefined> {
  const [row] = await tx<SliceAttempts[]>`
    select state, attempts, error, error_cause, resent_at from import_slices
    where import_id = ${id} and slice_no = ${sliceNo} for update`
  return row
}

export async function failSlice(tx: Transaction, id: string, sliceNo: number, error: string): Promise<void> {
  await tx`
    update import_slices set state = 'failed', error = ${error}, touched_at = now()
    where import_id = ${id} and slice_no = ${sliceNo}`
}

export type ImportAttempts = Attempts & {
  state: ImportState
  removal_state: 'running' | 'done' | null
  finished: boolean
}

export async function lockImportAttempts(tx: Transaction, id: string): Promise<ImportAttempts | undefined> {
  const [row] = await tx<ImportAttempts[]>`
    select state, removal_state, finished_at is not null as finished, attempts, last_error as error,
      last_error_cause as error_cause, resent_at
    from imports where id = ${id} for no key update`
  return row
}

/**
 * Fails every slice of an import that no worker holds, because of what keeps any of them from being read. False if
 * the import is no longer inserting.
 */
export async function failPendingSlices(sql: Sql, id: string, error: string): Promise<boolean> {
  return sql.begin(async (tx) => {
    // As the cancel does it: first the import, then its slices.
    const [file] = await tx`select from imports where id = ${id} and state = 'inserting' for no key update`
    if (!file) return false
    await tx`
      update import_slices set state = 'failed', error = ${error}, error_cause = 'defect', touched_at = now()
      where import_id = ${id} and slice_no in (
        select slice_no from import_slices where import_id = ${id} and state = 'pending'
        order by slice_no for update skip locked)`
    return true
  })
}

/** Ends an import whose upload was seen and is gone. False while its address takes another, or if it had ended. */
export async function failAwaited(sql: Sql, id: string, failure: Failure): Promise<boolean> {
  const { count } = await sql`
    update imports set state = 'failed', failure = ${sql.json(failure)}, finished_at = now()
    where id = ${id} and state = 'awaiting_upload' and upload_expires_at < now()`
  return count === 1
}

/** Unlike the failure of a file that cannot be imported it keeps the scan, for a retry to go on with. */
export async function failSplit(tx: Transaction, id: string, failure: Failure): Promise<void> {
  await tx`
    update imports set state = 'failed', failure = ${tx.json(failure)}, finished_at = now() where id = ${id}`
}

/** Makes a failed slice pending again and its import inserting. `later` while the import is being finished. */
export async function reopenSlice(
  tx: Transaction,
  id: string,
  sliceNo: number,
): Promise<'reopened' | 'later' | 'not_wanted'> {
  const [file] = await tx<{ state: ImportState }[]>`
    select state from imports where id = ${id} and removal_state is null for no key update`
  if (file?.state === 'finishing') return 'later'
  if (file?.state !== 'inserting' && file?.state !== 'completed_with_failures') return 'not_wanted'
  const { count } = await tx`
    update import_slices
    set state = 'pending', attempts = 0, error = null, error_cause = null, resent_at = now()
    where import_id = ${id} and slice_no = ${sliceNo} and state = 'failed'`
  if (count === 0) return 'not_wanted'
  await tx`
    update imports
    set state = 'inserting', finished_at = null, rejects_key = null, touched_at = now(), resumed = 0, attempts = 0
    where id = ${id}`
  return 'reopened'
}

/** All failed slices of an import pending again; answers their numbers. */
export async function reopenSlices(tx: Transaction, id: string): Promise<number[]> {
  const rows = await tx<{ slice_no: number }[]>`
    update import_slices
    set state = 'pending', attempts = 0, error = null, error_cause = null, resent_at = now()
    where import_id = ${id} and state = 'failed' returning slice_no`
  await tx`
    update imports
    set state = 'inserting', finished_at = null, rejects_key = null, touched_at = now(), resumed = 0,
      attempts = 0, retried_at = now()
    where id = ${id}`
  return rows.map(({ slice_no }) => slice_no).sort((a, b) => a - b)
}

/** Takes an import whose split failed for good back to where the scan stood. False where it is in another state. */
export async function reopenSplit(tx: Transaction, id: string, retried: boolean): Promise<boolean> {
  const { count } = await tx`
    update imports
    set state = case when etag is null then 'awaiting_upload' else 'splitting' end, failure = null,
      finished_at = null, last_error = null, last_error_cause = null, attempts = 0, resumed = 0,
      touched_at = now(), resent_at = now(), retried_at = case when ${retried} then now() else retried_at end
    where id = ${id} and state = 'failed' and failure->>'code' = 'split_failed' and removal_state is null`
  return count === 1
}

export type RecoverableImport = {
  state: ImportState
  failure_code: string | null
  retried: boolean
  /** Of its profiles, once it was asked for. */
  removal: 'running' | 'done' | null
  finished: boolean
}

/** Locks an import of a team; undefined where the team has no such import. */
export async function lockImport(
  tx: Transaction,
  teamId: string,
  id: string,
): Promise<RecoverableImport | undefined> {
  const [row] = await tx<RecoverableImport[]>`
    select state, failure->>'code' as failure_code, retried_at is not null as retried,
      removal_state as removal, finished_at is not null as finished
    from imports where id = ${id} and team_id = ${teamId} for no key update`
  return row
}

/** The upload of an import of a team, if it would be read again by a retry. */
export async function findRetriedUpload(
  sql: Sql,
  teamId: string,
  id: string,
): Promise<{ object_key: string; etag: string | null } | undefined> {
  const [row] = await sql<{ object_key: string; etag: string | null }[]>`
    select object_key, etag from imports
    where id = ${id} and team_id = ${teamId} and removal_state is null
      and (state = 'completed_with_failures' or state = 'failed' and failure->>'code' = 'split_failed')`
  return row
}

/**
 * Cancels an import, and with it the slices that no worker holds. A worker that holds one may still commit it; every
 * other finds it cancelled, however old what it read before. So an import with slices has its last numbers, and its
 * end, only once finishCancelled has run.
 */
export async function cancelImport(tx: Transaction, id: string): Promise<void> {
  await tx`
    update imports
    set state = 'cancelled', finished_at = case when slices_total = 0 then now() end, scan = null,
      touched_at = now(), resumed = 0, attempts = 0
    where id = ${id}`
  await tx`
    update import_slices set state = 'cancelled'
    where import_id = ${id} and slice_no in (
      select slice_no from import_slices where import_id = ${id} and state = 'pending'
      order by slice_no for update skip locked)`
}

/**
 * Waits for the workers that were at slices of a cancelled import, and ends what they left. False where the
 * import was not cancelled, never had slices, or has its file of skipped rows already.
 */
export async function settleCancelled(sql: Sql, id: string): Promise<boolean> {
  const [row] = await sql`
    select from imports
    where id = ${id} and state = 'cancelled' and slices_total > 0 and rejects_key is null`
  if (!row) return false
  await sql`
    update import_slices set state = 'cancelled' where import_id = ${id} and state = 'pending'`
  return true
}

/**
 * Ends a cancelled import now that no worker is at it any more, and names its file of skipped rows. False if another
 * had done it.
 */
export async function finishCancelled(sql: Sql, id: string, rejectsKey: string): Promise<boolean> {
  return sql.begin(async (tx) => {
    const { count } = await tx`
      update imports set rejects_key = ${rejectsKey}, finished_at = now()
      where id = ${id} and state = 'cancelled' and rejects_key is null`
    if (count === 0) return false
    await tx`delete from import_conflicts where import_id = ${id}`
    await tx`delete from import_trial_names where import_id = ${id}`
    return true
  })
}
