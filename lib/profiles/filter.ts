import * as z from 'zod'
import { UnprocessableError } from '../platform/errors.ts'
import { commaList, wordList } from '../platform/http/shapes.ts'
import { ageRanges, canonicalAges, describeAges } from './ages.ts'
import { countryProblem } from './country-hint.ts'
import { canonicalCountries, countrySet } from './country-sets.ts'
import { canonicalCreation, isCrossed } from './creation.ts'
import { notBefore1970, parseInstant } from './instant.ts'
import { foldName } from './names.ts'
import {
  type AgeGroup,
  ageGroups,
  type Gender,
  genders,
  maxAge,
  maxNameLength,
  nameText,
  parseAge,
  parseCountry,
  parsed,
  parseGender,
  parseProbability,
} from './profile.ts'

/**
 * Which profiles are meant, in one canonical form: equal meaning, equal value. Bounds are inclusive unless they
 * say otherwise; a profile without a probability never satisfies a bound on it, not even 0.
 */
export type Filter = {
  /** Upper case, sorted, distinct, never empty: any of these. */
  country_id?: string[]
  /** The same, none of these: in place of country_id if that would be the longer list. */
  exclude_country_id?: string[]
  gender?: Gender
  /** Youngest first: any of these. Only for ages that are no single range; the bounds narrow its two ends. */
  age_group?: AgeGroup[]
  min_age?: number
  max_age?: number
  min_gender_probability?: number
  min_country_probability?: number
  /** Folded (foldName): the profile of this name, and those that a change of the folding made its twins. */
  name?: string
  /** UTC, in milliseconds. */
  created_after?: string
  /** The same, exclusive. */
  created_before?: string
  /** Edited at or after it. UTC, in milliseconds. */
  updated_after?: string
}

const countryList = z.array(z.string().length(2)).optional()
const instant = z.iso.datetime().optional()

/** A canonical filter in a response. */
export const filterSchema = z
  .strictObject({
    country_id: countryList,
    exclude_country_id: countryList,
    gender: z.enum(genders).optional(),
    age_group: z.array(z.enum(Object.keys(ageGroups) as AgeGroup[])).optional(),
    min_age: z.int().optional(),
    max_age: z.int().optional(),
    min_gender_probability: z.number().optional(),
    min_country_probability: z.number().optional(),
    name: z.string().optional(),
    created_after: instant,
    created_before: instant,
    updated_after: instant,
  })
  .meta({
    id: 'ProfileFilter',
    description: 'Filters in their canonical form: whatever means the same has the same. Names are folded.',
  })

/** Filters as they were asked for, their values parsed but not yet combined. */
export type FilterInput = { [K in keyof Filter]?: Filter[K] | undefined }

const age = z
  .string()
  .transform((value, context) =>
    parsed(parseAge(value), context, `must be a whole number from 0 to ${maxAge}`),
  )
const probability = z
  .string()
  .transform((value, context) =>
    parsed(parseProbability(value) ?? undefined, context, 'must be a number from 0 to 1'),
  )

/** How the API's description has them: in a query every value is a text, which says nothing. */
const ageText = {
  description: 'inclusive',
  override: { type: 'integer', minimum: 0, maximum: maxAge },
} as const
const probabilityText = {
  description: 'inclusive; a profile without the probability never satisfies it',
  override: { type: 'number', minimum: 0, maximum: 1 },
} as const

const countries = () => commaList(parseCountry, countryProblem)
const moment = z
  .string()
  .transform((value, context) =>
    parsed(
      parseInstant(value),
      context,
      'must be a date (2026-11-01) or a date and time with its zone (2026-11-01T09:30:00Z), in ISO 8601',
    ),
  )

