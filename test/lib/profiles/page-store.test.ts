import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../../../lib/platform/db.ts'
import { countByScan, countProfiles, withinBudget } from '../../../lib/profiles/counts.ts'
import { countByFacets } from '../../../lib/profiles/facets.ts'
import { canonicalFilter, type Filter, isCountedByFacets } from '../../../lib/profiles/filter.ts'
import { type PageRequest, pageOf, pageRequest, type Sort, sortColumns } from '../../../lib/profiles/page.ts'
import { readBy, readingOf, readPage } from '../../../lib/profiles/page-store.ts'
import { ageWindow, choosePaths, type PathInput, type Step } from '../../../lib/profiles/path.ts'
import type { ProfileRow } from '../../../lib/profiles/profile.ts'
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

let database: TestDatabase
let sql: Sql
let everyone: ProfileRow[]

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, withTimes(population(500)))
  // What bounds on creation leave out is counted instead where it is less by the planner's histogram.
  await sql`analyze profiles`
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
/** `chosen` is the path that a list takes. */
const paths = fc.constantFrom<Step['path'] | 'chosen'>('chosen', 'walk', 'gather', 'range', 'merge')

type Reader = (request: PageRequest) => Promise<ProfileRow[]>

function readerBy(path: Step['path'] | 'chosen', filter: Filter, sort: Sort): Reader {
  if (path === 'chosen') {
    return async (request) => readPage(sql, filter, request, await countProfiles(sql, filter, 500))
  }
  const usable = path === 'merge' && sort.by === 'gender_probability' ? 'gather' : path
  return async (request) => {
    const reading = readingOf(request)
    const rows = (await readBy({ path: usable }, sql, filter, reading))!
    return reading.backwards ? rows.toReversed() : rows
  }
}

const idsOf = (rows: readonly ProfileRow[]) => rows.map((row) => row.id)

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
          const read = readerBy(path, filter, sort)
          const ids: string[] = []
          let request: PageRequest = { sort, limit, page: 1 }
          for (let page = 1; ; page++) {
            const { rows, next_cursor } = pageOf(await read(request), request, filter)
            ids.push(...idsOf(rows))
            if (next_cursor === null) break
            request = byCursor
              ? pageRequest({ cursor: next_cursor, limit, sort_by: sort.by, order: sort.order }, filter)
              : { sort, limit, page: page + 1 }
          }
          expect(ids).toEqual(plainList(filter, sort))
        },
      ),
      { numRuns: 150 },
    )
  })

  it('of any filter, order and path lead backwards to the start, and back again wherever a walk turns', async () => {
    await fc.assert(
      fc.asyncProperty(
        filters,
        sorts,
        fc.integer({ min: 9, max: 50 }),
        paths,
        fc.array(fc.boolean(), { maxLength: 12 }),
        async (input, sort, limit, path, turns) => {
          const filter = canonicalFilter(input)
          const read = readerBy(path, filter, sort)
          const list = plainList(filter, sort)
          const at = (cursor: string) =>
            pageRequest({ cursor, limit, sort_by: sort.by, order: sort.order }, filter)
          let start = 0
          let request: PageRequest = { sort, limit, page: 1 }
          let page = pageOf(await read(request), request, filter)
          for (const forwards of turns) {
            const cursor = forwards ? page.next_cursor : page.prev_cursor
            expect(page.prev_cursor === null).toBe(start === 0)
            if (cursor === null) continue
            const end = start + page.rows.length
            request = at(cursor)
            page = pageOf(await read(request), request, filter)
            start = forwards ? end : Math.max(0, start - limit)
            const expected = forwards
              ? list.slice(end, end + limit)
              : list.slice(start, end - page.rows.length)
            expect(idsOf(page.rows)).toEqual(
              forwards ? expected : list.slice(start, start + page.rows.length),
            )
            expect(page.next_cursor === null).toBe(start + page.rows.length === list.length)
          }
          const backwards: string[] = []
          while (page.prev_cursor !== null) {
            request = at(page.prev_cursor)
            page = pageOf(await read(request), request, filter)
            backwards.unshift(...idsOf(page.rows))
          }
          expect(backwards).toEqual(list.slice(0, start))
        },
      ),
      { numRuns: 150 },
    )
  })

  it.each(['asc', 'desc'] as const)('ordered by gender_probability %s have nulls last', async (order) => {
    const request: PageRequest = { sort: { by: 'gender_probability', order }, limit: 500, page: 1 }
    const rows = await readPage(sql, {}, request, await countProfiles(sql, {}, 500))
    const values = rows.map((row) => row.gender_probability)
    const firstNull = values.indexOf(null)
    expect(firstNull).toBe(400)
    expect(values.slice(firstNull).every((value) => value === null)).toBe(true)
  })

  it('beyond the end are empty, also where the end lies among unknown probabilities', async () => {
    const counts = await countProfiles(sql, {}, 500)
    for (const by of sortColumns) {
      const request: PageRequest = { sort: { by, order: 'desc' }, limit: 50, page: 11 }
      expect(await readPage(sql, {}, request, counts)).toEqual([])
    }
  })

  it('by age are whole, also where profiles went after they were counted', async () => {
    const sort: Sort = { by: 'age', order: 'asc' }
    const counts = await countProfiles(sql, {}, 500)
    // As if the youngest had been a hundred more: the window ends too early then.
    const ages = counts.ages!.map((age, i) => (i === 0 ? { ...age, count: age.count + 100 } : age))
    const request: PageRequest = { sort, limit: 50, page: 1 }
    expect(idsOf(await readPage(sql, {}, request, { ...counts, ages })).slice(0, 50)).toEqual(
      plainList({}, sort).slice(0, 50),
    )
  })
})

