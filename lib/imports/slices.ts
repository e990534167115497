import { RecordScanner } from './boundaries.ts'
import { type Encoding, narrow, Utf8Counter } from './encoding.ts'
import type { Layout } from './header.ts'

/** A run of whole records, small enough for one worker and one transaction. */
export type Slice = {
  slice_no: number
  /** Bytes of the object, the end exclusive. */
  byte_start: number
  byte_end: number
  /** Number of its first row in the file, from 1; neither the header nor blank lines are rows. */
  first_row: number
  /** Physical line its first byte stands on, from 1. */
  first_line: number
  record_count: number
}

/** A slice ends at whichever comes first. */
export const sliceLimits = { records: 10_000, bytes: 4 * 1024 * 1024 }

/** Where a scan stands between two records, and what it has counted: enough to go on in another invocation. */
export type ScanState = {
  /** Byte of the object at which the next record starts. */
  offset: number
  line: number
  row: number
  slice_no: number
  utf8: { valid: number; invalid: number }
}

/**
 * Scans the bytes of a file after its header into slices, holding one chunk and one record at the most.
 * Between two slices lies nothing but blank lines.
 */
export class Slicer {
  readonly #encoding: Encoding | 'undecided'
  readonly #limits: typeof sliceLimits
  readonly #scanner: RecordScanner
  readonly #utf8: Utf8Counter
  readonly #base: number
  readonly #unit: 1 | 2
  #slices: Slice[] = []
  #open: Slice
  /** Half a UTF-16 code unit that the last chunk ended with. */
  #half: Uint8Array = new Uint8Array(0)

  constructor(
    from: ScanState,
    encoding: Encoding | 'undecided',
    { delimiter, width }: Pick<Layout, 'delimiter' | 'width'>,
    limits: typeof sliceLimits = sliceLimits,
  ) {
    this.#encoding = encoding
    this.#limits = limits
    this.#unit = encoding === 'utf-16le' || encoding === 'utf-16be' ? 2 : 1
    this.#base = from.offset
    this.#utf8 = new Utf8Counter(from.utf8)
    this.#open = {
      slice_no: from.slice_no,
      byte_start: from.offset,
      byte_end: from.offset,
      first_row: from.row,
      first_line: from.line,
      record_count: 0,
    }
    this.#scanner = new RecordScanner(
      ({ kind, end }) => {
        this.#open.byte_end = this.#base + end * this.#unit
        if (kind !== 'blank') this.#open.record_count++
        const bytes = this.#open.byte_end - this.#open.byte_start
        if (this.#open.record_count >= this.#limits.records || bytes >= this.#limits.bytes) this.#cut()
      },
      { delimiter: delimiter.charCodeAt(0), width, line: from.line },
    )
  }

  push(chunk: Uint8Array): void {
    if (this.#unit === 1) {
      this.#utf8.push(chunk)
      this.#scanner.push(chunk)
    } else {
      this.#pushUtf16(chunk)
    }
  }

  /** After the last byte: the rest becomes the last slice. */
  finish(): void {
    if (this.#half.length > 0) this.#scanner.push(narrow(this.#half, this.#wide))
    this.#scanner.finish()
    this.#utf8.finish()
    // An odd byte at the end of UTF-16 was scanned as a whole unit.
    if (this.#half.length > 0) this.#trimLast()
    if (this.#open.byte_end > this.#open.byte_start) this.#cut()
  }

  /** The slices found since the last call. */
  take(): Slice[] {
    const slices = this.#slices
    this.#slices = []
    return slices
  }

  /**
   * Ends the open slice at the last whole record and answers where a later scan goes on; undefined in the
   * middle of a line that is passed over, which has no such place.
   */
  pause(): ScanState | undefined {
    if (this.#scanner.passingOver) return undefined
    if (this.#open.byte_end > this.#open.byte_start) this.#cut()
    // What is counted here will be scanned again, since the next scan starts before it.
    const ahead = new Utf8Counter()
    ahead.push(this.#scanner.held)
    const { valid, invalid } = this.#utf8
    const { byte_start, first_line, first_row, slice_no } = this.#open
    const utf8 = { valid: valid - ahead.valid, invalid: invalid - ahead.invalid }
    return { offset: byte_start, line: first_line, row: first_row, slice_no, utf8 }
  }

  /** Of the whole input; known once finish() was called. */
  get encoding(): Encoding {
    return this.#encoding === 'undecided' ? this.#utf8.encoding : this.#encoding
  }

  get #wide(): 'utf-16le' | 'utf-16be' {
    return this.#encoding === 'utf-16be' ? 'utf-16be' : 'utf-16le'
  }

  #pushUtf16(chunk: Uint8Array): void {
    let bytes = chunk
    if (this.#half.length > 0) {
      bytes = new Uint8Array(chunk.length + 1)
      bytes.set(this.#half)
      bytes.set(chunk, 1)
    }
    const even = bytes.length - (bytes.length % 2)
    this.#half = bytes.slice(even)
    this.#scanner.push(narrow(bytes.subarray(0, even), this.#wide))
  }

  #trimLast(): void {
    const last = this.#open.byte_end > this.#open.byte_start ? this.#open : this.#slices.at(-1)
    if (last) last.byte_end--
  }

  #cut(): void {
    const { slice_no, byte_end, first_row, record_count } = this.#open
    // Blank lines alone make no slice: nobody needs to read them.
    if (record_count > 0) this.#slices.push(this.#open)
    const cut = record_count > 0
    this.#open = {
      slice_no: cut ? slice_no + 1 : slice_no,
      byte_start: byte_end,
      byte_end,
      first_row: first_row + record_count,
      first_line: this.#scanner.line,
      record_count: 0,
    }
  }
}
