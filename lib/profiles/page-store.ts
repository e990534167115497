import type postgres from 'postgres'
import type { Sql } from '../platform/db.ts'
import {
  ageConditions,
  conditions,
  countryCondition,
  countryProbabilityCondition,
  creationConditions,
  every,
  genderCondition,
  genderProbabilityCondition,
  nameCondition,
} from './conditions.ts'
import { countByScan } from './counts.ts'
import { boundsProbability, type Filter, isCountedByFacets } from './filter.ts'
import type { PageRequest, Position, Sort } from './page.ts'
import { ageWindow, type Counts, choosePaths, type Range, rangePart, type Step } from './path.ts'
import type { ProfileRow } from './profile.ts'
import { profileColumns } from './store.ts'

type Fragment = postgres.Fragment

/** A page as it is read: towards its end, or from its end backwards, the order turned round. */
export type Reading = {
  /** The direction of reading. */
  sort: Sort
  backwards: boolean
  /** Where reading begins: after this row in the direction of reading. */
  position: Position | undefined
  offset: number
  wanted: number
}

/** How to read a request's page and the row that says whether the list goes on. */
export function readingOf(request: PageRequest): Reading {
  const { sort, limit } = request
  const wanted = limit + 1
  if ('page' in request) {
    return { sort, backwards: false, position: undefined, offset: (request.page - 1) * limit, wanted }
  }
  if ('after' in request) return { sort, backwards: false, position: request.after, offset: 0, wanted }
  const turned: Sort = { by: sort.by, order: sort.order === 'asc' ? 'desc' : 'asc' }
  return { sort: turned, backwards: true, position: request.before, offset: 0, wanted }
}

/**
 * Up to `request.limit + 1` rows in their order, from where the request says: the surplus one, which is the
 * first where the page ends before a position, says that the list goes on there.
 */
export async function readPage(
  sql: Sql,
  filter: Filter,
  request: PageRequest,
  counts: Counts,
): Promise<ProfileRow[]> {
  if (counts.matches === 0) return []
  const reading = readingOf(request)
  if (filter.updated_after !== undefined) {
    const rows = await fromRange(sql, filter, reading, 'updated_after')
    return reading.backwards ? rows.toReversed() : rows
  }
  const rows =
    (await readInWindow(sql, filter, reading, counts)) ?? (await readChosen(sql, filter, reading, counts))
  return reading.backwards ? rows.toReversed() : rows
}

/** More of an age than its share may be without the probability that is asked for. */
const unevenness = 1.5

/** In the order by age the facets know in which ages the page lies. Undefined where that helps nothing. */
async function readInWindow(
  sql: Sql,
  filter: Filter,
  reading: Reading,
  counts: Counts,
): Promise<ProfileRow[] | undefined> {
  const { sort, position, offset, wanted } = reading
  if (sort.by !== 'age' || !counts.ages) return undefined
  // Of probabilities and creation they know nothing: then it is a guess, and an offset has to be read.
  const guessed = !isCountedByFacets(filter)
  const known = counts.ages.reduce((sum, { count }) => sum + count, 0)
  const share = counts.matches / known
  const window = ageWindow(filter, counts.ages, {
    order: sort.order,
    at: position?.value ?? undefined,
    offset: guessed ? 0 : offset,
    wanted: guessed ? ((offset + wanted) / share) * unevenness : wanted,
  })
  if (!window) return undefined
  const part = window.counts.candidates / known
  const narrowed: Counts = {
    ...counts,
    candidates: Math.ceil(counts.candidates * part),
    cells: window.counts.cells,
    matches: Math.ceil(counts.matches * part),
    // Only these ages are walked over.
    population: counts.population * part,
    ...(counts.created !== undefined && { created: counts.created * part }),
  }
  const rows = await readChosen(
    sql,
    window.filter,
    { ...reading, offset: guessed ? offset : window.offset },
    narrowed,
  )
  // Wrongly guessed, or profiles were deleted since the facets were read.
  return rows.length < wanted && window.goesOn ? undefined : rows
}

async function readChosen(sql: Sql, filter: Filter, reading: Reading, counts: Counts): Promise<ProfileRow[]> {
  const { sort, offset, wanted } = reading
  const probability = boundsProbability(filter)
  // A walk passes over nothing but what is within the bounds on creation.
  const population = counts.created ?? counts.population
  for (const step of choosePaths({ ...counts, population, sort, depth: offset + wanted, probability })) {
    const rows = await readBy(step, sql, filter, reading, counts.range?.by)
    if (rows) return rows
  }
  throw new Error('The last path of a page has no bound')
}