describe('totals', () => {
  it('count like the facets where both can count', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(filters, creationFilters), async (input) => {
        const filter = canonicalFilter(input)
        const expected = everyone.filter((row) => satisfies(row, filter)).length
        expect(await countByScan(sql, filter)).toBe(expected)
        expect((await countProfiles(sql, filter, 500)).matches).toBe(expected)
        if (isCountedByFacets(filter)) expect((await countByFacets(sql, filter)).matches).toBe(expected)
      }),
      { numRuns: 120 },
    )
  })

  it('that take longer than their budget are cancelled in the database and say when to come again', async () => {
    await expect(withinBudget(() => sql`select pg_sleep(60)`, 50)).rejects.toMatchObject({
      status: 503,
      code: 'total_timeout',
      headers: { 'Retry-After': '10' },
    })
    await expect
      .poll(
        () =>
          sql`select from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`,
      )
      .toHaveLength(0)
    expect(await withinBudget(() => sql`select 1 as one`)).toMatchObject([{ one: 1 }])
  })
})

describe('the path of a page', () => {
  const sort: Sort = { by: 'created_at', order: 'asc' }
  const many = { sort, population: 10_000_000, depth: 11, probability: false }
  const path = (input: Partial<PathInput> & { matches: number; cells: number }): Step[] =>
    choosePaths({ ...many, candidates: input.matches, ...input })

  it('merges the cells where they are few, however many rows they hold', () => {
    expect(path({ matches: 600_000, cells: 60 })).toEqual([{ path: 'merge' }])
  })

  it('walks the order where half the table matches, and merges where that does not soon fill the page', () => {
    expect(path({ matches: 5_000_000, cells: 37_000 })).toEqual([
      { path: 'walk', rows: 566 },
      { path: 'merge' },
    ])
  })

  it('gathers few matches that no cell can order', () => {
    expect(path({ matches: 90, candidates: 9000, cells: 300, probability: true })).toEqual([
      { path: 'gather' },
    ])
    expect(path({ matches: 9000, cells: 30, sort: { by: 'gender_probability', order: 'asc' } })).toEqual([
      { path: 'gather' },
    ])
  })

  it('gathers for a deep page that a walk would cross much of the table for', () => {
    expect(path({ matches: 100_000, cells: 302, depth: 50_000 })).toEqual([{ path: 'gather' }])
    expect(path({ matches: 5_000_000, cells: 37_000, depth: 50_000 })[0]).toMatchObject({ path: 'walk' })
  })

  it('reads the range of a rare bound on the gender probability', () => {
    const rare = { matches: 700, candidates: 1_000_000, cells: 302, probability: true }
    const range = { by: 'min_gender_probability', rows: 1500 } as const
    expect(path({ ...rare, range })).toEqual([{ path: 'range' }])
    expect(path({ ...rare, matches: 50_000 })).toEqual([{ path: 'merge' }])
    expect(path({ ...rare, matches: 5000, cells: 30_000 })).toEqual([
      { path: 'walk', rows: 66_500 },
      { path: 'gather' },
    ])
  })

  it('narrows the order by age to the ages that hold the page', () => {
    const ages = [10, 20, 30, 40].map((age) => ({ age, count: 100, cells: 2 }))
    const window = (order: Sort['order'], at: number | undefined, offset: number) => {
      const found = ageWindow({ gender: 'male' }, ages, { order, at, offset, wanted: 51 })
      return found && [found.filter.min_age, found.filter.max_age, found.offset, found.counts.matches]
    }
    expect(window('asc', undefined, 0)).toEqual([10, 10, 0, 100])
    expect(window('asc', undefined, 160)).toEqual([20, 30, 60, 200])
    expect(window('desc', undefined, 100)).toEqual([30, 30, 0, 100])
    expect(window('asc', 20, 0)).toEqual([20, 30, 0, 200])
    expect(window('desc', 20, 0)).toEqual([10, 20, 0, 200])
    expect(window('asc', undefined, 500)).toBeUndefined()
  })

  it('narrows to ages in which the wanted rows are found at the offset that is left, however many each age has', () => {
    const someAges = fc
      .uniqueArray(fc.nat(90), { minLength: 1, maxLength: 30 })
      .chain((ages) =>
        fc
          .array(fc.integer({ min: 1, max: 9 }), { minLength: ages.length, maxLength: ages.length })
          .map((counts) =>
            ages.toSorted((a, b) => a - b).map((age, i) => ({ age, count: counts[i]!, cells: 1 })),
          ),
      )
    fc.assert(
      fc.property(
        someAges,
        fc.constantFrom('asc' as const, 'desc' as const),
        fc.nat(60),
        fc.integer({ min: 1, max: 20 }),
        (ages, order, offset, wanted) => {
          const rows = ages.flatMap(({ age, count }) => Array.from({ length: count }, () => age))
          const list = order === 'asc' ? rows : rows.toReversed()
          const window = ageWindow({}, ages, { order, at: undefined, offset, wanted })
          if (!window) return
          const { min_age = 0, max_age = 150 } = window.filter
          const inWindow = list.filter((age) => age >= min_age && age <= max_age)
          expect(inWindow).toHaveLength(window.counts.matches)
          expect(inWindow.slice(window.offset, window.offset + wanted)).toEqual(
            list.slice(offset, offset + wanted),
          )
        },
      ),
    )
  })
})
