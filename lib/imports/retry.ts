import type { Sql } from '../platform/db.ts'
import { lockLetters, settleLetters } from '../platform/dead-letter-store.ts'
import { ConflictError, NotFoundError } from '../platform/errors.ts'
import { queues } from '../platform/names.ts'
import type { Queue } from '../platform/queue.ts'
import { lockImport, reopenSlices, reopenSplit } from './recovery-store.ts'
import type { ImportState } from './report.ts'

export type RetryContext = { sql: Sql; objects: Queue; slices: Queue }

const underWay: readonly ImportState[] = ['awaiting_upload', 'splitting', 'inserting', 'finishing']

/**
 * Runs what failed of an import again, and nothing else: its failed slices, or the scan where that failed.
 * Answers a function that sends the messages; a crash before it is covered by the sweep. A second call while the
 * retry is under way changes nothing. Throws ConflictError where nothing can be retried.
 */
export async function retryImport(
  context: RetryContext,
  teamId: string,
  id: string,
): Promise<() => Promise<void>> {
  const { sql } = context
  const work = await sql.begin(async (tx) => {
    // Letters are locked before imports everywhere: a redrive holds its letter when it asks for the import.
    await lockLetters(tx, id)
    const file = await lockImport(tx, teamId, id)
    if (!file) throw new NotFoundError('Import not found')
    if (file.removal) throw new ConflictError('What the import put in is being taken out', 'not_retryable')
    if (file.state === 'completed_with_failures') {
      await settleLetters(tx, 'redriven', id, [queues.importSlices])
      return { slices: await reopenSlices(tx, id) }
    }
    if (file.failure_code === 'split_failed' && (await reopenSplit(tx, id, true))) {
      await settleLetters(tx, 'redriven', id, [queues.importObjects])
      return { scan: true }
    }
    if (file.retried && underWay.includes(file.state)) return undefined
    throw new ConflictError(`Nothing of this import can be retried: it is ${file.state}`, 'not_retryable')
  })
  return async () => {
    if (work?.scan) await context.objects.send([{ continue_import_id: id }])
    if (work?.slices) await context.slices.send(work.slices.map((slice_no) => ({ import_id: id, slice_no })))
  }
}
