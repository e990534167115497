import type postgres from 'postgres'
import type { Sql } from '../platform/db.ts'

/** The wait before the next time doubles up to 32-fold: a backlog of hours must not fill the queue with copies. */
const longestWait = 5

/** Takes imports whose scan has come no further for a while. */
export function claimStalledScans(sql: Sql, after: number, limit: number): Promise<string[]> {
  return claimStalled(sql, sql`state = 'splitting'`, after, limit)
}

/** Takes imports whose removal nobody has touched for a while. */
export function claimStalledRemovals(sql: Sql, after: number, limit: number): Promise<string[]> {
  return claimStalled(sql, sql`removal_state = 'running'`, after, limit)
}

async function claimStalled(
  sql: Sql,
  atWork: postgres.Fragment,
  after: number,
  limit: number,
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    update imports set touched_at = now(), resumed = resumed + 1, attempts = 0, resent_at = now()
    where id in (
      select id from imports
      where ${atWork}
        and touched_at < now() - make_interval(secs => ${after} * power(2, least(resumed, ${longestWait})))
      order by touched_at limit ${limit} for update skip locked)
    returning id`
  return rows.map(({ id }) => id)
}

/** Takes imports whose slices nobody has touched for a while, or whose end is owed for as long. */
export async function claimStalledWork(
  sql: Sql,
  after: number,
  limit: number,
): Promise<{ id: string; pending: boolean }[]> {
  // Waits count anew from the last slice that was touched since the import was taken up.
  return sql<{ id: string; pending: boolean }[]>`
    with stalled as materialized (
      select i.id, s.pending > 0 and i.state = 'inserting' as pending,
        case when s.touched_at > i.touched_at then 0 else i.resumed end as resumed
      from imports i cross join lateral (
        select count(*) filter (where state = 'pending') as pending, max(touched_at) as touched_at
        from import_slices where import_id = i.id
      ) s
      where (i.state in ('inserting', 'finishing')
          or i.state = 'cancelled' and i.rejects_key is null and i.slices_total > 0)
        and greatest(i.touched_at, s.touched_at) < now() - make_interval(secs => ${after} * power(2,
          least(case when s.touched_at > i.touched_at then 0 else i.resumed end, ${longestWait})))
      order by i.touched_at limit ${limit} for update of i skip locked
    )
    update imports i set touched_at = now(), resumed = stalled.resumed + 1,
      attempts = case when stalled.pending then i.attempts else 0 end,
      resent_at = case when stalled.pending then i.resent_at else now() end
    from stalled where i.id = stalled.id
    returning i.id, stalled.pending`
}

/** Up to `limit` pending slices of an import that no worker holds, in order, for their messages to be sent again. */
export async function resendSlices(sql: Sql, id: string, limit: number): Promise<number[]> {
  const rows = await sql<{ slice_no: number }[]>`
    update import_slices set attempts = 0, resent_at = now()
    where import_id = ${id} and slice_no in (
      select slice_no from import_slices where import_id = ${id} and state = 'pending'
      order by touched_at nulls first, slice_no limit ${limit} for update skip locked)
    returning slice_no`
  return rows.map(({ slice_no }) => slice_no).sort((a, b) => a - b)
}
