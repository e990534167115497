import type postgres from 'postgres'
import * as z from 'zod'
import type { Sql } from '../platform/db.ts'
import { conditions } from './conditions.ts'
import { countryName } from './countries.ts'
import { createdOutside, mostCreatedWithin, withinBudget } from './counts.ts'
import { boundsCreation, boundsProbability, type Filter, filterSchema, isCountedByFacets } from './filter.ts'
import { optionalInterpretation } from './interpretation.ts'
import { type AgeGroup, ageGroup, ageGroups, type Gender, genders, parsed } from './profile.ts'

type Fragment = postgres.Fragment

const count = z.int().min(0)

/** What counts may be taken by, two at a time. */
export const dimensions = ['gender', 'age', 'country'] as const
export type Dimension = (typeof dimensions)[number]
export type TwoDimensions = readonly [Dimension, Dimension]

/** The query parameter `by`, for the schema of a route. */
export const byParameter = z
  .string()
  .transform((text, context): TwoDimensions => {
    const names = text.split(',').map((name) => name.trim().toLowerCase())
    const known = names.filter((name): name is Dimension =>
      dimensions.some((dimension) => dimension === name),
    )
    const [one, other] = known
    const two = one && other && one !== other && names.length === 2 ? ([one, other] as const) : undefined
    return parsed(two, context, 'must be two of gender, age and country, comma-separated')
  })
  .meta({
    description: 'two of gender, age and country, comma-separated: counts by both together',
    examples: ['gender,age'],
  })

const countsSchema = z.strictObject({
  total: count,
  by_gender: z.strictObject({ female: count, male: count }),
  by_age_group: z.strictObject({ child: count, teenager: count, adult: count, senior: count }),
  /** Most profiles first; countries without any are left out. */
  by_country: z.array(z.strictObject({ country_id: z.string(), country_name: z.string(), count })),
  /** Youngest first; ages without anybody are left out. */
  age_histogram: z.array(z.strictObject({ age: z.int(), count })),
  by: z.array(z.enum(dimensions)).length(2).optional().meta({ description: 'as asked for' }),
  /** Ascending by the first of the two, then by the second; pairs without any profile are left out. */
  counts: z
    .array(
      z.strictObject({
        country_id: z.string().length(2).optional(),
        gender: z.enum(genders).optional(),
        age: z.int().optional(),
        count,
      }),
    )
    .optional()
    .meta({ description: 'one entry for each pair that occurs, with the two that were asked for' }),
})
/** Exact counts of what a filter lets through, each of which adds up to `total`. */
export type ProfileStats = z.output<typeof countsSchema>

export const statsSchema = countsSchema
  .extend({ status: z.literal('success'), filter: filterSchema, ...optionalInterpretation })
  .meta({
    id: 'ProfileStats',
    description:
      'age_histogram has one entry a year of age that occurs. interpreted is there if q was given.',
  })

/** A count by one of the three, or by two; the others are null. */
type GroupRow = { country_id: string | null; gender: Gender | null; age: number | null; count: number }

const columns = { country: 'country_id', gender: 'gender', age: 'age' } as const

/**
 * All counts in one statement, hence of one moment. Throws TotalTimeoutError where bounds on probabilities or on
 * creation take too long.
 */
export async function readStats(sql: Sql, filter: Filter, by?: TwoDimensions): Promise<ProfileStats> {
  const complement = isCountedByComplement(filter) && (await mostCreatedWithin(sql, filter))
  const read = () => groups(sql, cellsOf(sql, filter, complement), by)
  const rows = isCountedByFacets(filter) ? await read() : await withinBudget(read)
  const stats: ProfileStats = {
    total: 0,
    by_gender: { female: 0, male: 0 },
    by_age_group: emptyAgeGroups(),
    by_country: [],
    age_histogram: [],
  }
  const counts: GroupRow[] = []
  for (const row of rows) {
    const { country_id, gender, age, count } = row
    if ([country_id, gender, age].filter((value) => value !== null).length === 2) {
      counts.push(row)
      continue
    }
    if (gender !== null) {
      stats.by_gender[gender] = count
      stats.total += count
    }
    if (country_id !== null) {
      stats.by_country.push({ country_id, country_name: countryName(country_id), count })
    }
    if (age !== null) {
      stats.age_histogram.push({ age, count })
      stats.by_age_group[ageGroup(age)] += count
    }
  }
  stats.by_country.sort((a, b) => b.count - a.count || (a.country_id < b.country_id ? -1 : 1))
  stats.age_histogram.sort((a, b) => a.age - b.age)
  return by ? { ...stats, by: [...by], counts: countsBy(counts, by) } : stats
}

function emptyAgeGroups(): Record<AgeGroup, number> {
  return Object.fromEntries(Object.keys(ageGroups).map((group) => [group, 0])) as Record<AgeGroup, number>
}

function countsBy(rows: readonly GroupRow[], [one, other]: TwoDimensions): ProfileStats['counts'] {
  const [first, second] = [columns[one], columns[other]]
  return rows
    .toSorted((a, b) => compare(a[first]!, b[first]!) || compare(a[second]!, b[second]!))
    .map((row) => ({ [first]: row[first], [second]: row[second], count: row.count }))
}

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function groups(sql: Sql, cells: Fragment, by: TwoDimensions | undefined) {
  const both = by ? sql`, (${sql(columns[by[0]])}, ${sql(columns[by[1]])})` : sql``
  return sql<GroupRow[]>`
    select country_id, gender, age, sum(count)::bigint as count from (${cells}) cells
    where count > 0 group by grouping sets (country_id, gender, age ${both})`
}

/** Whether the facets can count it but for its bounds on creation. */
function isCountedByComplement(filter: Filter): boolean {
  return (
    boundsCreation(filter) &&
    !boundsProbability(filter) &&
    filter.name === undefined &&
    filter.updated_after === undefined
  )
}

/** Counts by cell; with `complement` what the bounds on creation leave out is counted and taken off the facets. */
function cellsOf(sql: Sql, filter: Filter, complement: boolean): Fragment {
  if (isCountedByFacets(filter)) return cellsOfFacets(sql, filter)
  if (!complement) return cellsByScan(sql, filter)
  const parts = createdOutside(filter).map((part) => cellsByScan(sql, part))
  const outside = parts.reduce((all, part) => sql`${all} union all ${part}`)
  return sql`
    select country_id, gender, age, f.count - coalesce(o.count, 0) as count
    from (${cellsOfFacets(sql, filter)}) f left join (
      select country_id, gender, age, sum(count) as count from (${outside}) parts group by country_id, gender, age
    ) o using (country_id, gender, age)`
}

function cellsOfFacets(sql: Sql, filter: Filter): Fragment {
  return sql`
    select country_id, gender, age, count from facets where count > 0 and ${conditions(sql, filter, 'facets')}`
}

/** By cells first: what the groupings would sort is some thousand rows then. */
function cellsByScan(sql: Sql, filter: Filter): Fragment {
  return sql`
    select country_id, gender, age, count(*) as count
    from profiles where ${conditions(sql, filter, 'profiles')} group by country_id, gender, age`
}
