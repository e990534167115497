import { csvText } from '../platform/csv.ts'
import { rejectsPrefix } from '../platform/names.ts'
import type { Storage } from '../platform/storage.ts'
import type { SliceRecord } from './records.ts'
import type { Rejection } from './row.ts'

/**
 * `report` says of each skipped row what was wrong with it; `rows` has the rows themselves, whole, to be corrected and
 * imported again.
 */
export const rejectForms = ['report', 'rows'] as const
export type RejectForm = (typeof rejectForms)[number]

/** A skipped row. `text` and `split` are undefined where the upload was gone before the row could be read again. */
export type Reject = Rejection &
  Pick<SliceRecord, 'row' | 'raw'> & { line: number | undefined } & Partial<
    Pick<SliceRecord, 'text' | 'split'>
  >

export const rejectsType = 'text/csv; charset=utf-8'

export const rejectsHeader = 'row,line,reason,column,value,detail,raw\r\n'

/**
 * One line of the rejects file (RFC 4180). The row number comes first, so that a line can be told by it. What the
 * uploaded file has is escaped against spreadsheets (csvText).
 */
export function rejectLine({ row, line, reason, column, value, detail, raw }: Reject): string {
  return `${row},${line ?? ''},${reason},${column ?? ''},${csvText(value ?? '')},${csvText(detail ?? '')},${csvText(raw)}\r\n`
}

/** A new key for a whole file of skipped rows, or for the part of one slice. */
export function rejectsKey(importId: string, sliceNo?: number): string {
  const name = sliceNo === undefined ? crypto.randomUUID() : `slices/${sliceNo}-${crypto.randomUUID()}`
  return `${rejectsPrefix}${importId}/${name}.csv`
}

/** Where the same rows stand in a form: the keys that are stored are those of the report. */
export function keyOf(key: string, form: RejectForm): string {
  return form === 'report' ? key : key.replace(/\.csv$/, '.rows.csv')
}

/** Stores lines of skipped rows under the keys of their forms; `rows` only if they can be had. */
export async function storeRejects(
  storage: Storage,
  key: string,
  { report, rows }: { report: string; rows: string | undefined },
): Promise<void> {
  await Promise.all([
    storage.put(keyOf(key, 'report'), report, rejectsType),
    ...(rows === undefined ? [] : [storage.put(keyOf(key, 'rows'), rows, rejectsType)]),
  ])
}
