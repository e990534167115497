import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createSharedTier } from '../../../lib/platform/cache.ts'
import type { Sql } from '../../../lib/platform/db.ts'
import { metrics } from '../../../lib/platform/metrics.ts'
import { canonicalFilter } from '../../../lib/profiles/filter.ts'
import { type PageInput, pageRequest } from '../../../lib/profiles/page.ts'
import { createProfileQueries, sharedPrefix } from '../../../lib/profiles/query.ts'
import { deleteProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase, watchedPool } from '../../support/postgres.ts'
import { population, storeProfiles } from '../../support/profiles.ts'
import { redisBinary, startRedis, type TestRedis } from '../../support/redis.ts'

const people = population(100)
let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, people)
})
afterAll(() => database.close())

/** Queries of an environment of its own, on a clock that the test moves, without a shared tier by default. */
function queriesAt({ redis, clock = { now: 1000 } }: { redis?: Redis; clock?: { now: number } } = {}) {
  const tier = createSharedTier('test:', async () => redis)
  const queries = createProfileQueries(sql, { now: () => clock.now, tier })
  const list = (input: Parameters<typeof canonicalFilter>[0] = {}, page: PageInput = {}) => {
    const filter = canonicalFilter(input)
    return queries.list(filter, pageRequest(page, filter))
  }
  return { clock, queries, list }
}

const newcomer = {
  name: 'Newcomer',
  gender: 'male' as const,
  gender_probability: null,
  age: 1,
  country_id: 'TV',
  country_probability: null,
}

/** Milliseconds for what takes a moment, on however busy a machine. */
const patience = 20_000
const noTier = createSharedTier('none:', async () => undefined)

type Dataset = { version: number; epoch: string }

async function dataset(): Promise<Dataset> {
  const [row] = await sql<Dataset[]>`select version, epoch from dataset`
  return row!
}

/** The table as it was before the profile was written. */
async function restore({ version, epoch }: Dataset, id: string): Promise<void> {
  await deleteProfile(sql, id)
  await sql`update dataset set version = ${version}, epoch = ${epoch}`
}

/** What reads the state of the data goes through `read`. */
function readingState(read: (go: () => unknown) => unknown): Sql {
  return new Proxy(sql, {
    apply(target, self, args) {
      const [strings] = args as [TemplateStringsArray | undefined]
      const go = () => Reflect.apply(target, self, args)
      return strings?.[0]?.includes('as state from dataset') ? read(go) : go()
    },
  })
}

/** Reads of the state whose answers are under way until each is let go. */
function heldReads() {
  const waiting: (() => void)[] = []
  const read = async (go: () => unknown) => {
    const found = await go()
    await new Promise<void>((resolve) => waiting.push(resolve))
    return found
  }
  // Those after the second go at once.
  return { waiting, sql: readingState((go) => (waiting.length < 2 ? read(go) : go())) }
}

function breakableReads() {
  let broken = false
  return {
    sql: readingState((go) => (broken ? Promise.reject(new Error('broken')) : go())),
    breakReads() {
      broken = true
    },
  }
}

