import type { Sql } from '../../lib/platform/db.ts'
import { conditions } from '../../lib/profiles/conditions.ts'
import type { Filter } from '../../lib/profiles/filter.ts'
import type { Sort } from '../../lib/profiles/page.ts'
import type { ProfileRow } from '../../lib/profiles/profile.ts'
import { profileColumns } from '../../lib/profiles/store.ts'

/** The usual way to a page with its total: `COUNT(*)`, and `LIMIT .. OFFSET` beside it on a second connection. */
export async function countAndPage(
  sql: Sql,
  filter: Filter,
  sort: Sort,
  limit: number,
  offset = 0,
): Promise<{ total: number; rows: ProfileRow[] }> {
  const [[counted], rows] = await Promise.all([
    sql<{ count: number }[]>`select count(*) from profiles where ${conditions(sql, filter, 'profiles')}`,
    pageByOffset(sql, filter, sort, limit, offset),
  ])
  return { total: counted!.count, rows }
}

/** The rows of one page in the order that our own lists have. */
export async function pageByOffset(
  sql: Sql,
  filter: Filter,
  sort: Sort,
  limit: number,
  offset: number,
): Promise<ProfileRow[]> {
  const rows = await sql<ProfileRow[]>`
    select ${profileColumns(sql)} from profiles where ${conditions(sql, filter, 'profiles')}
    order by ${ordering(sql, sort)} limit ${limit} offset ${offset}`
  return [...rows]
}

function ordering(sql: Sql, { by, order }: Sort) {
  const direction = order === 'asc' ? sql`asc` : sql`desc`
  if (by === 'created_at') return sql`id ${direction}`
  if (by === 'age') return sql`age ${direction}, id ${direction}`
  return sql`gender_probability ${direction} nulls last, id ${direction}`
}
