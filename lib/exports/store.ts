import type postgres from 'postgres'
import type { Sql, Transaction } from '../platform/db.ts'
import { ConflictError } from '../platform/errors.ts'
import type { FailureCause, WorkFailure } from '../platform/failures.ts'
import { exportRetentionDays } from '../platform/names.ts'
import type { Filter } from '../profiles/filter.ts'
import type { Sort } from '../profiles/page.ts'
import type { FileForm } from './format.ts'
import { type ExportRequest, requestKey } from './request.ts'

type Queries = Sql | Transaction

/** Why an export has no file. */
export type Failure = { code: string; message: string }

export type ExportRow = FileForm & {
  id: string
  state: 'queued' | 'running' | 'completed' | 'failed'
  filter: Filter
  sort_by: Sort['by']
  sort_order: Sort['order']
  rows_done: number
  rows_total: number
  file_key: string | null
  size: number | null
  failure: Failure | null
  created_at: Date
  started_at: Date | null
  finished_at: Date | null
  expires_at: Date | null
}

const columns = (sql: Queries): postgres.Fragment => sql`
  id, state, format, case when gzip then 'gzip' else 'none' end as compression, bom, filter, sort_by, sort_order,
  rows_done, rows_total, file_key, size, failure, created_at, started_at, finished_at, expires_at`

/** Exports of one team that wait or are written at the most: two are written at a time, of all teams. */
export const openExports = 10

/** Attempts at one export; what fails so often fails for good. */
export const maxAttempts = 5

/**
 * A queued export of the request, or one of the team that is there already and no older than this call: it has
 * not begun yet, or the data is still that of its file. With an idempotency key that the team used before it is
 * the export of that time. Throws ConflictError if that was another request, or if the team has too many open.
 */
export async function createExport(
  sql: Sql,
  owner: { teamId: string; keyId: string },
  request: ExportRequest,
  matches: number,
  idempotencyKey: string | null = null,
): Promise<{ row: ExportRow; created: boolean }> {
  return sql.begin(async (tx) => {
    // One of a team at a time, so that two equal requests are one export.
    await tx`select from teams where id = ${owner.teamId} for no key update`
    if (idempotencyKey === null) return findOrInsert(tx, owner, request, matches)
    const before = await findByKey(tx, owner.teamId, idempotencyKey, request)
    if (before) return { row: before, created: false }
    const found = await findOrInsert(tx, owner, request, matches)
    await tx`
      insert into export_idempotency_keys (team_id, idempotency_key, export_id)
      values (${owner.teamId}, ${idempotencyKey}, ${found.row.id})`
    return found
  })
}

async function findByKey(
  tx: Transaction,
  teamId: string,
  idempotencyKey: string,
  request: ExportRequest,
): Promise<ExportRow | undefined> {
  const [found] = await tx<(ExportRow & { request_key: string })[]>`
    select ${columns(tx)}, request_key from exports
    where id = (
      select export_id from export_idempotency_keys
      where team_id = ${teamId} and idempotency_key = ${idempotencyKey})`
  if (found && found.request_key !== requestKey(request)) {
    throw new ConflictError('This Idempotency-Key was used for another export', 'idempotency_conflict')
  }
  return found
}

async function findOrInsert(
  tx: Transaction,
  owner: { teamId: string; keyId: string },
  request: ExportRequest,
  matches: number,
): Promise<{ row: ExportRow; created: boolean }> {
  const { filter, sort, format, compression, bom } = request
  const key = requestKey(request)
  const [known] = await tx<ExportRow[]>`
      select ${columns(tx)} from exports
      where team_id = ${owner.teamId} and request_key = ${key} and (
        state = 'queued'
        or dataset_version = (select version from dataset where id = 1)
          and (state = 'running' or state = 'completed' and expires_at > now()))
      order by id desc limit 1`
  if (known) return { row: known, created: false }
  const [open] = await tx<{ count: number }[]>`
      select count(*) from exports where team_id = ${owner.teamId} and state in ('queued', 'running')`
  if (open!.count >= openExports) {
    throw new ConflictError(
      `${openExports} exports of this team are still under way: wait for one of them`,
      'too_many_exports',
    )
  }
  const [row] = await tx<ExportRow[]>`
      insert into exports (team_id, created_by, format, gzip, bom, filter, sort_by, sort_order, request_key,
        rows_total, dataset_version)
      select ${owner.teamId}, ${owner.keyId}, ${format}, ${compression === 'gzip'}, ${bom}, ${tx.json(filter)},
        ${sort.by}, ${sort.order}, ${key}, ${matches}, version
      from dataset where id = 1
      returning ${columns(tx)}`
  return { row: row!, created: true }
}

/** An export of a team; undefined where the team has no such one. */
export async function findExport(sql: Sql, teamId: string, id: string): Promise<ExportRow | undefined> {
  const [row] = await sql<ExportRow[]>`
    select ${columns(sql)} from exports where team_id = ${teamId} and id = ${id}`
  return row
}

/** The newest exports of a team, and how many it has. */
export async function listExports(
  sql: Sql,
  teamId: string,
  page: { limit: number; offset: number },
): Promise<{ rows: ExportRow[]; total: number }> {
  const [count] = await sql<{ total: number }[]>`
    select count(*) as total from exports where team_id = ${teamId}`
  const rows = await sql<ExportRow[]>`
    select ${columns(sql)} from exports where team_id = ${teamId}
    order by id desc limit ${page.limit} offset ${page.offset}`
  return { rows, total: count!.total }
}

/** `done`: it has ended, or is not there. `busy`: a delivery that lives is at it, so many seconds at most. */
export type Claim =
  | { claim: 'claimed'; row: ExportRow }
  | { claim: 'done' }
  | { claim: 'busy'; seconds: number }

