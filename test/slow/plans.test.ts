import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planning, type Sql } from '../../lib/platform/db.ts'
import { countryCodes } from '../../lib/profiles/countries.ts'
import { countProfiles } from '../../lib/profiles/counts.ts'
import { rebuildFacets } from '../../lib/profiles/facets.ts'
import {
  boundsProbability,
  canonicalFilter,
  type Filter,
  type FilterInput,
} from '../../lib/profiles/filter.ts'
import { maxLimit, type PageRequest, type Position, type Sort, sortColumns } from '../../lib/profiles/page.ts'
import { readPage } from '../../lib/profiles/page-store.ts'
import type { Counts } from '../../lib/profiles/path.ts'
import { createdAt, type ProfileRow } from '../../lib/profiles/profile.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

const size = 1_000_000
/** Of those after the first, filters have excluded countries, ages with a gap, and bounds on creation too. */
const cases = 450
const plainCases = 300
/** Rows of the table that the statements of one page may read together. */
const mostRows = 20_000

type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: Plan[]
}

let database: TestDatabase
/** Connections that tell the plan of each statement they ran, as it ran. */
let observed: Sql
let plans: Plan[] = []

beforeAll(async () => {
  database = await freshDatabase()
  await fill(database.sql)
  const url = new URL(database.url)
  observed = postgres(database.url, {
    max: 1,
    fetch_types: false,
    types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
    connection: {
      ...planning,
      application_name: `plans of ${url.pathname}`,
      session_preload_libraries: 'auto_explain',
      'auto_explain.log_min_duration': '0',
      'auto_explain.log_analyze': 'on',
      'auto_explain.log_timing': 'off',
      'auto_explain.log_format': 'json',
      'auto_explain.log_level': 'notice',
    },
    onnotice({ message = '' }) {
      const [head, json] = message.split('plan:\n')
      if (json && head?.startsWith('duration')) plans.push(JSON.parse(json).Plan)
    },
  })
})
afterAll(async () => {
  await observed?.end({ timeout: 2 })
  await database.close()
})

const ordinary = countryCodes.filter((code) => code !== 'AO' && code !== 'TV').slice(0, 60)

