import type { Sql } from '../platform/db.ts'
import { lockLetters, settleLetters } from '../platform/dead-letter-store.ts'
import { ConflictError, NotFoundError } from '../platform/errors.ts'
import { queues } from '../platform/names.ts'
import type { Queue } from '../platform/queue.ts'
import type { Storage } from '../platform/storage.ts'
import { whyGone } from './lost-upload.ts'
import {
  findRetriedUpload,
  lockImport,
  type RecoverableImport,
  reopenSlices,
  reopenSplit,
} from './recovery-store.ts'
import type { ImportState } from './report.ts'

export type RetryContext = { sql: Sql; storage: Pick<Storage, 'head'>; objects: Queue; slices: Queue }

const underWay: readonly ImportState[] = ['awaiting_upload', 'splitting', 'inserting', 'finishing']

/**
 * Runs what failed of an import again, and nothing else: its failed slices, or the scan if that failed. Returns
 * a function that sends the messages; a crash before it is covered by the sweep. A second call while the retry is
 * under way changes nothing. Throws ConflictError if nothing can be retried, also because the upload is gone, and
 * UnavailableError if S3 does not say whether it is.
 */
export async function retryImport(
  context: RetryContext,
  teamId: string,
  id: string,
): Promise<() => Promise<void>> {
  const { sql } = context
  // Before the transaction: nothing is locked while S3 is asked.
  const upload = await findRetriedUpload(sql, teamId, id)
  const gone = upload && (await whyGone(context.storage, upload))
  const work = await sql.begin(async (tx) => {
    // Letters are locked before imports everywhere: a redrive holds its letter when it asks for the import.
    await lockLetters(tx, id)
    const file = await lockImport(tx, teamId, id)
    if (!file) throw new NotFoundError('Import not found')
    const splitFailed = file.state === 'failed' && file.failure_code === 'split_failed'
    const retryable = !file.removal && (splitFailed || file.state === 'completed_with_failures')
    if (retryable && !gone) {
      if (!splitFailed) {
        await settleLetters(tx, 'redriven', id, [queues.importSlices])
        return { slices: await reopenSlices(tx, id) }
      }
      if (await reopenSplit(tx, id, true)) {
        await settleLetters(tx, 'redriven', id, [queues.importObjects])
        return { scan: true }
      }
    }
    if (file.retried && underWay.includes(file.state)) return undefined
    throw new ConflictError(
      retryable && gone ? `${gone}: begin a new import` : refusal(file),
      'not_retryable',
    )
  })
  return async () => {
    if (work?.scan) await context.objects.send([{ continue_import_id: id }])
    if (work?.slices) await context.slices.send(work.slices.map((slice_no) => ({ import_id: id, slice_no })))
  }
}

function refusal({ state, removal, failure_code }: RecoverableImport): string {
  if (removal === 'done') return 'The profiles of this import were removed: begin a new import'
  if (removal === 'running') return 'The profiles of this import are being removed'
  if (state === 'failed') return `The import failed with ${failure_code}, and would again: begin a new import`
  if (state === 'cancelled') return 'The import was cancelled: begin a new import'
  if (state === 'completed') return 'Nothing of this import failed: every row is inserted or skipped'
  return `Nothing of this import has failed: it is ${state}`
}