/**
 * Reads by a given path, in the direction of reading; undefined where a walk was given up. Every path answers
 * the same rows. `range` is the bound that a range goes by. Exported so that a test can hold them to it.
 */
export async function readBy(
  step: Step,
  sql: Sql,
  filter: Filter,
  reading: Reading,
  range?: Range['by'],
): Promise<ProfileRow[] | undefined> {
  if (step.path === 'merge' || step.path === 'gather') return fromCells(sql, filter, reading, step.path)
  if (step.path === 'range') return fromRange(sql, filter, reading, range)
  const { sort, position, offset, wanted } = reading
  const read: ReadStretch = (stretch, skip, count) =>
    step.rows === undefined
      ? walk(sql, filter, sort, stretch, skip, count)
      : boundedWalk(sql, filter, sort, stretch, skip, count, step.rows)
  if (sort.by !== 'gender_probability') return read(beyond(sql, sort, position), offset, wanted)
  return readStretches(sql, filter, reading, read)
}

/** Reads rows of one stretch of the order, in which all have a sort value or none has; or gives up. */
type ReadStretch = (stretch: Fragment, skip: number, count: number) => Promise<ProfileRow[] | undefined>

/**
 * Nulls come last in both directions, which no single scan of an index gives: so first the rows that have a
 * gender probability, then, where these do not fill the page, the others; backwards the other way round.
 */
async function readStretches(
  sql: Sql,
  filter: Filter,
  { sort, backwards, position, offset, wanted }: Reading,
  read: ReadStretch,
): Promise<ProfileRow[] | undefined> {
  const unknownFrom = position?.value === null ? position : undefined
  const knownFrom = unknownFrom ? undefined : position
  const readKnown = (skip: number, count: number) =>
    read(sql`gender_probability is not null and ${beyond(sql, sort, knownFrom)}`, skip, count)
  const readUnknown = async (skip: number, count: number) =>
    filter.min_gender_probability === undefined
      ? read(sql`gender_probability is null and ${beyondId(sql, sort, unknownFrom)}`, skip, count)
      : []
  if (unknownFrom && !backwards) return readUnknown(offset, wanted)
  // Backwards a known position has all unknown rows behind it.
  const first = backwards
    ? knownFrom
      ? []
      : await readUnknown(offset, wanted)
    : await readKnown(offset, wanted)
  if (!first || first.length === wanted) return first
  const left = wanted - first.length
  // How much of the offset the first stretch used up: all of it, unless it ended before.
  const used = first.length > 0 || offset === 0 ? offset : await countKnown(sql, filter)
  const second = backwards
    ? await readKnown(0, left)
    : await readUnknown(offset - Math.min(used, offset), left)
  return second && [...first, ...second]
}

function countKnown(sql: Sql, filter: Filter): Promise<number> {
  return countByScan(sql, { ...filter, min_gender_probability: filter.min_gender_probability ?? 0 })
}

/** The rows after a position; of the order by gender probability only among those that have one. */
function beyond(sql: Sql, sort: Sort, position: Position | undefined): Fragment {
  if (!position) return sql`true`
  const { id, value } = position
  const sign = sort.order === 'asc' ? sql`>` : sql`<`
  if (sort.by === 'created_at') return beyondId(sql, sort, position)
  if (sort.by === 'age') return sql`(age, id) ${sign} (${value}::smallint, ${id}::uuid)`
  return sql`(gender_probability, id) ${sign} (${value}::float8, ${id}::uuid)`
}

function beyondId(sql: Sql, sort: Sort, position: Position | undefined): Fragment {
  if (!position) return sql`true`
  return sort.order === 'asc' ? sql`id > ${position.id}::uuid` : sql`id < ${position.id}::uuid`
}

/** The same for the whole order by gender probability, its rows without one included. */
function beyondAmongAll(sql: Sql, { sort, backwards, position }: Reading): Fragment {
  if (!position || sort.by !== 'gender_probability') return beyond(sql, sort, position)
  if (position.value !== null) {
    const known = beyond(sql, sort, position)
    return backwards ? known : sql`(${known} or gender_probability is null)`
  }
  const unknown = sql`gender_probability is null and ${beyondId(sql, sort, position)}`
  return backwards ? sql`(${unknown} or gender_probability is not null)` : unknown
}

