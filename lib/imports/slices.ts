import type { Encoding } from '../platform/text/decoder.ts'
import { Utf8Counter } from '../platform/text/utf8-counter.ts'
import { type WesternCounts, WesternJudge } from '../platform/text/western-judge.ts'
import { RecordScanner } from './boundaries.ts'
import type { Layout } from './header.ts'
import { Narrower } from './narrower.ts'

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
  /** Absent where the scan began before it was counted. */
  western?: WesternCounts
}

/** What a scan of the whole file says of its encoding. */
export type Verdict = {
  encoding: Encoding
  /** Whether nothing but its look speaks for the encoding. */
  guessed: boolean
  /** Whether a guess fits what the file looks like. */
  plausible: boolean
}

/**
 * Scans the bytes of a file after its header into slices, holding one chunk and one look-ahead (1 MiB) at most.
 * Between two slices lies nothing but blank lines.
 */
export class Slicer {
  readonly #encoding: Encoding | 'undecided'
  readonly #limits: typeof sliceLimits
  readonly #scanner: RecordScanner
  readonly #narrower: Narrower
  readonly #utf8: Utf8Counter
  readonly #western: WesternJudge
  readonly #base: number
  #slices: Slice[] = []
  #open: Slice

  constructor(
    from: ScanState,
    encoding: Encoding | 'undecided',
    { delimiter }: Pick<Layout, 'delimiter'>,
    limits: typeof sliceLimits = sliceLimits,
  ) {
    this.#encoding = encoding
    this.#limits = limits
    this.#narrower = new Narrower(encoding)
    const { unit } = this.#narrower
    const undecided = encoding === 'undecided'
    this.#base = from.offset
    this.#utf8 = new Utf8Counter(from.utf8)
    this.#western = new WesternJudge(from.western)
    this.#open = {
      slice_no: from.slice_no,
      byte_start: from.offset,
      byte_end: from.offset,
      first_row: from.row,
      first_line: from.line,
      record_count: 0,
    }
    this.#scanner = new RecordScanner(
      ({ kind, bytes: held, from: begin, to, end }) => {
        this.#open.byte_end = this.#base + end * unit
        if (kind !== 'blank') this.#open.record_count++
        if (undecided) this.#western.row(held, begin, to)
        const bytes = this.#open.byte_end - this.#open.byte_start
        if (this.#open.record_count >= this.#limits.records || bytes >= this.#limits.bytes) this.#cut()
      },
      { delimiter: delimiter.charCodeAt(0), line: from.line },
    )
  }

  push(chunk: Uint8Array): void {
    if (this.#encoding === 'undecided') this.#utf8.push(chunk)
    this.#scanner.push(this.#narrower.push(chunk))
  }

  /** After the last byte: the rest becomes the last slice. */
  finish(): void {
    const { halved } = this.#narrower
    this.#scanner.push(this.#narrower.finish())
    this.#scanner.finish()
    // An odd byte at the end of UTF-16 was scanned as a whole unit.
    if (halved) this.#trimLast()
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
    const western = this.#western.counts
    return { offset: byte_start, line: first_line, row: first_row, slice_no, utf8, western: { ...western } }
  }

  /** Of the whole input; known once finish() was called. */
  get verdict(): Verdict {
    if (this.#encoding !== 'undecided') return { encoding: this.#encoding, guessed: false, plausible: true }
    if (this.#utf8.isUtf8) return { encoding: 'utf-8', guessed: false, plausible: true }
    return { encoding: 'windows-1252', guessed: true, plausible: this.#western.plausible }
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
