import type { Sql, Transaction } from '../platform/db.ts'
import type { Storage } from '../platform/storage.ts'
import { applyFacetDeltas } from '../profiles/facets.ts'
import { joinRejects } from './join-rejects.ts'
import {
  lockNames,
  lockTrialNames,
  markSettled,
  moveCounts,
  replaceProfiles,
  replaceTrialNames,
  unsettledConflicts,
} from './name-store.ts'
import { finishCancelled, settleCancelled } from './recovery-store.ts'
import {
  finishImport as endImport,
  findImport,
  holdFinishing,
  type ImportRow,
  startFinishing,
} from './store.ts'

export type FinishContext = { sql: Sql; storage: Storage }

/** Names settled in one transaction: as many rows as a slice has at the most. */
const settledAtOnce = 1000

/**
 * Ends an import whose slices have all ended: settles which row of a name comes first, joins the files of
 * skipped rows, and sets the final state; of a cancelled import the state stays. Each step may be cut off
 * anywhere and is taken up again by the next delivery. Answers the final state, undefined where nothing was owed
 * or another delivery took over.
 */
export async function finish(
  { sql, storage }: FinishContext,
  id: string,
): Promise<'completed' | 'completed_with_failures' | 'cancelled' | undefined> {
  const cancelled = await settleCancelled(sql, id)
  const token = crypto.randomUUID()
  if (!cancelled && !(await startFinishing(sql, id, token))) return undefined
  const file = await findImport(sql, id)
  if (!file) return undefined
  const mayGoOn = (tx: Transaction) => cancelled || holdFinishing(tx, id, token)
  while ((await sql.begin(async (tx) => ((await mayGoOn(tx)) ? settleNames(tx, file) : 0))) > 0);
  const key = await joinRejects({ sql, storage }, file)
  if (!cancelled) return endImport(sql, id, key, token)
  return (await finishCancelled(sql, id, key)) ? 'cancelled' : undefined
}

/**
 * Of two rows with one name the first in the file counts, although the other's slice may have been committed
 * first. Numbers of inserted and skipped rows stay; only which row is which changes. Answers how many names
 * were settled.
 */
async function settleNames(tx: Transaction, { id, dry_run }: ImportRow): Promise<number> {
  const conflicts = await unsettledConflicts(tx, id, settledAtOnce)
  if (conflicts.length === 0) return 0
  const keys = conflicts.map(({ name_key }) => name_key)
  const profiles = dry_run ? [] : await lockNames(tx, id, keys)
  const held = dry_run ? await lockTrialNames(tx, id, keys) : profiles
  const holders = new Map(held.map(({ name_key, import_row }) => [name_key, import_row]))
  const settled = conflicts.map((conflict) => {
    const holder = holders.get(conflict.name_key) ?? 0
    return { ...conflict, displaced: holder > conflict.row_no ? holder : 0 }
  })
  const winners = settled.filter(({ displaced }) => displaced > 0)
  await markSettled(tx, id, settled)
  await moveCounts(
    tx,
    id,
    winners.flatMap(({ row_no, displaced }) => [
      { row: row_no, change: 1 as const },
      { row: displaced, change: -1 as const },
    ]),
  )
  if (dry_run) {
    await replaceTrialNames(tx, id, winners)
    return conflicts.length
  }
  await replaceProfiles(tx, winners)
  const before = new Map(profiles.map((profile) => [profile.name_key, profile]))
  await applyFacetDeltas(
    tx,
    winners.flatMap(({ name_key, profile }) => [
      { ...before.get(name_key)!, delta: -1 },
      { ...profile, delta: 1 },
    ]),
  )
  return conflicts.length
}
