import type { Column } from './header.ts'

/** How values are read: `lenient` also takes words, alpha-3 codes and names of countries, and ages such as 25.0. */
export const accepts = ['strict', 'lenient'] as const
export type Accept = (typeof accepts)[number]

/** For a column of ours: the file's values, each with the value that it means. */
export type ValueMap = Partial<Record<Column, Record<string, string>>>

/** What was said with an import about its file. */
export type ImportOptions = {
  /** A label of the WHATWG Encoding Standard, as its name: `shift_jis`. */
  encoding?: string
  accept?: Accept
  /** For a column of ours the file's name of it. */
  columns?: Partial<Record<Column, string>>
  values?: ValueMap
}
