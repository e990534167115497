import { HeldBytes } from './held-bytes.ts'

/**
 * Where records begin and end. CSV is scanned as bytes before anything is decoded: in UTF-8 and windows-1252
 * the delimiter, the quote and the line ends are the same single bytes. Other encodings are narrowed to one byte a
 * unit first (narrower.ts), so that this and fields.ts, which splits one record in the same way, are the only
 * places that know what a record is.
 */

/** A longer record is malformed. */
export const maxRecordBytes = 64 * 1024

/** How far the end of a record is looked for: without a bound one stray quote would swallow the rest of the file. */
export const maxLookAheadBytes = 1024 * 1024

/**
 * - row: well-formed
 * - malformed: with text after a closing quote, with a NUL, or longer than the limit. If a quote is never closed,
 *   or has text after it on a later line, it met a quote that was not meant for it: then the record is its first
 *   physical line only, so that a stray quote costs no row but its own.
 * - blank: blanks and delimiters only; not a row
 */
export type RecordKind = 'row' | 'malformed' | 'blank'

/** What is wrong with a malformed record: of several faults the first. */
export type RecordFault = 'open_quote' | 'text_after_quote' | 'nul' | 'too_long'

export type RecordSink = (record: {
  kind: RecordKind
  /** Undefined unless it is malformed. */
  fault: RecordFault | undefined
  /**
   * Where the bytes below stand: `bytes.subarray(from, to)`, without the line end. Valid during the call.
   * Of a malformed record up to the limit.
   */
  bytes: Uint8Array
  from: number
  to: number
  /** Of the record in the whole input, line end included; `end` is where the next one starts. */
  start: number
  end: number
  /** The physical line it starts on, from 1. */
  line: number
}) => void

const lf = 0x0a
const cr = 0x0d

// What a byte is.
const letter = 0
const nul = 1
const quote = 2
const separator = 3
/** Does not count before an opening quote or after a closing one. */
const blankByte = 4
const lineEnd = 5

// Where in a record a scan is.
const fieldStart = 0
const unquoted = 1
const quotedField = 2
const afterQuote = 3
/** After a closing quote and a blank: only a delimiter or a line end may follow. */
const closed = 4
/** After text that follows a closing quote on a later line than the record's first. */
const stray = 5

export type ScannerOptions = {
  delimiter: number
  /** Records longer than this many bytes are malformed. */
  maxRecord?: number
  /** Of a record with line ends in quotes, the end is looked for within this many bytes (at least maxRecord). */
  maxLookAhead?: number
  /** Where in the whole input the first byte stands, and its line. */
  start?: number
  line?: number
}

/** How far the scan of a record has come. Places are counted from the record's start. */
type Run = {
  at: number
  state: number
  blank: boolean
  fault: RecordFault | undefined
  /** Those inside quotes. */
  lineEnds: number
  firstLineEnd: number
  /** What is wrong with the record if it turns out to be its first line only. */
  firstLineFault: RecordFault
  /** Whether a part was skipped because an earlier scan had read it. */
  jumped: boolean
}

const newRun: Run = {
  at: 0,
  state: fieldStart,
  blank: true,
  fault: undefined,
  lineEnds: 0,
  firstLineEnd: -1,
  firstLineFault: 'open_quote',
  jumped: false,
}

/** A line longer than the look-ahead, while its end is looked for: what was kept of it, and its length so far. */
type PassedLine = { kept: Uint8Array; length: number; blank: boolean; fault: RecordFault }

/**
 * Finds the records of a byte stream. Holds one look-ahead and one chunk at most (in up to twice the room), whatever
 * the input, and reads each byte a few times at most. Call push() with each chunk, then finish(); the sink is called
 * once for each record, in order, and the records tile the input: each starts where the one before ended.
 */
export class RecordScanner {
  /** Where the next record starts in the whole input, and on which line. */
  position: number
  line: number