describe('cached lists', () => {
  it('miss first and hit then, with equal contents', async () => {
    const { list } = queriesAt()
    const first = await list({ gender: 'male' })
    const second = await list({ gender: 'male' })
    expect([first.cache, second.cache]).toEqual(['miss', 'hit'])
    expect(second.data).toEqual(first.data)
    expect(first.total).toBe(people.filter((person) => person.gender === 'male').length)
    expect(second.timings).toEqual({})
  })

  it('are one for filters that mean the same', async () => {
    const { list } = queriesAt()
    await list({ age_group: ['adult'], country_id: ['NG', 'GH'] })
    expect((await list({ min_age: 20, max_age: 59, country_id: ['GH', 'NG', 'GH'] })).cache).toBe('hit')
  })

  it('are one for the start of a walk and page 1, and none for larger pages than people read', async () => {
    const { list } = queriesAt()
    await list({}, { page: 1, limit: 50 })
    expect((await list({}, { cursor: '*', limit: 50 })).cache).toBe('hit')
    for (let time = 0; time < 2; time++) {
      const walk = await list({}, { cursor: '*', limit: 51 })
      expect([walk.cache, walk.origin, walk.data.length]).toEqual(['miss', 'source', 51])
    }
  })

  it('are read once where many ask at once', async () => {
    const { list } = queriesAt()
    const answers = await Promise.all(Array.from({ length: 20 }, () => list({ gender: 'female' })))
    // Every answer carries the timings of its own call: only the one that read has a page time.
    expect(answers.filter((answer) => answer.timings.page !== undefined)).toHaveLength(1)
    expect(new Set(answers.map((answer) => JSON.stringify(answer.data))).size).toBe(1)
  })

  it('show what another environment wrote one second later at the latest', async () => {
    const { clock, list } = queriesAt()
    expect((await list({ country_id: ['TV'] })).total).toBe(0)
    const { row } = await insertProfile(sql, newcomer)
    clock.now += 999
    expect(await list({ country_id: ['TV'] })).toMatchObject({ total: 0, cache: 'stale' })
    clock.now += 1
    expect(await list({ country_id: ['TV'] })).toMatchObject({ total: 1, cache: 'miss' })
    await deleteProfile(sql, row.id)
  })

  it('are stale while the state is read again, which happens before their second is over', async () => {
    const { clock, list } = queriesAt()
    const cached = async () => {
      const { cache, timings } = await list()
      return { cache, timings }
    }
    await list()
    clock.now += 799
    expect((await list()).cache).toBe('hit')
    clock.now += 1
    expect(await cached()).toEqual({ cache: 'stale', timings: {} })
    // Read again behind the last answer: without that, a second would be over now.
    await vi.waitFor(async () => expect(await cached()).toEqual({ cache: 'hit', timings: {} }), patience)
    clock.now += 700
    expect(await cached()).toEqual({ cache: 'hit', timings: {} })
  })

  it('are not given under a state that took over a second to read', async () => {
    const { sql: slow, waiting } = heldReads()
    const clock = { now: 1000 }
    const queries = createProfileQueries(slow, { now: () => clock.now, tier: noTier })
    const list = () => queries.list({}, pageRequest({}, {}))
    const first = list()
    await vi.waitFor(() => expect(waiting).toHaveLength(1), patience)
    clock.now += 1000
    const second = list()
    await vi.waitFor(() => expect(waiting).toHaveLength(2), patience)
    waiting[1]!()
    expect((await second).cache).toBe('miss')
    waiting[0]!()
    await first
    // Without a reading of its own: the late one has not taken the place of the new one.
    const { cache, timings } = await list()
    expect({ cache, timings }).toEqual({ cache: 'hit', timings: {} })
  })

  it('go on within their second where the state cannot be read again', async () => {
    const { sql: broken, breakReads } = breakableReads()
    const clock = { now: 1000 }
    const queries = createProfileQueries(broken, { now: () => clock.now, tier: noTier })
    const list = () => queries.list({}, pageRequest({}, {}))
    await list()
    breakReads()
    clock.now += 999
    expect((await list()).cache).toBe('stale')
    clock.now += 1
    await expect(list()).rejects.toThrow('broken')
  })

  it('follow a database that is restored to an older state, and its writes from there', async () => {
    const { clock, list } = queriesAt()
    const backup = await dataset()
    await list()
    const { row } = await insertProfile(sql, newcomer)
    clock.now += 1000
    expect((await list({ country_id: ['TV'] })).total).toBe(1)
    await restore(backup, row.id)
    clock.now += 1000
    expect((await list({ country_id: ['TV'] })).total).toBe(0)
    const again = await insertProfile(sql, { ...newcomer, name: 'Another', age: 2 })
    expect((await dataset()).version).toBe(backup.version + 1)
    clock.now += 1000
    expect((await list({ country_id: ['TV'] })).data[0]?.name).toBe('Another')
    await deleteProfile(sql, again.row.id)
  })

  it('show at once what this environment wrote', async () => {
    const { queries, list } = queriesAt()
    await list({ country_id: ['TV'] })
    const { row } = await insertProfile(sql, newcomer)
    queries.wrote()
    expect((await list({ country_id: ['TV'] })).total).toBe(1)
    await deleteProfile(sql, row.id)
  })

  it('hold what this environment wrote while the state was being read', async () => {
    const { sql: slow, waiting } = heldReads()
    const queries = createProfileQueries(slow, { now: () => 1000, tier: noTier })
    const filter = canonicalFilter({ country_id: ['TV'] })
    const list = () => queries.list(filter, pageRequest({}, filter))
    const first = list()
    await vi.waitFor(() => expect(waiting).toHaveLength(1), patience)
    const { row } = await insertProfile(sql, newcomer)
    queries.wrote()
    const second = list()
    await vi.waitFor(() => expect(waiting).toHaveLength(2), patience)
    waiting[0]!()
    // The first was asked for before the write.
    await first
    waiting[1]!()
    expect(await second).toMatchObject({ total: 1 })
    expect(await list()).toMatchObject({ total: 1, cache: 'hit' })
    await deleteProfile(sql, row.id)
  })

  it('count a filter on probabilities once, for all its pages and orders', async () => {
    const counting: string[] = []
    const watched = watchedPool(database.url, (statement) => {
      if (statement.includes('count(*) from profiles')) counting.push(statement)
    })
    const queries = createProfileQueries(watched, { tier: noTier })
    const filter = canonicalFilter({ min_gender_probability: 0.3 })
    const lists = [{}, { page: 2 }, { sort_by: 'age', order: 'desc' }] as const
    for (const input of lists) {
      expect((await queries.list(filter, pageRequest(input, filter))).cache).toBe('miss')
    }
    expect(counting).toHaveLength(1)
    await watched.end({ timeout: 2 })
  })

  it('count filters on probabilities exactly', async () => {
    const { list } = queriesAt()
    const expected = people.filter(
      (person) => (person.gender_probability ?? -1) >= 0.5 && person.gender === 'female',
    )
    const { total, data } = await list({ gender: 'female', min_gender_probability: 0.5 }, { limit: 50 })
    expect(total).toBe(expected.length)
    expect(data).toHaveLength(Math.min(50, expected.length))
  })
})

