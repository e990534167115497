import { countryCodes } from './countries.ts'

/** Countries by their codes, in any order: any of the first, but none of the others. */
export type CountryBounds = {
  country_id?: readonly string[] | undefined
  exclude_country_id?: readonly string[] | undefined
}

/** The countries that satisfy the bounds, sorted; undefined for bounds that leave every country. */
export function countrySet({ country_id, exclude_country_id }: CountryBounds): string[] | undefined {
  if (!country_id?.length && !exclude_country_id?.length) return undefined
  const excluded = new Set(exclude_country_id)
  const given = country_id?.length ? [...new Set(country_id)].sort() : countryCodes
  const left = given.filter((code) => !excluded.has(code))
  return left.length === countryCodes.length ? undefined : left
}

/** The one way to say a set of countries: which they are, or, where that is the shorter list, which they are not. */
export function canonicalCountries(set: readonly string[] | undefined): {
  country_id?: string[]
  exclude_country_id?: string[]
} {
  if (!set) return {}
  if (set.length <= countryCodes.length / 2) return { country_id: [...set] }
  const included = new Set(set)
  return { exclude_country_id: countryCodes.filter((code) => !included.has(code)) }
}
