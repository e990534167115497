import { parse } from 'csv-parse/sync'
import type { Report } from '../../lib/imports/report.ts'
import type { Sql } from '../../lib/platform/db.ts'
import { verifyFacets } from '../../lib/profiles/facets.ts'
import { nameKey } from '../../lib/profiles/profile.ts'
import type { FaultFile, FirstRow } from './files.ts'

/** An import that has ended, with what it was made of and what it left. */
export type EndedImport = { id: string; file: FaultFile; report: Report; rejects: string }

type StoredRow = FirstRow & { import_id: string; name_key: string }

/** Every way in which the table, the reports and the files of skipped rows contradict the files that were uploaded. */
export async function violations(sql: Sql, imports: readonly EndedImport[]): Promise<string[]> {
  const ids = JSON.stringify(imports.map(({ id }) => id))
  const stored = await sql<StoredRow[]>`
    select import_id, name_key, import_row as row, name, gender, age, country_id from profiles
    where import_id in (select value::uuid from jsonb_array_elements_text(${ids}::text::jsonb))`
  const found: string[] = []
  for (const [index, one] of imports.entries()) {
    const rows = stored.filter(({ import_id }) => import_id === one.id)
    for (const problem of [...checkReport(one, rows), ...checkRows(one, rows), ...checkRejects(one, rows)]) {
      found.push(`file ${'ABC'[index]}: ${problem}`)
    }
  }
  found.push(...checkNames(imports, stored))
  const facets = await verifyFacets(sql)
  if (facets.length > 0) {
    found.push(`${facets.length} facets differ, as ${JSON.stringify(facets[0])}`)
  }
  return found
}

function* checkReport({ report, file }: EndedImport, rows: StoredRow[]): Generator<string> {
  const { state, total_rows, inserted, skipped, reasons } = report
  if (state !== 'completed') yield `it ended ${state}`
  if (total_rows !== file.rows) yield `${total_rows} rows reported, ${file.rows} written`
  if (inserted + skipped !== total_rows)
    yield `${inserted} inserted + ${skipped} skipped is not ${total_rows}`
  const sum = Object.values(reasons).reduce((a, b) => a + b, 0)
  if (sum !== skipped) yield `the reasons sum to ${sum}, ${skipped} were skipped`
  if (inserted !== rows.length) yield `${inserted} inserted reported, ${rows.length} in the table`
  const wanted: Record<string, number> = {}
  for (const reason of file.invalid.values()) wanted[reason] = (wanted[reason] ?? 0) + 1
  const { duplicate_name: _, ...others } = reasons
  for (const reason of new Set([...Object.keys(wanted), ...Object.keys(others)])) {
    const counted = (others as Record<string, number>)[reason]
    if (counted !== wanted[reason]) yield `${reason}: ${counted} reported, ${wanted[reason]} written`
  }
}

/** Each row in the table must be the first valid one of its name, as it was written. */
function* checkRows({ file }: EndedImport, rows: StoredRow[]): Generator<string> {
  for (const { import_id: _, name_key, ...row } of rows) {
    const first = file.first.get(name_key)
    if (nameKey(row.name) !== name_key) yield `row ${row.row}: the key is not that of "${row.name}"`
    if (!first) yield `row ${row.row} with "${row.name}" is not in the file`
    else if (first.row !== row.row) yield `"${row.name}" came from row ${row.row}, its first is ${first.row}`
    else if (!sameRow(first, row)) yield `row ${row.row} differs: ${JSON.stringify(row)}`
  }
}

function sameRow(a: FirstRow, b: FirstRow): boolean {
  return a.name === b.name && a.gender === b.gender && a.age === b.age && a.country_id === b.country_id
}

/** The skipped rows are exactly those that are not in the table, each once. */
function* checkRejects({ file, report, rejects }: EndedImport, rows: StoredRow[]): Generator<string> {
  const lines = parse(rejects, { record_delimiter: '\r\n', from: 2 })
  if (lines.length !== report.skipped) yield `${lines.length} skipped rows listed, ${report.skipped} reported`
  const inserted = new Set(rows.map(({ row }) => row))
  const listed = new Set<number>()
  let before = 0
  for (const [number, , reason] of lines) {
    const row = Number(number)
    if (row <= before) yield `row ${row} is listed after row ${before}`
    before = row
    listed.add(row)
    if (inserted.has(row)) yield `row ${row} is listed as skipped and is in the table`
    const wanted = file.invalid.get(row) ?? 'duplicate_name'
    if (reason !== wanted) yield `row ${row} is listed for ${reason}, not ${wanted}`
  }
  for (let row = 1; row <= file.rows; row++) {
    if (!inserted.has(row) && !listed.has(row)) yield `row ${row} is neither in the table nor listed`
  }
}

/** Every name of every file is there once. */
function* checkNames(imports: readonly EndedImport[], stored: readonly StoredRow[]): Generator<string> {
  const counts = new Map<string, number>()
  for (const { name_key } of stored) counts.set(name_key, (counts.get(name_key) ?? 0) + 1)
  for (const [key, count] of counts) if (count > 1) yield `the key ${key} is there ${count} times`
  const names = new Map(imports.flatMap(({ file }) => [...file.first].map(([key, { name }]) => [key, name])))
  for (const [key, name] of names) if (!counts.has(key)) yield `"${name}" is missing`
}