describe.skipIf(!redisBinary)('lists in a shared cache', () => {
  let server: TestRedis
  let redis: Redis
  const counted = vi.spyOn(metrics, 'addMetric')
  const errors = () => counted.mock.calls.filter(([name]) => name === 'CacheErrors').length

  beforeAll(async () => {
    server = await startRedis()
    // As sharedRedis() has it, with more patience for a busy machine.
    redis = new Redis(server.url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, lazyConnect: true })
    redis.on('error', () => {})
    await redis.connect()
  })
  afterEach(async () => {
    counted.mockClear()
    await redis.flushall()
  })
  afterAll(async () => {
    redis.disconnect()
    await server.close()
  })

  /** Two environments at one time. */
  function environments() {
    const clock = { now: 1000 }
    return { clock, first: queriesAt({ redis, clock }), second: queriesAt({ redis, clock }) }
  }

  it('are a hit for an environment that was never asked', async () => {
    const { first, second } = environments()
    const asked = await first.list({ gender: 'male' }, { sort_by: 'age', order: 'desc' })
    await first.queries.settle()
    const found = await second.list({ gender: 'male' }, { sort_by: 'age', order: 'desc' })
    expect([asked.origin, found.origin, found.cache]).toEqual(['source', 'shared', 'hit'])
    expect(found.data).toEqual(asked.data)
    expect(found).toMatchObject({ total: asked.total, next_cursor: asked.next_cursor, prev_cursor: null })
    expect(found.timings).toEqual({ version: 0 })
  })

  it('share statistics, and counts by probability for other pages too', async () => {
    const { first, second } = environments()
    const filter = canonicalFilter({ min_gender_probability: 0.5 })
    await first.queries.stats(filter)
    await first.list({ min_gender_probability: 0.5 })
    await first.list({ gender: 'male' })
    await first.queries.settle()
    expect((await second.queries.stats(filter)).origin).toBe('shared')
    const kinds = (await redis.keys('*')).map((key) => key.split(' ')[0]).sort()
    expect(kinds).toEqual(['test:counts', 'test:pages', 'test:pages', 'test:stats'])
    // Another count there is taken for the right one.
    const [key] = await redis.keys('test:counts*')
    const counts = JSON.parse((await redis.get(key!))!)
    await redis.set(key!, JSON.stringify({ ...counts, matches: counts.matches + 1 }))
    const { total } = await second.list({ min_gender_probability: 0.5 }, { page: 2 })
    expect(total).toBe(counts.matches + 1)
    await second.queries.settle()
  })

  it('are as old as those in memory: within a second of a commit neither environment has the old one', async () => {
    const { clock, first, second } = environments()
    await first.list({ country_id: ['TV'] })
    await first.queries.settle()
    expect(await second.list({ country_id: ['TV'] })).toMatchObject({ total: 0, origin: 'shared' })
    const { row } = await insertProfile(sql, newcomer)
    clock.now += 1000
    expect(await second.list({ country_id: ['TV'] })).toMatchObject({ total: 1, origin: 'source' })
    await second.queries.settle()
    expect(await first.list({ country_id: ['TV'] })).toMatchObject({ total: 1, origin: 'shared' })
    await deleteProfile(sql, row.id)
  })

  it('are never those of a state that a restored database has left', async () => {
    const { clock, first, second } = environments()
    const backup = await dataset()
    const { row } = await insertProfile(sql, newcomer)
    expect((await first.list({ country_id: ['TV'] })).total).toBe(1)
    await first.queries.settle()
    await restore(backup, row.id)
    const again = await insertProfile(sql, { ...newcomer, name: 'Another', age: 2 })
    clock.now += 1000
    const found = await second.list({ country_id: ['TV'] })
    expect(found).toMatchObject({ total: 1, origin: 'source' })
    expect(found.data[0]?.name).toBe('Another')
    await deleteProfile(sql, again.row.id)
  })

  it('go on without it, and find it again', async () => {
    const { first, second } = environments()
    await first.list()
    await server.kill()
    await vi.waitFor(() => expect(redis.status).not.toBe('ready'), patience)
    expect((await first.list()).cache).toBe('hit')
    expect(errors()).toBe(0)
    expect((await second.list()).cache).toBe('miss')
    await second.queries.settle()
    expect(errors()).toBe(2)
    await server.start()
    await vi.waitFor(() => expect(redis.status).toBe('ready'), patience)
    await first.list({ gender: 'male' })
    await first.queries.settle()
    expect((await second.list({ gender: 'male' })).origin).toBe('shared')
  })

  it('take what is stored there and is no page for a miss', async () => {
    const { first, second } = environments()
    await first.list()
    await first.queries.settle()
    const [key] = await redis.keys('*')
    for (const junk of ['{"total":1}', '{"data":[]}', '[', '""']) {
      await redis.set(key!, junk)
      expect((await queriesAt({ redis }).list()).total).toBe(people.length)
    }
    expect(errors()).toBe(4)
    await second.list()
  })
})

