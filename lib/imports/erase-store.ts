import { inBatches } from '../platform/batches.ts'
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

/** How much was changed of each team. */
export type TeamCounts = Map<string, number>

function add(counts: TeamCounts, teamId: string, count: number): void {
  counts.set(teamId, (counts.get(teamId) ?? 0) + count)
}

const ofTeams = (tx: Transaction, teams: readonly string[]) => tx`
  team_id = any(${arrayLiteral(teams)}::text::uuid[])`

/**
 * Changes what imports of some teams hold of their files' words, and adds to `counts` how much. Only those that
 * change are locked.
 */
export async function changeFileWords(
  tx: Transaction,
  teams: readonly string[],
  counts: TeamCounts,
  change: Change<FileWords>,
): Promise<void> {
  const found: string[] = []
  const all = tx<(FileWords & { id: string })[]>`
    select id, ${fileWords(tx)} from imports
    where ${ofTeams(tx, teams)} and (sample <> '[]' or ignored_columns <> '[]' or failure is not null or header is not null or options <> '{}')`
  for await (const rows of inBatches(tx, atOnce.imports, all)) {
    for (const { id, ...words } of rows) if (change(words)) found.push(id)
  }
  for (const id of found.sort()) {
    const [before] = await tx<(FileWords & { team_id: string })[]>`
      select team_id, ${fileWords(tx)} from imports where id = ${id} for no key update`
    const changed = before && change(before)
    if (!changed) continue
    const { words } = changed
    add(counts, before.team_id, changed.count)
    await tx`
      update imports
      set sample = ${tx.json(words.sample)}, sample_keys = ${arrayLiteral(words.sample_keys)}::text::uuid[],
        ignored_columns = ${tx.json(words.ignored_columns)}, failure = ${words.failure && tx.json(words.failure)},
        header = ${words.header}, hints = ${tx.json(words.hints)}, options = ${tx.json(words.options)}
      where id = ${id}`
  }
}

/** The same for the values that trials could not read, which each slice holds. */
export async function changeUnread(
  tx: Transaction,
  teams: readonly string[],
  counts: TeamCounts,
  change: Change<UnreadValues>,
): Promise<void> {
  type Row = { import_id: string; slice_no: number; unread: UnreadValues; team_id: string }
  const found: Row[] = []
  const all = tx<Row[]>`
    select import_id, slice_no, unread, team_id from import_slices s join imports i on i.id = import_id
    where unread is not null and ${ofTeams(tx, teams)}`
  for await (const rows of inBatches(tx, atOnce.slices, all))
    found.push(...rows.filter(({ unread }) => change(unread)))
  found.sort((a, b) => a.import_id.localeCompare(b.import_id) || a.slice_no - b.slice_no)
  for (const { import_id, slice_no, team_id } of found) {
    const [row] = await tx<Pick<Row, 'unread'>[]>`
      select unread from import_slices
      where import_id = ${import_id} and slice_no = ${slice_no} and unread is not null for update`
    const changed = row && change(row.unread)
    if (!changed) continue
    add(counts, team_id, changed.count)
    await tx`
      update import_slices set unread = ${tx.json(changed.words)}
      where import_id = ${import_id} and slice_no = ${slice_no}`
  }
}

/** In the place of the key of a name that was erased. */
const noName = '00000000-0000-0000-0000-000000000000'

/** Forgets the rows of a name that imports of some teams keep by its key, and adds to `counts` how many. */
export async function forgetNamedRows(
  tx: Transaction,
  teams: readonly string[],
  counts: TeamCounts,
  key: string,
): Promise<void> {
  const theirs = tx`import_id in (select id from imports where ${ofTeams(tx, teams)})`
  // Unsettled rows are no longer to be settled: nobody holds the name any more. Settled ones tell a retry which rows
  // changed places, and need neither name nor profile for it.
  const rows = await tx<{ team_id: string; count: number }[]>`
    with unsettled as (
      delete from import_conflicts where name_key = ${key} and displaced_row is null and ${theirs}
      returning import_id),
    settled as (
      update import_conflicts set name_key = ${noName}, profile = '{}'
      where name_key = ${key} and displaced_row is not null and ${theirs}
      returning import_id),
    trials as (
      delete from import_trial_names where name_key = ${key} and ${theirs} returning import_id)
    select team_id, count(*)::int as count
    from (table unsettled union all table settled union all table trials) gone
    join imports on id = import_id
    group by team_id`
  for (const { team_id, count } of rows) add(counts, team_id, count)
}

/** Teams that have imports. */
export async function importingTeams(tx: Transaction): Promise<string[]> {
  const rows = await tx<{ team_id: string }[]>`select distinct team_id from imports`
  return rows.map(({ team_id }) => team_id)
}
