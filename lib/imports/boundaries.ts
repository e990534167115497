/**
 * Where records begin and end. CSV is scanned as bytes before anything is decoded: in UTF-8 and windows-1252
 * the delimiter, the quote and the line ends are the same single bytes. UTF-16 is narrowed to one byte a
 * character first (encoding.ts), so that this is the only place that knows what a record is.
 */

/** A longer record is malformed: without a bound one stray quote would swallow the rest of the file. */
export const maxRecordBytes = 64 * 1024

/**
 * - row: well-formed
 * - malformed: an unclosed quote, text after a closing quote, a NUL, or longer than the limit. It is its first
 *   physical line only, so that a stray quote costs no row but its own.
 * - blank: nothing but blanks; not a row
 */
export type RecordKind = 'row' | 'malformed' | 'blank'

/** What is wrong with a malformed record. */
export type RecordFault = 'open_quote' | 'text_after_quote' | 'nul' | 'too_long'

export type RecordSink = (record: {
  kind: RecordKind
  /** Of a malformed record. */
  fault?: RecordFault
  /** Where the bytes below stand: `bytes.subarray(from, to)`, without the line end. Valid during the call. */
  bytes: Uint8Array
  from: number
  to: number
  /** Of the record in the whole input, line end included; `end` is where the next one starts. */
  start: number
  end: number
  /** The physical line it starts on, from 1. */
  line: number
  /** Whether any byte is a quote: without one, fields are what lies between delimiters. */
  quoted: boolean
}) => void

const quote = 0x22
const lf = 0x0a
const cr = 0x0d
const space = 0x20
const tab = 0x09
const formFeed = 0x0c

const fieldStart = 0
const unquoted = 1
const quotedField = 2
const afterQuote = 3
/** After a closing quote and a blank: only a delimiter or a line end may follow. */
const closed = 4

export type ScannerOptions = {
  delimiter: number
  /**
   * Fields of a row. With it, a record of several lines that has another number of fields, while one of its
   * lines alone has the right one, is taken for a stray quote that met another: its first line is malformed.
   */
  width?: number
  /** Records longer than this many bytes are malformed. */
  maxRecord?: number
  /** Where in the whole input the first byte stands, and its line. */
  start?: number
  line?: number
}

/**
 * Finds the records of a byte stream. Holds at most one record and one chunk, whatever the input.
 * Call push() with each chunk, then finish(); the sink is called once for each record, in order, and the
 * records tile the input: each starts where the one before ended.
 */
export class RecordScanner {
  /** Where the next record starts in the whole input, and on which line. */
  position: number
  line: number

  readonly #sink: RecordSink
  readonly #delimiter: number
  readonly #width: number | undefined
  readonly #maxRecord: number
  /** The bytes of the record that the chunks so far have not ended. */
  #held: Uint8Array = new Uint8Array(0)
  /** While the rest of a malformed record's line is passed over: the bytes of it that were kept. */
  #skipping: Uint8Array | undefined
  #skipped = 0
  /** The last chunk ended with the CR that ends a passed-over line; an LF that follows belongs to it. */
  #skippedCr = false
  readonly #trail = new Trail()
  /** Of the lines that #hidesRow has looked at: where the last with a row's fields starts, and where it stopped. */
  #rowLine = -1
  #lookedTo = 0

  constructor(sink: RecordSink, options: ScannerOptions) {
    this.#sink = sink
    this.#delimiter = options.delimiter
    this.#width = options.width
    this.#maxRecord = options.maxRecord ?? maxRecordBytes
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
    return this.#held
  }

  /** Whether the scan is inside a malformed line of which it keeps only the beginning. */
  get passingOver(): boolean {
    return this.#skipping !== undefined
  }