/** The filter's query parameters, for the schema of a route. */
export const filterParameters = {
  gender: z
    .string()
    .transform((value, context) => parsed(parseGender(value), context, 'must be male or female'))
    .optional()
    .meta({ override: { enum: [...genders] } }),
  age_group: wordList(Object.keys(ageGroups) as AgeGroup[])
    .optional()
    .meta({
      description: `${Object.keys(ageGroups).join(', ')}, comma-separated: any of them`,
      examples: ['child,senior'],
    }),
  country_id: countries()
    .optional()
    .meta({ description: 'ISO 3166-1 alpha-2 codes, comma-separated: any of them', examples: ['NG,GH'] }),
  exclude_country_id: countries()
    .optional()
    .meta({ description: 'ISO 3166-1 alpha-2 codes, comma-separated: none of them', examples: ['NG,GH'] }),
  min_age: age.optional().meta(ageText),
  max_age: age.optional().meta(ageText),
  min_gender_probability: probability.optional().meta(probabilityText),
  min_country_probability: probability.optional().meta(probabilityText),
  name: nameText.optional().meta({
    description: 'the whole name, in any case and Unicode form',
    override: { minLength: 1, maxLength: maxNameLength },
    examples: ['Ada Example'],
  }),
  created_after: moment.optional().meta({
    description: 'ISO 8601, inclusive: a date (its midnight in UTC), or a date and time with its zone',
    examples: ['2026-11-01', '2026-11-01T09:30:00Z'],
  }),
  created_before: moment.optional().meta({
    description: 'ISO 8601, exclusive: a date (its midnight in UTC), or a date and time with its zone',
    examples: ['2026-12-01', '2026-11-01T10:30:00+01:00'],
  }),
  updated_after: moment.optional().meta({
    description: 'ISO 8601, inclusive: edited since then; a profile that was never edited never satisfies it',
    examples: ['2026-11-01T09:30:00Z'],
  }),
}

/**
 * The canonical form: bounds of one kind become one, and those that exclude no profile are dropped. Throws
 * UnprocessableError with the reason if no profile can satisfy it.
 */
export function canonicalFilter(input: FilterInput): Filter {
  const { gender, min_gender_probability, min_country_probability, name } = input
  const countries = countrySet(input)
  if (countries?.length === 0) throw noCountry(input)
  const ages = ageRanges(input)
  if (ages.length === 0) throw noAge(input)
  if (isCrossed(input)) throw crossed(input)
  return {
    ...canonicalCountries(countries),
    ...(gender && { gender }),
    ...canonicalAges(ages),
    ...(min_gender_probability !== undefined && { min_gender_probability }),
    ...(min_country_probability !== undefined && { min_country_probability }),
    ...(name !== undefined && { name: foldName(name) }),
    ...canonicalCreation(input),
    ...(input.updated_after !== undefined && { updated_after: notBefore1970(input.updated_after) }),
  }
}

function contradiction(field: keyof Filter, message: string): UnprocessableError {
  return new UnprocessableError(message, [{ field, message }])
}

function noCountry({ country_id }: FilterInput): UnprocessableError {
  const left = country_id ? 'no country of country_id' : 'no country'
  return contradiction('exclude_country_id', `exclude_country_id leaves ${left}`)
}

function noAge({ min_age, max_age, age_group }: FilterInput): UnprocessableError {
  if (min_age !== undefined && max_age !== undefined && min_age > max_age) {
    return contradiction('min_age', `min_age ${min_age} is greater than max_age ${max_age}`)
  }
  // One of the bounds may be to blame alone.
  const low = { name: 'min_age', value: min_age, left: ageRanges({ age_group, min_age }) }
  const high = { name: 'max_age', value: max_age, left: ageRanges({ age_group, max_age }) }
  const alone = [low, high].filter(({ left }) => left.length === 0)
  const bounds = (alone.length > 0 ? alone : [low, high]).map(({ name, value }) => `${name} ${value}`)
  const groups = `age_group ${age_group?.join(',')} is ${describeAges(ageRanges({ age_group }))}`
  return contradiction('age_group', `${groups}, which contradicts ${bounds.join(' and ')}`)
}

function crossed({ created_after, created_before }: FilterInput): UnprocessableError {
  const message = `created_after ${created_after} is not earlier than created_before ${created_before}`
  return contradiction('created_after', message)
}

/** A text that is equal for canonical filters that are equal, and only for those. */
export function filterKey(filter: Filter): string {
  const { exclude_country_id, age_group, name, created_after, created_before, updated_after } = filter
  const rarer = { exclude_country_id, age_group, name, created_after, created_before, updated_after }
  return JSON.stringify([
    filter.country_id ?? [],
    filter.gender ?? null,
    filter.min_age ?? null,
    filter.max_age ?? null,
    filter.min_gender_probability ?? null,
    filter.min_country_probability ?? null,
    ...(Object.values(rarer).some((value) => value !== undefined) ? [rarer] : []),
  ])
}

/** Whether it bounds a probability, which no facet knows. */
export function boundsProbability(filter: Filter): boolean {
  return filter.min_gender_probability !== undefined || filter.min_country_probability !== undefined
}

export function boundsCreation(filter: Filter): boolean {
  return filter.created_after !== undefined || filter.created_before !== undefined
}

/** Whether the facets alone can count it. */
export function isCountedByFacets(filter: Filter): boolean {
  const { name, updated_after } = filter
  return (
    !boundsProbability(filter) && !boundsCreation(filter) && name === undefined && updated_after === undefined
  )
}