/** Two traps among the rest: the country AO came in one piece, at the end, and of TV no probability is known. */
async function fill(sql: Sql): Promise<void> {
  await sql.begin(async (tx) => {
    const indexes = await tx<{ indexname: string; indexdef: string }[]>`
      select indexname, indexdef from pg_indexes
      where tablename = 'profiles' and indexname not in ('profiles_pkey', 'profiles_name_key')`
    // Made anew at the end, which takes less time than to keep them meanwhile.
    await tx`drop index ${tx(indexes.map(({ indexname }) => indexname))}`
    await tx`alter table profiles drop constraint profiles_name_key`
    await tx`select setseed(0.25)`
    await tx`
      insert into profiles (name_key, name, gender, gender_probability, age, country_id, country_probability)
      select lpad(to_hex(n), 32, '0')::uuid, 'Person ' || n,
        case when random() < 0.5 then 'male' else 'female' end,
        case when n % 20 <> 7 and random() < 0.8 then round((0.5 + random() / 2)::numeric, 3) end,
        floor(95 * random() ^ 1.3),
        case when n > ${size * 0.96}::float8 then 'AO' when n % 20 = 7 then 'TV'
          else (string_to_array(${ordinary.join()}, ','))[1 + floor(60 * random() ^ 2)::integer] end,
        case when n % 20 <> 7 and random() < 0.8 then round(random()::numeric, 3) end
      from generate_series(1, ${size}::integer) n`
    for (const { indexdef } of indexes) await tx.unsafe(indexdef)
  })
  await rebuildFacets(sql)
  await sql`vacuum (analyze) profiles`
  await sql`vacuum (analyze) facets`
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A filter with its first page, and a page after and one before a profile somewhere in the list's order. */
type Case = { filter: Filter; requests: PageRequest[] }

/** Excluded countries, ages with a gap, and bounds on creation. */
function rarerParts(
  { country_id, min_age }: FilterInput,
  random: () => number,
  rows: readonly ProfileRow[],
): FilterInput {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!
  const times = [pick(rows), pick(rows)].map(({ id }) => createdAt(id).toISOString()).sort()
  const [after, before] = times as [string, string]
  return {
    ...(country_id === undefined && { exclude_country_id: [pick(ordinary), 'AO'] }),
    ...(min_age === undefined && {
      age_group: pick([
        ['child', 'senior'],
        ['child', 'adult'],
      ]),
    }),
    ...(random() < 0.5 && { created_after: after }),
    ...(random() < 0.5 && after < before && { created_before: before }),
  }
}

function randomCase(random: () => number, rows: readonly ProfileRow[], rarer: boolean): Case {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!
  const sometimes = (share: number) => random() < share
  const [one, other] = [Math.floor(random() * 95), Math.floor(random() * 95)]
  const known = [...ordinary.slice(0, 30), 'AO', 'TV']
  const input: FilterInput = {
    ...(sometimes(0.6) && {
      country_id: Array.from({ length: pick([1, 1, 1, 2, 3, 12]) }, () => pick(known)),
    }),
    ...(sometimes(0.4) && { gender: pick(['male', 'female'] as const) }),
    ...(sometimes(0.4) && { min_age: Math.min(one, other), max_age: Math.max(one, other) }),
    ...(sometimes(0.25) && { min_gender_probability: pick([0, 0.5, 0.7, 0.9, 0.99, 0.999, 1]) }),
    ...(sometimes(0.2) && { min_country_probability: pick([0, 0.2, 0.5, 0.9, 0.99, 0.999]) }),
  }
  const filter = canonicalFilter({ ...input, ...(rarer && rarerParts(input, random, rows)) })
  const sort: Sort = { by: pick(sortColumns), order: pick(['asc', 'desc'] as const) }
  const limit = pick([10, maxLimit])
  const row = pick(rows)
  const value = sort.by === 'created_at' ? null : row[sort.by]
  const bound = filter.min_gender_probability
  const outside = sort.by === 'gender_probability' && bound !== undefined && (value ?? -1) < bound
  const position: Position = { id: row.id, value: outside ? 1 : value }
  return {
    filter,
    requests: [
      { sort, limit, page: 1 },
      { sort, limit, after: position },
      { sort, limit, before: position },
    ],
  }
}

/** Rows of the table of profiles that a plan took up, kept or not. */
function rowsRead(plan: Plan): number {
  const own =
    plan['Relation Name'] === 'profiles'
      ? (plan['Actual Rows'] +
          (plan['Rows Removed by Filter'] ?? 0) +
          (plan['Rows Removed by Index Recheck'] ?? 0)) *
        plan['Actual Loops']
      : 0
  return own + (plan.Plans ?? []).reduce((sum, part) => sum + rowsRead(part), 0)
}

function scansTable(plan: Plan): boolean {
  const here = plan['Node Type'] === 'Seq Scan' && plan['Relation Name'] === 'profiles'
  return here || (plan.Plans ?? []).some(scansTable)
}

type Page = { filter: Filter; request: PageRequest; counts: Counts }

/**
 * Pages that may read more than the bound, by what they have in common and how much they may read. Both are
 * bounded by the profiles that satisfy the filter but for its probabilities, read from an index alone:
 * 4 to 12 ms here where the bound is passed at all.
 */
const exceptions: { name: string; most(page: Page): number; covers(page: Page): boolean }[] = [
  {
    // One in 400 matches: too rare for a walk, and each condition by itself leaves too many. Only an index of
    // each probability within each cell would help, at the price of every import.
    name: 'a bound on a probability beside other conditions, where only both together are rare',
    covers: ({ filter, counts }) => boundsProbability(filter) && counts.matches < size / 150,
    most: ({ counts }) => Math.min(counts.candidates + 2000, 3 * mostRows),
  },
  {
    // No count says that the probabilities are missing there rather than spread.
    name: 'a country without any probability, among those asked for by probability or ordered by it',
    covers: ({ filter: { country_id, exclude_country_id }, request, filter }) =>
      (country_id?.includes('TV') ?? exclude_country_id?.includes('TV') === false) &&
      (boundsProbability(filter) || request.sort.by === 'gender_probability'),
    most: ({ counts }) => 1.1 * counts.candidates + 2000,
  },
]

describe('pages of a million profiles', () => {
  it(`of ${cases} filters and orders come without a scan of the table, reading ${mostRows} rows at the most`, async () => {
    const random = seeded(4)
    const rows = await database.sql<ProfileRow[]>`
      select * from profiles tablesample bernoulli (0.1) repeatable (1)`
    const tooMuch: unknown[] = []
    const excepted = new Set<string>()
    for (let n = 0; n < cases; n++) {
      const { filter, requests } = randomCase(random, rows, n >= plainCases)
      const counts = await countProfiles(database.sql, filter, size)
      for (const request of requests) {
        const page = { filter, request, counts }
        plans = []
        await readPage(observed, filter, request, counts)
        if (counts.matches > 0) expect(plans.length).toBeGreaterThan(0)
        const read = plans.reduce((sum, plan) => sum + rowsRead(plan), 0)
        const exception = exceptions.find(({ covers, most }) => covers(page) && read <= most(page))
        const scanned = plans.some(scansTable)
        if (read > mostRows && exception) excepted.add(exception.name)
        if (scanned || (read > mostRows && !exception)) tooMuch.push({ ...page, read, scanned })
      }
    }
    expect(tooMuch).toEqual([])
    // An exception that nothing needs any more goes.
    expect([...excepted].sort()).toEqual(exceptions.map(({ name }) => name).sort())
  }, 120_000)

  it('ten thousand pages down by cursor read no more than the first, and no offset', async () => {
    const deep: PageRequest[] = []
    for (const by of sortColumns) {
      const order = by === 'created_at' ? 'id' : `${by}, id`
      const [row] = await database.sql.unsafe<ProfileRow[]>(
        `select * from profiles where country_id <> 'TV' and ${by === 'created_at' ? 'id' : by} is not null order by ${order} offset 500000 limit 1`,
      )
      const value = by === 'created_at' ? null : row![by]
      deep.push({ sort: { by, order: 'asc' }, limit: maxLimit, after: { id: row!.id, value } })
    }
    const counts = await countProfiles(database.sql, {}, size)
    for (const request of deep) {
      const read = async (page: PageRequest) => {
        plans = []
        expect(await readPage(observed, {}, page, counts)).toHaveLength(maxLimit + 1)
        return plans.reduce((sum, plan) => sum + rowsRead(plan), 0)
      }
      const first = await read({ sort: request.sort, limit: maxLimit, page: 1 })
      expect(await read(request)).toBeLessThanOrEqual(2 * first)
    }
  })
})
