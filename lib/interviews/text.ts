import * as z from 'zod'

/** Characters that PostgreSQL or a line cannot hold. */
const controls = { line: /\p{Cc}/u, text: /[^\P{Cc}\t\n\r]/u }

const typed = (most: number, refused: RegExp) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .refine((text) => !refused.test(text) && text.isWellFormed(), {
      error: 'must not contain control characters',
    })

/** A text on one line, as people type it into a form. */
export const lineOfText = (most: number) => typed(most, controls.line)

/**
 * A name or a title. What an e-mail says of it must not become a link there: `://` and `www.` are refused, also in
 * wide and other compatible letters.
 */
export const nameOrTitle = (most: number) =>
  lineOfText(most).refine((text) => !/:\/\/|www\./i.test(text.normalize('NFKC')), {
    error: 'must not contain :// or www.',
  })

/** A text of several lines. */
export const linesOfText = (most: number) => typed(most, controls.text)

/** A text that can be stored, whatever it was. */
export function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed()
}

/** Whether every text in a value of JSON can be stored. */
export function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return storable(value) === value
  if (typeof value !== 'object' || value === null) return true
  return Object.values(value).every(isStorable)
}
