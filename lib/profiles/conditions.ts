import type postgres from 'postgres'
import { arrayLiteral, type Sql } from '../platform/db.ts'
import type { Filter } from './filter.ts'

type Fragment = postgres.Fragment

/** Joins conditions by AND; none at all is `true`. */
export function every(sql: Sql, parts: readonly Fragment[]): Fragment {
  return parts.reduce((joined, part) => sql`${joined} and ${part}`, sql`true`)
}

export function countryCondition(sql: Sql, { country_id }: Filter): Fragment[] {
  if (!country_id) return []
  // The column is bpchar: compared with text, no index would be used.
  if (country_id.length === 1) return [sql`country_id = ${country_id[0]!}::bpchar`]
  return [sql`country_id = any(${arrayLiteral(country_id)}::bpchar[])`]
}

export function genderCondition(sql: Sql, { gender }: Filter): Fragment[] {
  return gender ? [sql`gender = ${gender}`] : []
}

export function ageConditions(sql: Sql, { min_age, max_age }: Filter): Fragment[] {
  const parts: Fragment[] = []
  if (min_age !== undefined) parts.push(sql`age >= ${min_age}::smallint`)
  if (max_age !== undefined) parts.push(sql`age <= ${max_age}::smallint`)
  return parts
}

export function genderProbabilityCondition(sql: Sql, { min_gender_probability: bound }: Filter): Fragment[] {
  return bound === undefined ? [] : [sql`gender_probability >= ${bound}::float8`]
}

export function countryProbabilityCondition(
  sql: Sql,
  { min_country_probability: bound }: Filter,
): Fragment[] {
  return bound === undefined ? [] : [sql`country_probability >= ${bound}::float8`]
}

/** The whole filter as one condition on `profiles`, or its part that `facets` has columns for. */
export function conditions(sql: Sql, filter: Filter, table: 'profiles' | 'facets'): Fragment {
  const parts = [
    ...countryCondition(sql, filter),
    ...genderCondition(sql, filter),
    ...ageConditions(sql, filter),
  ]
  if (table === 'profiles') {
    parts.push(...genderProbabilityCondition(sql, filter), ...countryProbabilityCondition(sql, filter))
  }
  return every(sql, parts)
}
