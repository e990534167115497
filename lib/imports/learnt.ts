import { textOf } from '../platform/text/decoder.ts'
import { splitFields } from './fields.ts'
import { allColumns, type Layout, readHeader } from './header.ts'
import type { ImportOptions } from './options.ts'
import { toWidth } from './records.ts'
import type { SampleRow } from './report.ts'
import type { Verdict } from './slices.ts'
import type { Learnt, SplitProgress } from './store.ts'
import { unknownEncoding } from './unusable-file.ts'

/** Characters of a value in a sample. */
const sampleCharacters = 100
/** Names of columns that a report lists, and characters of each. */
const listedNames = 50
const nameCharacters = 80

/**
 * What is known of a file once all of it was scanned. Throws UnusableFileError where its encoding could only be
 * guessed and does not look like the guess.
 */
export function learntOf(
  verdict: Verdict,
  progress: SplitProgress | undefined,
  options: ImportOptions,
): Learnt {
  const { encoding, guessed } = verdict
  if (!progress) return { ...unread, encoding, encoding_guessed: guessed }
  const { layout } = progress
  const header = textOf(Buffer.from(progress.header, 'base64'), encoding)
  const { ignored } = readHeader(header, layout.delimiter, options.columns)
  const sample = (progress.sample ?? []).flatMap(({ row, bytes }) => {
    const split = splitFields(textOf(Buffer.from(bytes, 'base64'), encoding), layout.delimiter)
    const fields = toWidth(split, layout)
    return fields ? [sampleRow(row, fields, layout)] : []
  })
  const learnt: Learnt = {
    encoding,
    encoding_guessed: guessed,
    layout,
    header,
    ignored: { first: listed(ignored), total: ignored.length },
    sample,
    hints: hintsOf(verdict, sample, options.encoding),
  }
  if (verdict.plausible) return learnt
  const message =
    'The file is neither UTF-8 nor UTF-16, and does not look like Western text in windows-1252. Say with `encoding` ' +
    'what it is, for example windows-1251, shift_jis, gb18030 or macintosh, or save it as UTF-8'
  throw unknownEncoding(message, learnt)
}

const unread: Learnt = {
  encoding: 'utf-8',
  encoding_guessed: false,
  layout: undefined,
  header: null,
  ignored: { first: [], total: 0 },
  sample: [],
  hints: [],
}

/** Names of columns as a report lists them. */
export function listed(names: readonly string[]): string[] {
  return names.slice(0, listedNames).map((name) => cut(storable(name), nameCharacters))
}

/** PostgreSQL stores no NUL. */
const storable = (text: string) => text.replaceAll('\0', '\ufffd')

function cut(text: string, characters: number): string {
  // Characters of two units each may be fewer.
  const all = text.length > characters ? [...text] : []
  return all.length > characters ? `${all.slice(0, characters - 1).join('')}…` : text
}

function sampleRow(row: number, fields: readonly string[], { columns }: Layout): SampleRow {
  const sample: SampleRow = { row }
  for (const column of allColumns) {
    const position = columns[column]
    if (position !== undefined) sample[column] = cut(storable(fields[position]!.trim()), sampleCharacters)
  }
  return sample
}

function hintsOf(
  { encoding, guessed }: Verdict,
  sample: readonly SampleRow[],
  said: ImportOptions['encoding'],
): string[] {
  const hints: string[] = []
  // Nothing but a mark counts more.
  if (said !== undefined && said !== encoding) {
    hints.push(`The file begins with the mark of ${encoding}, which counts more than the encoding ${said}.`)
  }
  if (guessed) {
    hints.push('Nothing in the file says which encoding it has: windows-1252 is a guess. Look at the sample.')
  }
  const values = sample
    .flatMap(({ row: _, ...columns }) => Object.values(columns))
    .filter((value) => value !== '')
  if (values.length > 0 && values.filter(isSingleQuoted).length * 2 > values.length) hints.push(singleQuotes)
  return hints
}

export const singleQuotes = `Values stand in single quotes, which are read as part of the value: CSV quotes with ".`

export function isSingleQuoted(text: string): boolean {
  return text.length >= 2 && text.startsWith("'") && text.endsWith("'")
}
