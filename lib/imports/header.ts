import { unescapeFormula } from '../platform/csv.ts'
import { foldName, withoutInvisible } from '../profiles/names.ts'
import { splitFields } from './fields.ts'
import type { Accept, ImportOptions, ValueMap } from './options.ts'

export const requiredColumns = ['name', 'gender', 'age', 'country_id'] as const
export const optionalColumns = ['gender_probability', 'country_probability'] as const
export const allColumns = [...requiredColumns, ...optionalColumns] as const
export type Column = (typeof allColumns)[number]

/** Those that are looked for in a header; an Excel `sep=` line may name another. */
export const delimiters = [',', ';', '\t', '|'] as const
/** One character of ASCII. */
export type Delimiter = string

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
  /** Columns that the header lacks: ours that are required, and those that `columns` names, as the file should. */
  missing: string[]
  /** The names as the file writes them, trimmed. */
  names: string[]
  /** Those that are not ours. */
  ignored: string[]
}

/**
 * The form in which names of columns are compared: case, the form of a letter, invisible characters, byte order
 * marks, the apostrophe of an export, and white space or dashes for underscores do not matter.
 */
export function columnName(field: string): string {
  return foldName(unescapeFormula(withoutInvisible(field))).replace(/[\s\p{Pd}]+/gu, '_')
}

/**
 * Reads a header record under one delimiter. A column that comes twice counts once, at its first place. Where
 * `mapped` names the column that holds one of ours, no other is taken for it.
 */
export function readHeader(
  text: string,
  delimiter: Delimiter,
  mapped: ImportOptions['columns'] = {},
): Header {
  // A file of skipped rows escapes names of columns as it does values.
  const names = splitFields(text, delimiter).map((name) => unescapeFormula(withoutInvisible(name)))
  const wanted = new Map<string, Column>()
  const isMapped = (column: Column) => mapped[column] !== undefined
  // Those that are mapped last: a header may be mapped to one of ours and bear the name of another.
  for (const column of allColumns.toSorted((a, b) => Number(isMapped(a)) - Number(isMapped(b)))) {
    wanted.set(columnName(mapped[column] ?? column), column)
  }
  const columns: Partial<Record<Column, number>> = {}
  const ignored: string[] = []
  for (const [position, name] of names.entries()) {
    const column = wanted.get(columnName(name))
    if (column && columns[column] === undefined) columns[column] = position
    else ignored.push(name)
  }
  const missing = allColumns.flatMap((column) => {
    const needed = isMapped(column) || requiredColumns.some((required) => required === column)
    return needed && columns[column] === undefined ? [mapped[column] ?? column] : []
  })
  return { layout: { delimiter, width: names.length, columns }, missing, names, ignored }
}