/** Takes an export for one attempt, which counts as dead after so many seconds of silence. */
export async function claimExport(sql: Sql, id: string, token: string, leaseSeconds: number): Promise<Claim> {
  const [row] = await sql<ExportRow[]>`
    update exports
    set state = 'running', attempt_token = ${token}, attempts = attempts + 1, touched_at = now(), rows_done = 0,
      started_at = coalesce(started_at, now())
    where id = ${id} and (state = 'queued' or ${silent(sql, leaseSeconds)})
    returning ${columns(sql)}`
  if (row) return { claim: 'claimed', row }
  const [held] = await sql<{ seconds: number }[]>`
    select extract(epoch from touched_at - now())::float8 + ${leaseSeconds}::float8 as seconds from exports
    where id = ${id} and state in ('queued', 'running')`
  // One that is queued again was given up between the two statements.
  return held ? { claim: 'busy', seconds: Math.max(1, Math.ceil(held.seconds)) } : { claim: 'done' }
}

/** Whether a delivery is at it that has not been heard of for so many seconds. */
const silent = (sql: Sql, seconds: number): postgres.Fragment =>
  sql`(state = 'running' and touched_at < now() - make_interval(secs => ${seconds}))`

/** An attempt that has not been replaced. */
const own = (sql: Sql, id: string, token: string): postgres.Fragment =>
  sql`id = ${id} and state = 'running' and attempt_token = ${token}`

/** Says that the attempt lives, and how far it is. False where another has taken over. */
export async function noteProgress(
  sql: Sql,
  id: string,
  token: string,
  progress: { rows: number; version: number },
): Promise<boolean> {
  const { count } = await sql`
    update exports
    set touched_at = now(), rows_done = ${progress.rows}, rows_total = greatest(rows_total, ${progress.rows}),
      dataset_version = ${progress.version}
    where ${own(sql, id, token)}`
  return count === 1
}

/** Names the file. False where another attempt has taken over. */
export async function completeExport(
  sql: Sql,
  id: string,
  token: string,
  file: { key: string; size: number; rows: number; version: number },
): Promise<boolean> {
  const { count } = await sql`
    update exports
    set state = 'completed', file_key = ${file.key}, size = ${file.size}, rows_done = ${file.rows},
      rows_total = ${file.rows}, dataset_version = ${file.version}, finished_at = now(),
      expires_at = now() + make_interval(days => ${exportRetentionDays})
    where ${own(sql, id, token)}`
  return count === 1
}

/** Puts an export whose attempt failed back into the queue. False where that was its last, or not its own. */
export async function releaseExport(
  sql: Sql,
  id: string,
  token: string,
  { error, cause }: WorkFailure,
): Promise<boolean> {
  const { count } = await sql`
    update exports
    set state = 'queued', touched_at = now(), last_error = ${error}, last_error_cause = ${cause}
    where ${own(sql, id, token)} and attempts < ${maxAttempts}`
  return count === 1
}

/** Ends an attempt's export as failed. */
export async function failAttempt(sql: Sql, id: string, token: string, failure: Failure): Promise<void> {
  await sql`
    update exports set state = 'failed', failure = ${sql.json(failure)}, finished_at = now()
    where ${own(sql, id, token)}`
}

/** Ends as failed what has been silent for so many seconds at its last attempt. Returns how many there were. */
export async function failSilent(sql: Sql, seconds: number, failure: Failure): Promise<number> {
  const { count } = await sql`
    update exports set state = 'failed', failure = ${sql.json(failure)}, finished_at = now()
    where ${silent(sql, seconds)} and attempts >= ${maxAttempts}`
  return count
}

/** In seconds. */
export type StalledAfter = {
  /** Of silence, after which a worker counts as dead. */
  lease: number
  /** After that, before the sweep takes its work up: SQS delivers before. */
  grace: number
  /** Of a queued export that nobody has begun: its message is lost, or its worker died before it could take it. */
  untried: number
  /** Of one whose attempt failed: longer than its message stays away. */
  stalled: number
}

/** Takes exports that stand still, queued ones each time twice as late. */
export async function claimStalledExports(
  sql: Sql,
  { lease, grace, untried, stalled }: StalledAfter,
  limit: number,
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    update exports set state = 'queued', touched_at = now(), resumed = resumed + 1, resent_at = now()
    where id in (
      select id from exports
      where ${silent(sql, lease + grace)}
        or state = 'queued' and touched_at < now() - make_interval(secs =>
          (case when attempts > 0 then ${stalled}::float8 else ${untried}::float8 end) * power(2, least(resumed, 5)))
      order by touched_at limit ${limit} for update skip locked)
    returning id`
  return rows.map(({ id }) => id)
}

export type ExportAttempts = {
  state: ExportRow['state']
  attempts: number
  error: string | null
  error_cause: FailureCause | null
  resent_at: Date | null
}

export async function lockExport(tx: Transaction, id: string): Promise<ExportAttempts | undefined> {
  const [row] = await tx<ExportAttempts[]>`
    select state, attempts, last_error as error, last_error_cause as error_cause, resent_at
    from exports where id = ${id} for update`
  return row
}

export async function failExport(tx: Transaction, id: string, failure: Failure): Promise<void> {
  await tx`
    update exports set state = 'failed', failure = ${tx.json(failure)}, finished_at = now() where id = ${id}`
}

/** Queues a failed export anew, with all its attempts. */
export async function reopenExport(tx: Transaction, id: string): Promise<void> {
  await tx`
    update exports
    set state = 'queued', failure = null, finished_at = null, attempts = 0, resumed = 0, last_error = null,
      last_error_cause = null, touched_at = now(), resent_at = now()
    where id = ${id} and state = 'failed'`
}
