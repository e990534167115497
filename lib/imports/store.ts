import type postgres from 'postgres'
import { arrayLiteral, type Sql, type Transaction } from '../platform/db.ts'
import type { NewProfile } from '../profiles/profile.ts'
import type { Encoding } from './encoding.ts'
import type { Layout } from './header.ts'
import type { Failure, ImportState, ImportSummary, ReasonCounts } from './report.ts'
import type { ScanState, Slice } from './slices.ts'

type Queries = Sql | Transaction

/** An import as the functions that work on it need it. */
export type ImportRow = {
  id: string
  state: ImportState
  size: number
  object_key: string
  etag: string | null
  encoding: Encoding | null
  delimiter: Layout['delimiter'] | null
  columns: Omit<Layout, 'delimiter'> | null
  scan: SplitProgress | null
  /** A trial: everything happens but the writing of profiles. */
  dry_run: boolean
}

/** Where a split that ran out of time goes on. */
export type SplitProgress = {
  state: ScanState
  encoding: Encoding | 'undecided'
  layout: Layout
  /** The header record, base64: its ignored names are decoded once the encoding is known. */
  header: string
}

export type NewImport = {
  team_id: string
  created_by: string
  idempotency_key: string | null
  filename: string
  size: number
  expires_in_seconds: number
  dry_run: boolean
}

/**
 * Stores a new import awaiting its upload. With an idempotency key that this team used before, the import of
 * that time is answered and `created` is false.
 */
export async function createImport(
  sql: Sql,
  values: NewImport,
  objectKey: (id: string) => string,
): Promise<{
  created: boolean
  id: string
  object_key: string
  filename: string
  size: number
  state: ImportState
  dry_run: boolean
}> {
  const id = crypto.randomUUID()
  const expires = new Date(Date.now() + values.expires_in_seconds * 1000)
  const columns = (queries: Queries) => queries`id, object_key, filename, size, state, dry_run`
  const [created] = await sql`
    insert into imports (id, team_id, created_by, idempotency_key, filename, size, object_key, upload_expires_at,
      dry_run)
    values (${id}, ${values.team_id}, ${values.created_by}, ${values.idempotency_key}, ${values.filename},
      ${values.size}, ${objectKey(id)}, ${expires}, ${values.dry_run})
    on conflict (team_id, idempotency_key) do nothing
    returning ${columns(sql)}`
  const [row] = created
    ? [created]
    : await sql`
        select ${columns(sql)} from imports
        where team_id = ${values.team_id} and idempotency_key = ${values.idempotency_key}`
  return { ...(row as ImportRow & { filename: string }), created: created !== undefined }
}

export async function findImport(sql: Queries, id: string): Promise<ImportRow | undefined> {
  const [row] = await sql<ImportRow[]>`
    select id, state, size, object_key, etag, encoding, delimiter, columns, scan, dry_run from imports where id = ${id}`
  return row
}

/** Takes an awaited upload into splitting, with the ETag of the object that came. False if it was not awaited. */
export async function startSplitting(sql: Sql, id: string, etag: string): Promise<boolean> {
  const { count } = await sql`
    update imports set state = 'splitting', etag = ${etag}, started_at = now(), touched_at = now()
    where id = ${id} and state = 'awaiting_upload'`
  return count === 1
}

/** Ends an import that cannot go on. False if it had ended before. */
export async function failImport(sql: Sql, id: string, failure: Failure): Promise<boolean> {
  const { count } = await sql`
    update imports set state = 'failed', failure = ${sql.json(failure)}, finished_at = now(), scan = null
    where id = ${id} and state in ('awaiting_upload', 'splitting')`
  return count === 1
}

/**
 * Stores slices that a scan found and where it stands now. False, and nothing stored, where another scan of
 * the same file has come further: `from` is the offset this scan last stored, null for none.
 */
export async function storeSlices(
  sql: Sql,
  id: string,
  from: number | null,
  slices: readonly Slice[],
  progress: SplitProgress,
): Promise<boolean> {
  return sql.begin(async (tx) => {
    const { count } = await tx`
      update imports
      set scan = ${tx.json(progress)}, bytes_scanned = ${progress.state.offset},
        slices_total = slices_total + ${slices.length}, touched_at = now(), resumed = 0, attempts = 0
      where id = ${id} and state = 'splitting' and (scan->'state'->>'offset')::bigint is not distinct from ${from}`
    if (count === 0) return false
    await insertSlices(tx, id, slices)
    return true
  })
}