describe('the shape of what is shared', () => {
  it('changes together with the number in front of the keys', async () => {
    const stored = new Map<string, unknown>()
    const commands = {
      get: async () => null,
      set: async (key: string, value: string) => void stored.set(key.split(' ')[0]!, JSON.parse(value)),
    }
    const tier = createSharedTier(sharedPrefix, async () => commands)
    const queries = createProfileQueries(sql, { tier })
    const filter = canonicalFilter({ min_gender_probability: 0.1 })
    await queries.list(filter, pageRequest({}, filter))
    await queries.stats(filter, ['country', 'age'])
    await queries.settle()
    expect(Object.fromEntries([...stored].map(([kind, value]) => [kind, shapeOf(value)]))).toEqual({
      'insighta:profiles:2:counts': {
        matches: 'number',
        candidates: 'number',
        cells: 'number',
        ages: { age: 'number', count: 'number', cells: 'number' },
        population: 'number',
        state: 'string',
      },
      'insighta:profiles:2:pages': {
        total: 'number',
        data: {
          id: 'string',
          name: 'string',
          gender: 'string',
          gender_probability: 'number',
          age: 'number',
          age_group: 'string',
          country_id: 'string',
          country_name: 'string',
          country_probability: 'number',
          created_at: 'string',
        },
        next_cursor: 'string',
        prev_cursor: 'null',
      },
      'insighta:profiles:2:stats': {
        total: 'number',
        by_gender: { female: 'number', male: 'number' },
        by_age_group: { child: 'number', teenager: 'number', adult: 'number', senior: 'number' },
        by_country: { country_id: 'string', country_name: 'string', count: 'number' },
        age_histogram: { age: 'number', count: 'number' },
        by: expect.anything(),
        counts: { country_id: 'string', age: 'number', count: 'number' },
      },
    })
  })
})

/** The fields of a value with their types; of a list those of its elements, where one has no value another's. */
function shapeOf(value: unknown): unknown {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  if (Array.isArray(value)) {
    const shapes = value.map(shapeOf) as Record<string, unknown>[]
    const merged: Record<string, unknown> = {}
    for (const shape of shapes) {
      for (const [field, type] of Object.entries(shape)) {
        if (type !== 'null' || !(field in merged)) merged[field] = type
      }
    }
    return merged
  }
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, shapeOf(inner)]))
}
