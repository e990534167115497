import { csvText } from '../platform/csv.ts'
import type { SliceRecord } from './records.ts'
import type { Rejection } from './row.ts'

/** A skipped row, as the rejects file lists it. */
export type Reject = Rejection & Pick<SliceRecord, 'row' | 'line' | 'raw'>

export const rejectsHeader = 'row,line,reason,column,value,detail,raw\r\n'

/**
 * One line of the rejects file (RFC 4180). The row number comes first, so that a line can be told by it. What the
 * uploaded file has is escaped against spreadsheets (csvText).
 */
export function rejectLine({ row, line, reason, column, value, detail, raw }: Reject): string {
  return `${row},${line},${reason},${column ?? ''},${csvText(value ?? '')},${csvText(detail ?? '')},${csvText(raw)}\r\n`
}
