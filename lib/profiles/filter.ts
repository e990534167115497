import * as z from 'zod'
import { UnprocessableError } from '../platform/errors.ts'
import {
  type AgeGroup,
  ageGroups,
  type Gender,
  genders,
  maxAge,
  parseAge,
  parseCountry,
  parsed,
  parseGender,
  parseProbability,
} from './profile.ts'

/**
 * Which profiles are meant, in one canonical form: equal meaning, equal value. Bounds are inclusive; a
 * profile without a probability never satisfies a bound on it, not even 0.
 */
export type Filter = {
  /** Upper case, sorted, distinct, never empty: any of these. */
  country_id?: string[]
  gender?: Gender
  min_age?: number
  max_age?: number
  min_gender_probability?: number
  min_country_probability?: number
}

/** A canonical filter in an answer. */
export const filterSchema = z.strictObject({
  country_id: z.array(z.string().length(2)).optional(),
  gender: z.enum(genders).optional(),
  min_age: z.int().optional(),
  max_age: z.int().optional(),
  min_gender_probability: z.number().optional(),
  min_country_probability: z.number().optional(),
})

/** Filters as they were asked for, their values parsed but not yet brought together. */
export type FilterInput = { [K in keyof Filter]?: Filter[K] | undefined } & {
  age_group?: AgeGroup | undefined
}

function isAgeGroup(value: string): value is AgeGroup {
  return Object.hasOwn(ageGroups, value)
}

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

/** The filter's query parameters, for the schema of a route. */
export const filterParameters = {
  gender: z
    .string()
    .transform((value, context) => parsed(parseGender(value), context, 'must be male or female'))
    .optional()
    .meta({ override: { enum: [...genders] } }),
  age_group: z
    .string()
    .transform((value, context) => {
      const lower = value.toLowerCase()
      return parsed(
        isAgeGroup(lower) ? lower : undefined,
        context,
        'must be child, teenager, adult or senior',
      )
    })
    .optional()
    .meta({ override: { enum: Object.keys(ageGroups) } }),
  country_id: z
    .string()
    .transform((value, context) =>
      value
        .split(',')
        .map((code) =>
          parsed(parseCountry(code.trim()), context, 'must be ISO 3166-1 alpha-2 codes, comma-separated'),
        ),
    )
    .optional()
    .meta({ description: 'ISO 3166-1 alpha-2 codes, comma-separated: any of them', examples: ['NG,GH'] }),
  min_age: age.optional().meta(ageText),
  max_age: age.optional().meta(ageText),
  min_gender_probability: probability.optional().meta(probabilityText),
  min_country_probability: probability.optional().meta(probabilityText),
}

/**
 * The canonical form. An age group becomes its range, narrowed by the bounds given; bounds that exclude
 * nobody are dropped. Throws UnprocessableError where nobody can satisfy it.
 */
export function canonicalFilter(input: FilterInput): Filter {
  const group = input.age_group ? ageGroups[input.age_group] : undefined
  const low = Math.max(input.min_age ?? 0, group?.[0] ?? 0)
  const high = Math.min(input.max_age ?? maxAge, group?.[1] ?? maxAge)
  if (low > high) throw contradiction(input)
  const countries = [...new Set(input.country_id ?? [])].sort()
  return {
    ...(countries.length > 0 && { country_id: countries }),
    ...(input.gender && { gender: input.gender }),
    ...(low > 0 && { min_age: low }),
    ...(high < maxAge && { max_age: high }),
    ...(input.min_gender_probability !== undefined && {
      min_gender_probability: input.min_gender_probability,
    }),
    ...(input.min_country_probability !== undefined && {
      min_country_probability: input.min_country_probability,
    }),
  }
}

function contradiction({ min_age, max_age, age_group }: FilterInput): UnprocessableError {
  if (min_age !== undefined && max_age !== undefined && min_age > max_age) {
    const message = `min_age ${min_age} is greater than max_age ${max_age}`
    return new UnprocessableError(message, [{ field: 'min_age', message }])
  }
  const [from, to] = ageGroups[age_group!]
  const bound = min_age !== undefined && min_age > to ? `min_age ${min_age}` : `max_age ${max_age}`
  const message = `age_group ${age_group} is ${from} to ${to}, which contradicts ${bound}`
  return new UnprocessableError(message, [{ field: 'age_group', message }])
}

/** A text that is equal for canonical filters that are equal, and only for those. */
export function filterKey(filter: Filter): string {
  return JSON.stringify([
    filter.country_id ?? [],
    filter.gender ?? null,
    filter.min_age ?? null,
    filter.max_age ?? null,
    filter.min_gender_probability ?? null,
    filter.min_country_probability ?? null,
  ])
}

/** Whether the facets alone can count it. */
export function boundsProbability(filter: Filter): boolean {
  return filter.min_gender_probability !== undefined || filter.min_country_probability !== undefined
}
