import * as z from 'zod'
import { retryAfterSeconds, UnavailableError, UpstreamInvalidError } from '../platform/errors.ts'
import { genders, maxAge } from './profile.ts'

/** The three services that know something about a name. */
export const enrichers = ['Genderize', 'Agify', 'Nationalize'] as const
export type Enricher = (typeof enrichers)[number]

/** Thrown when a service does not answer: 503. The cause is what the last attempt met. */
export class EnricherUnavailableError extends UnavailableError {
  readonly service: Enricher

  constructor(service: Enricher, retryAfterSeconds?: number, cause?: unknown) {
    super(`${service} does not answer`, cause, retryAfterSeconds)
    this.service = service
  }
}

/** What the enrich function is sent. */
export const factsRequestSchema = z.strictObject({ name: z.string() })

const service = z.enum(enrichers)
const probability = z.number().min(0).max(1)

const factsSchema = z.strictObject({
  gender: z.enum(genders),
  gender_probability: probability,
  age: z.int().min(0).max(maxAge),
  country_id: z.string().length(2),
  country_probability: probability,
})
/** What the three say about a name: a profile but for the name itself. */
export type NameFacts = z.output<typeof factsSchema>

/** What it answers; a failure of a third party is an answer, too. */
export const factsAnswerSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('known'), facts: factsSchema }),
  z.strictObject({ status: z.literal('invalid'), service }),
  z.strictObject({ status: z.literal('unavailable'), service, retry_after: z.number() }),
])
export type FactsAnswer = z.output<typeof factsAnswerSchema>

/** A failure as an answer. Rethrows what is no third party's. */
export function failureAnswer(error: unknown): FactsAnswer {
  if (error instanceof UpstreamInvalidError) {
    return { status: 'invalid', service: service.parse(error.service) }
  }
  if (error instanceof EnricherUnavailableError) {
    return { status: 'unavailable', service: error.service, retry_after: retryAfterSeconds(error) ?? 5 }
  }
  throw error
}

/** The facts of an answer. Throws UpstreamInvalidError or EnricherUnavailableError, as the function did. */
export function factsOf(answer: unknown): NameFacts {
  const parsed = factsAnswerSchema.parse(answer)
  switch (parsed.status) {
    case 'known':
      return parsed.facts
    case 'invalid':
      throw new UpstreamInvalidError(parsed.service)
    case 'unavailable':
      throw new EnricherUnavailableError(parsed.service, parsed.retry_after)
  }
}
