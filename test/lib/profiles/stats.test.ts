import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../../../lib/platform/db.ts'
import { canonicalFilter } from '../../../lib/profiles/filter.ts'
import { ageGroup } from '../../../lib/profiles/profile.ts'
import { createProfileQueries } from '../../../lib/profiles/query.ts'
import { readStats } from '../../../lib/profiles/stats.ts'
import { deleteProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import {
  creationFilters,
  filters,
  population,
  satisfies,
  storeProfiles,
  withTimes,
} from '../../support/profiles.ts'
import { fc } from '../../support/properties.ts'

const people = withTimes(population(400))
let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, people)
  // What bounds on creation leave out is counted instead where it is less by the planner's histogram.
  await sql`analyze profiles`
})
afterAll(() => database.close())

function tally<Key>(keys: readonly Key[]): Map<Key, number> {
  const counts = new Map<Key, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}

describe('statistics', () => {
  it('of any filter, probabilities or not, are those of the matching profiles', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(filters, creationFilters), async (input) => {
        const filter = canonicalFilter(input)
        const matching = people.filter((person) => satisfies(person, filter))
        const stats = await readStats(sql, filter)
        expect(stats.total).toBe(matching.length)
        const genders = tally(matching.map(({ gender }) => gender))
        expect(stats.by_gender).toEqual({
          female: genders.get('female') ?? 0,
          male: genders.get('male') ?? 0,
        })
        const groups = tally(matching.map(({ age }) => ageGroup(age)))
        for (const [group, count] of Object.entries(stats.by_age_group)) {
          expect(count).toBe(groups.get(group as ReturnType<typeof ageGroup>) ?? 0)
        }
        const countries = tally(matching.map(({ country_id }) => country_id))
        expect(new Map(stats.by_country.map(({ country_id, count }) => [country_id, count]))).toEqual(
          countries,
        )
        const counts = stats.by_country.map(({ count }) => count)
        expect(counts).toEqual(counts.toSorted((a, b) => b - a))
        const ages = [...tally(matching.map(({ age }) => age))].sort(([a], [b]) => a - b)
        expect(stats.age_histogram).toEqual(ages.map(([age, count]) => ({ age, count })))
      }),
      { numRuns: 120 },
    )
  })

  it('are kept until something is written, for whichever words the filter was asked in', async () => {
    const clock = { now: 1000 }
    const queries = createProfileQueries(sql, { now: () => clock.now })
    const first = await queries.stats(canonicalFilter({ age_group: ['adult'] }))
    const second = await queries.stats(canonicalFilter({ min_age: 20, max_age: 59 }))
    expect([first.cache, second.cache]).toEqual(['miss', 'hit'])
    expect(second.stats).toEqual(first.stats)
    const { row } = await insertProfile(sql, { ...people[0]!, name: 'Newcomer', age: 30 })
    clock.now += 1000
    expect((await queries.stats(canonicalFilter({ age_group: ['adult'] }), ['age', 'gender'])).cache).toBe(
      'miss',
    )
    const third = await queries.stats(canonicalFilter({ age_group: ['adult'] }))
    expect(third).toMatchObject({ cache: 'miss', stats: { total: first.stats.total + 1 } })
    await deleteProfile(sql, row.id)
  })
})
