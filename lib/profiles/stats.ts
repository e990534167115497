import * as z from 'zod'
import { retryRead, type Sql } from '../platform/db.ts'
import { conditions } from './conditions.ts'
import { countryName } from './countries.ts'
import { withinBudget } from './counts.ts'
import { boundsProbability, type Filter, filterSchema } from './filter.ts'
import { type AgeGroup, ageGroup, ageGroups, type Gender } from './profile.ts'

const count = z.int().min(0)

const countsSchema = z.strictObject({
  total: count,
  by_gender: z.strictObject({ female: count, male: count }),
  by_age_group: z.strictObject({ child: count, teenager: count, adult: count, senior: count }),
  /** Most profiles first; countries without any are left out. */
  by_country: z.array(z.strictObject({ country_id: z.string(), country_name: z.string(), count })),
  /** Youngest first; ages without anybody are left out. */
  age_histogram: z.array(z.strictObject({ age: z.int(), count })),
})
/** Exact counts of what a filter lets through, each of which adds up to `total`. */
export type ProfileStats = z.output<typeof countsSchema>

export const statsSchema = countsSchema
  .extend({ status: z.literal('success'), filter: filterSchema })
  .meta({ id: 'ProfileStats', description: 'age_histogram has one entry a year of age that occurs.' })

/** A count by one of the three; the other two are null. */
type GroupRow = { country_id: string | null; gender: Gender | null; age: number | null; count: number }

/** All counts in one statement, hence of one moment. Throws TotalTimeoutError where probabilities take too long. */
export async function readStats(sql: Sql, filter: Filter): Promise<ProfileStats> {
  const rows = boundsProbability(filter)
    ? await withinBudget(() => groups(sql, cellsByScan(sql, filter)))
    : await retryRead(() => groups(sql, cellsOfFacets(sql, filter)))
  const stats: ProfileStats = {
    total: 0,
    by_gender: { female: 0, male: 0 },
    by_age_group: emptyAgeGroups(),
    by_country: [],
    age_histogram: [],
  }
  for (const { country_id, gender, age, count } of rows) {
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
  return stats
}

function emptyAgeGroups(): Record<AgeGroup, number> {
  return Object.fromEntries(Object.keys(ageGroups).map((group) => [group, 0])) as Record<AgeGroup, number>
}

function groups(sql: Sql, cells: ReturnType<typeof cellsOfFacets>) {
  return sql<GroupRow[]>`
    select country_id, gender, age, sum(count)::bigint as count from (${cells}) cells
    group by grouping sets (country_id, gender, age)`
}

function cellsOfFacets(sql: Sql, filter: Filter) {
  return sql`
    select country_id, gender, age, count from facets where count > 0 and ${conditions(sql, filter, 'facets')}`
}

/** By cells first: what three groupings would sort is some thousand rows then. */
function cellsByScan(sql: Sql, filter: Filter) {
  return sql`
    select country_id, gender, age, count(*) as count
    from profiles where ${conditions(sql, filter, 'profiles')} group by country_id, gender, age`
}
