import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { parse } from 'csv-parse/sync'
import { unescapeFormula } from '../platform/csv.ts'
import type { Sql, Transaction } from '../platform/db.ts'
import { rejectsPrefix } from '../platform/names.ts'
import type { Storage } from '../platform/storage.ts'
import { applyFacetDeltas } from '../profiles/facets.ts'
import type { Column } from './header.ts'
import { duplicate, readRecords } from './insert.ts'
import {
  lockNames,
  lockTrialNames,
  markSettled,
  moveCounts,
  replaceProfiles,
  replaceTrialNames,
  settledSwaps,
  unsettledConflicts,
} from './name-store.ts'
import { finishCancelled, settleCancelled } from './recovery-store.ts'
import { type Reject, rejectLine, rejectsHeader } from './rejects.ts'
import { isRejection, type Reason, readRow } from './row.ts'
import {
  finishImport as endImport,
  findImport,
  holdFinishing,
  type ImportRow,
  listSlices,
  type SliceRow,
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
  // A key of this delivery's own: a twin that comes late must not write over the file that the report names.
  const key = `${rejectsPrefix}${id}/${crypto.randomUUID()}.csv`
  await storage.write(key, Readable.from(joinRejects(sql, storage, file)), 'text/csv; charset=utf-8')
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

/** The rejects file in the order of the rows, one slice's part in memory at a time. */
async function* joinRejects(sql: Sql, storage: Storage, file: ImportRow): AsyncGenerator<string | Buffer> {
  yield rejectsHeader
  const swaps = await settledSwaps(sql, file.id)
  const winners = new Set(swaps.map(({ row }) => row))
  const losers = new Set(swaps.map(({ displaced }) => displaced))
  const swapped = [...winners, ...losers].sort((a, b) => b - a)
  for (const slice of await listSlices(sql, file.id)) {
    const next = slice.first_row + slice.record_count
    const before = swapped.length
    while (swapped.length > 0 && swapped.at(-1)! < next) swapped.pop()
    if (swapped.length < before) yield* correctedRejects(storage, file, slice, winners, losers)
    else if (slice.rejects_key) yield* await storage.read(slice.rejects_key)
  }
}

/** A slice's skipped rows without those that were given their name back, and with those that gave theirs up. */
async function* correctedRejects(
  storage: Storage,
  file: ImportRow,
  slice: SliceRow,
  winners: Set<number>,
  losers: Set<number>,
): AsyncGenerator<string> {
  const noted = slice.rejects_key ? readRejects(await text(await storage.read(slice.rejects_key))) : []
  const { records, layout } = await readRecords(storage, file, slice)
  const displaced = records.flatMap((record) => {
    if (!losers.has(record.row) || !record.fields) return []
    const profile = readRow(record.fields, layout)
    return isRejection(profile) ? [] : [duplicate(record, profile.name)]
  })
  const rejects = [...noted.filter(({ row }) => !winners.has(row)), ...displaced]
  yield rejects
    .sort((a, b) => a.row - b.row)
    .map(rejectLine)
    .join('')
}

/** What `rejectLine` wrote, as it was. */
function readRejects(csv: string): Reject[] {
  const rows = parse(csv, { record_delimiter: '\r\n' })
  return rows.map(([row, line, reason, column, ...texts]) => {
    const [value = '', detail = '', raw = ''] = texts.map(unescapeFormula)
    return {
      row: Number(row),
      line: Number(line),
      reason: reason as Reason,
      ...(column && { column: column as Column, value }),
      ...(detail && { detail }),
      raw,
    }
  })
}
