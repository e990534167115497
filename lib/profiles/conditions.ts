import type postgres from 'postgres'
import { arrayLiteral, type Sql } from '../platform/db.ts'
import { ageRanges } from './ages.ts'
import { lowestId } from './creation.ts'
import type { Filter } from './filter.ts'
import { nameKey } from './profile.ts'
import { idsOfName } from './store.ts'

type Fragment = postgres.Fragment

/** Joins conditions by AND; none at all is `true`. */
export function every(sql: Sql, parts: readonly Fragment[]): Fragment {
  return parts.reduce((joined, part) => sql`${joined} and ${part}`, sql`true`)
}

export function countryCondition(sql: Sql, { country_id, exclude_country_id }: Filter): Fragment[] {
  if (exclude_country_id) return [sql`country_id <> all(${arrayLiteral(exclude_country_id)}::bpchar[])`]
  if (!country_id) return []
  // The column is bpchar: compared with text, no index would be used.
  if (country_id.length === 1) return [sql`country_id = ${country_id[0]!}::bpchar`]
  return [sql`country_id = any(${arrayLiteral(country_id)}::bpchar[])`]
}

export function genderCondition(sql: Sql, { gender }: Filter): Fragment[] {
  return gender ? [sql`gender = ${gender}`] : []
}

export function ageConditions(sql: Sql, filter: Filter): Fragment[] {
  const { age_group, min_age, max_age } = filter
  if (age_group) {
    // Each age by itself: an index is read in its order then, and what lies between the ranges is skipped.
    const ages = ageRanges(filter).flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, n) => from + n),
    )
    return [sql`age = any(${arrayLiteral(ages)}::smallint[])`]
  }
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

export function nameCondition(sql: Sql, { name }: Filter): Fragment[] {
  return name === undefined ? [] : [sql`id in (${idsOfName(sql, nameKey(name))})`]
}

/** Bounds on creation are a range of ids. */
export function creationConditions(sql: Sql, { created_after, created_before }: Filter): Fragment[] {
  const parts: Fragment[] = []
  if (created_after !== undefined) parts.push(sql`id >= ${lowestId(created_after)}::uuid`)
  if (created_before !== undefined) parts.push(sql`id < ${lowestId(created_before)}::uuid`)
  return parts
}

/** By the ids of profiles that were edited: a hand at work makes few, beside those that imports make. */
export function editCondition(sql: Sql, { updated_after }: Filter): Fragment[] {
  if (updated_after === undefined) return []
  return [
    sql`id in (select profile_id from profile_edits where edited_at >= ${updated_after}::text::timestamptz)`,
  ]
}

/** The whole filter as one condition on `profiles`, or its part that `facets` has columns for. */
export function conditions(sql: Sql, filter: Filter, table: 'profiles' | 'facets'): Fragment {
  const parts = [
    ...countryCondition(sql, filter),
    ...genderCondition(sql, filter),
    ...ageConditions(sql, filter),
  ]
  if (table === 'profiles') {
    parts.push(
      ...genderProbabilityCondition(sql, filter),
      ...countryProbabilityCondition(sql, filter),
      ...nameCondition(sql, filter),
      ...creationConditions(sql, filter),
      ...editCondition(sql, filter),
    )
  }
  return every(sql, parts)
}
