import { parse } from 'csv-parse/sync'

export type RecordText = {
  text: string
  /** Whether it holds a quote; without one, its fields are what lies between the delimiters. */
  quoted: boolean
}

/**
 * The fields of records that the boundary scan has found well-formed, in order; undefined for one that
 * csv-parse refuses all the same, which is then malformed and costs no other record.
 */
export function fieldsOf(records: readonly RecordText[], delimiter: string): (string[] | undefined)[] {
  const quoted = records.filter((record) => record.quoted)
  const parsed = parseQuoted(quoted, delimiter)
  let next = 0
  return records.map((record) => (record.quoted ? parsed[next++] : record.text.split(delimiter)))
}

/** The fields of one record; undefined where it cannot be read. */
export function splitFields(text: string, delimiter: string): string[] | undefined {
  return fieldsOf([{ text, quoted: text.includes('"') }], delimiter)[0]
}

function parseQuoted(records: readonly RecordText[], delimiter: string): (string[] | undefined)[] {
  if (records.length === 0) return []
  try {
    const rows = parseText(records.map((record) => record.text).join('\n'), delimiter)
    if (rows.length === records.length) return rows
  } catch (error) {
    if (records.length === 1 && isCsvError(error)) return [undefined]
    if (!isCsvError(error)) throw error
  }
  if (records.length === 1) return [undefined]
  // One record is read otherwise by csv-parse than by our scan: halve until it stands alone.
  const half = records.length >> 1
  return [...parseQuoted(records.slice(0, half), delimiter), ...parseQuoted(records.slice(half), delimiter)]
}

function isCsvError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('CSV_')
}

function parseText(text: string, delimiter: string): string[][] {
  return parse(text, {
    delimiter,
    // csv-parse would guess it from the first line end and misread mixed ones.
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    // A quote inside an unquoted field is a character like any other.
    relax_quotes: true,
    ltrim: true,
    rtrim: true,
  })
}
