import type { Sql } from '../platform/db.ts'
import { settleLetters } from '../platform/dead-letter-store.ts'
import { queues, uploadPrefix } from '../platform/names.ts'
import type { Queue } from '../platform/queue.ts'
import type { Storage } from '../platform/storage.ts'
import { sweepUploads } from '../platform/uploads.ts'
import { claimStalledRemovals, claimStalledScans, claimStalledWork, resendSlices } from './sweep-store.ts'

export type SweepContext = {
  sql: Sql
  storage: Storage
  objects: Queue
  slices: Queue
  finish: Queue
  removals: Queue
  /** Seconds. */
  waits: {
    /**
     * Without progress, before an import is taken up again. Longer than any worker runs, so that a live one is
     * not doubled. It need not outlast visibility timeout x deliveries: a message that comes back beside its
     * copy finds a slice done, a scan that has come further, or a twin at work, and a dead letter older than the
     * last copy counts for nothing.
     */
    stalledAfter: number
    /** Between two looks for an upload whose event may be lost. */
    uploadCheck: number
    /** After the address has expired: a PUT that began before may still be running. */
    uploadGrace: number
  }
}

/** Imports of each kind that one run takes up, and slices that it sends: what is left comes a minute later. */
const bounds = { imports: 50, slices: 2000 }

export type SweepResult = Record<'started' | 'expired' | 'scans' | 'slices' | 'finishes' | 'removals', number>

/** Takes up whatever stands still: lost events and messages, dead workers, uploads that never came. */
export async function sweepImports(context: SweepContext): Promise<SweepResult> {
  const { sql, waits } = context
  const uploads = await sweepUploads(
    context,
    {
      table: { name: 'imports', ended: 'finished_at' },
      checkAfter: waits.uploadCheck,
      grace: waits.uploadGrace,
      limit: bounds.imports,
    },
    (id) => context.objects.send([{ continue_import_id: id }]),
  )
  const scans = await claimStalledScans(sql, waits.stalledAfter, bounds.imports)
  await context.objects.send(scans.map((id) => ({ continue_import_id: id })))
  const work = await sweepWork(context)
  const removals = await claimStalledRemovals(sql, waits.stalledAfter, bounds.imports)
  await context.removals.send(removals.map((id) => ({ import_id: id })))
  for (const id of removals) await settleLetters(sql, 'redriven', id, [queues.importRemovals])
  return {
    started: uploads.found,
    expired: uploads.expired,
    scans: scans.length,
    ...work,
    removals: removals.length,
  }
}

async function sweepWork({ sql, slices, finish, waits }: SweepContext) {
  const counts = { slices: 0, finishes: 0 }
  for (const { id, pending } of await claimStalledWork(sql, waits.stalledAfter, bounds.imports)) {
    if (!pending) {
      await finish.send([{ import_id: id }])
      await settleLetters(sql, 'redriven', id, [queues.importFinish])
      counts.finishes++
      continue
    }
    const left = bounds.slices - counts.slices
    if (left <= 0) continue
    const numbers = await resendSlices(sql, id, left)
    await slices.send(numbers.map((slice_no) => ({ import_id: id, slice_no })))
    counts.slices += numbers.length
  }
  return counts
}

/** Whether S3 answers; the database has, to whoever asks this. */
export async function storageAnswers(storage: Storage): Promise<boolean> {
  try {
    await storage.exists(`${uploadPrefix}is-there-an-answer`)
    return true
  } catch {
    // What it answers instead does not matter: the letters wait for the next run.
    return false
  }
}
