import fc from 'fast-check'
import type { Sql, Transaction } from '../../lib/platform/db.ts'
import { applyFacetDeltas } from '../../lib/profiles/facets.ts'
import type { Filter, FilterInput } from '../../lib/profiles/filter.ts'
import { type Gender, type NewProfile, nameKey } from '../../lib/profiles/profile.ts'

/** A query string as the object that a route's schema gets. */
export function decodeFor(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query))
}

const gender = fc.constantFrom<Gender>('male', 'female')
const someCountries = ['AO', 'GH', 'KE', 'NG'] as const

/** Filters that contradict nothing. */
export const filters: fc.Arbitrary<FilterInput> = fc
  .record(
    {
      country_id: fc.subarray([...someCountries], { minLength: 1 }),
      gender,
      ages: fc.tuple(fc.nat(90), fc.nat(90)),
      min_gender_probability: fc.constantFrom(0, 0.3, 0.7, 1),
      min_country_probability: fc.constantFrom(0, 0.5),
    },
    { requiredKeys: [] },
  )
  .map(({ ages, ...rest }) => ({
    ...rest,
    ...(ages && { min_age: Math.min(...ages), max_age: Math.max(...ages) }),
  }))

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

/** Stores profiles in their order, with their facets. */
export async function storeProfiles(sql: Sql, profiles: readonly NewProfile[]): Promise<void> {
  await sql.begin(async (tx: Transaction) => {
    const rows = profiles.map((profile) => ({ ...profile, name_key: nameKey(profile.name) }))
    await tx`
      insert into profiles (name_key, name, gender, gender_probability, age, country_id, country_probability)
      select name_key, name, gender, gender_probability, age, country_id, country_probability
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as row(
        name_key uuid, name text, gender text, gender_probability float8, age smallint, country_id text,
        country_probability float8)`
    await applyFacetDeltas(
      tx,
      profiles.map(({ country_id, gender, age }) => ({ country_id, gender, age, delta: 1 })),
    )
  })
}

/** Whether a profile satisfies a filter, said as plainly as possible. */
export function satisfies(profile: NewProfile, filter: Filter): boolean {
  const { country_id, min_age = 0, max_age = 150, min_gender_probability, min_country_probability } = filter
  return (
    (!country_id || country_id.includes(profile.country_id)) &&
    (!filter.gender || filter.gender === profile.gender) &&
    profile.age >= min_age &&
    profile.age <= max_age &&
    atLeast(profile.gender_probability, min_gender_probability) &&
    atLeast(profile.country_probability, min_country_probability)
  )
}

function atLeast(value: number | null, bound: number | undefined): boolean {
  return bound === undefined || (value !== null && value >= bound)
}
