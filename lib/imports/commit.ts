import type { Sql } from '../platform/db.ts'
import { lockLetters, settleLetters } from '../platform/dead-letter-store.ts'
import { ConflictError, NotFoundError } from '../platform/errors.ts'
import { queues } from '../platform/names.ts'
import type { Queue } from '../platform/queue.ts'
import type { Storage } from '../platform/storage.ts'
import { reopenAsImport } from './commit-store.ts'
import { whyGone } from './lost-upload.ts'
import { lockImport } from './recovery-store.ts'
import type { ImportSummary } from './report.ts'
import { findImport, summarise } from './store.ts'

export type CommitContext = { sql: Sql; storage: Pick<Storage, 'head'>; objects: Queue }

/**
 * Turns a finished trial into the real import of the same upload, in its place: the slices that the trial found are
 * inserted, and what it came to is kept. Returns a function that asks for the slices to be sent; a crash before it
 * is covered by the sweep. Throws NotFoundError for another team's import, ConflictError, saying why, for one that
 * cannot be committed, and UnavailableError if S3 does not say whether the upload is there.
 */
export async function commitImport(
  { sql, storage, objects }: CommitContext,
  teamId: string,
  id: string,
): Promise<() => Promise<void>> {
  refuse(await summarise(sql, teamId, id))
  // No lock is held while S3 is asked: what is lost after it ends the import as any lost upload does.
  await refuseLostUpload({ sql, storage }, id)
  await sql.begin(async (tx) => {
    await lockLetters(tx, id)
    await lockImport(tx, teamId, id)
    const trial = refuse(await summarise(tx, teamId, id))
    await settleLetters(tx, 'redriven', id, [queues.importSlices, queues.importObjects, queues.importFinish])
    const { inserted, skipped, reasons, finished_at } = trial
    await reopenAsImport(tx, id, { inserted, skipped, reasons, finished_at: finished_at!.toISOString() })
  })
  // One message however many slices there are: they are sent by the function that scans uploads, which has minutes.
  return () => objects.send([{ continue_import_id: id }])
}

/** The trial, if it can be committed. Throws what it is not. */
function refuse(file: ImportSummary | undefined): ImportSummary {
  if (!file) throw new NotFoundError('Import not found')
  const { state, dry_run, trial, removal_state } = file
  if (trial) throw new ConflictError('The trial has already been committed', 'already_committed')
  if (!dry_run) throw new ConflictError('The import is not a trial', 'not_a_trial')
  if (state === 'failed' || state === 'cancelled') {
    throw new ConflictError(`The trial cannot be committed: it is ${state}`, 'not_committable')
  }
  if (state !== 'completed' && state !== 'completed_with_failures') {
    throw new ConflictError(`The trial has not finished: it is ${state}`, 'not_finished')
  }
  if (removal_state) {
    throw new ConflictError(
      'The trial cannot be committed: the removal of its profiles was requested',
      'not_committable',
    )
  }
  return file
}

async function refuseLostUpload(
  { sql, storage }: Pick<CommitContext, 'sql' | 'storage'>,
  id: string,
): Promise<void> {
  const file = await findImport(sql, id)
  const gone = file && (await whyGone(storage, file))
  if (gone) throw new ConflictError(`${gone}: upload it as a new import`, 'upload_expired')
}
