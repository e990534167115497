import { inBatches } from '../platform/batches.ts'
import { retryRead, type Sql } from '../platform/db.ts'
import { conditions } from '../profiles/conditions.ts'
import { countProfiles } from '../profiles/counts.ts'
import { countByFacets } from '../profiles/facets.ts'
import type { Filter } from '../profiles/filter.ts'
import { orderingOfAll } from '../profiles/page-store.ts'
import type { ProfileRow } from '../profiles/profile.ts'
import { profileColumns } from '../profiles/store.ts'
import type { ExportRequest } from './request.ts'

export type Snapshot = {
  /** Of the dataset. */
  version: number
  /** Every match in its order, read as it is asked for, 2,000 at a time. */
  batches: AsyncIterable<ProfileRow[]>
}

/** The exact number of matches now. Throws TotalTimeoutError. */
export async function countMatches(sql: Sql, filter: Filter): Promise<number> {
  return retryRead(async () => {
    const { matches: population } = await countByFacets(sql, {})
    return (await countProfiles(sql, filter, population)).matches
  })
}

/** Lets `use` read all matches as they are at one moment. */
export async function readSnapshot<T>(
  sql: Sql,
  { filter, sort }: Pick<ExportRequest, 'filter' | 'sort'>,
  use: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  let result: T
  await sql.begin('isolation level repeatable read read only', async (tx) => {
    // Planned for all rows; the default is for the first tenth.
    await tx`set local cursor_tuple_fraction = 1`
    const [dataset] = await tx<{ version: number }[]>`select version from dataset where id = 1`
    const matches = tx<ProfileRow[]>`
      select ${profileColumns(sql)} from profiles
      where ${conditions(sql, filter, 'profiles')}
      order by ${orderingOfAll(sql, { sort, backwards: false })}`
    result = await use({ version: dataset!.version, batches: inBatches(tx, 2000, matches) })
  })
  return result!
}