/** The order of one stretch, spelt as the index has it: where nulls go does not matter inside a stretch. */
function ordering(sql: Sql, sort: Sort): Fragment {
  const direction = sort.order === 'asc' ? sql`asc` : sql`desc`
  if (sort.by === 'created_at') return sql`id ${direction}`
  if (sort.by === 'age') return sql`age ${direction}, id ${direction}`
  return sql`gender_probability ${direction}, id ${direction}`
}

/** The whole order, nulls last in both directions; `backwards` turns them to the front. */
export function orderingOfAll(sql: Sql, { sort, backwards }: Pick<Reading, 'sort' | 'backwards'>): Fragment {
  if (sort.by !== 'gender_probability') return ordering(sql, sort)
  const direction = sort.order === 'asc' ? sql`asc` : sql`desc`
  const nulls = backwards ? sql`nulls first` : sql`nulls last`
  return sql`gender_probability ${direction} ${nulls}, id ${direction}`
}

/**
 * The conditions that narrow a walk, being on columns of its index, and the others. Each order ends in the id, so
 * that bounds on creation are skipped to: outside the index, all of one age may have to be passed first.
 */
function splitConditions(sql: Sql, filter: Filter, sort: Sort): { inOrder: Fragment[]; others: Fragment[] } {
  const ofColumn: Record<Sort['by'], Fragment[]> = {
    created_at: [],
    age: ageConditions(sql, filter),
    gender_probability: genderProbabilityCondition(sql, filter),
  }
  const { [sort.by]: inOrder, ...rest } = ofColumn
  const others: Fragment[][] = Object.values(rest)
  return {
    // A name has an index of its own, which is better than any order.
    inOrder: [...inOrder, ...creationConditions(sql, filter), ...nameCondition(sql, filter)],
    others: [
      ...countryCondition(sql, filter),
      ...genderCondition(sql, filter),
      ...others.flat(),
      ...countryProbabilityCondition(sql, filter),
    ],
  }
}

/**
 * Conditions on the column of the order narrow the walk. The others stand in a CASE: no index can serve
 * them there and the planner takes one row in two to pass, so that it never leaves the walk for a sort.
 */
async function walk(
  sql: Sql,
  filter: Filter,
  sort: Sort,
  stretch: Fragment,
  offset: number,
  limit: number,
): Promise<ProfileRow[]> {
  const { inOrder, others } = splitConditions(sql, filter, sort)
  const passes =
    others.length === 0 ? sql`true` : sql`case when ${every(sql, others)} then true else false end`
  const rows = await sql<ProfileRow[]>`
      select ${profileColumns(sql)} from profiles
      where ${every(sql, inOrder)} and ${stretch} and ${passes}
      order by ${ordering(sql, sort)} limit ${limit} offset ${offset}`
  return [...rows]
}

/**
 * Undefined where `most` rows did not fill the page though more may follow. The inner limit is the bound, and it
 * keeps the outer conditions from being moved into it. The statement has no offset, since one would skip the last
 * row that the bound allows together with the matches before the page: instead each row knows how many matches
 * there are up to it. So that last row always comes back, a match or not, unless the page was full before; of a
 * stretch that ends before, none does.
 */
async function boundedWalk(
  sql: Sql,
  filter: Filter,
  sort: Sort,
  stretch: Fragment,
  offset: number,
  limit: number,
  most: number,
): Promise<ProfileRow[] | undefined> {
  const { inOrder, others } = splitConditions(sql, filter, sort)
  const rows = await sql<(ProfileRow & Walked)[]>`
      select * from (
        select *, row_number() over walk as nth, count(*) filter (where passes) over walk as passed
        from (
          select ${profileColumns(sql)}, ${every(sql, others)} as passes from profiles
          where ${every(sql, inOrder)} and ${stretch}
          order by ${ordering(sql, sort)} limit ${most}
        ) bounded
        window walk as (order by ${ordering(sql, sort)} rows unbounded preceding)
      ) walked
      where passes and passed > ${offset} or nth = ${most}
      order by ${ordering(sql, sort)} limit ${limit}`
  if (rows.at(-1)?.nth === most) return undefined
  return rows.map(({ passes: _, nth: __, passed: ___, ...row }) => row)
}

/** What a bounded walk knows of each row: whether it matches, and how many rows and matches there are up to it. */
type Walked = { passes: boolean; nth: number; passed: number }