  #scan(chunk: Uint8Array, final: boolean): void {
    let bytes = chunk
    if (this.#held.length > 0) {
      bytes = new Uint8Array(this.#held.length + chunk.length)
      bytes.set(this.#held)
      bytes.set(chunk, this.#held.length)
    }
    let at = this.#skipping ? this.#skipLine(bytes, 0, final) : 0
    while (at < bytes.length) {
      const next = this.#record(bytes, at, final)
      if (next < 0) break
      at = next
    }
    // A copy: the caller may reuse its chunk.
    this.#held = at < bytes.length ? bytes.slice(at) : new Uint8Array(0)
  }

  /** Emits the record that starts at `from` and answers where the next starts; -1 when it needs more bytes. */
  #record(bytes: Uint8Array, from: number, final: boolean): number {
    const delimiter = this.#delimiter
    const limit = Math.min(bytes.length, from + this.#maxRecord + 1)
    const trail = this.#trail
    /** What an index here is less than the place in the whole input. */
    const offset = this.position - from
    let state = fieldStart
    let sawQuote = false
    let sawNul = false
    let blank = true
    let fields = 1
    let lineEnds = 0
    let firstLineEnd = -1
    let stopped: 'ended' | 'malformed' | 'undecided' | undefined
    let at = from
    for (; at < limit; at++) {
      const byte = bytes[at]!
      if (byte === lf || byte === cr) {
        if (byte === cr && at + 1 === bytes.length && !final) {
          stopped = 'undecided'
          break
        }
        if (state !== quotedField) {
          stopped = 'ended'
          break
        }
        if (firstLineEnd < 0) firstLineEnd = at
        if (byte === cr && bytes[at + 1] === lf) at++
        if (lineEnds++ > 0) trail.pass(offset + at, fields)
        else {
          const known = trail.enter(offset + at, fields)
          if (known) {
            state = known.state
            fields += known.fields
            lineEnds += known.lineEnds
            sawNul ||= known.nul
            at = known.at - offset - 1
          }
        }
        continue
      }
      if (byte === quote) {
        sawQuote = true
        blank = false
        if (state === closed) {
          stopped = 'malformed'
          break
        }
        if (state === quotedField) state = afterQuote
        else if (state !== unquoted) state = quotedField
        continue
      }
      if (byte === 0) {
        sawNul = true
        trail.nul(offset + at)
      }
      if (state === quotedField) continue
      if (byte === delimiter) {
        state = fieldStart
        fields++
        blank = false
      } else if (byte === space || byte === tab || byte === formFeed) {
        // Blanks round a value do not count: before an opening quote, or after a closing one.
        if (state === afterQuote) state = closed
      } else if (state === afterQuote || state === closed) {
        stopped = 'malformed'
        break
      } else {
        state = unquoted
        blank = false
      }
    }
    if (lineEnds > 0) trail.stop(offset + at, state, fields)
    if (stopped === 'undecided') return this.#needMore(bytes, from)
    if (stopped === undefined) {
      if (bytes.length - from > this.#maxRecord) stopped = 'malformed'
      else if (!final) return this.#needMore(bytes, from)
      else if (state === quotedField) stopped = 'malformed'
    }
    if (lineEnds > 0 && stopped !== 'malformed' && fields !== this.#width) {
      if (this.#hidesRow(bytes, firstLineEnd, at, offset)) stopped = 'malformed'
    }
    if (stopped === 'malformed') return this.#malformed(bytes, from, firstLineEnd, final)
    const kind = sawNul ? 'malformed' : blank ? 'blank' : 'row'
    return this.#emit(kind, bytes, from, at, sawQuote, stopped === 'ended' ? lineEnds + 1 : lineEnds)
  }

  /**
   * Whether a line of what looks like one record, read by itself, is a row with the right number of fields. Looks
   * at no line twice: of two records that share lines, the later one never ends first.
   */
  #hidesRow(bytes: Uint8Array, firstLineEnd: number, to: number, offset: number): boolean {
    if (this.#width === undefined) return false
    if (this.#rowLine > offset + firstLineEnd) return true
    let from = Math.max(firstLineEnd + 1, this.#lookedTo - offset)
    for (let at = from; at <= to; at++) {
      if (at < to && bytes[at] !== lf && bytes[at] !== cr) continue
      this.#lookedTo = offset + at + 1
      if (fieldsOfLine(bytes, from, at, this.#delimiter) === this.#width) {
        this.#rowLine = offset + from
        return true
      }
      from = at + 1
    }
    return false
  }

  #needMore(bytes: Uint8Array, from: number): number {
    // Only a record within the limit, plus the one byte that may turn out to be an LF, is ever held.
    if (bytes.length - from > this.#maxRecord + 2) throw new Error('The scanner held more than a record')
    return -1
  }

  /** The record is its first line: known already, or what comes up to the next line end. */
  #malformed(bytes: Uint8Array, from: number, firstLineEnd: number, final: boolean): number {
    if (firstLineEnd >= 0) return this.#emit('malformed', bytes, from, firstLineEnd, true, 1)
    this.#skipping = new Uint8Array(0)
    this.#skipped = 0
    this.#skippedCr = false
    return this.#skipLine(bytes, from, final)
  }

  #skipLine(bytes: Uint8Array, from: number, final: boolean): number {
    let at = from
    if (!this.#skippedCr) {
      while (at < bytes.length && bytes[at] !== lf && bytes[at] !== cr) at++
      this.#keep(bytes.subarray(from, at))
      this.#skipped += at - from
      if (at === bytes.length && !final) return at
    }
    let lineEnd = 0
    if (this.#skippedCr) lineEnd = bytes[at] === lf ? 1 : 0
    else if (at < bytes.length) {
      if (bytes[at] === cr && at + 1 === bytes.length && !final) {
        this.#skippedCr = true
        this.#skipped++
        return at + 1
      }
      lineEnd = bytes[at] === cr && bytes[at + 1] === lf ? 2 : 1
    }
    if (this.#skippedCr && at === bytes.length && !final) return at
    const kept = this.#skipping!
    const ended = lineEnd > 0 || this.#skippedCr
    const start = this.position
    this.#skipping = undefined
    this.position += this.#skipped + lineEnd
    const { line } = this
    if (ended) this.line++
    this.#sink({
      kind: 'malformed',
      bytes: kept,
      from: 0,
      to: kept.length,
      start,
      end: this.position,
      line,
      quoted: true,
    })
    return at + lineEnd
  }

  #keep(part: Uint8Array): void {
    const kept = this.#skipping!
    const room = this.#maxRecord - kept.length
    if (room <= 0 || part.length === 0) return
    const joined = new Uint8Array(kept.length + Math.min(room, part.length))
    joined.set(kept)
    joined.set(part.subarray(0, room), kept.length)
    this.#skipping = joined
  }

  #emit(
    kind: RecordKind,
    bytes: Uint8Array,
    from: number,
    to: number,
    quoted: boolean,
    lineEnds: number,
  ): number {
    let next = to
    if (next < bytes.length) next += bytes[next] === cr && bytes[next + 1] === lf ? 2 : 1
    const start = this.position
    const { line } = this
    this.position += next - from
    this.line += lineEnds
    this.#sink({ kind, bytes, from, to, start, end: this.position, line, quoted })
    return next
  }
}

/** How many fields a line holds, or 0 where its quotes are not closed within it. */
function fieldsOfLine(bytes: Uint8Array, from: number, to: number, delimiter: number): number {
  let fields = 1
  let state = fieldStart
  for (let at = from; at < to; at++) {
    const byte = bytes[at]
    if (byte === quote) {
      if (state === closed) return 0
      if (state === quotedField) state = afterQuote
      else if (state !== unquoted) state = quotedField
    } else if (state === quotedField) {
      // Anything goes.
    } else if (byte === delimiter) {
      fields++
      state = fieldStart
    } else if (byte === space || byte === tab || byte === formFeed) {
      if (state === afterQuote) state = closed
    } else if (state === afterQuote || state === closed) {
      return 0
    } else {
      state = unquoted
    }
  }
  return state === quotedField ? 0 : fields
}

/**
 * How a scan went on from each line end inside a quoted value. A malformed record is its first line only, and the
 * scan begins again at the next: once that comes to such a line end too, with its quote open, all that follows is
 * known up to where the scan before it stopped. Without this, each line of a file of `a",",` takes 64 KB of steps.
 * Places are those in the whole input, and only ever grow.
 */
class Trail {
  #ends: number[] = []
  /** Fields that the scan had counted at each of them. */
  #fields: number[] = []
  /** Of those above, the first that a scan may still come to. */
  #first = 0
  #lastNul = -1
  #stopped = { at: -1, state: fieldStart, fields: 0 }
  /** Fields that the scan now running has counted more than those before it. */
  #ahead = 0

  /** The first line end of a scan with its quote open. Answers what is known to follow, and where the scan goes on. */
  enter(
    position: number,
    fields: number,
  ): { at: number; state: number; fields: number; lineEnds: number; nul: boolean } | undefined {
    const { at, state, fields: total } = this.#stopped
    const found = position < at ? this.#find(position) : -1
    if (found < 0) {
      this.#ends = [position]
      this.#fields = [fields]
      this.#first = 0
      this.#ahead = 0
      return undefined
    }
    this.#keepFrom(found)
    const more = total - this.#fields[this.#first]!
    this.#ahead = fields + more - total
    const lineEnds = this.#ends.length - 1 - this.#first
    return { at, state, fields: more, lineEnds, nul: this.#lastNul > position }
  }

  /** A further line end of that scan. */
  pass(position: number, fields: number): void {
    this.#ends.push(position)
    this.#fields.push(fields - this.#ahead)
  }

  nul(position: number): void {
    this.#lastNul = Math.max(this.#lastNul, position)
  }

  /** That scan stops, before it reads the byte at this place. */
  stop(at: number, state: number, fields: number): void {
    this.#stopped = { at, state, fields: fields - this.#ahead }
  }

  #find(position: number): number {
    let [low, high] = [this.#first, this.#ends.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ends[middle]! < position) low = middle + 1
      else high = middle
    }
    return this.#ends[low] === position ? low : -1
  }

  #keepFrom(first: number): void {
    this.#first = first
    if (first < 1000 || first < this.#ends.length / 2) return
    this.#ends = this.#ends.slice(first)
    this.#fields = this.#fields.slice(first)
    this.#first = 0
  }
}