  readonly #sink: RecordSink
  readonly #classes: Uint8Array
  readonly #maxRecord: number
  readonly #maxLookAhead: number
  /** The bytes of the record that the chunks so far have not ended, and what follows it. */
  readonly #held = new HeldBytes()
  /** The scan of that record. */
  #run = newRun
  #passing: PassedLine | undefined
  /**
   * Where the last scan stopped that took its record for its first line only, and in which state. At each line end
   * between that first line and here its quote was open. So a later scan that comes to one of them with its quote
   * open goes on from here. Without this, each line of a file of `a",",` would be followed by a whole look-ahead.
   */
  #known = { at: -1, state: fieldStart }

  constructor(sink: RecordSink, options: ScannerOptions) {
    this.#sink = sink
    this.#classes = classesOf(options.delimiter)
    this.#maxRecord = options.maxRecord ?? maxRecordBytes
    this.#maxLookAhead = Math.max(options.maxLookAhead ?? maxLookAheadBytes, this.#maxRecord)
    this.position = options.start ?? 0
    this.line = options.line ?? 1
  }

  push(chunk: Uint8Array): void {
    this.#scan(chunk, false)
  }

  finish(): void {
    this.#scan(new Uint8Array(0), true)
  }

  /** The bytes pushed that belong to no record yet. */
  get held(): Uint8Array {
    return this.#held.view
  }

  /** Whether the scan is inside a malformed line of which it keeps only the beginning. */
  get passingOver(): boolean {
    return this.#passing !== undefined
  }

