import { hash } from 'node:crypto'
import * as z from 'zod'
import { countryName, isCountry } from './countries.ts'
import { foldName, isVisible, storedName } from './names.ts'

export const genders = ['male', 'female'] as const
export type Gender = (typeof genders)[number]

/** Each group with its first and last age, both inclusive. */
export const ageGroups = {
  child: [0, 12],
  teenager: [13, 19],
  adult: [20, 59],
  senior: [60, 150],
} as const
export type AgeGroup = keyof typeof ageGroups
export const maxAge = 150

/** Characters (code points) of a name at the most. */
export const maxNameLength = 200

/** What is stored of a profile, before it has an id. */
export type NewProfile = {
  name: string
  gender: Gender
  gender_probability: number | null
  age: number
  country_id: string
  country_probability: number | null
}
export type ProfileRow = NewProfile & { id: string }

/** The fields of a profile that are no other's consequence, in the order of an answer. */
export const storedFields = [
  'name',
  'gender',
  'gender_probability',
  'age',
  'country_id',
  'country_probability',
] as const satisfies (keyof NewProfile)[]
export type StoredField = (typeof storedFields)[number]

export function ageGroup(age: number): AgeGroup {
  if (age <= ageGroups.child[1]) return 'child'
  if (age <= ageGroups.teenager[1]) return 'teenager'
  return age <= ageGroups.adult[1] ? 'adult' : 'senior'
}

// Line ends and tabs are blanks, which a quoted CSV value may hold.
const control = /[^\P{Cc}\t\n\r]/u

/** The unique key of a name as uuid text: the first 128 bits of SHA-256 over the folded name. */
export function nameKey(name: string): string {
  return keyOf(foldName(name))
}

/**
 * The key of a profile whose name an older one has (lib/profiles/rekey.ts). No name ever has it: none holds the
 * NUL at its beginning.
 */
export function twinKey(id: string): string {
  return keyOf(`\0${id}`)
}

function keyOf(text: string): string {
  const hex = hash('sha256', text, 'hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

/** Why a name, as storedName gives it, cannot be stored; undefined if it can. */
export function nameProblem(name: string): string | undefined {
  if (!isVisible(name)) return 'must hold a character that can be seen'
  if (control.test(name)) return 'must not contain control characters'
  if (!name.isWellFormed()) return 'must be well-formed Unicode'
  // Code points never outnumber UTF-16 units, so that only long names are counted.
  if (name.length > maxNameLength && [...name].length > maxNameLength) {
    return `must have at most ${maxNameLength} characters`
  }
  return undefined
}

/**
 * Why a name is not taken on as a new one: U+FFFD stands for a letter that was lost when the text was decoded,
 * before it came to us. Undefined if none was.
 */
export function lostLetterProblem(name: string): string | undefined {
  return name.includes('\ufffd')
    ? 'must not contain U+FFFD, which stands for a letter that was lost'
    : undefined
}

/** `male` or `female` in any case; undefined for anything else. */
export function parseGender(value: string): Gender | undefined {
  const lower = value.toLowerCase()
  return lower === 'male' || lower === 'female' ? lower : undefined
}

const digits = /^\d{1,3}$/

/** A whole number of years from 0 to 150, in digits only ("25.0" is refused); undefined for anything else. */
export function parseAge(value: string): number | undefined {
  if (!digits.test(value)) return undefined
  const age = Number(value)
  return age <= maxAge ? age : undefined
}

/** An ISO 3166-1 alpha-2 code in any case, answered in upper case; undefined for anything else. */
export function parseCountry(value: string): string | undefined {
  if (isCountry(value)) return value
  // ASCII only: upper-casing turns "ı" into "I" and "ß" into "SS".
  if (!/^[a-z]{2}$/i.test(value)) return undefined
  const code = value.toUpperCase()
  return isCountry(code) ? code : undefined
}

const decimal = /^(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d{1,3})?$/i

/** A decimal from 0 to 1; null for an empty text (not given); undefined for anything else. */
export function parseProbability(value: string): number | null | undefined {
  if (value === '') return null
  if (!decimal.test(value)) return undefined
  const probability = Number(value)
  return probability <= 1 ? probability : undefined
}

const probability = z.number().min(0).max(1).nullable().default(null)

function nameSchema(problemOf: (name: string) => string | undefined) {
  return z
    .string()
    .transform(storedName)
    .superRefine((name, context) => {
      const problem = problemOf(name)
      if (problem) context.addIssue({ code: 'custom', message: problem })
    })
}

/** A name to look for, in the form in which it is stored. */
export const nameText = nameSchema(nameProblem)

/** A name to store. Older profiles may have names that lost a letter, which can be looked for but not given. */
const newName = nameSchema((name) => nameProblem(name) ?? lostLetterProblem(name))

/** A full profile as a client sends it. Derived fields (age_group, country_name) are not accepted. */
export const newProfileSchema = z.strictObject({
  name: newName.meta({ override: { minLength: 1, maxLength: maxNameLength } }),
  gender: z
    .string()
    .transform((value, context) => parsed(parseGender(value), context, 'must be male or female'))
    .meta({ override: { enum: [...genders] } }),
  gender_probability: probability,
  age: z.int().min(0).max(maxAge),
  country_id: z
    .string()
    .transform((value, context) => parsed(parseCountry(value), context, 'must be an ISO 3166-1 alpha-2 code'))
    .meta({ description: 'ISO 3166-1 alpha-2' }),
  country_probability: probability,
})

/** A profile in an answer. */
export const profileSchema = z
  .strictObject({
    id: z.uuid(),
    name: z.string(),
    gender: z.enum(genders),
    gender_probability: z.number().nullable(),
    age: z.int(),
    age_group: z.enum(['child', 'teenager', 'adult', 'senior']),
    country_id: z.string().length(2),
    country_name: z.string(),
    country_probability: z.number().nullable(),
    created_at: z.iso.datetime(),
  })
  .meta({
    id: 'Profile',
    description: 'A probability that was never given is null.',
    examples: [
      {
        id: '0199c82c-c07b-7000-8000-000000000000',
        name: 'Ada Example',
        gender: 'female',
        gender_probability: 0.98,
        age: 36,
        age_group: 'adult',
        country_id: 'NG',
        country_name: 'Nigeria',
        country_probability: null,
        created_at: '2025-10-09T08:53:20.123Z',
      },
    ],
  })
export type Profile = z.output<typeof profileSchema>

/** Hands a parsed value on, or reports `problem` as the field's own. */
export function parsed<T>(value: T | undefined, context: z.RefinementCtx, problem: string): T {
  if (value !== undefined) return value
  context.addIssue({ code: 'custom', message: problem })
  return z.NEVER
}

/** The time in a version 7 UUID, to the millisecond: the first 48 bits are Unix milliseconds. */
export function createdAt(id: string): Date {
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16))
}

/** The answer for a stored row, its derived fields filled in. */
export function toProfile(row: ProfileRow): Profile {
  return {
    id: row.id,
    name: row.name,
    gender: row.gender,
    gender_probability: row.gender_probability,
    age: row.age,
    age_group: ageGroup(row.age),
    country_id: row.country_id,
    country_name: countryName(row.country_id),
    country_probability: row.country_probability,
    created_at: createdAt(row.id).toISOString(),
  }
}
