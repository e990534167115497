import { splitFields } from './fields.ts'
import type { Accept, ValueMap } from './options.ts'

export const requiredColumns = ['name', 'gender', 'age', 'country_id'] as const
export const optionalColumns = ['gender_probability', 'country_probability'] as const
export type Column = (typeof requiredColumns)[number] | (typeof optionalColumns)[number]

export const delimiters = [',', ';', '\t', '|'] as const
export type Delimiter = (typeof delimiters)[number]

/** How the rows of one file are read. */
export type Layout = {
  delimiter: Delimiter
  /** Fields of a row: as many as the header has. */
  width: number
  /** Where each of our columns stands in a row, from 0. */
  columns: Partial<Record<Column, number>>
  /** Whether values are also read that a strict import refuses. */
  accept?: Accept
  /** Further values of the file's, by column of ours, each with the value that it means. */
  values?: ValueMap
}

export type Header = {
  layout: Layout
  /** Required columns that the header lacks. */
  missing: string[]
  /** Columns that are not ours, as the file writes them. */
  ignored: string[]
}

/** Case, blanks round a name, a BOM, and blanks or hyphens for underscores do not matter. */
function columnName(field: string): string {
  return field
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_')
}

/** Reads a header record under one delimiter. A column that comes twice counts once, at its first place. */
export function readHeader(text: string, delimiter: Delimiter): Header {
  const fields = splitFields(text, delimiter) ?? []
  const columns: Partial<Record<Column, number>> = {}
  const ignored: string[] = []
  for (const [position, field] of fields.entries()) {
    const name = columnName(field) as Column
    const ours =
      requiredColumns.some((known) => known === name) || optionalColumns.some((known) => known === name)
    if (ours && columns[name] === undefined) columns[name] = position
    else ignored.push(field.trim())
  }
  const missing = requiredColumns.filter((name) => columns[name] === undefined)
  return { layout: { delimiter, width: fields.length, columns }, missing, ignored }
}
