import type { Sql } from '../platform/db.ts'
import { lockLetters, settleLetters } from '../platform/dead-letter-store.ts'
import { ConflictError, NotFoundError } from '../platform/errors.ts'
import { queues } from '../platform/names.ts'
import type { Queue } from '../platform/queue.ts'
import { cancelImport as endImport, lockImport } from './recovery-store.ts'
import type { ImportState } from './report.ts'

const cancellable: readonly ImportState[] = ['awaiting_upload', 'splitting', 'inserting']

/**
 * Cancels an import. Rows that are in stay in, and a slice that a worker holds may still be committed: the import
 * finishes after that. Returns a function that asks for it; a crash before it is covered by the sweep. Cancelling
 * twice is cancelling once. Throws ConflictError if the import has ended, or is about to.
 */
export async function cancelImport(
  { sql, finish }: { sql: Sql; finish: Queue },
  teamId: string,
  id: string,
): Promise<() => Promise<void>> {
  await sql.begin(async (tx) => {
    await lockLetters(tx, id)
    const file = await lockImport(tx, teamId, id)
    if (!file) throw new NotFoundError('Import not found')
    if (file.state === 'cancelled') return
    if (!cancellable.includes(file.state)) {
      const message =
        file.state === 'finishing'
          ? 'Every row of the import is in or skipped: it finishes in a moment, and its profiles can be removed then'
          : `The import has ended already: it is ${file.state}`
      throw new ConflictError(message, 'not_cancellable')
    }
    await settleLetters(tx, 'discarded', id, Object.values(queues))
    await endImport(tx, id)
  })
  return () => finish.send([{ import_id: id }])
}
