import { judge, parseBody } from '../platform/dead-letter-verdict.ts'
import { type DeadLetterOwner, superseded } from '../platform/dead-letters.ts'
import { queues } from '../platform/names.ts'
import { failExport, lockExport, reopenExport } from './store.ts'
import { exportMessage } from './write.ts'

/** What the dead letters of exports do to them. `maxReceiveCount` is that of the queue. */
export function exportOwners(maxReceiveCount: number) {
  const owner: DeadLetterOwner = {
    async fail(tx, message) {
      const body = parseBody(exportMessage, message)
      const work = body && (await lockExport(tx, body.export_id))
      if (!body || !work) {
        return { error: 'The message belongs to no export', cause: 'unknown', owner: null, moot: false }
      }
      const failure = judge(work, maxReceiveCount)
      // One that is running has a worker, or the sweep finds that it has none.
      const moot = work.state !== 'queued' || superseded(message, work.resent_at)
      if (!moot) await failExport(tx, body.export_id, { code: 'export_failed', message: failure.error })
      return { ...failure, owner: { type: 'export', id: body.export_id, part: null }, moot }
    },
    async reopen(tx, { owner_id }) {
      if (owner_id !== null) await reopenExport(tx, owner_id)
      return true
    },
  }
  return { [queues.exports]: owner }
}
