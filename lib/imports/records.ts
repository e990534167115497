import { isUtf8 } from 'node:buffer'
import { type RecordKind, RecordScanner } from './boundaries.ts'
import { type Encoding, narrow } from './encoding.ts'
import { fieldsOf } from './fields.ts'
import type { Layout } from './header.ts'

/** Of a record at the most this much goes into the rejects file. */
export const maxRawBytes = 4 * 1024

/** One record of a slice, decoded. */
export type SliceRecord = {
  /** Number in the file, from 1. */
  row: number
  line: number
  /** Its values, as many as the header has; undefined where it is malformed. */
  fields: string[] | undefined
  /** What is wrong with a malformed record. */
  detail?: string
  /** Whether bytes of it are not valid in the file's encoding. */
  broken: boolean
  /** The record as the file has it, cut at 4 KB. */
  raw: string
}

type Found = { kind: RecordKind; bytes: Uint8Array; line: number; quoted: boolean }

/**
 * Reads the records of one slice from its bytes as they stream in. Holds the slice's rows, of each malformed
 * line not more than 64 KB, whatever the line's length.
 */
export async function readSlice(
  body: AsyncIterable<Uint8Array>,
  slice: { first_row: number; first_line: number },
  layout: Layout,
  encoding: Encoding,
): Promise<SliceRecord[]> {
  const found: Found[] = []
  const wide = encoding === 'utf-16le' || encoding === 'utf-16be' ? encoding : undefined
  const delimiter = layout.delimiter.charCodeAt(0)
  const source = new Bytes()
  const scanner = new RecordScanner(
    ({ kind, bytes, from, to, start, line, quoted }) => {
      if (kind === 'blank') return
      const part = wide
        ? source.slice(
            start * 2,
            start * 2 + Math.min((to - from) * 2, kind === 'row' ? Infinity : maxRawBytes),
          )
        : bytes.slice(from, kind === 'row' ? to : Math.min(to, from + maxRawBytes))
      found.push({ kind, bytes: part, line, quoted })
    },
    { delimiter, width: layout.width, line: slice.first_line },
  )
  let half: Uint8Array = new Uint8Array(0)
  for await (const chunk of body) {
    if (!wide) {
      scanner.push(chunk)
      continue
    }
    source.push(chunk)
    const bytes = half.length > 0 ? Buffer.concat([half, chunk]) : chunk
    const even = bytes.length - (bytes.length % 2)
    half = bytes.slice(even)
    scanner.push(narrow(bytes.subarray(0, even), wide))
    // Of a line that is passed over only its beginning is ever shown.
    const needed = scanner.position * 2
    source.keep(needed, scanner.passingOver ? needed + maxRawBytes : Number.POSITIVE_INFINITY)
  }
  if (wide && half.length > 0) scanner.push(narrow(half, wide))
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
  const decoder = new TextDecoder(encoding, { ignoreBOM: true })
  const texts = found.map(({ bytes }) => decoder.decode(bytes))
  const rows = found.flatMap(({ kind, quoted }, at) => (kind === 'row' ? [{ text: texts[at]!, quoted }] : []))
  const fields = fieldsOf(rows, layout.delimiter)
  let next = 0
  return found.map(({ kind, bytes, line }, at) => {
    const values = kind === 'row' ? fields[next++] : undefined
    return {
      row: firstRow + at,
      line,
      fields: values?.length === layout.width ? values : undefined,
      broken: isBroken(bytes, encoding),
      raw: bytes.length > maxRawBytes ? cut(bytes, encoding) : texts[at]!,
    }
  })
}

function isBroken(bytes: Uint8Array, encoding: Encoding): boolean {
  if (encoding === 'windows-1252') return false
  if (encoding === 'utf-8') return !isUtf8(bytes)
  try {
    new TextDecoder(encoding, { fatal: true }).decode(bytes)
    return false
  } catch {
    return true
  }
}

/** The first 4 KB, without the character that the cut would halve. */
function cut(bytes: Uint8Array, encoding: Encoding): string {
  return new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes.subarray(0, maxRawBytes), {
    stream: true,
  })
}
