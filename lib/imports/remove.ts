import type { Sql } from '../platform/db.ts'
import { ConflictError, NotFoundError } from '../platform/errors.ts'
import type { Queue } from '../platform/queue.ts'
import { applyFacetDeltas } from '../profiles/facets.ts'
import { findRemoval, removeBatch, requestRemoval } from './removal-store.ts'
import type { ImportState } from './report.ts'

export type RemoveContext = {
  sql: Sql
  /** This function's own queue: a removal that runs out of time sends itself a message to go on. */
  self: Queue
  remainingMs(): number
  batchSize?: number
}

/** Profiles of one transaction: a lock held for a fraction of a second, between those of import workers. */
const defaultBatch = 5000

/**
 * Asks for the profiles of a finished import to be removed. Asking twice changes nothing, also once it is done.
 * Throws NotFoundError for another team's import and ConflictError for one that has not finished.
 */
export async function startRemoval(sql: Sql, queue: Queue, teamId: string, id: string): Promise<void> {
  const file = await requestRemoval(sql, teamId, id)
  if (!file) throw new NotFoundError('Import not found')
  if (file.removal === null) throw new ConflictError(unfinished(file.state), 'not_finished')
  // Also when it was asked for before: the message that was sent then may be lost.
  if (file.removal === 'running') await queue.send([{ import_id: id }])
}

function unfinished(state: ImportState): string {
  if (state === 'cancelled') return 'The import was cancelled, and its last rows are being written: try again'
  if (state === 'finishing') return 'The import finishes in a moment: try again'
  return 'The import is still running: cancel it, or wait until it has finished'
}

/**
 * Takes out the profiles that an import put in, batch by batch, facets following. Cut off anywhere, it goes on
 * behind the last committed batch. Answers whether all are out, or undefined where no removal was asked for.
 */
export async function removeProfiles(
  { sql, self, remainingMs, batchSize = defaultBatch }: RemoveContext,
  id: string,
): Promise<'done' | 'continues' | undefined> {
  const removal = await findRemoval(sql, id)
  if (!removal) return undefined
  const reserve = remainingMs() / 5
  for (;;) {
    const done = await sql.begin(async (tx) => {
      const batch = await removeBatch(tx, id, batchSize)
      if (batch.removed.length > 0) {
        await applyFacetDeltas(
          tx,
          batch.removed.map((profile) => ({ ...profile, delta: -1 })),
        )
      }
      return batch.done
    })
    if (done) return 'done'
    if (remainingMs() > reserve) continue
    await self.send([{ import_id: id }])
    return 'continues'
  }
}
