import type postgres from 'postgres'
import { arrayLiteral, type Sql, type Transaction } from '../platform/db.ts'
import { editedAmong } from '../profiles/edit-store.ts'
import { type NewProfile, nameKey } from '../profiles/profile.ts'
import type { MovedKey } from '../profiles/rekey.ts'
import type { ImportRow } from './store.ts'

/*
 * Names: which row of a file holds one, which rows lost one, and giving it to the row that came first. For a
 * trial they are noted in import_trial_names instead of being taken in profiles.
 */

export type InsertRow = { row: number; key: string; profile: NewProfile }

/**
 * Inserts profiles whose names are free, in the order of their keys, which keeps workers beside each other
 * from deadlocks. Answers the numbers of the rows that found their name taken. Ids follow the file's order.
 */
export async function insertProfiles(
  tx: Transaction,
  importId: string,
  rows: readonly InsertRow[],
): Promise<Set<number>> {
  if (rows.length === 0) return new Set()
  const list = <T extends string | number | null>(value: (row: InsertRow) => T) =>
    arrayLiteral(rows.map(value))
  const taken = await tx<{ row: number }[]>`
    with input as materialized (
      select uuidv7() as id, *
      from unnest(
        ${list((r) => r.row)}::text::integer[],
        ${list((r) => r.key)}::text::uuid[],
        ${list((r) => r.profile.name)}::text::text[],
        ${list((r) => r.profile.gender)}::text::text[],
        ${list((r) => r.profile.gender_probability)}::text::double precision[],
        ${list((r) => r.profile.age)}::text::smallint[],
        ${list((r) => r.profile.country_id)}::text::char(2)[],
        ${list((r) => r.profile.country_probability)}::text::double precision[]
      ) as t(row, name_key, name, gender, gender_probability, age, country_id, country_probability)
    ), stored as (
      insert into profiles (id, name_key, import_id, import_row, name, gender, gender_probability, age,
        country_id, country_probability)
      select id, name_key, ${importId}, row, name, gender, gender_probability, age, country_id,
        country_probability
      from input order by name_key
      on conflict (name_key) do nothing
      returning import_row
    )
    select row from input where not exists (select from stored where stored.import_row = input.row)`
  return new Set(taken.map(({ row }) => row))
}

/**
 * The same for a trial: notes the names that rows would take, and answers the numbers of the rows whose name
 * a profile or another row of the file has.
 */
export async function insertTrialNames(
  tx: Transaction,
  importId: string,
  rows: readonly InsertRow[],
): Promise<Set<number>> {
  if (rows.length === 0) return new Set()
  const taken = await tx<{ row: number }[]>`
    with input as materialized (
      select * from unnest(
        ${arrayLiteral(rows.map((r) => r.row))}::text::integer[],
        ${arrayLiteral(rows.map((r) => r.key))}::text::uuid[]
      ) as t(row, name_key)
    ), stored as (
      insert into import_trial_names (import_id, name_key, import_row)
      select ${importId}, name_key, row from input
      -- A scalar subquery stays a probe of the index for each row; a join may choose to scan all profiles.
      where (select true from profiles p where p.name_key = input.name_key) is null
      order by name_key
      on conflict (import_id, name_key) do nothing
      returning import_row
    )
    select row from input where not exists (select from stored where stored.import_row = input.row)`
  return new Set(taken.map(({ row }) => row))
}

/** Where the rows of an import hold their names: the profiles, or a trial's notes. */
const holders = (sql: Transaction, { dry_run }: Pick<ImportRow, 'dry_run'>): postgres.Fragment =>
  dry_run ? sql`import_trial_names` : sql`profiles`

/**
 * Of rows that found their name taken, notes those that lost it to a later row of the same file, whose slice
 * was only quicker: finishing gives them their name back.
 */
export async function noteConflicts(
  tx: Transaction,
  file: ImportRow,
  sliceNo: number,
  rows: readonly InsertRow[],
): Promise<void> {
  if (rows.length === 0) return
  const values = rows.map(({ row, key, profile }) => ({ row_no: row, name_key: key, profile }))
  await tx`
    insert into import_conflicts (import_id, row_no, slice_no, name_key, profile)
    select ${file.id}, c.row_no, ${sliceNo}, c.name_key, c.profile
    from json_to_recordset(${JSON.stringify(values)}::text::json)
      as c(row_no integer, name_key uuid, profile jsonb)
    join ${holders(tx, file)} h on h.name_key = c.name_key and h.import_id = ${file.id} and h.import_row > c.row_no`
}

/** The earliest of the rows that lost one name, with the profile it holds. */
export type Conflict = { row_no: number; slice_no: number; name_key: string; profile: NewProfile }

/** Up to `limit` names whose conflicts are unsettled, in key order: of each the row that comes first in the file. */
export async function unsettledConflicts(tx: Transaction, id: string, limit: number): Promise<Conflict[]> {
  return tx<Conflict[]>`
    select distinct on (name_key) row_no, slice_no, name_key, profile from import_conflicts
    where import_id = ${id} and displaced_row is null
    order by name_key, row_no limit ${limit}`
}

export type HeldName = Pick<NewProfile, 'country_id' | 'gender' | 'age'> & {
  name_key: string
  import_row: number
}

/**
 * Locks those of the named profiles that rows of this import hold: any other was deleted and made anew. Of one
 * that was edited since, what a person wrote stays.
 */
