import type * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import type { Sql } from '../platform/db.ts'
import { env } from '../platform/names.ts'
import { callRemote } from '../platform/remote.ts'
import { factsSchema, type NameFacts } from './name-facts.ts'
import { newProfileSchema, type ProfileRow, type StoredField, storedFields } from './profile.ts'
import { findProfileByName, insertProfile } from './store.ts'

const { gender, age, country_id } = newProfileSchema.shape
const full = ['gender', 'age', 'country_id'] as const

type Request = z.output<typeof requestFields>
const requestFields = newProfileSchema.extend({
  gender: gender.optional(),
  age: age.optional(),
  country_id: country_id.optional(),
})

function isNameAlone(body: Partial<Request>): boolean {
  return Object.entries(body).every(([key, value]) => key === 'name' || value === undefined || value === null)
}

/** A name alone, or a full profile: of a part of one, each field that is missing is an issue of its own. */
export const createRequestSchema = full
  .reduce(
    (schema, field) =>
      schema.refine((body) => body[field] !== undefined || isNameAlone(body), {
        path: [field],
        error: 'is required',
        // Missing fields are named beside wrong ones.
        when: ({ value }) => typeof value === 'object' && value !== null,
      }),
    requestFields,
  )
  .meta({ description: 'A name alone is enriched by Genderize, Agify and Nationalize' })

export type CreateRequest = z.output<typeof createRequestSchema>

/** The fields of a request in which the stored profile differs. A null says nothing. */
export function differences(request: CreateRequest, row: ProfileRow): StoredField[] {
  return storedFields.filter((field) => (request[field] ?? row[field]) !== row[field])
}

/** Finds out what is known about a name. */
export type AskFacts = (name: string, signal: AbortSignal) => Promise<NameFacts>

/** Asks through the enrich function: this one has no way out to the internet. */
export const askFacts: AskFacts = (name, signal) => {
  const functionName = requiredEnv(env.enrichFunctionName)
  return callRemote({ functionName, name: 'Enrich', request: { name }, result: factsSchema }, { signal })
}

/**
 * Stores a profile, or finds the one that has its name: then nobody is asked about it. `version` is set where
 * it was stored. Rejects as `ask` does, with nothing stored.
 */
export async function createProfile(
  sql: Sql,
  request: CreateRequest,
  signal: AbortSignal,
  ask: AskFacts = askFacts,
): Promise<{ row: ProfileRow; version?: number }> {
  const { name, gender, age, country_id, ...probabilities } = request
  if (gender !== undefined && age !== undefined && country_id !== undefined) {
    return insertProfile(sql, { name, gender, age, country_id, ...probabilities })
  }
  const known = await findProfileByName(sql, name)
  return known ? { row: known } : insertProfile(sql, { name, ...(await ask(name, signal)) })
}
