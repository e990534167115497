import type postgres from 'postgres'
import { arrayLiteral, type Sql, type Transaction } from '../platform/db.ts'
import type { Encoding } from '../platform/text/decoder.ts'
import { nameKey } from '../profiles/profile.ts'
import type { Layout } from './header.ts'
import type { ImportOptions } from './options.ts'
import type {
  Bounded,
  Failure,
  ImportState,
  ImportSummary,
  ReasonCounts,
  SampleRow,
  UnreadValues,
} from './report.ts'
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
  columns: Pick<Layout, 'width' | 'columns'> | null
  options: ImportOptions
  /** The header record as it was read; null before the scan, and of a file without one. */
  header: string | null
  scan: SplitProgress | null
  /** A trial: everything happens but the writing of profiles. */
  dry_run: boolean
}

/** Where a split that ran out of time goes on. */
export type SplitProgress = {
  state: ScanState
  encoding: Encoding | 'undecided'
  layout: Layout
  /** The header record, base64: its names are decoded once the encoding is known. */
  header: string
  /** The first rows, their bytes base64. Absent where the scan began before they were kept. */
  sample?: { row: number; bytes: string }[]
}

export type NewImport = {
  team_id: string
  created_by: string
  idempotency_key: string | null
  filename: string
  size: number
  expires_in_seconds: number
  dry_run: boolean
  options?: ImportOptions
}

/**
 * Stores a new import awaiting its upload. With an idempotency key that this team used before, the import of
 * that time is returned and `created` is false; `same` then says whether as much was said of it: a trial stays
 * one after it was committed.
 */
export async function createImport(
  sql: Queries,
  values: NewImport,
  objectKey: (id: string) => string,
): Promise<{
  created: boolean
  same: boolean
  id: string
  object_key: string
  state: ImportState
}> {
  const id = crypto.randomUUID()
  const expires = new Date(Date.now() + values.expires_in_seconds * 1000)
  const options = sql.json(values.options ?? {})
  const [created] = await sql`
    insert into imports (id, team_id, created_by, idempotency_key, filename, size, object_key, upload_expires_at,
      dry_run, options)
    values (${id}, ${values.team_id}, ${values.created_by}, ${values.idempotency_key}, ${values.filename},
      ${values.size}, ${objectKey(id)}, ${expires}, ${values.dry_run}, ${options})
    on conflict (team_id, idempotency_key) do nothing
    returning id, object_key, state`
  if (created) return { ...(created as ImportRow), created: true, same: true }
  const [row] = await sql<(Pick<ImportRow, 'id' | 'object_key' | 'state'> & { same: boolean })[]>`
    select id, object_key, state, filename = ${values.filename} and size = ${values.size}
      and (dry_run or trial is not null) = ${values.dry_run} and options = ${options} as same
    from imports where team_id = ${values.team_id} and idempotency_key = ${values.idempotency_key}`
  return { ...row!, created: false }
}

export async function findImport(sql: Queries, id: string): Promise<ImportRow | undefined> {
  const [row] = await sql<ImportRow[]>`
    select id, state, size, object_key, etag, encoding, delimiter, columns, options, header, scan,
      dry_run
    from imports where id = ${id}`
  return row
}

/** Takes an awaited upload into splitting, with the ETag of the object that came. False if it was not awaited. */
export async function startSplitting(sql: Sql, id: string, etag: string): Promise<boolean> {
  const { count } = await sql`
    update imports set state = 'splitting', etag = ${etag}, started_at = now(), touched_at = now()
    where id = ${id} and state = 'awaiting_upload'`
  return count === 1
}

