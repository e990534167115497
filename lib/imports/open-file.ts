import { isUtf8 } from 'node:buffer'
import { type Encoding, textOf } from '../platform/text/decoder.ts'
import { headBytes, headEncoding, markOf } from '../platform/text/encoding.ts'
import { Utf8Counter } from '../platform/text/utf8-counter.ts'
import { WesternJudge } from '../platform/text/western-judge.ts'
import { type RecordFault, RecordScanner, type RecordSink } from './boundaries.ts'
import { binaryKind } from './file-kinds.ts'
import { type Delimiter, delimiters, readHeader } from './header.ts'
import { type FoundHeader, missingColumns } from './missing-columns.ts'
import { Narrower } from './narrower.ts'
import type { ImportOptions } from './options.ts'
import type { SplitProgress } from './store.ts'
import { notCsv, unknownEncoding } from './unusable-file.ts'

/** Rows of a sample. */
const sampleRows = 5

/** A beginning of a file, decided: its bytes after the mark, and the same as the scanner of records sees them. */
type Opened = {
  encoding: Encoding | 'undecided'
  bytes: Uint8Array
  scanned: Uint8Array
  unit: number
}

/**
 * Reads a file's beginning: its encoding as far as that can be told, its delimiter and its header. Returns
 * undefined for a file of blank lines; throws UnusableFileError where rows cannot be read. Of more than headBytes
 * only those count, so that how the bytes arrived decides nothing.
 */
export function openFile(start: Uint8Array, options: ImportOptions): SplitProgress | undefined {
  const head = start.subarray(0, headBytes)
  const { bomBytes, ...opened } = decide(head, options.encoding)
  const found = findHeaders(opened, options)
  if (found.length === 0 && head.length < headBytes) return undefined
  const header = found.find(({ missing }) => missing.length === 0)
  if (!header) {
    const start = opened.bytes.subarray(0, 4096 * opened.unit)
    throw missingColumns(found, textOf(start, provisional(opened.encoding, opened.bytes)), options)
  }
  const { encoding, bytes, unit } = opened
  const utf8 = new Utf8Counter()
  const western = new WesternJudge()
  if (encoding === 'undecided') {
    utf8.push(header.raw)
    western.bytes(header.raw)
  }
  return {
    encoding,
    layout: header.layout,
    header: base64(header.raw),
    sample: firstRows(opened, header, head.length < headBytes).map(({ row, from, to }) => ({
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
  const { encoding, bomBytes } = found
  const narrower = new Narrower(encoding)
  const bytes = head.subarray(bomBytes)
  return { encoding, bomBytes, bytes, scanned: narrower.push(bytes), unit: narrower.unit }
}

/** What stands for an undecided encoding until the whole file has been seen. */
function provisional(encoding: Encoding | 'undecided', bytes: Uint8Array): Encoding {
  if (encoding !== 'undecided') return encoding
  return isUtf8(bytes) ? 'utf-8' : 'windows-1252'
}

/** A header as one delimiter shows it, with its bytes and what they were read as. */
type Candidate = FoundHeader & FirstRecord & { raw: Uint8Array }

/** What each delimiter makes of the first record that is not blank: none where the file has none. */
function findHeaders(opened: Opened, { columns }: ImportOptions): Candidate[] {
  const { encoding, bytes, unit } = opened
  const sep = excelDelimiter(opened)
  const candidates = sep ? [sep.delimiter, ...delimiters] : delimiters
  return candidates.flatMap((delimiter) => {
    const record = headerRecord(opened, delimiter, sep)
    if (!record) return []
    const raw = bytes.subarray(record.start * unit, record.textEnd * unit)
    const as = provisional(encoding, raw)
    const text = record.wellFormed ? textOf(raw, as) : ''
    return [{ ...record, raw, encoding: as, ...readHeader(text, delimiter, columns) }]
  })
}

/**
 * The first record that is not blank, byte order marks aside: a tool that joins files, or puts a line before one,
 * leaves marks of theirs, and a quote behind one opens a field.
 */
function headerRecord(opened: Opened, delimiter: Delimiter, place?: Place): FirstRecord | undefined {
  let record = firstRecord(opened.scanned, delimiter, place)
  // Each time the head is scanned again: a file of lines of nothing but marks has no header.
  for (let scans = 1; record && scans < 10; scans++) {
    const at = afterMarks(opened, record.start)
    if (at === record.start) break
    record = firstRecord(opened.scanned, delimiter, { at, line: record.line })
  }
  return record
}

/** Where the byte order marks at a place end, in scanned units. */
function afterMarks({ encoding, bytes, unit }: Opened, place: number): number {
  const mark = markOf(encoding === 'undecided' ? 'utf-8' : encoding)
  let at = place
  while (mark?.every((byte, n) => bytes[at * unit + n] === byte)) at += mark.length / unit
  return at
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
  fault: RecordFault | undefined
}

/** The first record that is not blank, in scanned units; it must lie within the head. */
function firstRecord(bytes: Uint8Array, delimiter: Delimiter, place?: Place): FirstRecord | undefined {
  let first: FirstRecord | undefined
  const scanner = scannerAt(delimiter, place, ({ kind, fault, from, to, start, end, line }) => {
    if (first || kind === 'blank') return
    const wellFormed = kind === 'row'
    first = { start, textEnd: start + to - from, end, line, nextLine: scanner.line, wellFormed, fault }
  })
  scanUntil(scanner, bytes, () => first !== undefined, true)
  return first
}

/** The first well-formed rows after the header, in scanned units. One that the head of a longer file cuts is none. */
function firstRows({ scanned }: Opened, { layout, end }: Candidate, whole: boolean) {
  const rows: { row: number; from: number; to: number }[] = []
  let row = 0
  const scanner = scannerAt(layout.delimiter, { at: end, line: 1 }, ({ kind, start, from, to }) => {
    if (kind === 'blank') return
    row++
    if (kind === 'row' && rows.length < sampleRows) rows.push({ row, from: start, to: start + to - from })
  })
  // Otherwise the lines of a quoted field that the head cuts would be taken for rows.
  scanUntil(scanner, scanned, () => rows.length >= sampleRows, whole)
  return rows
}

function scannerAt(delimiter: Delimiter, place: Place | undefined, sink: RecordSink): RecordScanner {
  const { at = 0, line = 1 } = place ?? {}
  return new RecordScanner(sink, { delimiter: delimiter.charCodeAt(0), start: at, line })
}

const part = 4096

/** Scans the head from where the scanner stands, no further than needed; to its end only if that ends a record. */
function scanUntil(
  scanner: RecordScanner,
  head: Uint8Array,
  found: () => boolean,
  endsRecord: boolean,
): void {
  for (let at = scanner.position; at < head.length && !found(); at += part) {
    scanner.push(head.subarray(at, at + part))
  }
  if (!found() && endsRecord) scanner.finish()
}
