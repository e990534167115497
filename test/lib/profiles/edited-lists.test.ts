import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { countMatches, readSnapshot } from '../../../lib/exports/snapshot.ts'
import type { Sql } from '../../../lib/platform/db.ts'
import { canonicalFilter, type FilterInput, filterKey } from '../../../lib/profiles/filter.ts'
import { parseInstant } from '../../../lib/profiles/instant.ts'
import { pageRequest, type Sort } from '../../../lib/profiles/page.ts'
import type { ProfileRow } from '../../../lib/profiles/profile.ts'
import { createProfileQueries } from '../../../lib/profiles/query.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { population, satisfies, storeProfiles } from '../../support/profiles.ts'

const since = '2026-03-01T12:00:00.000Z'

let database: TestDatabase
let sql: Sql
let all: ProfileRow[]
/** Edited at `since` or later. */
let edited: Set<string>

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, population(240))
  all = await sql<ProfileRow[]>`
    select id, name, gender, gender_probability, age, country_id, country_probability from profiles order by id`
  edited = new Set()
  for (const [i, { id }] of all.entries()) {
    const before = i % 5 === 0 ? [-1] : []
    const from = i % 3 === 0 ? [0] : i % 4 === 0 ? [1, 60_000] : []
    for (const late of [...before, ...from]) {
      await sql`
        insert into profile_edits (profile_id, edited_at, fields)
        values (${id}, ${new Date(Date.parse(since) + late)}, '{age}')`
    }
    if (from.length > 0) edited.add(id)
  }
})
afterAll(() => database.close())

const inputs: FilterInput[] = [
  {},
  { gender: 'female' },
  { country_id: ['GH', 'KE'], min_age: 20 },
  { min_gender_probability: 0.4 },
  { country_id: ['AO'], min_gender_probability: 0, min_country_probability: 0.3 },
]
const sorts: Sort[] = (['created_at', 'age', 'gender_probability'] as const).flatMap((by) => [
  { by, order: 'asc' as const },
  { by, order: 'desc' as const },
])

function expected(input: FilterInput, { by, order }: Sort): string[] {
  const sign = order === 'asc' ? 1 : -1
  const value = (row: ProfileRow) => (by === 'created_at' ? 0 : row[by])
  return all
    .filter((row) => edited.has(row.id) && satisfies(row, canonicalFilter(input)))
    .sort((a, b) => {
      const [one, other] = [value(a), value(b)]
      if (one === null || other === null)
        return one === other ? sign * (a.id < b.id ? -1 : 1) : one === null ? 1 : -1
      return sign * (one - other || (a.id < b.id ? -1 : 1))
    })
    .map(({ id }) => id)
}

describe('updated_after', () => {
  it('finds what was edited then or later, with every other filter, in every order and place', async () => {
    const queries = createProfileQueries(sql)
    for (const input of inputs) {
      const filter = canonicalFilter({ ...input, updated_after: since })
      for (const sort of sorts) {
        const ids = expected(input, sort)
        const asked = { sort_by: sort.by, order: sort.order, limit: 7 }
        const pages: string[] = []
        const walked: string[] = []
        const back: string[] = []
        let cursor: string | null = null
        let last: string | null = null
        for (let page = 1; page === 1 || cursor; page++) {
          const numbered = await queries.list(filter, pageRequest({ ...asked, page }, filter))
          const at = cursor ? { cursor } : { page: 1 }
          const walk = await queries.list(filter, pageRequest({ ...asked, ...at }, filter))
          expect([numbered.total, walk.total]).toEqual([ids.length, ids.length])
          pages.push(...numbered.data.map(({ id }) => id))
          walked.push(...walk.data.map(({ id }) => id))
          cursor = walk.next_cursor
          last = walk.prev_cursor
        }
        while (last) {
          const list = await queries.list(filter, pageRequest({ ...asked, cursor: last }, filter))
          back.unshift(...list.data.map(({ id }) => id))
          last = list.prev_cursor
        }
        expect(pages).toEqual(ids)
        expect(walked).toEqual(ids)
        expect(back).toEqual(ids.slice(0, back.length))
        expect(back.length).toBeGreaterThanOrEqual(ids.length - 7)
      }
    }
  })

  it('holds for statistics and exports', async () => {
    const queries = createProfileQueries(sql)
    for (const input of inputs) {
      const filter = canonicalFilter({ ...input, updated_after: since })
      const sort = { by: 'age', order: 'asc' } as const
      const ids = expected(input, sort)
      const { stats } = await queries.stats(filter)
      expect(stats.total).toBe(ids.length)
      expect(stats.by_country.reduce((sum, { count }) => sum + count, 0)).toBe(ids.length)
      expect(await countMatches(sql, filter)).toBe(ids.length)
      const exported = await readSnapshot(sql, { filter, sort }, async ({ batches }) => {
        const rows: ProfileRow[] = []
        for await (const batch of batches) rows.push(...batch)
        return rows.map(({ id }) => id)
      })
      expect(exported).toEqual(ids)
    }
  })

  it('is part of the key of what is cached', () => {
    const keys = [{}, { updated_after: since }, { updated_after: '2026-03-01T12:00:00.001Z' }].map(filterKey)
    expect(new Set(keys).size).toBe(3)
  })

  it.each([
    ['2026-03-01', '2026-03-01T00:00:00.000Z'],
    ['2026-03-01T13:00:00+01:00', since],
    ['2026-03-01T13:00:00 01:00', since],
    ['2026-03-01t12:00z', since],
    ['2026-03-01T12:00:00.0001Z', '2026-03-01T12:00:00.001Z'],
    ['2026-03-01T12:00:00', undefined],
    ['2026-02-30', undefined],
    ['yesterday', undefined],
    ['9999-12-31T23:59:59.9999Z', undefined],
  ])('understands %j as %j', (text, instant) => {
    expect(parseInstant(text)).toBe(instant)
  })
})
