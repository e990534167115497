import { arrayLiteral, type Sql, type Transaction } from '../platform/db.ts'
import { editedAmong } from '../profiles/edit-store.ts'
import type { NewProfile } from '../profiles/profile.ts'
import type { ImportState } from './report.ts'

/** Whether a removal that was asked for is still to be done. */
export async function findRemoval(sql: Sql, id: string): Promise<boolean> {
  const [row] = await sql`select from imports where id = ${id} and removal_state = 'running'`
  return row !== undefined
}

/** Notes that a removal was asked for, once the import has finished. Undefined if the team has no such import. */
export async function requestRemoval(
  sql: Sql,
  teamId: string,
  id: string,
): Promise<{ removal: 'running' | 'done' | null; state: ImportState } | undefined> {
  await sql`
    update imports set removal_state = 'running'
    where team_id = ${teamId} and id = ${id} and removal_state is null and ${ended(sql)}`
  const [row] = await sql<{ removal: 'running' | 'done' | null; state: ImportState }[]>`
    select removal_state as removal, state from imports where team_id = ${teamId} and id = ${id}`
  return row
}

/** The release before said so at once of a cancelled import, although a worker may be at its last slice. */
const ended = (sql: Sql) => sql`
  finished_at is not null and (state <> 'cancelled' or rejects_key is not null or slices_total = 0)`

export type RemovedBatch = { removed: Pick<NewProfile, 'country_id' | 'gender' | 'age'>[]; done: boolean }

/**
 * Deletes the next profiles of an import in the order of their ids, but for those that were edited, and notes how
 * far it has come. They are looked for where their ids can lie: between the times at which the import began and
 * ended.
 */
export async function removeBatch(tx: Transaction, id: string, limit: number): Promise<RemovedBatch> {
  const [file] = await tx<{ from: string; to: string }[]>`
    select coalesce(removed_up_to, ${uuidAt(tx, 'started_at', '-1 second')}) as from,
      ${uuidAt(tx, 'finished_at', '1 second')} as to
    from imports where id = ${id} and removal_state = 'running' for update`
  if (!file) return { removed: [], done: true }
  const locked = await tx<{ id: string }[]>`
    select id from profiles
    where id > ${file.from} and id < ${file.to} and import_id = ${id}
    order by id limit ${limit} for update`
  const ids = locked.map((row) => row.id)
  const edited = await editedAmong(tx, ids)
  const leaving = ids.filter((one) => !edited.has(one))
  const removed = await tx<Pick<NewProfile, 'country_id' | 'gender' | 'age'>[]>`
    delete from profiles where id = any(${arrayLiteral(leaving)}::text::uuid[])
    returning country_id, gender, age`
  const done = ids.length < limit
  await tx`
    update imports
    set removed = removed + ${removed.length}, kept_edited = kept_edited + ${edited.size},
      removed_up_to = ${ids.at(-1) ?? file.from}, removal_state = ${done ? 'done' : 'running'}
    where id = ${id}`
  return { removed: [...removed], done }
}

/** The least version 7 UUID of a time, for comparing ids with it; null where the time is. */
const uuidAt = (tx: Transaction, column: 'started_at' | 'finished_at', shift: string) => tx`
  (lpad(to_hex((extract(epoch from ${tx(column)} + ${shift}::interval) * 1000)::bigint), 12, '0')
    || repeat('0', 20))::uuid`
