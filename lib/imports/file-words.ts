import { namesAddress } from '../platform/address.ts'
import { unescapeFormula } from '../platform/csv.ts'
import { foldName } from '../profiles/names.ts'
import { nameKey } from '../profiles/profile.ts'
import type { FileWords } from './erase-store.ts'
import { splitFields } from './fields.ts'
import type { UnreadValues } from './report.ts'

/** What is looked for in the texts of a file: a name or an address. */
export type Wanted = {
  /** Whether a text is it, in whatever case, or what was left of a long one when it was cut. */
  is(text: string): boolean
  /** Of a name, by which rows of a sample are known. */
  key?: string
}

type Stays = (text: string) => boolean

/** Texts of a file are stored cut, none shorter than this. */
const shortestCut = 40

export function wantedName(name: string): Wanted {
  const folded = foldName(name)
  const is = (text: string) => {
    const written = foldName(text)
    // With the apostrophe of an export, as the name of a row was read without it.
    const other = unescapeFormula(written)
    return written === folded || other === folded || isCutOf(other, folded)
  }
  return { is, key: nameKey(name) }
}

/** An address also within a text, such as `Ada <ada@example.com>`. */
export function wantedAddress(address: string): Wanted {
  const whole = address.toLowerCase()
  return { is: (text) => namesAddress(text, whole) || isCutOf(text.toLowerCase(), whole) }
}

function isCutOf(text: string, whole: string): boolean {
  const cut = text.replace(/\s?(?:…|\.{3})$/, '')
  return cut.length >= shortestCut && whole.startsWith(cut)
}

/** What an import holds of its file without what is wanted, and how often that was there; undefined if never. */
export function wordsWithout(
  words: FileWords,
  wanted: Wanted,
): { words: FileWords; count: number } | undefined {
  const gone: string[] = []
  const stays = (text: string) => !wanted.is(text) || !gone.push(text)
  const sample = words.sample.filter((row) =>
    Object.values(row).every((value) => typeof value !== 'string' || stays(value)),
  )
  const ignored_columns = words.ignored_columns.filter(stays)
  const failure = words.failure && failureWithout(words.failure, stays)
  const header = words.header && headerWithout(words.header, words.delimiter ?? ',', stays)
  const options = optionsWithout(words.options, stays)
  if (gone.length === 0) return undefined
  // Of a name that was cut the sample may have either key.
  const lost = new Set([wanted.key, ...gone.map(nameKey)])
  if (failure) for (const text of gone) failure.message = failure.message.replaceAll(text, '')
  const hints = words.hints.filter((hint) => !gone.some((text) => hint.includes(text)))
  const sample_keys = words.sample_keys.filter((key) => !lost.has(key))
  const left = { ...words, sample, sample_keys, ignored_columns, failure, header, options, hints }
  return { words: left, count: gone.length }
}

function failureWithout(failure: NonNullable<FileWords['failure']>, stays: Stays) {
  const { details, header } = failure
  return {
    ...failure,
    ...(details && { details: details.filter(stays) }),
    ...(header && { header: { ...header, names: header.names.filter(stays) } }),
  }
}

/** The header record with empty fields in place of names: it keeps its width. */
function headerWithout(header: string, delimiter: string, stays: Stays): string {
  const fields = splitFields(header, delimiter)
  const left = fields.map((field) => (stays(field) ? field : ''))
  if (left.every((field, at) => field === fields[at])) return header
  const special = (field: string) => field.includes(delimiter) || /["\r\n]/.test(field)
  return left.map((field) => (special(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(delimiter)
}

/** A file without a header line may have been imported by the words of its first row. */
function optionsWithout(options: FileWords['options'], stays: Stays): FileWords['options'] {
  const { columns, values } = options
  return {
    ...options,
    ...(columns && {
      columns: Object.fromEntries(Object.entries(columns).filter(([, header]) => stays(header))),
    }),
    ...(values && {
      values: Object.fromEntries(
        Object.entries(values).map(([column, map]) => [
          column,
          Object.fromEntries(Object.entries(map).filter(([text]) => stays(text))),
        ]),
      ),
    }),
  }
}

/** The same for the values of a slice that could not be read: a file may have names in another column. */
export function unreadWithout(
  unread: UnreadValues,
  wanted: Wanted,
): { words: UnreadValues; count: number } | undefined {
  let count = 0
  const words = Object.fromEntries(
    Object.entries(unread).map(([column, values]) => {
      const left = values.filter(({ value }) => !wanted.is(value))
      count += values.length - left.length
      return [column, left]
    }),
  )
  return count > 0 ? { words, count } : undefined
}
