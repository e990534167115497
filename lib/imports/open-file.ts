import { isUtf8 } from 'node:buffer'
import { InsightaError } from '../platform/errors.ts'
import { RecordScanner } from './boundaries.ts'
import { decoderOf, type Encoding } from './decoder.ts'
import { headBytes, headEncoding, Narrower, Utf8Counter, WesternJudge } from './encoding.ts'
import { splitFields } from './fields.ts'
import { binaryKind, textKind } from './file-kinds.ts'
import { allColumns, type Delimiter, delimiters, type Header, type Layout, readHeader } from './header.ts'
import type { ImportOptions } from './options.ts'
import { toWidth } from './records.ts'
import type { Failure, SampleRow } from './report.ts'
import type { Verdict } from './slices.ts'
import type { Learnt, SplitProgress } from './store.ts'

/** Thrown when a file cannot be imported at all. The import fails with it; nothing has been written. */
export class UnusableFileError extends InsightaError {
  readonly failure: Failure
  /** What was learnt of the file before that showed. */
  readonly learnt: Learnt | undefined
  constructor(failure: Failure, learnt?: Learnt) {
    super(failure.message, { code: failure.code, status: 422 })
    this.failure = failure
    this.learnt = learnt
  }
}

/** Rows of a sample, and characters of a value in one. */
const sampleRows = 5
const sampleCharacters = 100
/** Names of columns that a report lists, and characters of each. */
const listedNames = 50
const nameCharacters = 80

/** A beginning of a file, decided: its bytes after the mark, and the same as the scanner of records sees them. */
type Opened = {
  encoding: Encoding | 'undecided'
  marked: boolean
  bytes: Uint8Array
  scanned: Uint8Array
  unit: number
}

/**
 * Reads a file's beginning: its encoding as far as that can be told, its delimiter and its header. Answers
 * undefined for a file of blank lines; throws UnusableFileError where rows cannot be read.
 */
