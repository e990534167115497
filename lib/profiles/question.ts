import { UnprocessableError } from '../platform/errors.ts'
import { ageRanges, describeAges } from './ages.ts'
import { countrySet } from './country-sets.ts'
import { canonicalFilter, type Filter, type FilterInput, filterParameters } from './filter.ts'
import { interpret, searchText } from './grammar.ts'

/** The query parameters that say which profiles are meant: filters, and a question in plain English beside them. */
export const questionParameters = {
  ...filterParameters,
  q: searchText.optional().meta({
    description: 'plain English; must hold beside the filters',
    examples: ['Nigerian females between ages 20 and 45'],
  }),
}

/** What these parameters say. */
export type Question = FilterInput & { q?: string | undefined }

/**
 * The canonical filter of all parameters together: filters and question must both hold. Throws as
 * canonicalFilter and interpret do, and UnprocessableError if the two contradict each other.
 */
export function meaningOf({ q, ...input }: Question): Filter {
  const filter = canonicalFilter(input)
  return q === undefined ? filter : intersection(interpret(q), filter)
}

/** The filter that lets through what both do. Throws UnprocessableError, on `q`, if that is nothing. */
function intersection(asked: Filter, filter: Filter): Filter {
  const { gender = asked.gender } = filter
  if (asked.gender && asked.gender !== gender)
    throw contradiction(`gender ${asked.gender}`, `gender ${gender}`)
  const ages = {
    age_group: common(asked.age_group, filter.age_group),
    min_age: highest(asked.min_age, filter.min_age),
    max_age: lowest(asked.max_age, filter.max_age),
  }
  if (ageRanges(ages).length === 0) throw contradiction(saidAges(asked), saidAges(filter))
  const countries = common(countrySet(asked), countrySet(filter))
  if (countries?.length === 0) throw contradiction(saidCountries(asked), saidCountries(filter))
  return canonicalFilter({
    // Of names and times of creation no question can speak.
    ...asked,
    ...filter,
    ...ages,
    gender,
    country_id: countries,
    exclude_country_id: undefined,
    min_gender_probability: highest(asked.min_gender_probability, filter.min_gender_probability),
    min_country_probability: highest(asked.min_country_probability, filter.min_country_probability),
  })
}

function contradiction(asked: string, given: string): UnprocessableError {
  const message = `q asks for ${asked}, which contradicts ${given}`
  return new UnprocessableError(message, [{ field: 'q', message }])
}

function saidAges(filter: Filter): string {
  return `ages ${describeAges(ageRanges(filter))}`
}

function saidCountries({ country_id, exclude_country_id }: Filter): string {
  return country_id ? `country_id ${country_id}` : `exclude_country_id ${exclude_country_id}`
}

/** What is in both lists; a list that is missing holds everything. */
function common<T>(one: T[] | undefined, other: T[] | undefined): T[] | undefined {
  return one && other ? one.filter((value) => other.includes(value)) : (one ?? other)
}

/** The greater of two bounds; the only one if the other is missing. */
function highest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other)
}

function lowest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}