  #scan(chunk: Uint8Array, final: boolean): void {
    const held = this.#held
    const direct = held.length === 0
    if (!direct) held.append(chunk)
    const bytes = direct ? chunk : held.view
    let at = 0
    while (at < bytes.length || (final && this.#passing)) {
      if (this.#passing) {
        at = this.#passLine(this.#passing, bytes, at, final)
        if (this.#passing) break
      } else {
        const next = this.#record(bytes, at, final)
        if (next < 0) break
        at = next
      }
    }
    // A copy: the caller may reuse its chunk.
    if (direct) held.append(bytes.subarray(at))
    else held.drop(at)
  }

  /** Emits the record that starts at `from` and returns where the next starts; -1 if it needs more bytes. */
  #record(bytes: Uint8Array, from: number, final: boolean): number {
    const classes = this.#classes
    const maxRecord = this.#maxRecord
    const bound = from + this.#maxLookAhead
    const limit = Math.min(bytes.length, bound + 1)
    /** What an index here is less than the place in the whole input. */
    const offset = this.position - from
    let { state, blank, fault, lineEnds, firstLineEnd, firstLineFault, jumped } = this.#run
    let at = from + this.#run.at
    this.#run = newRun
    let ended = false
    let undecided = false
    for (; at < limit; at++) {
      const found = classes[bytes[at]!]!
      if (found === letter && (state === unquoted || state === quotedField)) continue
      if (found === lineEnd) {
        const isCr = bytes[at] === cr
        if (isCr && at + 1 === bytes.length && !final) {
          undecided = true
          break
        }
        if (state !== quotedField) {
          ended = true
          break
        }
        const lineEndsAt = at
        if (isCr && bytes[at + 1] === lf) at++
        if (lineEnds++ > 0) continue
        firstLineEnd = lineEndsAt - from
        firstLineFault = fault ?? (firstLineEnd > maxRecord ? 'too_long' : 'open_quote')
        if (offset + lineEndsAt >= this.#known.at) continue
        jumped = true
        state = this.#known.state
        at = this.#known.at - offset - 1
        if (state !== stray) continue
        at++
        break
      }
      if (found === nul) fault ??= at - from < maxRecord ? 'nul' : 'too_long'
      if (state === quotedField) {
        if (found === quote) state = afterQuote
      } else if (found === separator) {
        state = fieldStart
      } else if (found === blankByte) {
        if (state === afterQuote) state = closed
      } else if (found === quote && (state === fieldStart || state === afterQuote)) {
        state = quotedField
        blank = false
      } else {
        if (state === afterQuote || state === closed) {
          if (lineEnds > 0) {
            state = stray
            break
          }
          fault ??= at - from < maxRecord ? 'text_after_quote' : 'too_long'
        }
        state = unquoted
        blank = false
      }
    }
    const tooFar = at > bound
    if (!ended && !tooFar && state !== stray) {
      if (undecided || !final) {
        this.#run = { at: at - from, state, blank, fault, lineEnds, firstLineEnd, firstLineFault, jumped }
        return -1
      }
      ended = state !== quotedField
    }
    if (ended && jumped) {
      // Read once more for what the jump left out: it is the last time.
      this.#known = { at: -1, state: fieldStart }
      return this.#record(bytes, from, final)
    }
    if (ended) {
      if (at - from > maxRecord) fault ??= 'too_long'
      if (blank) return this.#emit('blank', undefined, bytes, from, at, lineEnds)
      return this.#emit(fault ? 'malformed' : 'row', fault, bytes, from, at, lineEnds)
    }
    if (firstLineEnd >= 0) {
      this.#known = { at: offset + at, state }
      return this.#emit('malformed', firstLineFault, bytes, from, from + firstLineEnd, 0)
    }
    if (!tooFar) {
      if (at - from > maxRecord) fault ??= 'too_long'
      return this.#emit('malformed', fault ?? 'open_quote', bytes, from, at, 0)
    }
    const kept = bytes.slice(from, from + maxRecord)
    this.#passing = { kept, length: at - from, blank, fault: fault ?? 'too_long' }
    return at
  }

  /** Emits the record that lies in `bytes` from `from` to the line end, or the end of the input, at `to`. */
  #emit(
    kind: RecordKind,
    fault: RecordFault | undefined,
    bytes: Uint8Array,
    from: number,
    to: number,
    lineEnds: number,
  ): number {
    const next = to + lineEndLength(bytes, to)
    const start = this.position
    const { line } = this
    this.position += next - from
    this.line += next > to ? lineEnds + 1 : lineEnds
    const shown = fault ? Math.min(to, from + this.#maxRecord) : to
    this.#sink({ kind, fault, bytes, from, to: shown, start, end: this.position, line })
    return next
  }

  /** Passes over a line up to its end, which emits it. Returns where it stopped. */
  #passLine(line: PassedLine, bytes: Uint8Array, from: number, final: boolean): number {
    let at = from
    for (; at < bytes.length; at++) {
      const found = this.#classes[bytes[at]!]!
      if (found === lineEnd) break
      if (found !== blankByte && found !== separator) line.blank = false
    }
    line.length += at - from
    const undecided = at === bytes.length || (bytes[at] === cr && at + 1 === bytes.length)
    if (undecided && !final) return at
    this.#passing = undefined
    const ended = lineEndLength(bytes, at)
    const start = this.position
    this.position += line.length + ended
    const place = { start, end: this.position, line: this.line }
    if (ended > 0) this.line++
    const { kept, blank } = line
    const [kind, fault] = blank ? (['blank', undefined] as const) : (['malformed', line.fault] as const)
    this.#sink({ kind, fault, bytes: kept, from: 0, to: kept.length, ...place })
    return at + ended
  }
}

function lineEndLength(bytes: Uint8Array, at: number): 0 | 1 | 2 {
  if (at >= bytes.length) return 0
  return bytes[at] === cr && bytes[at + 1] === lf ? 2 : 1
}

function classesOf(delimiter: number): Uint8Array {
  const classes = new Uint8Array(256)
  classes[0] = nul
  classes[lf] = classes[cr] = lineEnd
  for (const blank of [' ', '\t', '\f']) classes[blank.charCodeAt(0)] = blankByte
  classes['"'.charCodeAt(0)] = quote
  classes[delimiter] = separator
  return classes
}