export function openFile(head: Uint8Array, options: ImportOptions): SplitProgress | undefined {
  const { bomBytes, ...opened } = decide(head, options.encoding)
  const found = findHeaders(opened, options)
  if (found.length === 0 && head.length < headBytes) return undefined
  const header = found.find(({ missing }) => missing.length === 0)
  if (!header) throw missingColumns(found, opened, options)
  const { encoding, marked, bytes, unit } = opened
  const utf8 = new Utf8Counter()
  const western = new WesternJudge()
  if (encoding === 'undecided') {
    utf8.push(header.raw)
    western.bytes(header.raw)
  }
  return {
    encoding,
    overruled: marked && options.encoding !== undefined && options.encoding !== encoding,
    layout: header.layout,
    header: base64(header.raw),
    sample: firstRows(opened, header).map(({ row, from, to }) => ({
      row,
      bytes: base64(bytes.subarray(from * unit, to * unit)),
    })),
    state: {
      offset: bomBytes + header.end * unit,
      line: header.nextLine,
      row: 1,
      slice_no: 0,
      utf8: { valid: utf8.valid, invalid: utf8.invalid },
      western: western.counts,
    },
  }
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

function decide(head: Uint8Array, said: Encoding | undefined): Opened & { bomBytes: number } {
  const kind = binaryKind(head)
  if (kind) throw notCsv(`The file is ${kind}`)
  const found = headEncoding(head, said)
  if (found.encoding === 'utf-32') {
    throw unknownEncoding('The file looks like UTF-32, which is not read: save it as UTF-8')
  }
  if (!('bomBytes' in found)) {
    const wide = said !== undefined && 'bomBytes' in headEncoding(head)
    throw notCsv(
      wide
        ? `The file looks like UTF-16, not ${said}: leave \`encoding\` out`
        : 'The file is not a text file: it holds NUL bytes',
    )
  }
  const { encoding, bomBytes, marked } = found
  const narrower = new Narrower(encoding)
  const bytes = head.subarray(bomBytes)
  return { encoding, marked, bomBytes, bytes, scanned: narrower.push(bytes), unit: narrower.unit }
}

function notCsv(message: string): UnusableFileError {
  return new UnusableFileError({ code: 'not_csv', message })
}

function unknownEncoding(message: string, learnt?: Learnt): UnusableFileError {
  return new UnusableFileError({ code: 'unknown_encoding', message }, learnt)
}

/** What stands for an undecided encoding until the whole file has been seen. */
function provisional(encoding: Encoding | 'undecided', bytes: Uint8Array): Encoding {
  if (encoding !== 'undecided') return encoding
  return isUtf8(bytes) ? 'utf-8' : 'windows-1252'
}

function textOf(bytes: Uint8Array, encoding: Encoding): string {
  return decoderOf(encoding).decode(bytes)
}

type FoundHeader = Header & FirstRecord & { raw: Uint8Array; encoding: Encoding }

/** What each delimiter makes of the first record that is not blank: none where the file has none. */
function findHeaders(opened: Opened, { columns }: ImportOptions): FoundHeader[] {
  const { encoding, bytes, scanned, unit } = opened
  const sep = excelDelimiter(opened)
  const candidates = sep ? [sep.delimiter, ...delimiters] : delimiters
  return candidates.flatMap((delimiter) => {
    const record = firstRecord(scanned, delimiter, sep)
    if (!record) return []
    const raw = bytes.subarray(record.start * unit, record.textEnd * unit)
    const as = provisional(encoding, raw)
    const text = record.wellFormed ? textOf(raw, as) : ''
    return [{ ...record, raw, encoding: as, ...readHeader(text, delimiter, columns) }]
  })
}

/** Where a scan begins, in scanned units. */
type Place = { at: number; line: number }

const sepLine = /^(?:sep=([\x20-\x7e\t])|"sep=([\x20-\x7e\t])")[,;|\t ]*$/i

/**
 * The delimiter that an Excel line such as `sep=;` names, and where the next line begins; undefined where the file
 * does not begin with one.
 */
function excelDelimiter({
  encoding,
  bytes,
  scanned,
  unit,
}: Opened): (Place & { delimiter: Delimiter }) | undefined {
  const end = scanned.subarray(0, 100).findIndex((byte) => byte === 0x0a || byte === 0x0d)
  if (end < 0) return undefined
  const line = textOf(bytes.subarray(0, end * unit), encoding === 'undecided' ? 'windows-1252' : encoding)
  const [, plain, quoted] = sepLine.exec(line.replace(/^\ufeff+/, '')) ?? []
  const delimiter = plain ?? quoted
  if (delimiter === undefined || /[A-Za-z0-9" ]/.test(delimiter)) return undefined
  const both = scanned[end] === 0x0d && scanned[end + 1] === 0x0a
  return { delimiter, at: end + (both ? 2 : 1), line: 2 }
}

type FirstRecord = {
  start: number
  textEnd: number
  end: number
  line: number
  nextLine: number
  wellFormed: boolean
}

/** The first record that is not blank, in scanned units; it must lie within the head. */
function firstRecord(bytes: Uint8Array, delimiter: Delimiter, place?: Place): FirstRecord | undefined {
  let first: FirstRecord | undefined
  const { at = 0, line = 1 } = place ?? {}
  const scanner = new RecordScanner(
    ({ kind, from, to, start, end, line }) => {
      if (first || kind === 'blank') return
      const wellFormed = kind === 'row'
      first = { start, textEnd: start + to - from, end, line, nextLine: scanner.line, wellFormed }
    },
    { delimiter: delimiter.charCodeAt(0), start: at, line },
  )
  scanner.push(bytes.subarray(at))
  scanner.finish()
  return first
}

/** The first well-formed rows after the header, in scanned units. */
function firstRows({ scanned }: Opened, { layout, end: begin }: FoundHeader) {
  const rows: { row: number; from: number; to: number }[] = []
  let row = 0
  const scanner = new RecordScanner(
    ({ kind, start, from, to }) => {
      if (kind === 'blank') return
      row++
      if (kind === 'row' && rows.length < sampleRows) rows.push({ row, from: start, to: start + to - from })
    },
    { delimiter: layout.delimiter.charCodeAt(0), start: begin },
  )
  for (let at = begin; at < scanned.length && rows.length < sampleRows; at += sampleChunk) {
    scanner.push(scanned.subarray(at, at + sampleChunk))
  }
  if (rows.length < sampleRows) scanner.finish()
  return rows
}

const sampleChunk = 4096

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
    const fields = split && toWidth(split, layout)
    return fields ? [sampleRow(row, fields, layout)] : []
  })
  const learnt: Learnt = {
    encoding,
    encoding_guessed: guessed,
    layout,
    header,
    ignored: { first: listed(ignored), total: ignored.length },
    sample,
    hints: hintsOf(verdict, progress, sample, options),
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

function listed(names: readonly string[]): string[] {
  return names.slice(0, listedNames).map((name) => cut(storable(name), nameCharacters))
}

/** PostgreSQL stores no NUL. */
const storable = (text: string) => text.replaceAll('\0', '\ufffd')

function cut(text: string, characters: number): string {
  return text.length > characters ? `${[...text].slice(0, characters - 1).join('')}…` : text
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
  { overruled }: SplitProgress,
  sample: readonly SampleRow[],
  options: ImportOptions,
): string[] {
  const hints: string[] = []
  if (overruled) {
    hints.push(
      `The file begins with the mark of ${encoding}, which counts more than the encoding ${options.encoding}.`,
    )
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

const singleQuotes = `Values stand in single quotes, which are read as part of the value: CSV quotes with ".`

function isSingleQuoted(text: string): boolean {
  return text.length >= 2 && text.startsWith("'") && text.endsWith("'")
}

const delimiterWords: Record<string, string> = { ',': 'comma', ';': 'semicolon', '\t': 'tab', '|': 'pipe' }

/** Why no delimiter gives all columns: of what was tried, the header that lacks the fewest, and looks most like one. */
function missingColumns(found: FoundHeader[], opened: Opened, { columns }: ImportOptions): UnusableFileError {
  const [best] = found.toSorted(
    (a, b) => a.missing.length - b.missing.length || b.layout.width - a.layout.width,
  )
  const text = textOf(opened.bytes.subarray(0, 4096), provisional(opened.encoding, opened.bytes))
  const kind = textKind(text.replace(/^\ufeff+/, ''))
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
      : `Line ${line} was read as the header, but is no well-formed record: look at its quotes.`,
    headerHint(best, columns),
  ]
  return new UnusableFileError({
    code: 'missing_columns',
    message: message.filter((sentence) => sentence !== '').join(' '),
    details: missing,
    header: { line, delimiter, encoding, names: shown },
  })
}

function headerHint({ names, missing }: FoundHeader, columns: ImportOptions['columns']): string {
  const bare = names.map((name) => (isSingleQuoted(name) ? name.slice(1, -1) : name))
  const unquoted = readHeader(bare.map((name) => name.replaceAll(/[",]/g, '')).join(','), ',', columns)
  if (unquoted.missing.length < missing.length) return singleQuotes
  const person =
    names.some((name) => /^(?:fe)?male$/i.test(name)) && names.some((name) => /^\d{1,3}$/.test(name))
  return person ? 'It looks like a row: does the file lack a header?' : ''
}
