import type postgres from 'postgres'
import { retryRead, type Sql } from '../platform/db.ts'
import {
  ageConditions,
  conditions,
  countryCondition,
  countryProbabilityCondition,
  every,
  genderCondition,
  genderProbabilityCondition,
} from './conditions.ts'
import { applyFacetDeltas } from './facets.ts'
import { boundsProbability, type Filter } from './filter.ts'
import type { PageRequest, Position, Sort } from './page.ts'
import { type Counts, choosePath, type Path } from './path.ts'
import { type NewProfile, nameKey, type ProfileRow } from './profile.ts'

type Fragment = postgres.Fragment

const columns = (sql: Sql): Fragment =>
  sql`id, name, gender, gender_probability, age, country_id, country_probability`

/** The profile, or undefined. `id` must be a uuid. */
export async function getProfile(sql: Sql, id: string): Promise<ProfileRow | undefined> {
  const [row] = await retryRead(
    () => sql<ProfileRow[]>`select ${columns(sql)} from profiles where id = ${id}`,
  )
  return row
}

/** Stores a profile, or finds the one that already has its name. `version` is set where it was stored. */
export async function insertProfile(
  sql: Sql,
  profile: NewProfile,
): Promise<{ row: ProfileRow; created: boolean; version?: number }> {
  const key = nameKey(profile.name)
  // Between the two statements the one that has the name may be deleted: then the name is free again.
  for (;;) {
    const stored = await sql.begin(async (tx) => {
      const [row] = await tx<ProfileRow[]>`
        insert into profiles (name_key, name, gender, gender_probability, age, country_id, country_probability)
        values (${key}, ${profile.name}, ${profile.gender}, ${profile.gender_probability}, ${profile.age},
          ${profile.country_id}, ${profile.country_probability})
        on conflict (name_key) do nothing
        returning ${columns(sql)}`
      return row && { row, version: await applyFacetDeltas(tx, [{ ...row, delta: 1 }]) }
    })
    if (stored) return { ...stored, created: true }
    const [row] = await sql<ProfileRow[]>`select ${columns(sql)} from profiles where name_key = ${key}`
    if (row) return { row, created: false }
  }
}

/** Deletes a profile and answers the new dataset version; undefined where there is none. `id` must be a uuid. */
export async function deleteProfile(sql: Sql, id: string): Promise<number | undefined> {
  return sql.begin(async (tx) => {
    const [row] = await tx<ProfileRow[]>`delete from profiles where id = ${id} returning ${columns(sql)}`
    return row && applyFacetDeltas(tx, [{ ...row, delta: -1 }])
  })
}

/** Counts the matches row by row: for filters that the facets cannot count. */
export async function countByScan(sql: Sql, filter: Filter): Promise<number> {
  const [row] = await retryRead(
    () =>
      sql<{ count: number }[]>`select count(*) from profiles where ${conditions(sql, filter, 'profiles')}`,
  )
  return row!.count
}

/**
 * Up to `request.limit + 1` rows from where the request says, so that the caller sees whether more follow.
 */
export async function readPage(
  sql: Sql,
  filter: Filter,
  request: PageRequest,
  counts: Counts,
): Promise<ProfileRow[]> {
  if (counts.matches === 0) return []
  const offset = 'page' in request ? (request.page - 1) * request.limit : 0
  const wanted = request.limit + 1
  const path = choosePath({
    sort: request.sort,
    depth: offset + wanted,
    probability: boundsProbability(filter),
    ...counts,
  })
  return readPath(path, sql, filter, request, offset, wanted)
}

/** Reads by a given path; every path answers the same rows. Exported so that a test can hold them to it. */
export async function readPath(
  path: Path,
  sql: Sql,
  filter: Filter,
  request: PageRequest,
  offset: number,
  wanted: number,
): Promise<ProfileRow[]> {
  const { sort } = request
  const after = 'after' in request ? request.after : undefined
  if (path === 'merge') return mergeCells(sql, filter, sort, after, offset, wanted)
  const scan = path === 'gather' ? gather : walk
  const read: ReadStretch = async (stretch, skip, count) => [
    ...(await retryRead(() => scan(sql, filter, sort, stretch, skip, count))),
  ]
  if (sort.by !== 'gender_probability') return read(keyset(sql, sort, after), offset, wanted)
  return readKnownThenUnknown(sql, filter, sort, after, offset, wanted, read)
}

/** Reads rows of one stretch of the order, in which all have a sort value or none has. */
type ReadStretch = (stretch: Fragment, skip: number, count: number) => Promise<ProfileRow[]>

/**
 * Nulls come last in both directions, which no single scan of an index gives for a descending order: so
 * first the rows that have a gender probability, then, where these do not fill the page, the others.
 */
