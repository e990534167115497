import type { Sql, Transaction } from '../../lib/platform/db.ts'
import { isInsightaError } from '../../lib/platform/errors.ts'
import { lowestId } from '../../lib/profiles/creation.ts'
import { applyFacetDeltas } from '../../lib/profiles/facets.ts'
import { canonicalFilter, type Filter, type FilterInput } from '../../lib/profiles/filter.ts'
import { foldName } from '../../lib/profiles/names.ts'
import {
  type AgeGroup,
  ageGroup,
  ageGroups,
  createdAt,
  type Gender,
  type NewProfile,
  nameKey,
  type ProfileRow,
} from '../../lib/profiles/profile.ts'
import { fc } from './properties.ts'

/** A query string as the object that a route's schema gets. */
export function decodeFor(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query))
}

const gender = fc.constantFrom<Gender>('male', 'female')
const someCountries = ['AO', 'GH', 'KE', 'NG'] as const

/** When the first profile of withTimes was created; each third one comes an hour later than the one before. */
const firstTime = Date.parse('2026-01-01T00:00:00Z')
const timeOf = (at: number) => new Date(firstTime + at * 3_600_000).toISOString()
/** From before the first to behind the last of some 500. */
const times = fc.integer({ min: -1, max: 170 }).map(timeOf)

/** A value one time in three: with more conditions at once hardly any profile is left. */
export function seldom<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: values })
}

const names = fc.nat(120).map((n) => (n % 2 ? `Person ${n}` : `  PERSON\u00a0${n}`))
const kinds = {
  country_id: seldom(fc.subarray([...someCountries], { minLength: 1 })),
  exclude_country_id: seldom(fc.subarray([...someCountries], { minLength: 1 })),
  gender: seldom(gender),
  age_group: seldom(fc.subarray(Object.keys(ageGroups) as AgeGroup[], { minLength: 1 })),
  ages: seldom(fc.tuple(fc.nat(90), fc.nat(90))),
}

/** Filters of all kinds that contradict nothing. */
export const filters: fc.Arbitrary<FilterInput> = fc
  .record({
    ...kinds,
    min_gender_probability: seldom(fc.constantFrom(0, 0.3, 0.7, 1)),
    min_country_probability: seldom(fc.constantFrom(0, 0.5)),
    created_after: seldom(times),
    created_before: seldom(times),
    // A name leaves nothing to the rest but to agree or not.
    name: seldom(seldom(names)),
  })
  .map(joinAges)
  .filter((filter) => !isContradiction(filter))

/** Those that bound creation, and nothing else that the facets cannot count. */
export const creationFilters: fc.Arbitrary<FilterInput> = fc
  .record({ ...kinds, created_after: seldom(times), created_before: seldom(times) })
  .map(joinAges)
  .filter(
    (filter) =>
      (filter.created_after !== undefined || filter.created_before !== undefined) && !isContradiction(filter),
  )

function joinAges<Rest extends object>({
  ages,
  ...rest
}: Rest & { ages?: [number, number] | undefined }): Omit<Rest, 'ages'> & FilterInput {
  return { ...rest, ...(ages && { min_age: Math.min(...ages), max_age: Math.max(...ages) }) }
}

function isContradiction(filter: FilterInput): boolean {
  try {
    canonicalFilter(filter)
    return false
  } catch (error) {
    if (isInsightaError(error) && error.status === 422) return true
    throw error
  }
}

/** A small, repeatable population with ties, nulls, and one country at the end of the order. */
export function population(count: number): NewProfile[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `Person ${i}`,
    gender: (i * 7) % 3 === 0 ? 'male' : 'female',
    gender_probability: i % 5 === 0 ? null : ((i * 13) % 11) / 10,
    age: (i * 17) % 91,
    country_id: i > count * 0.9 ? 'AO' : someCountries[1 + ((i * 31) % 3)]!,
    country_probability: i % 4 === 0 ? null : ((i * 3) % 10) / 10,
  }))
}

/** The profiles with ids of their own, in their order, three of one millisecond each hour. */
export function withTimes(profiles: readonly NewProfile[]): ProfileRow[] {
  return profiles.map((profile, i) => {
    const id = lowestId(timeOf(Math.floor(i / 3)))
    return { ...profile, id: `${id.slice(0, 14)}7000-8000-${i.toString(16).padStart(12, '0')}` }
  })
}

/** Stores profiles in their order, with their facets; each under its id, if it has one. */
export async function storeProfiles(sql: Sql, profiles: readonly (NewProfile | ProfileRow)[]): Promise<void> {
  await sql.begin((tx) => insertWithFacets(tx, profiles))
}

/** The same inside a transaction, of which it must be the last. */
export async function insertWithFacets(
  tx: Transaction,
  profiles: readonly (NewProfile | ProfileRow)[],
): Promise<void> {
  const rows = profiles.map((profile) => ({ ...profile, name_key: nameKey(profile.name) }))
  await tx`
    insert into profiles (id, name_key, name, gender, gender_probability, age, country_id, country_probability)
    select coalesce(id, uuidv7()), name_key, name, gender, gender_probability, age, country_id,
      country_probability
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as row(
      id uuid, name_key uuid, name text, gender text, gender_probability float8, age smallint, country_id text,
      country_probability float8)`
  await applyFacetDeltas(
    tx,
    profiles.map(({ country_id, gender, age }) => ({ country_id, gender, age, delta: 1 })),
  )
}

/** Whether a profile satisfies a canonical filter, said as plainly as possible. */
export function satisfies(profile: NewProfile | ProfileRow, filter: Filter): boolean {
  const { country_id, exclude_country_id, min_age = 0, max_age = 150 } = filter
  return (
    (!country_id || country_id.includes(profile.country_id)) &&
    !exclude_country_id?.includes(profile.country_id) &&
    (!filter.gender || filter.gender === profile.gender) &&
    (!filter.age_group || filter.age_group.includes(ageGroup(profile.age))) &&
    profile.age >= min_age &&
    profile.age <= max_age &&
    atLeast(profile.gender_probability, filter.min_gender_probability) &&
    atLeast(profile.country_probability, filter.min_country_probability) &&
    (filter.name === undefined || foldName(profile.name) === filter.name) &&
    wasCreatedWithin(profile, filter)
  )
}

function wasCreatedWithin(
  profile: NewProfile | ProfileRow,
  { created_after, created_before }: Filter,
): boolean {
  if (created_after === undefined && created_before === undefined) return true
  if (!('id' in profile)) throw new Error('A profile without an id has no time')
  const time = createdAt(profile.id).toISOString()
  return time >= (created_after ?? '') && (created_before === undefined || time < created_before)
}

function atLeast(value: number | null, bound: number | undefined): boolean {
  return bound === undefined || (value !== null && value >= bound)
}
