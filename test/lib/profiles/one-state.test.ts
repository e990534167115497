import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSharedTier } from '../../../lib/platform/cache.ts'
import { arrayLiteral, type Sql } from '../../../lib/platform/db.ts'
import { applyFacetDeltas, verifyFacets } from '../../../lib/profiles/facets.ts'
import type { Filter } from '../../../lib/profiles/filter.ts'
import { type PageRequest, sortColumns } from '../../../lib/profiles/page.ts'
import type { Gender } from '../../../lib/profiles/profile.ts'
import { createProfileQueries, type ProfileQueries } from '../../../lib/profiles/query.ts'
import { readingByReader } from '../../../lib/profiles/reader.ts'
import { insertProfile } from '../../../lib/profiles/store.ts'
import { type Line, lineTo } from '../../support/line.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { insertWithFacets, population, storeProfiles } from '../../support/profiles.ts'

/** Responses beside a writer; TORN_RESPONSES=17000 takes minutes. */
const responses = Number(process.env.TORN_RESPONSES ?? 400)

let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, population(2000))
  await change()
})
afterAll(() => database.close())

let names = 0
const newcomer = () => ({
  name: `Newcomer ${names++}`,
  gender: names % 2 === 0 ? ('female' as const) : ('male' as const),
  gender_probability: names % 3 === 0 ? null : (names % 10) / 10,
  age: names % 7,
  country_id: 'TV',
  country_probability: (names % 5) / 5,
})

const between = (low: number, high: number) => low + Math.floor((high - low + 1) * Math.random())

/** Takes some profiles out of TV, or puts some in: between 1 and 40 are there after each transaction. */
async function change(): Promise<void> {
  await sql.begin(async (tx) => {
    // One at a time, so that they know how many there are.
    await tx`select from dataset for update`
    const there = await tx<{ id: string; country_id: string; gender: Gender; age: number }[]>`
      select id, country_id, gender, age from profiles where country_id = 'TV' order by random()`
    const number = between(1, 8)
    if (there.length + number > 40) {
      const gone = there.slice(0, between(1, there.length - 1))
      await tx`delete from profiles where id = any(${arrayLiteral(gone.map(({ id }) => id))}::text::uuid[])`
      return applyFacetDeltas(
        tx,
        gone.map((one) => ({ ...one, delta: -1 })),
      )
    }
    return insertWithFacets(tx, Array.from({ length: number }, newcomer))
  })
}

const filters: Filter[] = [
  { country_id: ['TV'] },
  { country_id: ['TV'], gender: 'male' },
  { country_id: ['TV'], max_age: 3 },
  { country_id: ['TV'], min_gender_probability: 0.3 },
  { country_id: ['TV'], min_gender_probability: 0, min_country_probability: 0.2 },
]

function requestOf(n: number): PageRequest {
  const sort = { by: sortColumns[n % 3]!, order: n % 2 === 0 ? ('asc' as const) : ('desc' as const) }
  return n % 4 === 0 ? { sort, limit: 7, page: 1 + (n % 3) } : { sort, limit: 50, page: 1 }
}

/** What is wrong about a response by itself. */
async function faultOf(queries: ProfileQueries, n: number): Promise<string | undefined> {
  const filter = filters[n % filters.length]!
  // Otherwise its cache would answer.
  queries.wrote()
  if (n % 5 === 4) {
    const { stats } = await queries.stats(filter)
    const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0)
    const sums = [
      stats.by_gender.female + stats.by_gender.male,
      sum(Object.values(stats.by_age_group)),
      sum(stats.by_country.map(({ count }) => count)),
      sum(stats.age_histogram.map(({ count }) => count)),
    ]
    return sums.every((one) => one === stats.total) ? undefined : `${sums} of ${stats.total}`
  }
  const request = requestOf(n)
  const { total, data, next_cursor } = await queries.list(filter, request)
  const before = 'page' in request ? (request.page - 1) * request.limit : 0
  const expected = Math.max(0, Math.min(request.limit, total - before))
  const goesOn = data.length > 0 && before + data.length < total
  if (data.length === expected && (next_cursor !== null) === goesOn) return undefined
  return `${data.length} of ${total} on ${JSON.stringify(request)} of ${JSON.stringify(filter)}`
}

