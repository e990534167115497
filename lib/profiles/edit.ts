import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import {
  ConflictError,
  NotFoundError,
  PreconditionFailedError,
  UnavailableError,
} from '../platform/errors.ts'
import { retry } from '../platform/retry.ts'
import { lockProfile, moveKey, noteEdit, updateProfile } from './edit-store.ts'
import { applyFacetDeltas } from './facets.ts'
import { isInTheWay, isTaken, takingKeys } from './key-locks.ts'
import { nameKey, newProfileSchema, type ProfileRow, type StoredField, storedFields } from './profile.ts'
import { findProfileByName } from './store.ts'

const { name, gender, age, country_id } = newProfileSchema.shape
const probability = z
  .number()
  .min(0)
  .max(1)
  .nullable()
  .optional()
  .meta({ description: 'null is not known; so is one whose value changes without it' })

/** A JSON merge patch (RFC 7396) of a profile. Derived fields, the id and created_at are not accepted. */
export const patchSchema = z
  .strictObject({
    name: name.optional(),
    gender: gender.optional(),
    gender_probability: probability,
    age: age.optional(),
    country_id: country_id.optional(),
    country_probability: probability,
  })
  .meta({ id: 'ProfilePatch', description: 'A JSON merge patch (RFC 7396): only what changes.' })
export type ProfilePatch = z.output<typeof patchSchema>

/**
 * A profile after a patch, and which fields that changes. What was known about a gender or a country is not known
 * about another one.
 */
export function patched(row: ProfileRow, patch: ProfilePatch): { row: ProfileRow; fields: StoredField[] } {
  const { name = row.name, gender = row.gender, age = row.age, country_id = row.country_id } = patch
  const {
    gender_probability = gender === row.gender ? row.gender_probability : null,
    country_probability = country_id === row.country_id ? row.country_probability : null,
  } = patch
  const after = { id: row.id, name, gender, gender_probability, age, country_id, country_probability }
  return { row: after, fields: storedFields.filter((field) => after[field] !== row[field]) }
}

/** With ten attempts some six seconds, of fifteen that the function has. */
const patience = {
  name: 'Edit profile',
  initialDelay: 50,
  maxDelay: 500,
  jitter: 'full',
  retryOn: isInTheWay,
} as const

export type EditOptions = {
  /** The id of the key that asks for it. */
  by: string
  /** Whether the profile as it stands may be changed. */
  accepts(row: ProfileRow): boolean
  /** At a name that an import is taking. Default 10. */
  attempts?: number
}

/**
 * Changes a profile. `version` is that of the dataset, unless nothing changed. Throws NotFoundError,
 * PreconditionFailedError, ConflictError if another profile has the name, and UnavailableError while an import is
 * taking it. `id` must be a uuid.
 */
export async function editProfile(
  sql: Sql,
  id: string,
  patch: ProfilePatch,
  options: EditOptions,
): Promise<{ row: ProfileRow; version?: number }> {
  const { attempts = 10 } = options
  try {
    return await retry({ ...patience, attempts }, () => sql.begin((tx) => edit(tx, id, patch, options)))
  } catch (error) {
    if (isTaken(error)) throw await nameTaken(sql, patch.name!)
    if (isInTheWay(error)) throw new UnavailableError('The name is being written by an import', error)
    throw error
  }
}

async function edit(
  tx: Transaction,
  id: string,
  patch: ProfilePatch,
  { by, accepts }: EditOptions,
): Promise<{ row: ProfileRow; version?: number }> {
  const before = await lockProfile(tx, id)
  if (!before) throw new NotFoundError('Profile not found')
  if (!accepts(before)) throw new PreconditionFailedError('The profile is not the one that If-Match names')
  const { row, fields } = patched(before, patch)
  if (fields.length === 0) return { row }
  // Of the name and not of what is stored: a twin stays one until it is called otherwise.
  const key = nameKey(row.name)
  if (key !== nameKey(before.name)) await takingKeys(tx, () => moveKey(tx, id, key))
  await updateProfile(tx, row)
  const version = await applyFacetDeltas(tx, [
    { ...before, delta: -1 },
    { ...row, delta: 1 },
  ])
  // Under the lock on the dataset, so that the order of edits is that of the commits.
  await noteEdit(tx, id, by, fields)
  return { row, version }
}

async function nameTaken(sql: Sql, name: string): Promise<ConflictError> {
  const other = await findProfileByName(sql, name)
  const message = other ? `is the name of the profile ${other.id}` : 'is the name of another profile'
  return new ConflictError('Another profile has this name', 'name_taken', [{ field: 'name', message }])
}
