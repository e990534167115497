import type { Filter } from './filter.ts'

/** The order of the parameters; every field of a filter is one, and no other. */
const parameters = [
  'country_id',
  'exclude_country_id',
  'gender',
  'age_group',
  'min_age',
  'max_age',
  'min_gender_probability',
  'min_country_probability',
  'name',
  'created_after',
  'created_before',
] as const satisfies readonly (keyof Filter)[]

/**
 * A filter as the query string that means it, such as `country_id=GH,NG&min_age=20`; empty for every profile.
 * Of equal filters it is equal.
 */
export function filterQuery(filter: Filter): string {
  return parameters
    .filter((name) => filter[name] !== undefined)
    .map((name) => `${name}=${escaped(String(filter[name]))}`)
    .join('&')
}

/** Commas and colons need no escape in a query, and are easier to read without. */
function escaped(value: string): string {
  return encodeURIComponent(value).replaceAll('%2C', ',').replaceAll('%3A', ':')
}
