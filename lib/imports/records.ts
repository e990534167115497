import { decoderOf, type Encoding } from '../platform/text/decoder.ts'
import { brokenIn } from '../platform/text/encoding.ts'
import { isVisible } from '../profiles/names.ts'
import { maxRecordBytes, type RecordFault, type RecordKind, RecordScanner } from './boundaries.ts'
import { splitFields } from './fields.ts'
import { type Layout, requiredColumns } from './header.ts'
import { Narrower } from './narrower.ts'

/** Of a record at the most this much goes into the rejects file. */
export const maxRawBytes = 4 * 1024

/** One record of a slice, decoded. */
export type SliceRecord = {
  /** Number in the file, from 1. */
  row: number
  line: number
  /** Its values, as many as the header has; undefined where it is malformed. */
  fields: string[] | undefined
  /** Its values as they stand, whatever their number; undefined where it cannot be split. */
  split: string[] | undefined
  /** What is wrong with a malformed record. */
  detail?: string
  /** Whether bytes of it are not valid in the file's encoding. */
  broken: boolean
  /** The record as the file has it; of a malformed one the first 64 KiB. */
  text: string
  /** The same, cut at 4 KB. */
  raw: string
}

type Found = { kind: RecordKind; fault?: RecordFault; bytes: Uint8Array; line: number }

/**
 * Reads the records of one slice from its bytes as they stream in. Holds the slice's rows, of each malformed
 * line not more than 64 KiB, whatever the line's length.
 */
export async function readSlice(
  body: AsyncIterable<Uint8Array>,
  slice: { first_row: number; first_line: number },
  layout: Layout,
  encoding: Encoding,
): Promise<SliceRecord[]> {
  const found: Found[] = []
  const narrower = new Narrower(encoding)
  const { identity, unit } = narrower
  const source = new Bytes()
  const scanner = new RecordScanner(
    ({ kind, fault, bytes, from, to, start, line }) => {
      if (kind === 'blank') return
      const length = kind === 'row' ? to - from : Math.min(to - from, maxRecordBytes)
      const own = identity
        ? bytes.slice(from, from + length)
        : source.slice(start * unit, (start + length) * unit)
      found.push({ kind, ...(fault && { fault }), bytes: own, line })
    },
    { delimiter: layout.delimiter.charCodeAt(0), line: slice.first_line },
  )
  for await (const chunk of body) {
    if (!identity) source.push(chunk)
    scanner.push(narrower.push(chunk))
    if (identity) continue
    // Of a line that is passed over only its beginning is ever shown.
    const needed = scanner.position * unit
    source.keep(needed, scanner.passingOver ? needed + maxRecordBytes * unit : Number.POSITIVE_INFINITY)
  }
  scanner.push(narrower.finish())
  scanner.finish()
  return decode(found, slice.first_row, layout, encoding)
}

/** What is still needed of a stream's bytes, for records that are scanned narrowed but decoded in full. */
class Bytes {
  #parts: { start: number; bytes: Uint8Array }[] = []
  #end = 0

  push(bytes: Uint8Array): void {
    this.#parts.push({ start: this.#end, bytes })
    this.#end += bytes.length
  }

  slice(from: number, to: number): Uint8Array {
    return Buffer.concat(
      this.#parts.map(({ start, bytes }) =>
        bytes.subarray(Math.max(0, from - start), Math.max(0, to - start)),
      ),
    )
  }

  /** Lets go of what stands before `from`, and beyond `to`. */
  keep(from: number, to: number): void {
    this.#parts = this.#parts.filter(({ start, bytes }) => start + bytes.length > from && start < to)
  }
}

function decode(found: Found[], firstRow: number, layout: Layout, encoding: Encoding): SliceRecord[] {
  const decoder = decoderOf(encoding)
  const isBroken = brokenIn(encoding)
  return found.map(({ kind, fault, bytes, line }, at) => {
    const text = decoder.decode(bytes)
    const split = kind === 'row' ? splitFields(text, layout.delimiter) : undefined
    const fields = split && toWidth(split, layout)
    const detail = fault
      ? faults[fault]
      : split && !fields
        ? miscounted(split.length, layout.width)
        : undefined
    return {
      row: firstRow + at,
      line,
      fields,
      split,
      ...(detail && { detail }),
      broken: isBroken(bytes),
      text,
      raw: bytes.length > maxRawBytes ? cut(bytes, encoding) : text,
    }
  })
}

/** What is wrong with a malformed record, in words. */
export const faults: Record<RecordFault, string> = {
  open_quote: 'a quote is opened and not closed',
  text_after_quote: 'text follows a closing quote',
  nul: 'it holds a NUL character',
  too_long: 'it is longer than 64 KiB',
}

function miscounted(fields: number, width: number): string {
  return `${fields} field${fields === 1 ? '' : 's'} where the header has ${width}`
}

/**
 * The fields of a row, as many as the header has: those that it ends without are empty if no required column is
 * among them, and empty ones too many are left out. Undefined where their number is wrong otherwise.
 */
export function toWidth(
  split: string[],
  { width, columns }: Pick<Layout, 'width' | 'columns'>,
): string[] | undefined {
  if (split.length === width) return split
  if (split.length > width) {
    return split.slice(width).every((field) => !isVisible(field)) ? split.slice(0, width) : undefined
  }
  if (requiredColumns.some((column) => (columns[column] ?? 0) >= split.length)) return undefined
  return [...split, ...new Array<string>(width - split.length).fill('')]
}

/** The first 4 KB, without the character that the cut would halve. */
function cut(bytes: Uint8Array, encoding: Encoding): string {
  return decoderOf(encoding).decode(bytes.subarray(0, maxRawBytes), { stream: true })
}
