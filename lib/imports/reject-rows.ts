import { csvField, csvText, unescapeFormula } from '../platform/csv.ts'
import { withoutInvisible } from '../profiles/names.ts'
import { splitFields } from './fields.ts'
import { allColumns, type Column } from './header.ts'
import type { Reject } from './rejects.ts'
import type { ImportRow } from './store.ts'
import { meantValue } from './values.ts'

/** The first columns of a file of whole skipped rows. An import ignores them. */
const added = ['reject_reason', 'reject_detail']

/** Without the mark Excel takes the file for one of the machine's own encoding and saves its names broken. */
const mark = '\ufeff'

/** Whose numbers may have a decimal comma where the delimiter is none. */
const numbers: readonly Column[] = ['age', 'gender_probability', 'country_probability']
const decimalComma = /^\d*,\d*(?:e-?\d{1,3})?$/i

export type RowsForm = {
  /** What the file begins with. */
  header: string
  line(reject: Reject): string
}

/**
 * How the skipped rows of a file are written to be corrected and imported again: as comma separated UTF-8, under the
 * header of the file, or ours if it was never read, behind two columns with reason and detail.
 */
export function rowsForm({
  header,
  delimiter,
  columns,
  options: { values },
}: Pick<ImportRow, 'header' | 'delimiter' | 'columns' | 'options'>): RowsForm {
  const read = header !== null && delimiter !== null ? splitFields(header, delimiter) : undefined
  const names = read ?? allColumns
  // A file of corrected rows whose rows are skipped again: its reasons give way to the new ones.
  const own = added.every((name, at) => names[at]?.trim().toLowerCase() === name) ? added.length : 0
  const points = new Map(
    delimiter === ',' ? [] : numbers.map((column) => [columns?.columns[column], column] as const),
  )
  const withPoint = (field: string, column: Column | undefined): string => {
    if (!column || !decimalComma.test(withoutInvisible(field))) return field
    // A value of the import's own is looked up as it stands.
    const isOwn = meantValue(column, field, values) !== meantValue(column, field, undefined)
    return isOwn ? field : field.replace(',', '.')
  }
  const fieldsOf = ({ split, text }: Reject): string[] => {
    // A record that cannot be split stays one field, so that it does not go in unless it is corrected. A NUL would
    // cost the whole file.
    if (!split) return text === undefined ? [] : [text.replaceAll('\0', '\ufffd')]
    return split.map((field, at) => withPoint(field, points.get(at))).slice(own)
  }
  return {
    header: `${mark}${line([...added, ...names.slice(own)])}`,
    line: (reject) => line([reject.reason, reject.detail ?? reject.column ?? '', ...fieldsOf(reject)]),
  }
}

/** What the file had escaped already is escaped no further: an import takes off one apostrophe. */
function line(fields: readonly string[]): string {
  return `${fields.map((field) => csvText(unescapeFormula(field))).join(',')}\r\n`
}

/** A line of fields that were read from a file of ours, which are escaped already. */
export function sameLine(fields: readonly string[]): string {
  return `${fields.map(csvField).join(',')}\r\n`
}
