import { isVisible, storedName, withoutInvisible } from '../profiles/names.ts'
import {
  type NewProfile,
  nameProblem,
  parseAge,
  parseCountry,
  parseGender,
  parseProbability,
} from '../profiles/profile.ts'
import { type Column, type Layout, requiredColumns } from './header.ts'

/** Why a row is skipped: one a row, the first that applies, in this order. */
export const reasons = [
  'malformed_row',
  'broken_encoding',
  'missing_fields',
  'invalid_name',
  'invalid_gender',
  'invalid_age',
  'invalid_country',
  'invalid_probability',
  'duplicate_name',
] as const
export type Reason = (typeof reasons)[number]

/**
 * Why a row was refused; column and value where one field is to blame, the value as the file has it; detail where
 * the reason alone does not say what is wrong ("5 fields where the header has 4").
 */
export type Rejection = { reason: Reason; column?: Column; value?: string; detail?: string }

/** The profile that a well-formed row's fields hold, or why they hold none. */
export function readRow(fields: readonly string[], { columns }: Layout): NewProfile | Rejection {
  const written = (column: Column) => {
    const position = columns[column]
    return position === undefined ? '' : fields[position]!.trim()
  }
  const value = (column: Column) => withoutInvisible(written(column))
  const rejected = (reason: Reason, column: Column): Rejection => ({ reason, column, value: written(column) })

  const name = storedName(written('name'))
  const absent = requiredColumns.find((column) => !isVisible(column === 'name' ? name : written(column)))
  if (absent) return rejected('missing_fields', absent)
  if (nameProblem(name) !== undefined) return rejected('invalid_name', 'name')
  const gender = parseGender(value('gender'))
  if (gender === undefined) return rejected('invalid_gender', 'gender')
  const age = parseAge(value('age'))
  if (age === undefined) return rejected('invalid_age', 'age')
  const country_id = parseCountry(value('country_id'))
  if (country_id === undefined) return rejected('invalid_country', 'country_id')
  const gender_probability = parseProbability(value('gender_probability'))
  if (gender_probability === undefined) return rejected('invalid_probability', 'gender_probability')
  const country_probability = parseProbability(value('country_probability'))
  if (country_probability === undefined) return rejected('invalid_probability', 'country_probability')
  return { name, gender, gender_probability, age, country_id, country_probability }
}

export function isRejection(row: NewProfile | Rejection): row is Rejection {
  return 'reason' in row
}
