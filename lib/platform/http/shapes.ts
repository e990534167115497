import * as z from 'zod'
import { either } from './messages.ts'

/** The path of whatever has an id. */
export const idPath = z.strictObject({ id: z.uuid() })

/** Where a file is to be put: a PresignedPut as the API shows it. */
export const uploadSchema = z.strictObject({
  url: z.url(),
  method: z.literal('PUT'),
  headers: z.record(z.string(), z.string()),
  expires_at: z.iso.datetime(),
})

/** One of some words in small letters, in any case. */
export function wordInAnyCase<const Word extends string>(words: readonly Word[]) {
  return z
    .string()
    .toLowerCase()
    .pipe(z.enum(words))
    .meta({ override: { enum: [...words] } })
}

/**
 * Values separated by commas, each read by `read`; `problem` says of one that it cannot read what it is not, and
 * names it.
 */
export function commaList<T>(read: (value: string) => T | undefined, problem: (value: string) => string) {
  return z.string().transform((text, context) => {
    const values: T[] = []
    for (const part of text.split(',')) {
      const value = part.trim()
      const found = value === '' ? undefined : read(value)
      if (found !== undefined) values.push(found)
      else
        context.addIssue({ code: 'custom', message: value === '' ? 'has an empty element' : problem(value) })
    }
    return values
  })
}

/** A value as an error names it. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40).toWellFormed()}…` : value)
}

/** Words separated by commas, in any case. */
export function wordList<const Word extends string>(words: readonly Word[]) {
  return commaList(
    (value) => words.find((word) => word === value.toLowerCase()),
    (value) => `${quoted(value)} is none of ${either(words)}`,
  )
}
