import type { Sql } from '../platform/db.ts'
import type { Queue } from '../platform/queue.ts'
import { exactly, type Storage } from '../platform/storage.ts'
import { applyFacetDeltas } from '../profiles/facets.ts'
import { nameKey } from '../profiles/profile.ts'
import { SliceBusyError } from './attempt.ts'
import type { Layout } from './header.ts'
import { lostUpload } from './lost-upload.ts'
import { type InsertRow, insertProfiles, insertTrialNames, noteConflicts } from './name-store.ts'
import { readSlice, type SliceRecord } from './records.ts'
import { failPendingSlices } from './recovery-store.ts'
import { rowsForm } from './reject-rows.ts'
import { type Reject, rejectLine, rejectsKey, storeRejects } from './rejects.ts'
import type { ReasonCounts } from './report.ts'
import { isRejection, readRow } from './row.ts'
import {
  findImport,
  findSlice,
  finishOwed,
  type ImportRow,
  lockSlice,
  markSliceDone,
  type SliceRow,
} from './store.ts'
import { countUnread } from './unread.ts'

export type InsertContext = { sql: Sql; storage: Storage; finish: Queue }

export type InsertOutcome =
  | { outcome: 'done'; dry_run: boolean; inserted: number; skipped: number; reasons: ReasonCounts }
  /** `upload_lost`: the file is gone, and with it every slice that had not been read. */
  | { outcome: 'already_done' | 'ignored' | 'upload_lost' }

/** What a slice's records come to before the database is asked which names are free. */
export type ReadResult = { rows: InsertRow[]; records: Map<number, SliceRecord>; rejects: Reject[] }

/**
 * Inserts one slice, exactly once however often it is delivered: its rows, their facets, its counts and its
 * state are one transaction. Rejects with SliceBusyError while a twin is at it.
 */
export async function insertSlice(
  context: InsertContext,
  importId: string,
  sliceNo: number,
): Promise<InsertOutcome> {
  const { sql } = context
  const [file, slice] = await Promise.all([findImport(sql, importId), findSlice(sql, importId, sliceNo)])
  if (!file || !slice) return { outcome: 'ignored' }
  const result =
    file.state === 'inserting' && slice.state === 'pending' && (await insert(context, file, slice))
  // Also when this delivery found the work done: the one that did it may have died before it could say so.
  if (await finishOwed(sql, importId)) await context.finish.send([{ import_id: importId }])
  if (result) return result
  return { outcome: slice.state === 'done' ? 'already_done' : 'ignored' }
}

async function insert(
  { sql, storage }: InsertContext,
  file: ImportRow,
  slice: SliceRow,
): Promise<InsertOutcome | undefined> {
  const read = await readRecords(storage, file, slice).catch(async (error: unknown) => {
    const failure = lostUpload(error)
    if (!failure) throw error
    return (await failPendingSlices(sql, file.id, failure.message)) ? 'lost' : undefined
  })
  if (read === undefined) return undefined
  if (read === 'lost') return { outcome: 'upload_lost' }
  const { rows, records, rejects } = readRows(read)
  const unread = file.dry_run ? countUnread(read) : null
  return sql.begin(async (tx) => {
    const state = await lockSlice(tx, file, slice.slice_no)
    if (state === 'busy') throw new SliceBusyError()
    if (state !== 'pending') return undefined
    const taken = await (file.dry_run ? insertTrialNames : insertProfiles)(tx, file.id, rows)
    const losers = rows.filter(({ row }) => taken.has(row))
    await noteConflicts(tx, file, slice.slice_no, losers)
    const all = [...rejects, ...losers.map(({ row, profile }) => duplicate(records.get(row)!, profile.name))]
    const rejects_key = await writeRejects(storage, file, slice.slice_no, all)
    const counts = { inserted: rows.length - losers.length, skipped: all.length, reasons: countReasons(all) }
    await markSliceDone(tx, file.id, slice.slice_no, { ...counts, rejects_key, unread })
    if (!file.dry_run) {
      const inserted = rows.filter(({ row }) => !taken.has(row))
      await applyFacetDeltas(
        tx,
        inserted.map(({ profile }) => ({ ...profile, delta: 1 })),
      )
    }
    return { outcome: 'done' as const, dry_run: file.dry_run, ...counts }
  })
}

/** The records of a slice as they stand in the uploaded file. */
export async function readRecords(storage: Storage, file: ImportRow, slice: SliceRow): Promise<SliceRead> {
  const { encoding, delimiter, columns, options, etag } = file
  if (!encoding || !delimiter || !columns || !etag) throw new Error('The file has not been scanned')
  const { accept, values } = options
  const layout: Layout = { delimiter, ...columns, ...(accept && { accept }), ...(values && { values }) }
  const range = { start: slice.byte_start, end: slice.byte_end }
  const body = await storage.read(file.object_key, { range, ifMatch: etag })
  try {
    const whole = exactly(body, slice.byte_end - slice.byte_start)
    return { records: await readSlice(whole, slice, layout, encoding), layout }
  } finally {
    body.destroy()
  }
}

export type SliceRead = { records: SliceRecord[]; layout: Layout }

/** Validates records. Of two with one name the first counts, the other is a duplicate. */
export function readRows({ records, layout }: SliceRead): ReadResult {
  const rows = new Map<string, InsertRow>()
  const rejects: Reject[] = []
  const byRow = new Map<number, SliceRecord>()
  for (const record of records) {
    const { fields, broken, detail } = record
    if (!fields || broken) {
      rejects.push({
        ...placeOf(record),
        reason: fields ? 'broken_encoding' : 'malformed_row',
        ...(detail && { detail }),
      })
      continue
    }
    const profile = readRow(fields, layout)
    if (isRejection(profile)) {
      rejects.push({ ...placeOf(record), ...profile })
      continue
    }
    const key = nameKey(profile.name)
    if (rows.has(key)) {
      rejects.push(duplicate(record, profile.name))
      continue
    }
    rows.set(key, { row: record.row, key, profile })
    byRow.set(record.row, record)
  }
  return { rows: [...rows.values()], records: byRow, rejects }
}

/** What a reject keeps of its record. */
function placeOf({ row, line, raw, text, split }: SliceRecord) {
  return { row, line, raw, text, split }
}

export function duplicate(record: SliceRecord, name: string): Reject {
  return { ...placeOf(record), reason: 'duplicate_name', column: 'name', value: name }
}

function countReasons(rejects: readonly Reject[]): ReasonCounts {
  const counts: ReasonCounts = {}
  for (const { reason } of rejects) counts[reason] = (counts[reason] ?? 0) + 1
  return counts
}

/**
 * Stores a slice's skipped rows, in both forms, under keys of this attempt's own: a twin that fails after it cannot
 * overwrite the file that the committed one named. What no commit names expires by the bucket's lifecycle.
 */
export async function writeRejects(
  storage: Storage,
  file: ImportRow,
  sliceNo: number,
  rejects: Reject[],
): Promise<string | null> {
  if (rejects.length === 0) return null
  const key = rejectsKey(file.id, sliceNo)
  const sorted = rejects.toSorted((a, b) => a.row - b.row)
  const report = sorted.map(rejectLine).join('')
  await storeRejects(storage, key, { report, rows: sorted.map(rowsForm(file).line).join('') })
  return key
}
