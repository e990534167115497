import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { parse } from 'csv-parse/sync'
import type { Sql } from '../platform/db.ts'
import { isInsightaError } from '../platform/errors.ts'
import { logger } from '../platform/log.ts'
import type { Storage } from '../platform/storage.ts'
import { duplicate, readRecords } from './insert.ts'
import { lostUpload } from './lost-upload.ts'
import { settledSwaps } from './name-store.ts'
import { type RowsForm, rowsForm, sameLine } from './reject-rows.ts'
import {
  keyOf,
  type Reject,
  type RejectForm,
  rejectLine,
  rejectsHeader,
  rejectsKey,
  rejectsType,
  storeRejects,
} from './rejects.ts'
import { isRejection, readRow } from './row.ts'
import { type ImportRow, listSlices, type SliceRow } from './store.ts'

type Context = { sql: Sql; storage: Storage }

/**
 * Joins the parts of the slices to the two files of skipped rows, in the order of the rows, with one slice's part in
 * memory at a time. Returns the key of the report.
 */
export async function joinRejects(context: Context, file: ImportRow): Promise<string> {
  const { storage } = context
  const form = rowsForm(file)
  const parts = await currentParts(context, file, form)
  // A key of this delivery's own: a twin that comes late must not write over the file that the report names.
  const key = rejectsKey(file.id)
  const write = (form: RejectForm, header: string) =>
    storage.write(keyOf(key, form), Readable.from(join(storage, header, parts, form)), rejectsType)
  const written = await Promise.allSettled([
    write('report', rejectsHeader),
    write('rows', form.header).catch((error: unknown) => {
      // The release before worked on a slice of this import, and wrote no whole rows.
      if (!isMissing(error)) throw error
      logger.warn('The skipped rows of an import cannot be had whole', { correlation_id: file.id })
    }),
  ])
  for (const outcome of written) if (outcome.status === 'rejected') throw outcome.reason
  return key
}

async function* join(
  storage: Storage,
  header: string,
  parts: readonly string[],
  form: RejectForm,
): AsyncGenerator<string | Buffer> {
  yield header
  for (const part of parts) yield* await storage.read(keyOf(part, form))
}

const isMissing = (error: unknown) => isInsightaError(error) && error.code === 'object_missing'

/** The keys of the slices' parts in order; of a slice with rows that changed places that of a new part. */
async function currentParts({ sql, storage }: Context, file: ImportRow, form: RowsForm): Promise<string[]> {
  const swaps = await settledSwaps(sql, file.id)
  const winners = new Set(swaps.map(({ row }) => row))
  const losers = new Set(swaps.map(({ displaced }) => displaced))
  const swapped = [...winners, ...losers].sort((a, b) => b - a)
  const parts: string[] = []
  for (const slice of await listSlices(sql, file.id)) {
    const next = slice.first_row + slice.record_count
    const before = swapped.length
    while (swapped.length > 0 && swapped.at(-1)! < next) swapped.pop()
    if (swapped.length === before) {
      if (slice.rejects_key) parts.push(slice.rejects_key)
      continue
    }
    const kept = await keptLines(storage, slice, winners)
    const displaced = await displacedRejects(storage, file, slice, losers)
    const lines = [
      ...kept,
      ...displaced.map((one) => ({ row: one.row, report: rejectLine(one), rows: form.line(one) })),
    ].sort((a, b) => a.row - b.row)
    if (lines.length === 0) continue
    const part = rejectsKey(file.id, slice.slice_no)
    await storeRejects(storage, part, {
      report: lines.map(({ report }) => report).join(''),
      rows: lines.some(({ rows }) => rows === undefined) ? undefined : lines.map(({ rows }) => rows).join(''),
    })
    parts.push(part)
  }
  return parts
}

type Line = { row: number; report: string; rows: string | undefined }

/** A slice's skipped rows without those that were given their name back. Both forms list the same rows. */
async function keptLines(storage: Storage, slice: SliceRow, winners: Set<number>): Promise<Line[]> {
  if (!slice.rejects_key) return []
  const [report, rows] = await Promise.all([
    readPart(storage, keyOf(slice.rejects_key, 'report')),
    readPart(storage, keyOf(slice.rejects_key, 'rows')).catch((error: unknown) => {
      if (isMissing(error)) return []
      throw error
    }),
  ])
  return report.flatMap((fields, at) => {
    const row = Number(fields[0])
    const whole = rows[at]
    return winners.has(row) ? [] : [{ row, report: sameLine(fields), rows: whole && sameLine(whole) }]
  })
}

async function readPart(storage: Storage, key: string): Promise<string[][]> {
  return parse(await text(await storage.read(key)), { record_delimiter: '\r\n', relax_column_count: true })
}

/** The rows of a slice that gave their name up to an earlier one. Of an upload that is gone only their numbers. */
async function displacedRejects(
  storage: Storage,
  file: ImportRow,
  slice: SliceRow,
  losers: Set<number>,
): Promise<Reject[]> {
  try {
    const { records, layout } = await readRecords(storage, file, slice)
    return records.flatMap((record) => {
      if (!losers.has(record.row) || !record.fields) return []
      const profile = readRow(record.fields, layout)
      return isRejection(profile) ? [] : [duplicate(record, profile.name)]
    })
  } catch (error) {
    if (!lostUpload(error)) throw error
    const next = slice.first_row + slice.record_count
    const here = [...losers].filter((row) => row >= slice.first_row && row < next)
    const detail = 'The upload was gone before this row could be listed'
    return here.map((row) => ({
      row,
      line: undefined,
      reason: 'duplicate_name',
      column: 'name',
      detail,
      raw: '',
    }))
  }
}
