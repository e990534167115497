import * as z from 'zod'

const forms = z.union([
  z.iso.date(),
  z.iso.datetime({ offset: true }),
  z.iso.datetime({ offset: true, precision: -1 }),
])
/** After the year 9999 a time is written in another form. */
const endOfTime = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * A date, which begins at midnight UTC, or a date and time with its zone, as `2026-11-01T00:00:00.000Z`;
 * undefined for anything else. Rounded up to milliseconds, which changes nothing for a bound: nothing that is
 * bounded lies between two of them.
 */
export function parseInstant(value: string): string | undefined {
  // In a query string a "+" that is not escaped arrives as a blank.
  const text = value.toUpperCase().replace(/ (?=\d\d:\d\d$)/, '+')
  if (!forms.safeParse(text).success) return undefined
  const finer = /\.\d{3}\d*[1-9]/.test(text) ? 1 : 0
  const milliseconds = Date.parse(text) + finer
  return milliseconds <= endOfTime ? new Date(milliseconds).toISOString() : undefined
}

/** An instant before 1970 as the first of it: no id knows an earlier one, and PostgreSQL knows no year 0. */
export function notBefore1970(instant: string): string {
  return new Date(Math.max(0, Date.parse(instant))).toISOString()
}