/** The last step of a scan: the rest of its slices, what was learnt of the file, and the state inserting. */
export async function finishSplitting(
  sql: Sql,
  id: string,
  from: number | null,
  slices: readonly Slice[],
  learnt: { encoding: Encoding; layout: Layout | undefined; ignored: string[] },
): Promise<boolean> {
  const { encoding, layout, ignored } = learnt
  return sql.begin(async (tx) => {
    const { count } = await tx`
      update imports
      set state = 'inserting', scan = null, bytes_scanned = size, slices_total = slices_total + ${slices.length},
        encoding = ${encoding}, delimiter = ${layout?.delimiter ?? null},
        columns = ${layout ? tx.json({ width: layout.width, columns: layout.columns }) : null},
        ignored_columns = ${tx.json(ignored)}, touched_at = now(), resumed = 0, attempts = 0
      where id = ${id} and state = 'splitting' and (scan->'state'->>'offset')::bigint is not distinct from ${from}`
    if (count === 0) return false
    await insertSlices(tx, id, slices)
    return true
  })
}

async function insertSlices(tx: Transaction, id: string, slices: readonly Slice[]): Promise<void> {
  if (slices.length === 0) return
  await tx`
    insert into import_slices (import_id, slice_no, byte_start, byte_end, first_row, first_line, record_count)
    select ${id}, slice_no, byte_start, byte_end, first_row, first_line, record_count
    from json_to_recordset(${JSON.stringify(slices)}::text::json) as slice(
      slice_no integer, byte_start bigint, byte_end bigint, first_row integer, first_line integer,
      record_count integer)`
}

/** Numbers of the slices that no worker has finished, in order. */
export async function pendingSlices(sql: Queries, id: string): Promise<number[]> {
  const rows = await sql<{ slice_no: number }[]>`
    select slice_no from import_slices where import_id = ${id} and state = 'pending' order by slice_no`
  return rows.map(({ slice_no }) => slice_no)
}

export type SliceRow = Slice & {
  state: 'pending' | 'done' | 'failed' | 'cancelled'
  rejects_key: string | null
}

const sliceColumns = (sql: Queries): postgres.Fragment =>
  sql`slice_no, byte_start, byte_end, first_row, first_line, record_count, state, rejects_key`

export async function findSlice(sql: Queries, id: string, sliceNo: number): Promise<SliceRow | undefined> {
  const [row] = await sql<SliceRow[]>`
    select ${sliceColumns(sql)} from import_slices where import_id = ${id} and slice_no = ${sliceNo}`
  return row
}

/** The slices in the order of the file. */
export async function listSlices(sql: Queries, id: string): Promise<SliceRow[]> {
  return sql<SliceRow[]>`
    select ${sliceColumns(sql)} from import_slices where import_id = ${id} order by slice_no`
}

/**
 * Locks a slice for the transaction. `busy` when a twin of this worker holds it; else its state, undefined
 * where the import has left the state inserting (cancelled, say).
 */
export async function lockSlice(
  tx: Transaction,
  id: string,
  sliceNo: number,
): Promise<'busy' | SliceRow['state'] | undefined> {
  // Skipping a locked row takes no error, which would end the transaction.
  const [row] = await tx<{ state: SliceRow['state']; open: boolean }[]>`
    select s.state, i.state = 'inserting' as open
    from import_slices s join imports i on i.id = s.import_id
    where s.import_id = ${id} and s.slice_no = ${sliceNo}
    for update of s skip locked`
  if (!row) return 'busy'
  return row.open ? row.state : undefined
}

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
const holders = (sql: Queries, { dry_run }: Pick<ImportRow, 'dry_run'>): postgres.Fragment =>
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

export type SliceResult = {
  inserted: number
  skipped: number
  reasons: ReasonCounts
  rejects_key: string | null
}

export async function markSliceDone(
  tx: Transaction,
  importId: string,
  sliceNo: number,
  { inserted, skipped, reasons, rejects_key }: SliceResult,
): Promise<void> {
  await tx`
    update import_slices
    set state = 'done', inserted = ${inserted}, skipped = ${skipped}, reasons = ${tx.json(reasons)},
      rejects_key = ${rejects_key}, error = null
    where import_id = ${importId} and slice_no = ${sliceNo}`
}

/** Whether every slice has ended and the report is still to be made. */
export async function finishOwed(sql: Queries, id: string): Promise<boolean> {
  const [row] = await sql<{ owed: boolean }[]>`
    select state in ('inserting', 'finishing') and not exists (
      select from import_slices where import_id = ${id} and state = 'pending') as owed
    from imports where id = ${id}`
  return row?.owed ?? false
}