export async function lockNames(tx: Transaction, id: string, keys: readonly string[]): Promise<HeldName[]> {
  const held = await tx<(HeldName & { id: string })[]>`
    select id, name_key, import_row, country_id, gender, age from profiles
    where import_id = ${id} and name_key = any(${arrayLiteral(keys)}::text::uuid[])
    order by name_key for update`
  const edited = await editedAmong(
    tx,
    held.map((row) => row.id),
  )
  return held.filter((row) => !edited.has(row.id))
}

/** Gives each name to the row that came first in the file. The profile keeps its id. */
export async function replaceProfiles(tx: Transaction, winners: readonly Conflict[]): Promise<void> {
  if (winners.length === 0) return
  const values = winners.map(({ row_no, name_key, profile }) => ({ row_no, name_key, ...profile }))
  await tx`
    update profiles p
    set import_row = w.row_no, name = w.name, gender = w.gender, gender_probability = w.gender_probability,
      age = w.age, country_id = w.country_id, country_probability = w.country_probability
    from json_to_recordset(${JSON.stringify(values)}::text::json) as w(
      row_no integer, name_key uuid, name text, gender text, gender_probability double precision,
      age smallint, country_id char(2), country_probability double precision)
    where p.name_key = w.name_key`
}

/** The same two for a trial: which rows hold the names, and giving them to others. */
export async function lockTrialNames(
  tx: Transaction,
  id: string,
  keys: readonly string[],
): Promise<Pick<HeldName, 'name_key' | 'import_row'>[]> {
  return tx<Pick<HeldName, 'name_key' | 'import_row'>[]>`
    select name_key, import_row from import_trial_names
    where import_id = ${id} and name_key = any(${arrayLiteral(keys)}::text::uuid[])
    order by name_key for update`
}

export async function replaceTrialNames(
  tx: Transaction,
  id: string,
  winners: readonly Conflict[],
): Promise<void> {
  if (winners.length === 0) return
  const values = winners.map(({ row_no, name_key }) => ({ row_no, name_key }))
  await tx`
    update import_trial_names t set import_row = w.row_no
    from json_to_recordset(${JSON.stringify(values)}::text::json) as w(row_no integer, name_key uuid)
    where t.import_id = ${id} and t.name_key = w.name_key`
}

/** Settles every conflict over the names: `displaced` is the row that gave its name up, 0 where none did. */
export async function markSettled(
  tx: Transaction,
  id: string,
  names: readonly { name_key: string; row_no: number; displaced: number }[],
): Promise<void> {
  await tx`
    update import_conflicts c
    set displaced_row = case when c.row_no = n.row_no then n.displaced else 0 end
    from json_to_recordset(${JSON.stringify(names)}::text::json)
      as n(name_key uuid, row_no integer, displaced integer)
    where c.import_id = ${id} and c.name_key = n.name_key and c.displaced_row is null`
}

/** Moves rows between inserted and duplicate in their slices' counts: a positive change inserts. */
export async function moveCounts(
  tx: Transaction,
  id: string,
  changes: readonly { row: number; change: 1 | -1 }[],
): Promise<void> {
  if (changes.length === 0) return
  await tx`
    with moved as (
      select s.slice_no, sum(c.change)::integer as change
      from json_to_recordset(${JSON.stringify(changes)}::text::json) as c(row integer, change integer)
      join import_slices s on s.import_id = ${id}
        and c.row >= s.first_row and c.row < s.first_row + s.record_count
      group by s.slice_no
    )
    update import_slices s
    set inserted = s.inserted + m.change, skipped = s.skipped - m.change,
      reasons = case coalesce((s.reasons->>'duplicate_name')::integer, 0) - m.change
        when 0 then s.reasons - 'duplicate_name'
        else s.reasons || jsonb_build_object('duplicate_name',
          coalesce((s.reasons->>'duplicate_name')::integer, 0) - m.change) end
    from moved m
    where s.import_id = ${id} and s.slice_no = m.slice_no and m.change <> 0`
}

/** Rows that were given their name back, each with the row that gave it up. */
export async function settledSwaps(sql: Sql, id: string): Promise<{ row: number; displaced: number }[]> {
  return sql<{ row: number; displaced: number }[]>`
    select row_no as row, displaced_row as displaced from import_conflicts
    where import_id = ${id} and displaced_row > 0`
}

/**
 * Takes unsettled conflicts over keys that changed along, each to the key of its own name: finishing looks for the
 * row that holds the name under it.
 */
export async function moveConflicts(tx: Transaction, keys: readonly MovedKey[]): Promise<void> {
  if (keys.length === 0) return
  const rows = await tx<{ import_id: string; row_no: number; name: string }[]>`
    select c.import_id, c.row_no, c.profile->>'name' as name
    from json_to_recordset(${JSON.stringify(keys)}::text::json) as k(import_id uuid, "from" uuid)
    join import_conflicts c on c.import_id = k.import_id and c.name_key = k."from"
    where c.displaced_row is null`
  if (rows.length === 0) return
  const values = rows.map(({ name, ...row }) => ({ ...row, name_key: nameKey(name) }))
  await tx`
    update import_conflicts c set name_key = n.name_key
    from json_to_recordset(${JSON.stringify(values)}::text::json)
      as n(import_id uuid, row_no integer, name_key uuid)
    where c.import_id = n.import_id and c.row_no = n.row_no`
}
