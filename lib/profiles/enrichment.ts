import * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import {
  isInsightaError,
  retryAfterSeconds,
  UnavailableError,
  UpstreamInvalidError,
  UpstreamUnavailableError,
} from '../platform/errors.ts'
import { env } from '../platform/names.ts'
import { type CallOptions, createOutside, type Outside, type OutsideOptions } from '../platform/outside.ts'
import { isRetryLater } from '../platform/retry.ts'
import { isCountry } from './countries.ts'
import type { Enricher, NameFacts } from './name-facts.ts'
import { genders, maxAge } from './profile.ts'

const probability = z.number().min(0).max(1)
const genderizeSchema = z.object({
  gender: z.enum(genders).nullable(),
  probability,
  count: z.int().min(0),
})
const agifySchema = z.object({ age: z.int().min(0).max(maxAge).nullable() })
const nationalizeSchema = z.object({ country: z.array(z.object({ country_id: z.string(), probability })) })

export type Enrichment = {
  /**
   * Asks the three at once. Rejects with UpstreamInvalidError where one knows nothing or answers nonsense, else
   * with UnavailableError naming the one that does not answer; the first failure calls the others off.
   */
  enrich(name: string, options?: CallOptions): Promise<NameFacts>
}

/** A person waits for the answer: three attempts of 3.5 s with their waits fit into the 12 s of the function. */
const interactive: Pick<OutsideOptions, 'timeout' | 'retry'> = {
  timeout: 3500,
  retry: { attempts: 3, initialDelay: 250, maxDelay: 5000, jitter: 'full' },
}

/** The services at these addresses. Each keeps its circuit breaker, so make one for an environment's life. */
export function createEnrichment(
  urls: Record<Enricher, string>,
  settings: Pick<OutsideOptions, 'timeout' | 'retry'> = interactive,
): Enrichment {
  const service = (name: Enricher) => createOutside({ service: name, baseUrl: urls[name], ...settings })
  const [genderize, agify, nationalize] = [service('Genderize'), service('Agify'), service('Nationalize')]

  return {
    async enrich(name, { signal, ...options } = {}) {
      const others = new AbortController()
      const either = signal ? AbortSignal.any([signal, others.signal]) : others.signal
      const call = { ...options, signal: either }
      try {
        const [gender, age, country] = await Promise.all([
          named('Genderize', askGender(genderize, name, call)),
          named('Agify', askAge(agify, name, call)),
          named('Nationalize', askCountry(nationalize, name, call)),
        ])
        return { ...gender, ...age, ...country }
      } finally {
        others.abort()
      }
    },
  }
}

/** The services under the addresses of the environment. Throws ConfigurationError where one is missing. */
export function enrichmentFromEnvironment(): Enrichment {
  return createEnrichment({
    Genderize: requiredEnv(env.genderizeUrl),
    Agify: requiredEnv(env.agifyUrl),
    Nationalize: requiredEnv(env.nationalizeUrl),
  })
}

async function askGender(genderize: Outside, name: string, call: CallOptions) {
  const { gender, probability, count } = await genderize.get({ name }, genderizeSchema, call)
  if (gender === null || count === 0) throw new UpstreamInvalidError('Genderize')
  return { gender, gender_probability: probability }
}

async function askAge(agify: Outside, name: string, call: CallOptions) {
  const { age } = await agify.get({ name }, agifySchema, call)
  if (age === null) throw new UpstreamInvalidError('Agify')
  return { age }
}

/** The likeliest country, among those of ISO 3166-1; the first of equals. */
async function askCountry(nationalize: Outside, name: string, call: CallOptions) {
  const { country } = await nationalize.get({ name }, nationalizeSchema, call)
  let likeliest: (typeof country)[number] | undefined
  for (const entry of country) {
    if (!isCountry(entry.country_id)) continue
    if (!likeliest || entry.probability > likeliest.probability) likeliest = entry
  }
  if (!likeliest) throw new UpstreamInvalidError('Nationalize')
  return { country_id: likeliest.country_id, country_probability: likeliest.probability }
}

async function named<T>(service: Enricher, asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (error) {
    if (!isInsightaError(error) || !error.retryable) throw error
    const last = isRetryLater(error) ? error.cause : error
    // What it answered tells a quota from an outage.
    const message = last instanceof UpstreamUnavailableError ? last.message : `${service} does not answer`
    throw new UnavailableError(message, error, retryAfterSeconds(error))
  }
}