async function fromRange(
  sql: Sql,
  filter: Filter,
  reading: Reading,
  by: Range['by'] = 'min_gender_probability',
): Promise<ProfileRow[]> {
  // The columns of a profile do not tell its key, so that a name is always looked up first.
  const { name: _, ...others } = filter
  const part = { ...rangePart(filter, by), ...rangePart(filter, 'name') }
  const rows = await sql<ProfileRow[]>`
      with ranged as materialized (
        select ${profileColumns(sql)} from profiles where ${conditions(sql, part, 'profiles')}
      )
      select * from ranged where ${conditions(sql, others, 'profiles')} and ${beyondAmongAll(sql, reading)}
      order by ${orderingOfAll(sql, reading)} limit ${reading.wanted} offset ${reading.offset}`
  return [...rows]
}

/**
 * Reads the index of the cells, cell by cell. Within a cell it is in the order of ids and a cell has one age:
 * for a merge the heads say which cells can hold a row of the page, and each gives its first rows at once.
 * A gather reads every match.
 */
async function fromCells(
  sql: Sql,
  filter: Filter,
  reading: Reading,
  path: 'merge' | 'gather',
): Promise<ProfileRow[]> {
  const { sort, position, offset, wanted } = reading
  const depth = offset + wanted
  const heads =
    path === 'gather'
      ? sql`select * from cells c`
      : sql`
        select c.* from cells c cross join lateral (${inCell(sql, filter, reading)} limit 1) head
        order by ${ordering(sql, sort)} limit ${depth}`
  const ofCell = path === 'gather' ? sql`` : sql`limit ${depth}`
  const rows = await sql<ProfileRow[]>`
      with cells as materialized (
        select country_id, gender, age from facets
        where count > 0 and ${conditions(sql, filter, 'facets')} and ${ageBeyond(sql, sort, position)}
      ),
      heads as materialized (${heads}),
      found as materialized (
        select p.id, c.age, p.gender_probability
        from heads c cross join lateral (${inCell(sql, filter, reading)} ${ofCell}) p
        order by ${orderingOfAll(sql, reading)} limit ${wanted} offset ${offset}
      )
      select whole.* from found cross join lateral (
        select ${profileColumns(sql)} from profiles where id = found.id offset 0
      ) whole
      order by ${orderingOfAll(sql, reading)}`
  return [...rows]
}

/**
 * The matches of the cell `c` in the order of ids. `offset 0` keeps the inner query apart: where a probability
 * looks rarer than the cell, its index would be gone through for each cell anew.
 */
function inCell(sql: Sql, filter: Filter, reading: Reading): Fragment {
  const { sort, position } = reading
  const direction = sort.order === 'asc' ? sql`asc` : sql`desc`
  const within = [
    ...genderProbabilityCondition(sql, filter),
    ...countryProbabilityCondition(sql, filter),
    ...(sort.by === 'gender_probability' ? [beyondAmongAll(sql, reading)] : []),
  ]
  const from = [
    ...(sort.by === 'gender_probability' ? [] : [beyondInCell(sql, sort, position)]),
    ...creationConditions(sql, filter),
    ...nameCondition(sql, filter),
  ]
  return sql`
    select id, gender_probability from (
      select id, gender_probability, country_probability from profiles
      where country_id = c.country_id and gender = c.gender and age = c.age and ${every(sql, from)}
      order by id ${direction} offset 0
    ) cell
    where ${every(sql, within)}
    order by id ${direction}`
}

/** Leaves out the cells that lie before a position in the order by age. */
function ageBeyond(sql: Sql, { by, order }: Sort, position: Position | undefined): Fragment {
  if (by !== 'age' || !position) return sql`true`
  return order === 'asc' ? sql`age >= ${position.value}::smallint` : sql`age <= ${position.value}::smallint`
}

const [lowestId, highestId] = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']

/** The rows of the cell `c` after a position, as a bound on the id alone: so the index begins there. */
function beyondInCell(sql: Sql, sort: Sort, position: Position | undefined): Fragment {
  if (sort.by !== 'age' || !position) return beyondId(sql, sort, position)
  const edge = sort.order === 'asc' ? lowestId : highestId
  const from = sql`case when c.age = ${position.value}::smallint then ${position.id}::uuid else ${edge}::uuid end`
  return sort.order === 'asc' ? sql`id > ${from}` : sql`id < ${from}`
}
