import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../../../lib/platform/db.ts'
import { canonicalFilter } from '../../../lib/profiles/filter.ts'
import { type PageInput, pageRequest } from '../../../lib/profiles/page.ts'
import { createProfileQueries } from '../../../lib/profiles/query.ts'
import { deleteProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { population, storeProfiles } from '../../support/profiles.ts'

const people = population(100)
let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, people)
})
afterAll(() => database.close())

/** Queries on a clock that the test moves. */
function queriesAt() {
  const clock = { now: 1000 }
  const queries = createProfileQueries(sql, () => clock.now)
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
    await list({ age_group: 'adult', country_id: ['NG', 'GH'] })
    expect((await list({ min_age: 20, max_age: 59, country_id: ['GH', 'NG', 'GH'] })).cache).toBe('hit')
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
    expect(await list({ country_id: ['TV'] })).toMatchObject({ total: 0, cache: 'hit' })
    clock.now += 1
    expect(await list({ country_id: ['TV'] })).toMatchObject({ total: 1, cache: 'miss' })
    await deleteProfile(sql, row.id)
  })

  it('show at once what this environment wrote', async () => {
    const { queries, list } = queriesAt()
    await list({ country_id: ['TV'] })
    const { row, version } = await insertProfile(sql, newcomer)
    queries.wrote(version!)
    expect((await list({ country_id: ['TV'] })).total).toBe(1)
    await deleteProfile(sql, row.id)
  })

  it('count a filter on probabilities once, for all its pages and orders', async () => {
    const counting: string[] = []
    const watched = new Proxy(sql, {
      apply(target, self, args) {
        const [strings] = args as [TemplateStringsArray | undefined]
        if (strings?.[0]?.startsWith('select count(*) from profiles where')) counting.push(strings[0])
        return Reflect.apply(target, self, args)
      },
    })
    const queries = createProfileQueries(watched)
    const filter = canonicalFilter({ min_gender_probability: 0.3 })
    const lists = [{}, { page: 2 }, { sort_by: 'age', order: 'desc' }] as const
    for (const input of lists) {
      expect((await queries.list(filter, pageRequest(input, filter))).cache).toBe('miss')
    }
    expect(counting).toHaveLength(1)
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
