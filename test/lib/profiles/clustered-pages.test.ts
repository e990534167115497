import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../../../lib/platform/db.ts'
import { countProfiles } from '../../../lib/profiles/counts.ts'
import { canonicalFilter, type Filter } from '../../../lib/profiles/filter.ts'
import { type PageRequest, type Sort, sortColumns } from '../../../lib/profiles/page.ts'
import { readBy, readingOf, readPage } from '../../../lib/profiles/page-store.ts'
import type { Range, Step } from '../../../lib/profiles/path.ts'
import type { NewProfile, ProfileRow } from '../../../lib/profiles/profile.ts'
import { createProfileQueries } from '../../../lib/profiles/query.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { storeProfiles } from '../../support/profiles.ts'
import { fc } from '../../support/properties.ts'

/** How many random pages of the large table are read, and lists of each small one: CLUSTERED_PAGES=2000 takes minutes. */
const pagesOfLarge = Number(process.env.CLUSTERED_PAGES ?? 100)
const runs = Math.ceil(pagesOfLarge / 10)
const timeout = Math.max(30_000, 300 * pagesOfLarge)

let database: TestDatabase
let sql: Sql
/** Statements that were sent since the last look. */
let statements = 0

beforeAll(async () => {
  database = await freshDatabase()
  sql = postgres(database.url, {
    max: 1,
    fetch_types: false,
    types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
    debug: () => statements++,
  })
})
afterAll(async () => {
  await sql?.end({ timeout: 2 })
  await database.close()
})

const countries = ['EG', 'GH', 'KE', 'NG', 'ZA'] as const
const size = 1200