/** Ends an import that cannot go on, with what was learnt of its file. False if it had ended before. */
export async function failImport(sql: Sql, id: string, failure: Failure, learnt?: Learnt): Promise<boolean> {
  const { count } = await sql`
    update imports
    set state = 'failed', failure = ${sql.json(failure)}, finished_at = now(), scan = null
      ${learnt ? sql`, ${learntColumns(sql, learnt)}` : sql``}
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

/** What a scan has learnt of its file. */
export type Learnt = {
  encoding: Encoding
  encoding_guessed: boolean
  layout: Layout | undefined
  /** The header record as it was read. */
  header: string | null
  ignored: Bounded<string>
  sample: SampleRow[]
  hints: string[]
}

/** The last step of a scan: the rest of its slices, what was learnt of the file, and the state inserting. */
export async function finishSplitting(
  sql: Sql,
  id: string,
  from: number | null,
  slices: readonly Slice[],
  learnt: Learnt,
): Promise<boolean> {
  return sql.begin(async (tx) => {
    const { count } = await tx`
      update imports
      set state = 'inserting', scan = null, bytes_scanned = size, slices_total = slices_total + ${slices.length},
        ${learntColumns(tx, learnt)},
        touched_at = now(), resumed = 0,
        attempts = 0
      where id = ${id} and state = 'splitting' and (scan->'state'->>'offset')::bigint is not distinct from ${from}`
    if (count === 0) return false
    await insertSlices(tx, id, slices)
    return true
  })
}

function learntColumns(sql: Queries, learnt: Learnt): postgres.Fragment {
  const { encoding, layout, ignored, sample } = learnt
  return sql`
    encoding = ${encoding}, encoding_guessed = ${learnt.encoding_guessed}, delimiter = ${layout?.delimiter ?? null},
    columns = ${layout ? sql.json({ width: layout.width, columns: layout.columns }) : null},
    header = ${learnt.header}, ignored_columns = ${sql.json(ignored.first)},
    ignored_columns_total = ${ignored.total}, hints = ${sql.json(learnt.hints)}, sample = ${sql.json(sample)},
    sample_keys = ${sampleKeys(sample)}::text::uuid[]`
}

/** The keys of the names in a sample, as a literal of an array. */
function sampleKeys(sample: readonly SampleRow[]): string {
  return arrayLiteral(sample.flatMap(({ name }) => (name === undefined ? [] : [nameKey(name)])))
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
 * Locks a slice for the transaction. `busy` when a twin of this worker holds it; else its state, undefined if the
 * import has left the state inserting (cancelled, say), or is no longer the trial that the worker read.
 */
export async function lockSlice(
  tx: Transaction,
  { id, dry_run }: Pick<ImportRow, 'id' | 'dry_run'>,
  sliceNo: number,
): Promise<'busy' | SliceRow['state'] | undefined> {
  // The import is read once the slice is held: a commit has to take the slice, and comes before or after both.
  // Both are sent at once, a single round trip. Skipping a locked row takes no error, which would end the transaction.
  const [[slice], [file]] = await Promise.all([
    tx<{ state: SliceRow['state'] }[]>`
      select state from import_slices where import_id = ${id} and slice_no = ${sliceNo} for update skip locked`,
    tx<{ open: boolean }[]>`
      select state = 'inserting' and dry_run = ${dry_run} as open from imports where id = ${id}`,
  ])
  if (!slice) return 'busy'
  return file?.open ? slice.state : undefined
}

export type SliceResult = {
  inserted: number
  skipped: number
  reasons: ReasonCounts
  rejects_key: string | null
  /** Of a trial: values that could not be read. */
  unread: UnreadValues | null
}

export async function markSliceDone(
  tx: Transaction,
  importId: string,
  sliceNo: number,
  { inserted, skipped, reasons, rejects_key, unread }: SliceResult,
): Promise<void> {
  await tx`
    update import_slices
    set state = 'done', inserted = ${inserted}, skipped = ${skipped}, reasons = ${tx.json(reasons)},
      rejects_key = ${rejects_key}, unread = ${unread && tx.json(unread)}, error = null
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
export async function startFinishing(sql: Sql, id: string, token: string): Promise<boolean> {
  const { count } = await sql`
    update imports set state = 'finishing', touched_at = now(), finish_token = ${token}
    where id = ${id} and state in ('inserting', 'finishing') and not exists (
      select from import_slices where import_id = ${id} and state = 'pending')`
  return count === 1
}

/**
 * Keeps an import from being ended, reopened or committed by others during the transaction. False if another
 * delivery has taken its end over: its names are then no longer this one's to settle.
 */
export async function holdFinishing(tx: Transaction, id: string, token: string): Promise<boolean> {
  const [row] = await tx`
    select from imports where id = ${id} and state = 'finishing' and finish_token = ${token} for share`
  return row !== undefined
}

/** Ends an import. Answers its final state, or undefined where it had ended before, or another finish took over. */
export async function finishImport(
  sql: Sql,
  id: string,
  rejectsKey: string,
  token: string,
): Promise<'completed' | 'completed_with_failures' | undefined> {
  return sql.begin(async (tx) => {
    const [row] = await tx<{ state: 'completed' | 'completed_with_failures' }[]>`
      update imports
      set rejects_key = ${rejectsKey}, finished_at = now(), state = case when exists (
        select from import_slices where import_id = ${id} and state = 'failed')
        then 'completed_with_failures' else 'completed' end
      where id = ${id} and state = 'finishing' and finish_token = ${token}
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
export async function summarise(
  sql: Queries,
  teamId: string,
  id: string,
): Promise<ImportSummary | undefined> {
  const [row] = await sql<ImportSummary[]>`
    ${summaries(sql, { ranges: 1000, message: 10_000 }, unreadValues(sql))} where i.team_id = ${teamId} and i.id = ${id}`
  return row
}

/**
 * The newest imports of a team, and how many it has. With the first failed ranges and shortened texts only: a page
 * has to stay far below the 6 MB that a Lambda function may return.
 */
export async function listImports(
  sql: Sql,
  teamId: string,
  page: { limit: number; offset: number },
): Promise<{ rows: ImportSummary[]; total: number }> {
  const [count] = await sql<{ total: number }[]>`
    select count(*) as total from imports where team_id = ${teamId}`
  const rows = await sql<ImportSummary[]>`
    ${summaries(sql, { ranges: 20, message: 1000 }, sql`null`)} where i.team_id = ${teamId}
    order by i.created_at desc, i.id desc limit ${page.limit} offset ${page.offset}`
  return { rows, total: count!.total }
}

/** How much of an import is read: failed ranges, and characters of the message of its failure. */
type Bounds = { ranges: number; message: number }

/** Characters of the error of a failed range. */
const errorLength = 300

/** Entries of a list of names, and characters of each. A header may have 65,000 columns. */
const names = { entries: 50, characters: 80 }

/** The first entries of a list of texts, each cut. The others are not even unpacked. */
const shortened = (sql: Queries, list: postgres.Fragment): postgres.Fragment => sql`(
  select coalesce(jsonb_agg(left(entry, ${names.characters}) order by n), '[]')
  from jsonb_array_elements_text(jsonb_path_query_array(${list}, ${`$[0 to ${names.entries - 1}]`}::text::jsonpath))
    with ordinality as each(entry, n))`

/** A failure with its lists and its texts cut, and only what it has of them. */
const failure = (sql: Queries, { message }: Bounds): postgres.Fragment => sql`
  case when i.failure is not null then i.failure
    || jsonb_build_object('message', left(i.failure->>'message', ${message}))
    || case when i.failure ? 'details'
      then jsonb_build_object('details', ${shortened(sql, sql`i.failure->'details'`)}) else '{}' end
    || case when i.failure ? 'header' then jsonb_build_object('header', (i.failure->'header')
      || jsonb_build_object('names', ${shortened(sql, sql`i.failure->'header'->'names'`)})) else '{}' end
  end`

// Sums are taken over the slices at each reading, so that no counter can come to differ from them.
const summaries = (sql: Queries, bounds: Bounds, unread: postgres.Fragment): postgres.Fragment => sql`
  select i.id, i.filename, i.size, i.state, i.dry_run, i.removal_state, i.removed, i.kept_edited,
    ${failure(sql, bounds)} as failure, i.encoding, i.encoding_guessed, i.delimiter,
    ${shortened(sql, sql`i.ignored_columns`)} as ignored_columns,
    coalesce(i.ignored_columns_total, jsonb_array_length(i.ignored_columns)) as ignored_columns_total,
    i.sample, i.hints, i.trial,
    i.bytes_scanned, i.slices_total, i.rejects_key, i.upload_expires_at, i.started_at, i.finished_at,
    s.slices_done, s.total_rows, s.inserted, s.skipped, s.failed_ranges_total, f.failed_ranges, r.reasons,
    ${unread} as unread_values
  from imports i
  cross join lateral (
    select count(*) filter (where state = 'done') as slices_done,
      coalesce(sum(record_count) filter (where state = 'done'), 0) as total_rows,
      coalesce(sum(inserted), 0) as inserted,
      coalesce(sum(skipped), 0) as skipped,
      count(*) filter (where state = 'failed') as failed_ranges_total
    from import_slices where import_id = i.id
  ) s
  cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_object(
      'first_row', first_row, 'last_row', first_row + record_count - 1,
      'error', left(error, ${errorLength})) order by slice_no), '[]') as failed_ranges
    from (
      select slice_no, first_row, record_count, error from import_slices
      where import_id = i.id and state = 'failed' and s.failed_ranges_total > 0
      order by slice_no limit ${bounds.ranges}
    ) failed
  ) f
  cross join lateral (
    select coalesce(jsonb_object_agg(reason, count), '{}') as reasons
    from (
      select reason, sum(count::bigint) as count
      from import_slices, jsonb_each_text(reasons) as each(reason, count)
      where import_id = i.id and count::bigint > 0
      group by reason
    ) sums
  ) r`

/** Values of a column that a report shows. */
const shownValues = 20

/**
 * The most frequent values of each column that could not be read, of a trial that has ended; else null. Not for lists,
 * nor while a client asks every second how far it is: 1,300 slices of nothing but distinct values take seconds.
 */
const unreadValues = (sql: Queries): postgres.Fragment => sql`(
  select jsonb_object_agg(column_name, list)
  from (
    select column_name, jsonb_agg(jsonb_build_object('value', value, 'count', count) order by place) as list
    from (
      select column_name, value, sum(count) as count,
        row_number() over (partition by column_name order by sum(count) desc, value collate "C") as place
      from import_slices, jsonb_each(unread) as of_slice(column_name, list),
        jsonb_to_recordset(list) as one(value text, count bigint)
      where import_id = i.id and i.dry_run and i.finished_at is not null
      group by column_name, value
    ) counted
    where place <= ${shownValues}
    group by column_name
  ) listed)`
