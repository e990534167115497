import { arrayLiteral, type Transaction } from '../platform/db.ts'
import type { ImportOptions } from './options.ts'
import type { Failure, SampleRow, UnreadValues } from './report.ts'

/** Rows that are read at once: of imports few, since a header of before may hold 65,000 names. */
const atOnce = { imports: 25, slices: 1000 }

/** What an import holds of a file's own words, outside its profiles. */
export type FileWords = {
  sample: SampleRow[]
  sample_keys: string[]
  ignored_columns: string[]
  failure: Failure | null
  header: string | null
  delimiter: string | null
  hints: string[]
  options: ImportOptions
}

/** The words without what is to go, and how much that was; undefined if nothing is. */
export type Change<T> = (words: T) => { words: T; count: number } | undefined

const fileWords = (tx: Transaction) => tx`
  sample, to_jsonb(sample_keys) as sample_keys, ignored_columns, failure, header, delimiter, hints, options`

/** Changes what imports hold of their files' words, and returns how much. Only those that change are locked. */
export async function changeFileWords(tx: Transaction, change: Change<FileWords>): Promise<number> {
  let count = 0
  const found: string[] = []
  const all = tx<(FileWords & { id: string })[]>`
    select id, ${fileWords(tx)} from imports
    where sample <> '[]' or ignored_columns <> '[]' or failure is not null or header is not null or options <> '{}'`
  for await (const rows of all.cursor(atOnce.imports)) {
    for (const { id, ...words } of rows) if (change(words)) found.push(id)
  }
  for (const id of found.sort()) {
    const [before] = await tx<FileWords[]>`
      select ${fileWords(tx)} from imports where id = ${id} for no key update`
    const changed = before && change(before)
    if (!changed) continue
    const { words } = changed
    count += changed.count
    await tx`
      update imports
      set sample = ${tx.json(words.sample)}, sample_keys = ${arrayLiteral(words.sample_keys)}::text::uuid[],
        ignored_columns = ${tx.json(words.ignored_columns)}, failure = ${words.failure && tx.json(words.failure)},
        header = ${words.header}, hints = ${tx.json(words.hints)}, options = ${tx.json(words.options)}
      where id = ${id}`
  }
  return count
}

/** The same for the values that trials could not read, which each slice holds. */
export async function changeUnread(tx: Transaction, change: Change<UnreadValues>): Promise<number> {
  let count = 0
  type Row = { import_id: string; slice_no: number; unread: UnreadValues }
  const found: Row[] = []
  const all = tx<Row[]>`
    select import_id, slice_no, unread from import_slices where unread is not null`
  for await (const rows of all.cursor(atOnce.slices))
    found.push(...rows.filter(({ unread }) => change(unread)))
  found.sort((a, b) => a.import_id.localeCompare(b.import_id) || a.slice_no - b.slice_no)
  for (const { import_id, slice_no } of found) {
    const [row] = await tx<Pick<Row, 'unread'>[]>`
      select unread from import_slices
      where import_id = ${import_id} and slice_no = ${slice_no} and unread is not null for update`
    const changed = row && change(row.unread)
    if (!changed) continue
    count += changed.count
    await tx`
      update import_slices set unread = ${tx.json(changed.words)}
      where import_id = ${import_id} and slice_no = ${slice_no}`
  }
  return count
}
