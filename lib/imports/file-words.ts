import { unescapeFormula } from '../platform/csv.ts'
import { foldName } from '../profiles/names.ts'
import { nameKey } from '../profiles/profile.ts'
import type { FileWords } from './erase-store.ts'
import { splitFields } from './fields.ts'
import type { UnreadValues } from './report.ts'

type Names = (text: string) => boolean

/** Texts of a file are stored cut, none shorter than this. */
const shortestCut = 40

/** Whether a text of a file's is a name, in whatever case, or what was left of a long one when it was cut. */
function naming(name: string): Names {
  const folded = foldName(name)
  return (text) => {
    const written = foldName(text)
    // With the apostrophe of an export, as the name of a row was read without it.
    const other = unescapeFormula(written)
    if (written === folded || other === folded) return true
    const cut = other.replace(/\s?(?:…|\.{3})$/, '')
    return cut.length >= shortestCut && folded.startsWith(cut)
  }
}

/** What an import holds of its file without a name, and how often the name was there; undefined if never. */
export function withoutName(words: FileWords, name: string): { words: FileWords; count: number } | undefined {
  const names = naming(name)
  const gone: string[] = []
  const stays = (text: string) => !names(text) || !gone.push(text)
  const sample = words.sample.filter((row) =>
    Object.values(row).every((value) => typeof value !== 'string' || stays(value)),
  )
  const ignored_columns = words.ignored_columns.filter(stays)
  const failure = words.failure && failureWithout(words.failure, stays)
  const header = words.header && headerWithout(words.header, words.delimiter ?? ',', stays)
  const options = optionsWithout(words.options, stays)
  if (gone.length === 0) return undefined
  // Of a name that was cut the sample may have either key.
  const lost = new Set([nameKey(name), ...gone.map(nameKey)])
  if (failure) for (const text of gone) failure.message = failure.message.replaceAll(text, '')
  const hints = words.hints.filter((hint) => !gone.some((text) => hint.includes(text)))
  const sample_keys = words.sample_keys.filter((key) => !lost.has(key))
  const left = { ...words, sample, sample_keys, ignored_columns, failure, header, options, hints }
  return { words: left, count: gone.length }
}

function failureWithout(failure: NonNullable<FileWords['failure']>, stays: Names) {
  const { details, header } = failure
  return {
    ...failure,
    ...(details && { details: details.filter(stays) }),
    ...(header && { header: { ...header, names: header.names.filter(stays) } }),
  }
}

/** The header record with empty fields in place of names: it keeps its width. */
function headerWithout(header: string, delimiter: string, stays: Names): string {
  const fields = splitFields(header, delimiter)
  const left = fields.map((field) => (stays(field) ? field : ''))
  if (left.every((field, at) => field === fields[at])) return header
  const special = (field: string) => field.includes(delimiter) || /["\r\n]/.test(field)
  return left.map((field) => (special(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(delimiter)
}

/** A file without a header line may have been imported by the words of its first row. */
function optionsWithout(options: FileWords['options'], stays: Names): FileWords['options'] {
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
export function unreadWithoutName(
  unread: UnreadValues,
  name: string,
): { words: UnreadValues; count: number } | undefined {
  const names = naming(name)
  let count = 0
  const words = Object.fromEntries(
    Object.entries(unread).map(([column, values]) => {
      const left = values.filter(({ value }) => !names(value))
      count += values.length - left.length
      return [column, left]
    }),
  )
  return count > 0 ? { words, count } : undefined
}
