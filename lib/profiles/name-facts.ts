import * as z from 'zod'
import { genders, maxAge } from './profile.ts'

/** The three services that know something about a name. */
export type Enricher = 'Genderize' | 'Agify' | 'Nationalize'

/** What the enrich function is sent. */
export const factsRequestSchema = z.strictObject({ name: z.string() })

const probability = z.number().min(0).max(1)

export const factsSchema = z.strictObject({
  gender: z.enum(genders),
  gender_probability: probability,
  age: z.int().min(0).max(maxAge),
  country_id: z.string().length(2),
  country_probability: probability,
})
/** What the three say about a name: a profile but for the name itself. */
export type NameFacts = z.output<typeof factsSchema>