async function readKnownThenUnknown(
  sql: Sql,
  filter: Filter,
  sort: Sort,
  after: Position | undefined,
  offset: number,
  wanted: number,
  read: ReadStretch,
): Promise<ProfileRow[]> {
  const inUnknown = after?.value === null
  const known = inUnknown ? [] : await read(keyset(sql, sort, after), offset, wanted)
  if (known.length === wanted || filter.min_gender_probability !== undefined) return known
  // How much of the offset the first stretch used up: all of it, unless it ended before.
  const used = known.length > 0 || offset === 0 ? offset : await countKnown(sql, filter)
  const stretch = keyset(sql, sort, inUnknown ? after : undefined, true)
  const unknown = await read(stretch, offset - Math.min(used, offset), wanted - known.length)
  return [...known, ...unknown]
}

function countKnown(sql: Sql, filter: Filter): Promise<number> {
  return countByScan(sql, { ...filter, min_gender_probability: 0 })
}

/** The rows of a stretch that come after a position. */
function keyset(sql: Sql, sort: Sort, after: Position | undefined, unknown = false): Fragment {
  const beyond = sort.order === 'asc' ? sql`>` : sql`<`
  if (sort.by === 'created_at') return after ? sql`id ${beyond} ${after.id}::uuid` : sql`true`
  if (sort.by === 'age') {
    return after ? sql`(age, id) ${beyond} (${after.value}::smallint, ${after.id}::uuid)` : sql`true`
  }
  if (unknown) {
    const stretch = sql`gender_probability is null`
    return after ? sql`${stretch} and id ${beyond} ${after.id}::uuid` : stretch
  }
  const stretch = sql`gender_probability is not null`
  return after
    ? sql`${stretch} and (gender_probability, id) ${beyond} (${after.value}::float8, ${after.id}::uuid)`
    : stretch
}

/** The order of one stretch, spelt as the index has it: where nulls go does not matter inside a stretch. */
function ordering(sql: Sql, sort: Sort): Fragment {
  const direction = sort.order === 'asc' ? sql`asc` : sql`desc`
  if (sort.by === 'created_at') return sql`id ${direction}`
  if (sort.by === 'age') return sql`age ${direction}, id ${direction}`
  return sql`gender_probability ${direction}, id ${direction}`
}

function gather(sql: Sql, filter: Filter, sort: Sort, stretch: Fragment, offset: number, limit: number) {
  return sql<ProfileRow[]>`
    with matching as materialized (
      select ${columns(sql)} from profiles where ${conditions(sql, filter, 'profiles')} and ${stretch}
    )
    select * from matching order by ${ordering(sql, sort)} limit ${limit} offset ${offset}`
}

/**
 * Conditions on the column of the order narrow the walk. The others stand in a CASE: no index can serve
 * them there and the planner takes one row in two to pass, so that it never leaves the walk for a sort.
 */
function walk(sql: Sql, filter: Filter, sort: Sort, stretch: Fragment, offset: number, limit: number) {
  const ages = ageConditions(sql, filter)
  const probabilities = genderProbabilityCondition(sql, filter)
  const inOrder = sort.by === 'age' ? ages : sort.by === 'gender_probability' ? probabilities : []
  const others = [
    ...countryCondition(sql, filter),
    ...genderCondition(sql, filter),
    ...(sort.by === 'age' ? [] : ages),
    ...(sort.by === 'gender_probability' ? [] : probabilities),
    ...countryProbabilityCondition(sql, filter),
  ]
  const passes =
    others.length === 0 ? sql`true` : sql`case when ${every(sql, others)} then true else false end`
  return sql<ProfileRow[]>`
    select ${columns(sql)} from profiles
    where ${every(sql, inOrder)} and ${stretch} and ${passes}
    order by ${ordering(sql, sort)} limit ${limit} offset ${offset}`
}

/** Within a cell the index is in the order of ids, and a cell has one age: each gives its first rows at once. */
async function mergeCells(
  sql: Sql,
  filter: Filter,
  sort: Sort,
  after: Position | undefined,
  offset: number,
  wanted: number,
): Promise<ProfileRow[]> {
  const direction = sort.order === 'asc' ? sql`asc` : sql`desc`
  const rows = await retryRead(
    () => sql<ProfileRow[]>`
      with cells as materialized (
        select country_id, gender, age from facets where count > 0 and ${conditions(sql, filter, 'facets')}
      ),
      first as (
        select p.id, p.age from cells c cross join lateral (
          select id, age from profiles
          where country_id = c.country_id and gender = c.gender and age = c.age and ${keyset(sql, sort, after)}
          order by id ${direction} limit ${offset + wanted}
        ) p
        order by ${ordering(sql, sort)} limit ${wanted} offset ${offset}
      )
      select ${columns(sql)} from first join profiles using (id, age) order by ${ordering(sql, sort)}`,
  )
  return [...rows]
}