/** Takes an import whose slices have all ended into finishing. False where nothing is owed. */
export async function startFinishing(sql: Sql, id: string): Promise<boolean> {
  const { count } = await sql`
    update imports set state = 'finishing', touched_at = now()
    where id = ${id} and state in ('inserting', 'finishing') and not exists (
      select from import_slices where import_id = ${id} and state = 'pending')`
  return count === 1
}

/** Ends an import. Answers its final state, or undefined where it had ended before. */
export async function finishImport(
  sql: Sql,
  id: string,
  rejectsKey: string,
): Promise<'completed' | 'completed_with_failures' | undefined> {
  return sql.begin(async (tx) => {
    const [row] = await tx<{ state: 'completed' | 'completed_with_failures' }[]>`
      update imports
      set rejects_key = ${rejectsKey}, finished_at = now(), state = case when exists (
        select from import_slices where import_id = ${id} and state = 'failed')
        then 'completed_with_failures' else 'completed' end
      where id = ${id} and state = 'finishing'
      returning state`
    // With failures a retry may bring rows that come before the ones settled here.
    if (row?.state !== 'completed') return row?.state
    // Rows that were given their name back stay noted: a retry of failed slices writes the rejects file anew.
    await tx`delete from import_conflicts where import_id = ${id} and displaced_row = 0`
    await tx`delete from import_trial_names where import_id = ${id}`
    return row.state
  })
}

/** An import of a team with its slices summed up; undefined where the team has no such import. */
export async function summarise(sql: Sql, teamId: string, id: string): Promise<ImportSummary | undefined> {
  const [row] = await sql<ImportSummary[]>`${summaries(sql)} where i.team_id = ${teamId} and i.id = ${id}`
  return row
}

/** The newest imports of a team, and how many it has. */
export async function listImports(
  sql: Sql,
  teamId: string,
  page: { limit: number; offset: number },
): Promise<{ rows: ImportSummary[]; total: number }> {
  const [count] = await sql<{ total: number }[]>`
    select count(*) as total from imports where team_id = ${teamId}`
  const rows = await sql<ImportSummary[]>`
    ${summaries(sql)} where i.team_id = ${teamId}
    order by i.created_at desc, i.id desc limit ${page.limit} offset ${page.offset}`
  return { rows, total: count!.total }
}

// Sums are taken over the slices at each reading, so that no counter can come to differ from them.
const summaries = (sql: Sql): postgres.Fragment => sql`
  select i.id, i.filename, i.size, i.state, i.dry_run, i.removal_state, i.removed, i.failure, i.encoding, i.delimiter, i.ignored_columns,
    i.bytes_scanned, i.slices_total, i.rejects_key, i.upload_expires_at, i.started_at, i.finished_at,
    s.slices_done, s.total_rows, s.inserted, s.skipped, s.failed_ranges, r.reasons
  from imports i
  cross join lateral (
    select count(*) filter (where state = 'done') as slices_done,
      coalesce(sum(record_count) filter (where state = 'done'), 0) as total_rows,
      coalesce(sum(inserted), 0) as inserted,
      coalesce(sum(skipped), 0) as skipped,
      coalesce(jsonb_agg(jsonb_build_object(
        'first_row', first_row, 'last_row', first_row + record_count - 1, 'error', error)
        order by slice_no) filter (where state = 'failed'), '[]') as failed_ranges
    from import_slices where import_id = i.id
  ) s
  cross join lateral (
    select coalesce(jsonb_object_agg(reason, count), '{}') as reasons
    from (
      select reason, sum(count::bigint) as count
      from import_slices, jsonb_each_text(reasons) as each(reason, count)
      where import_id = i.id and count::bigint > 0
      group by reason
    ) sums
  ) r`

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

/** Locks those of the named profiles that rows of this import hold: any other was deleted and made anew. */
export async function lockNames(tx: Transaction, id: string, keys: readonly string[]): Promise<HeldName[]> {
  return tx<HeldName[]>`
    select name_key, import_row, country_id, gender, age from profiles
    where import_id = ${id} and name_key = any(${arrayLiteral(keys)}::text::uuid[])
    order by name_key for update`
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
export async function settledSwaps(sql: Queries, id: string): Promise<{ row: number; displaced: number }[]> {
  return sql<{ row: number; displaced: number }[]>`
    select row_no as row, displaced_row as displaced from import_conflicts
    where import_id = ${id} and displaced_row > 0`
}