describe('total and rows of one response', () => {
  it(`are of one state, ${responses} times beside a writer`, {
    timeout: 30_000 + 40 * responses,
  }, async () => {
    let asking = true
    const writing = (async () => {
      while (asking) await change()
    })()
    const faults: string[] = []
    try {
      let asked = 0
      const environments = Array.from({ length: 3 }, () => createProfileQueries(sql))
      await Promise.all(
        environments.map(async (queries) => {
          while (asked < responses) {
            const fault = await faultOf(queries, asked++)
            if (fault) faults.push(fault)
          }
        }),
      )
    } finally {
      asking = false
      await writing
    }
    expect(faults).toEqual([])
    expect(await verifyFacets(sql)).toEqual([])
  })

  it.each(filters)(
    'are of one state where something is committed before each statement: %j',
    async (filter) => {
      const line = await lineTo(database.url, 2, change)
      const queries = createProfileQueries(line.sql)
      for (let n = 0; n < 12; n++) {
        queries.wrote()
        line.trips()
        const { total, data } = await queries.list(filter, { ...requestOf(n), page: 1, limit: 50 })
        expect(data).toHaveLength(total)
        // However often it changes.
        expect(line.trips()).toBeLessThan(16)
      }
      await line.close()
    },
  )

  it('are of one state where the shared cache has a count of another', async () => {
    const stored = new Map<string, string>()
    const tier = createSharedTier('test:', async () => ({
      get: async (key) => stored.get(key) ?? null,
      set: async (key, value) => stored.set(key, value),
    }))
    const filter: Filter = { country_id: ['GH'], min_gender_probability: 0.5 }
    const page = (number: number): PageRequest => ({
      sort: { by: 'created_at', order: 'asc' },
      limit: 10,
      page: number,
    })
    const first = createProfileQueries(sql, { tier })
    const { total } = await first.list(filter, page(1))
    await first.settle()
    const key = [...stored.keys()].find((one) => one.startsWith('test:counts'))!
    const counts = JSON.parse(stored.get(key)!)
    stored.set(key, JSON.stringify({ ...counts, matches: total + 1 }))
    // Of the state that the page is of it is taken for right; of another it is not.
    expect((await createProfileQueries(sql, { tier }).list(filter, page(2))).total).toBe(total + 1)
    stored.set(key, JSON.stringify({ ...counts, matches: total + 1, state: '0-another' }))
    expect((await createProfileQueries(sql, { tier }).list(filter, page(3))).total).toBe(total)
    // And what was counted then is what the others find.
    expect(JSON.parse(stored.get(key)!)).toMatchObject({ matches: total, state: counts.state })
  })
})

describe('a page that no cache has', () => {
  const page: PageRequest = { sort: { by: 'created_at', order: 'asc' }, limit: 10, page: 1 }
  const [plain, bounded] = [{ country_id: ['GH'] }, { country_id: ['GH'], min_gender_probability: 0.5 }]
  let line: Line
  let queries: ProfileQueries

  /** Round trips of the next response. */
  async function tripsOf(filter: Filter): Promise<number> {
    queries.wrote()
    line.trips()
    expect((await queries.list(filter, page)).cache).toBe('miss')
    return line.trips()
  }
  /** A new state, in which nothing is in a cache. */
  async function commit(): Promise<void> {
    await insertProfile(sql, newcomer())
  }

  beforeAll(async () => {
    // One connection: of two, which has prepared a statement is chance.
    line = await lineTo(database.url, 1)
    queries = createProfileQueries(line.sql)
  })
  afterAll(() => line.close())

  it('takes five round trips: the state, a connection, the total, the rows and the end', async () => {
    await tripsOf(plain)
    await commit()
    expect(await tripsOf({ country_id: ['KE'] })).toBe(5)
  })

  it('takes six if a reader is asked, which must have come to the state', async () => {
    const pool = { connect: () => line.sql, replace: () => {} }
    queries = createProfileQueries(line.sql, { readAt: readingByReader(line.sql, pool) })
    await tripsOf(plain)
    await commit()
    expect(await tripsOf(plain)).toBe(6)
    queries = createProfileQueries(line.sql)
  })

  it('takes five if the total has to be counted row by row', async () => {
    await tripsOf(bounded)
    await commit()
    expect(await tripsOf(bounded)).toBe(5)
  })
})