/** A number from 0 to 1 that is the same in every run, and of `what` independent of others (murmur3's last steps). */
function chance(i: number, what: number): number {
  let mixed = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(what + 1, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
}
const oneOf = <T>(among: readonly T[], share: number): T => among[Math.floor(share * among.length)]!

function evenly(i: number): NewProfile {
  return {
    name: `Person ${i}`,
    gender: oneOf(['male', 'female'], chance(i, 0)),
    gender_probability: chance(i, 1) < 0.2 ? null : Math.floor(11 * chance(i, 2)) / 10,
    age: Math.floor(40 * chance(i, 3)),
    country_id: oneOf(countries, chance(i, 4)),
    country_probability: chance(i, 5) < 0.2 ? null : Math.floor(11 * chance(i, 6)) / 10,
  }
}

/** What each row of a file has that is not spread evenly, by its number and the share of the file before it. */
const shapes: Record<string, (i: number, share: number) => Partial<NewProfile>> = {
  'spread evenly': () => ({}),
  'one country after the other': (_, share) => ({ country_id: oneOf(countries, share) }),
  'one country last, after half a file of another': (i, share) => ({
    country_id: share < 0.5 ? 'NG' : share < 0.9 ? oneOf(['EG', 'GH', 'KE'], chance(i, 4)) : 'ZA',
  }),
  'one age after the other': (_, share) => ({ age: Math.floor(share * 40) }),
  'the oldest first, and women last': (_, share) => ({
    age: 39 - Math.floor(share * 40),
    gender: share < 0.8 ? 'male' : 'female',
  }),
  'probabilities that rise': (_, share) => ({ gender_probability: share, country_probability: share }),
  'probabilities that fall': (_, share) => ({
    gender_probability: 1 - share,
    country_probability: 1 - share,
  }),
  'unknown probabilities first': (i, share) => ({
    gender_probability: share < 0.6 ? null : (i % 11) / 10,
    country_probability: share < 0.6 ? null : (i % 7) / 10,
  }),
  'unknown probabilities last, in countries of their own': (i, share) => ({
    gender_probability: share < 0.4 ? (i % 11) / 10 : null,
    country_id: share < 0.4 ? oneOf(['EG', 'GH'], chance(i, 4)) : oneOf(['KE', 'NG', 'ZA'], chance(i, 4)),
  }),
}

async function fill(profiles: readonly NewProfile[]): Promise<void> {
  await sql`truncate profiles, facets`
  await storeProfiles(database.sql, profiles)
  await sql`analyze profiles`
}

/** A list as plain SQL has it. */
type PlainList = { total: number; rows(from: number, to: number): Promise<ProfileRow[]> }

async function plainList(filter: Filter, { by, order }: Sort): Promise<PlainList> {
  const among = filter.country_id?.map((id) => `'${id}'`).join()
  const conditions = [
    among && `country_id in (${among})`,
    filter.gender && `gender = '${filter.gender}'`,
    filter.min_age !== undefined && `age >= ${filter.min_age}`,
    filter.max_age !== undefined && `age <= ${filter.max_age}`,
    filter.min_gender_probability !== undefined && `gender_probability >= ${filter.min_gender_probability}`,
    filter.min_country_probability !== undefined &&
      `country_probability >= ${filter.min_country_probability}`,
  ].filter(Boolean)
  const where = ['true', ...conditions].join(' and ')
  const [counted] = await sql.unsafe<[{ total: number }]>(
    `select count(*) as total from profiles where ${where}`,
  )
  return {
    total: counted.total,
    async rows(from, to) {
      const rows = await sql.unsafe<ProfileRow[]>(
        `select id, name, gender, gender_probability, age, country_id, country_probability from profiles
         where ${where} order by ${by === 'created_at' ? 'id' : by} ${order} nulls last, id ${order}
         limit ${Math.max(0, to - from)} offset ${from}`,
      )
      return [...rows]
    },
  }
}

/** Two times in three not there: with all of them few lists would have a second page. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })
const filters = fc
  .record({
    country_id: seldom(fc.subarray([...countries], { minLength: 1, maxLength: 2 })),
    gender: seldom(fc.constantFrom('male' as const, 'female' as const)),
    ages: seldom(fc.tuple(fc.nat(40), fc.nat(40))),
    min_gender_probability: seldom(fc.constantFrom(0, 0.3, 0.7, 0.95, 1)),
    min_country_probability: seldom(fc.constantFrom(0, 0.5, 0.9)),
  })
  .map(({ ages, ...rest }) =>
    canonicalFilter({
      ...rest,
      ...(ages && { min_age: Math.min(...ages), max_age: Math.max(...ages) }),
    }),
  )
const sorts = fc.record({
  by: fc.constantFrom(...sortColumns),
  order: fc.constantFrom<Sort['order']>('asc', 'desc'),
})
/** Where a page is: by its number, or after or before a row, which is the given share down the list. */
const places = fc.noBias(
  fc.record({
    by: fc.constantFrom('page' as const, 'page' as const, 'after' as const, 'before' as const),
    share: fc.nat(999).map((thousandths) => thousandths / 1000),
    limit: fc.integer({ min: 1, max: 25 }),
  }),
)

type Place = typeof places extends fc.Arbitrary<infer One> ? One : never

/** A page of the list at a place, and what a reading of it must find, the surplus row included. */
async function requestAt(
  list: PlainList,
  sort: Sort,
  { by, share, limit }: Place,
): Promise<{ request: PageRequest; expected: ProfileRow[] }> {
  const at = Math.floor(share * list.total)
  const [row] = await list.rows(at, at + 1)
  if (by === 'page' || !row) {
    // The last may be one beyond the end.
    const page = 1 + Math.floor((share * (list.total + limit)) / limit)
    const offset = (page - 1) * limit
    return { request: { sort, limit, page }, expected: await list.rows(offset, offset + limit + 1) }
  }
  const position = { id: row.id, value: sort.by === 'created_at' ? null : row[sort.by] }
  return by === 'after'
    ? { request: { sort, limit, after: position }, expected: await list.rows(at + 1, at + limit + 2) }
    : {
        request: { sort, limit, before: position },
        expected: await list.rows(Math.max(0, at - limit - 1), at),
      }
}

const idsOf = (rows: readonly { id: string }[]) => rows.map(({ id }) => id)

type Way = { step: Step; range?: Range['by'] }

/** Every path there is, the walk also with bounds that let it end anywhere. */
function waysOf(sort: Sort, bounds: readonly number[]): Way[] {
  return [
    { step: { path: 'walk' } },
    { step: { path: 'gather' } },
    { step: { path: 'range' }, range: 'min_gender_probability' },
    { step: { path: 'range' }, range: 'min_country_probability' },
    ...(sort.by === 'gender_probability' ? [] : [{ step: { path: 'merge' as const } }]),
    ...bounds.map((rows) => ({ step: { path: 'walk' as const, rows } })),
  ]
}

/** How often a bounded walk that had rows to skip filled its page, and how often it was given up. */
type Walks = { kept: number; givenUp: number }

/** Reads one page by every path, and as lists do, which choose one. */
async function compareWays(
  list: PlainList,
  filter: Filter,
  sort: Sort,
  place: Place,
  bounds: readonly number[],
  walks: Walks,
): Promise<void> {
  const { request, expected } = await requestAt(list, sort, place)
  const told = JSON.stringify({ filter, request })
  const counts = await countProfiles(sql, filter, size)
  expect(counts.matches).toBe(list.total)
  expect(await readPage(sql, filter, request, counts), told).toEqual(expected)
  const reading = readingOf(request)
  for (const { step, range } of waysOf(sort, [1, ...bounds, size - 1, size + 1])) {
    const rows = await readBy(step, sql, filter, reading, range)
    const mayGiveUp = step.rows !== undefined && step.rows <= size
    if (mayGiveUp && reading.offset > 0) walks[rows ? 'kept' : 'givenUp']++
    if (mayGiveUp && !rows) continue
    expect(reading.backwards ? rows?.toReversed() : rows, `${told} by ${JSON.stringify(step)}`).toEqual(
      expected,
    )
  }
}

describe('pages of what is not spread evenly', () => {
  it.each(Object.entries(shapes))(
    'are those of plain SQL by every path: %s',
    { timeout },
    async (_, shape) => {
      await fill(Array.from({ length: size }, (_, i) => ({ ...evenly(i), ...shape(i, i / size) })))
      const walks: Walks = { kept: 0, givenUp: 0 }
      const threePlaces = fc.array(places, { minLength: 3, maxLength: 3 })
      const threeBounds = fc.array(fc.noBias(fc.integer({ min: 1, max: size })), {
        minLength: 3,
        maxLength: 3,
      })
      await fc.assert(
        fc.asyncProperty(filters, sorts, threePlaces, threeBounds, async (filter, sort, some, bounds) => {
          const list = await plainList(filter, sort)
          for (const place of some) await compareWays(list, filter, sort, place, bounds, walks)
        }),
        { numRuns: runs },
      )
      // What is never given up, or always, shows nothing.
      expect(Math.min(walks.kept, walks.givenUp), JSON.stringify(walks)).toBeGreaterThan(0)
    },
  )
})

/** Half of it one country, the other half four others, of which an evenly spread guess is wrong. */
function halfNigerian(i: number): NewProfile {
  return {
    ...evenly(i),
    age: Math.floor(90 * chance(i, 3)),
    country_id: i < 10_000 ? 'NG' : oneOf(['EG', 'GH', 'KE', 'ZA'], chance(i, 4)),
    gender_probability: i >= 10_000 && chance(i, 1) < 0.3 ? null : Math.floor(101 * chance(i, 2)) / 100,
  }
}

describe('a list of two files, of which the first is of one country', () => {
  beforeAll(() => fill(Array.from({ length: 20_000 }, (_, i) => halfNigerian(i))))

  it(`has ${pagesOfLarge} pages as plain SQL has them, each with the total and the way on`, {
    timeout,
  }, async () => {
    const queries = createProfileQueries(sql)
    const wrong: unknown[] = []
    // A narrow list, near its begin, is what a bounded walk is tried for.
    const near = fc
      .tuple(places, fc.boolean())
      .map(([place, first]) => (first ? { ...place, share: place.share * 0.03 } : place))
    const narrow = fc
      .tuple(filters, fc.constantFrom(...countries), fc.boolean())
      .map(([filter, country, alone]) => (alone ? { country_id: [country] } : filter))
    await fc.assert(
      fc.asyncProperty(narrow, sorts, near, async (filter, sort, place) => {
        const list = await plainList(filter, sort)
        const { request, expected } = await requestAt(list, sort, place)
        const page = await queries.list(filter, request)
        const data = 'before' in request ? expected.slice(-place.limit) : expected.slice(0, place.limit)
        const goesOn = 'page' in request && request.page * place.limit < list.total
        const right =
          page.total === list.total &&
          idsOf(page.data).join() === idsOf(data).join() &&
          (!('page' in request) || (page.next_cursor !== null) === (goesOn && data.length > 0))
        if (!right) wrong.push({ filter, request, total: page.total, expected: list.total })
      }),
      { numRuns: pagesOfLarge },
    )
    expect(wrong).toEqual([])
  })

  it('has every page of a country that comes last, of which walks are given up', async () => {
    const queries = createProfileQueries(sql)
    const filter = canonicalFilter({ country_id: ['GH'] })
    const sort: Sort = { by: 'created_at', order: 'asc' }
    const list = await plainList(filter, sort)
    const found: string[] = []
    for (let page = 1; ; page++) {
      const { data, next_cursor } = await queries.list(filter, { sort, limit: 10, page })
      found.push(...idsOf(data))
      if (next_cursor === null) break
    }
    expect(found).toEqual(idsOf(await list.rows(0, list.total)))
    const counts = await countProfiles(sql, filter, 20_000)
    statements = 0
    await readPage(sql, filter, { sort, limit: 10, page: 2 }, counts)
    // In the order of creation each way is one statement.
    expect(statements).toBe(2)
  })
})
