import * as z from 'zod'
import { BadRequestError } from '../platform/errors.ts'
import { type Profile, profileSchema } from './profile.ts'

type Field = keyof Profile
const fieldNames = Object.keys(profileSchema.shape) as Field[]

/** A profile of which only the fields asked for are there. */
export const sparseProfileSchema = profileSchema
  .partial()
  .meta({ id: 'SparseProfile', description: 'The fields that were asked for, and no others.' })

/** The query parameter `fields`, for the schema of a route; selectFields reads it. */
export const fieldsParameter = z
  .string()
  .optional()
  .meta({
    description: `fields of a profile, comma-separated: only these are in data. ${fieldNames.join(', ')}`,
    examples: ['id,name,age'],
  })

/**
 * Reads `fields`: what makes a profile one with these fields alone, in their usual order. Names in any case,
 * more than once if need be. Throws BadRequestError `invalid_query` naming each that no profile has.
 */
export function selectFields(text: string | undefined): (profile: Profile) => Partial<Profile> {
  if (text === undefined) return (profile) => profile
  const names = text.split(',').map((name) => name.trim().toLowerCase())
  const unknown = names.filter((name) => !fieldNames.some((field) => field === name))
  if (unknown.length > 0) {
    const details = unknown.map((name) => ({
      field: 'fields',
      message: `"${name}" is no field of a profile: these are ${fieldNames.join(', ')}`,
    }))
    throw new BadRequestError('Invalid query parameters', details, 'invalid_query')
  }
  const selected = fieldNames.filter((field) => names.includes(field))
  return (profile) => Object.fromEntries(selected.map((field) => [field, profile[field]]))
}
