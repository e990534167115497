import type { Transaction } from '../platform/db.ts'
import type { TrialResult } from './report.ts'

/**
 * Makes a trial the import itself: every slice is to be inserted again, and what the trial came to is kept as its
 * result. The caller holds the import's lock.
 */
export async function reopenAsImport(tx: Transaction, id: string, trial: TrialResult): Promise<void> {
  await tx`
    update imports
    set dry_run = false, trial = ${tx.json(trial)}, state = 'inserting', started_at = now(), finished_at = null,
      rejects_key = null, finish_token = null, retried_at = null, last_error = null, last_error_cause = null,
      touched_at = now(), resumed = 0, attempts = 0, resent_at = now()
    where id = ${id}`
  await tx`
    update import_slices
    set state = 'pending', inserted = 0, skipped = 0, reasons = '{}', rejects_key = null, unread = null,
      error = null, error_cause = null, attempts = 0, touched_at = null, resent_at = now()
    where import_id = ${id}`
  // Names that a trial with failures left are of no effect, may be millions, and go when the import ends.
  await tx`delete from import_conflicts where import_id = ${id}`
}
