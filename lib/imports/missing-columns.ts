import type { Encoding } from '../platform/text/decoder.ts'
import { headBytes } from '../platform/text/encoding.ts'
import type { RecordFault } from './boundaries.ts'
import { textKind } from './file-kinds.ts'
import { type Header, readHeader } from './header.ts'
import { isSingleQuoted, listed, singleQuotes } from './learnt.ts'
import type { ImportOptions } from './options.ts'
import { faults } from './records.ts'
import { notCsv, UnusableFileError } from './unusable-file.ts'

/** What one delimiter makes of the line that is read as the header. */
export type FoundHeader = Header & {
  line: number
  wellFormed: boolean
  fault: RecordFault | undefined
  encoding: Encoding
}

const delimiterWords: Record<string, string> = { ',': 'comma', ';': 'semicolon', '\t': 'tab', '|': 'pipe' }

/**
 * Why no delimiter gives all columns: of what was tried, the header that lacks the fewest, and looks most like one.
 * `start` is how the text of the file begins.
 */
export function missingColumns(
  found: readonly FoundHeader[],
  start: string,
  { columns }: ImportOptions,
): UnusableFileError {
  const [best] = found.toSorted(
    (a, b) => a.missing.length - b.missing.length || b.layout.width - a.layout.width,
  )
  const kind = textKind(start.replace(/^\ufeff+/, ''))
  if (kind) return notCsv(`The file is ${kind}`)
  if (!best) {
    const message = `The file begins with ${headBytes / 1024} KB of blank lines: there is no header`
    return new UnusableFileError({ code: 'missing_columns', message })
  }
  const { missing, names, line, layout, encoding } = best
  const { delimiter } = layout
  const shown = listed(names)
  const word = delimiterWords[delimiter] ?? delimiter
  const message = [
    `The header lacks the required columns: ${missing.join(', ')}.`,
    best.wellFormed
      ? `Line ${line} was read as the header, in ${encoding} with the delimiter ${word}: ${shown.join(', ')}.`
      : `Line ${line} was read as the header, but is no well-formed record: ${malformed(best)}.`,
    headerHint(best, columns),
  ]
  return new UnusableFileError({
    code: 'missing_columns',
    message: message.filter((sentence) => sentence !== '').join(' '),
    details: missing,
    header: { line, delimiter, encoding, names: shown },
  })
}

function malformed({ fault }: FoundHeader): string {
  return fault === 'too_long' || fault === 'nul' ? faults[fault] : 'look at its quotes'
}

function headerHint({ names, missing }: FoundHeader, columns: ImportOptions['columns']): string {
  const bare = names.map((name) => (isSingleQuoted(name) ? name.slice(1, -1) : name))
  const unquoted = readHeader(bare.map((name) => name.replaceAll(/[",]/g, '')).join(','), ',', columns)
  if (names.some(isSingleQuoted) && unquoted.missing.length < missing.length) return singleQuotes
  const person =
    names.some((name) => /^(?:fe)?male$/i.test(name)) && names.some((name) => /^\d{1,3}$/.test(name))
  return person ? 'It looks like a row: does the file lack a header?' : ''
}
