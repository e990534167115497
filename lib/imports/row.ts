import { isVisible } from '../profiles/names.ts'
import { lostLetterProblem, type NewProfile, nameProblem } from '../profiles/profile.ts'
import { type Column, type Layout, requiredColumns } from './header.ts'
import { meantValue, readers, type ValueColumn, valueColumns } from './values.ts'

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
export function readRow(fields: readonly string[], layout: Layout): NewProfile | Rejection {
  const values = {
    name: meant(fields, 'name', layout),
    gender: meant(fields, 'gender', layout),
    age: meant(fields, 'age', layout),
    country_id: meant(fields, 'country_id', layout),
  }
  const { name } = values
  const rejected = (reason: Reason, column: Column): Rejection => {
    return { reason, column, value: written(fields, column, layout) }
  }
  const readProbabilityOf = (column: 'gender_probability' | 'country_probability') =>
    readers[column](meant(fields, column, layout), layout)

  const lost = lostLetterProblem(name)
  if (lost !== undefined) return { ...rejected('broken_encoding', 'name'), detail: `the name ${lost}` }
  const absent = requiredColumns.find((column) => !isVisible(values[column]))
  if (absent) return rejected('missing_fields', absent)
  if (nameProblem(name) !== undefined) return rejected('invalid_name', 'name')
  const gender = readers.gender(values.gender, layout)
  if (gender === undefined) return rejected('invalid_gender', 'gender')
  const age = readers.age(values.age, layout)
  if (age === undefined) return rejected('invalid_age', 'age')
  const country_id = readers.country_id(values.country_id, layout)
  if (country_id === undefined) return rejected('invalid_country', 'country_id')
  const gender_probability = readProbabilityOf('gender_probability')
  if (gender_probability === undefined) return rejected('invalid_probability', 'gender_probability')
  const country_probability = readProbabilityOf('country_probability')
  if (country_probability === undefined) return rejected('invalid_probability', 'country_probability')
  return { name, gender, gender_probability, age, country_id, country_probability }
}

export function isRejection(row: NewProfile | Rejection): row is Rejection {
  return 'reason' in row
}

/** Every value of a well-formed row that cannot be read, as the file has it. A required one that is empty is none. */
export function unreadValues(
  fields: readonly string[],
  layout: Layout,
): { column: ValueColumn; value: string }[] {
  return valueColumns.flatMap((column) => {
    const value = meant(fields, column, layout)
    const isUnread = isVisible(value) && readers[column](value, layout) === undefined
    return isUnread ? [{ column, value: written(fields, column, layout) }] : []
  })
}

/** A field as the file has it, trimmed; empty if the file lacks its column. */
function written(fields: readonly string[], column: Column, { columns }: Layout): string {
  const position = columns[column]
  return position === undefined ? '' : fields[position]!.trim()
}

function meant(fields: readonly string[], column: Column, { columns, values }: Layout): string {
  const position = columns[column]
  return position === undefined ? '' : meantValue(column, fields[position]!, values)
}
