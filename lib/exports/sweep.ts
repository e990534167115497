import type { Sql } from '../platform/db.ts'
import { settleLetters } from '../platform/dead-letter-store.ts'
import { queues } from '../platform/names.ts'
import type { Queue } from '../platform/queue.ts'
import { claimStalledExports, failSilent, type StalledAfter } from './store.ts'

/** Exports that one run takes up. */
const bound = 50

/** Takes up exports that stand still: lost messages, dead workers. What died at its last attempt becomes failed. */
export async function sweepExports(
  sql: Sql,
  queue: Queue,
  after: StalledAfter,
): Promise<{ resumed: number; failed: number }> {
  const failed = await failSilent(sql, after.lease, {
    code: 'export_failed',
    message: 'The worker ended without saying why: out of time or memory',
  })
  const ids = await claimStalledExports(sql, after, bound)
  await queue.send(ids.map((export_id) => ({ export_id })))
  for (const id of ids) await settleLetters(sql, 'redriven', id, [queues.exports])
  return { resumed: ids.length, failed }
}
