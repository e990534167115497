import * as z from 'zod'

/** When a profile was created: at or after the one, before the other. UTC, in milliseconds. */
export type CreationBounds = { created_after?: string | undefined; created_before?: string | undefined }

const forms = z.union([
  z.iso.date(),
  z.iso.datetime({ offset: true }),
  z.iso.datetime({ offset: true, precision: -1 }),
])
/** After the year 9999 a time is written in another form. */
const endOfTime = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * A date, which begins at midnight UTC, or a date and time with its zone, as `2026-11-01T00:00:00.000Z`;
 * undefined for anything else. Rounded up to milliseconds, which changes nothing on either side of a bound: no
 * profile was created between two of them.
 */
export function parseInstant(value: string): string | undefined {
  // In a query string a "+" that is not escaped arrives as a blank.
  const text = value.toUpperCase().replace(/ (?=\d\d:\d\d$)/, '+')
  if (!forms.safeParse(text).success) return undefined
  const finer = /\.\d{3}\d*[1-9]/.test(text) ? 1 : 0
  const milliseconds = Date.parse(text) + finer
  return milliseconds <= endOfTime ? new Date(milliseconds).toISOString() : undefined
}

/** Whether no moment is within the bounds. */
export function isCrossed({ created_after: after, created_before: before }: CreationBounds): boolean {
  return after !== undefined && before !== undefined && Date.parse(after) >= Date.parse(before)
}

/** Bounds before 1970 as such of 1970: no id knows an earlier moment. One that excludes no profile is dropped. */
export function canonicalCreation({ created_after, created_before }: CreationBounds): {
  created_after?: string
  created_before?: string
} {
  const clamped = (text: string) => new Date(Math.max(0, Date.parse(text))).toISOString()
  return {
    ...(created_after !== undefined && Date.parse(created_after) > 0 && { created_after }),
    ...(created_before !== undefined && { created_before: clamped(created_before) }),
  }
}

/** The lowest version 7 UUID of a moment from 1970 on: the ids of all that was created before it are lower. */
export function lowestId(instant: string): string {
  const hex = Date.parse(instant).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}
