import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../../../lib/platform/db.ts'
import { countByFacets } from '../../../lib/profiles/facets.ts'
import { boundsProbability, canonicalFilter, type Filter } from '../../../lib/profiles/filter.ts'
import {
  encodeCursor,
  type PageRequest,
  pageRequest,
  type Sort,
  sortColumns,
} from '../../../lib/profiles/page.ts'
import { choosePath, type Path, type PathInput } from '../../../lib/profiles/path.ts'
import type { ProfileRow } from '../../../lib/profiles/profile.ts'
import {
  countByScan,
  deleteProfile,
  getProfile,
  insertProfile,
  readPage,
  readPath,
} from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { filters, population, satisfies, storeProfiles } from '../../support/profiles.ts'

let database: TestDatabase
let sql: Sql
let everyone: ProfileRow[]

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, population(500))
  everyone = [
    ...(await sql<ProfileRow[]>`
      select id, name, gender, gender_probability, age, country_id, country_probability from profiles order by id`),
  ]
})
afterAll(() => database.close())

/** The whole list in its order, worked out without SQL. */
function plainList(filter: Filter, { by, order }: Sort): string[] {
  const sign = order === 'asc' ? 1 : -1
  const compareIds = (a: ProfileRow, b: ProfileRow) => (a.id < b.id ? -sign : sign)
  const compareRows = (a: ProfileRow, b: ProfileRow) => {
    if (by === 'created_at') return compareIds(a, b)
    const [one, two] = [a[by], b[by]]
    if (one === null || two === null) {
      return one === two ? compareIds(a, b) : one === null ? 1 : -1
    }
    return (one - two) * sign || compareIds(a, b)
  }
  return everyone
    .filter((row) => satisfies(row, filter))
    .sort(compareRows)
    .map((row) => row.id)
}

const sorts = fc.record({
  by: fc.constantFrom(...sortColumns),
  order: fc.constantFrom<Sort['order']>('asc', 'desc'),
})
const paths = fc.constantFrom<Path>('walk', 'gather', 'merge')

/** Pages by one path, number after number or cursor after cursor, as ids. */
async function readAll(
  filter: Filter,
  sort: Sort,
  limit: number,
  path: Path,
  byCursor: boolean,
): Promise<string[]> {
  const usable =
    path === 'merge' && (sort.by === 'gender_probability' || boundsProbability(filter)) ? 'walk' : path
  const ids: string[] = []
  let request: PageRequest = { sort, limit, page: 1 }
  for (let page = 1; ; page++) {
    const offset = 'page' in request ? (request.page - 1) * limit : 0
    const rows = await readPath(usable, sql, filter, request, offset, limit + 1)
    ids.push(...rows.slice(0, limit).map((row) => row.id))
    if (rows.length <= limit) return ids
    const cursor = encodeCursor(rows[limit - 1]!, filter, sort)
    request = byCursor
      ? pageRequest({ cursor, limit, sort_by: sort.by, order: sort.order }, filter)
      : { sort, limit, page: page + 1 }
  }
}

describe('pages', () => {
  it('of any filter, order and path hold each profile once, in order, by number and by cursor', async () => {
    await fc.assert(
      fc.asyncProperty(
        filters,
        sorts,
        fc.integer({ min: 9, max: 50 }),
        paths,
        fc.boolean(),
        async (input, sort, limit, path, byCursor) => {
          const filter = canonicalFilter(input)
          expect(await readAll(filter, sort, limit, path, byCursor)).toEqual(plainList(filter, sort))
        },
      ),
      { numRuns: 120 },
    )
  })

  it.each(['asc', 'desc'] as const)('ordered by gender_probability %s have nulls last', async (order) => {
    const ids = await readAll({}, { by: 'gender_probability', order }, 50, 'walk', true)
    const values = ids.map((id) => everyone.find((row) => row.id === id)!.gender_probability)
    const firstNull = values.indexOf(null)
    expect(firstNull).toBe(400)
    expect(values.slice(firstNull).every((value) => value === null)).toBe(true)
  })

  it('beyond the end are empty, also where the end lies among unknown probabilities', async () => {
    for (const by of sortColumns) {
      const request: PageRequest = { sort: { by, order: 'desc' }, limit: 50, page: 11 }
      const { matches, cells } = await countByFacets(sql, {})
      const counts = { matches, candidates: matches, cells, population: matches }
      expect(await readPage(sql, {}, request, counts)).toEqual([])
    }
  })

  it('count like the facets where both can count', async () => {
    await fc.assert(
      fc.asyncProperty(filters, async (input) => {
        const filter = canonicalFilter(input)
        const expected = everyone.filter((row) => satisfies(row, filter)).length
        expect(await countByScan(sql, filter)).toBe(expected)
        if (!boundsProbability(filter)) expect((await countByFacets(sql, filter)).matches).toBe(expected)
      }),
      { numRuns: 40 },
    )
  })
})

describe('the path of a page', () => {
  const sort: Sort = { by: 'created_at', order: 'asc' }
  const many = { sort, population: 10_000_000, depth: 11, probability: false }
  const path = (input: Partial<PathInput> & { matches: number; cells: number }) =>
    choosePath({ ...many, candidates: input.matches, ...input })

  it('merges the cells where they are few, however many rows they hold', () => {
    expect(path({ matches: 600_000, cells: 302 })).toBe('merge')
  })

  it('walks the order where half the table matches', () => {
    expect(path({ matches: 5_000_000, cells: 37_000 })).toBe('walk')
  })

  it('gathers few matches that lie in many cells, and those that no cell can order', () => {
    expect(path({ matches: 15_000, cells: 9000 })).toBe('gather')
    expect(path({ matches: 9000, cells: 30, probability: true })).toBe('gather')
    expect(path({ matches: 9000, cells: 30, sort: { by: 'gender_probability', order: 'asc' } })).toBe(
      'gather',
    )
  })

  it('gathers for a deep page that a walk would cross much of the table for', () => {
    expect(path({ matches: 100_000, cells: 302, depth: 50_000 })).toBe('gather')
    expect(path({ matches: 5_000_000, cells: 37_000, depth: 50_000 })).toBe('walk')
  })

  it('walks rather than gather many candidates that a probability leaves few of', () => {
    expect(path({ matches: 15_000, candidates: 1_000_000, cells: 302, probability: true })).toBe('walk')
  })
})

describe('one profile', () => {
  const ada = {
    name: 'Ada Lovelace',
    gender: 'female' as const,
    gender_probability: 0.99,
    age: 36,
    country_id: 'GB',
    country_probability: null,
  }

  it('is stored once, whoever spells its name how', async () => {
    const first = await insertProfile(sql, ada)
    const again = await insertProfile(sql, { ...ada, name: 'ADA  lovelace', age: 20 })
    expect(first).toMatchObject({ created: true, row: ada, version: expect.any(Number) })
    expect(again).toEqual({ created: false, row: first.row })
    expect(await getProfile(sql, first.row.id)).toEqual(first.row)
  })

  it('that is deleted is gone, and its name is free', async () => {
    const { row } = await insertProfile(sql, ada)
    expect(await deleteProfile(sql, row.id)).toEqual(expect.any(Number))
    expect(await deleteProfile(sql, row.id)).toBeUndefined()
    expect(await getProfile(sql, row.id)).toBeUndefined()
    const anew = await insertProfile(sql, ada)
    expect(anew.created).toBe(true)
    await deleteProfile(sql, anew.row.id)
  })
})
