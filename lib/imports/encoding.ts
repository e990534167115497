import { isAscii, isUtf8 } from 'node:buffer'
import { decoderOf, type Encoding } from './decoder.ts'

/** Bytes of the file's head that decide between UTF-16, a file with single-byte delimiters, and no CSV. */
export const headBytes = 256 * 1024

/**
 * What the head of a file says of its encoding. `undecided` is UTF-8 or windows-1252, which only the whole file
 * tells.
 */
export type HeadEncoding =
  | { encoding: Encoding | 'undecided'; bomBytes: number; marked: boolean }
  | { encoding: 'utf-32' | 'none' }

/**
 * Reads the encoding off the first bytes (up to headBytes of them): a mark counts first, then what was said with the
 * import, then the zeros of UTF-16. `none` where a NUL says that it is no text.
 */
export function headEncoding(head: Uint8Array, said?: Encoding): HeadEncoding {
  const mark = marks.find(({ bytes }) => bytes.every((byte, at) => head[at] === byte))
  if (mark?.encoding === 'utf-32') return { encoding: 'utf-32' }
  if (mark) return { encoding: mark.encoding, bomBytes: mark.bytes.length, marked: true }
  const unmarked = (encoding: Encoding) => ({ encoding, bomBytes: 0, marked: false })
  if (said === 'utf-16le' || said === 'utf-16be') return unmarked(said)
  if (!head.includes(0)) return unmarked(said ?? 'undecided')
  if (isUtf32(head)) return { encoding: 'utf-32' }
  const wide = said === undefined ? utf16WithoutBom(head) : undefined
  return wide ? unmarked(wide) : { encoding: 'none' }
}

// UTF-32 first: its mark begins with that of UTF-16.
const marks = [
  { encoding: 'utf-32', bytes: [0xff, 0xfe, 0, 0] },
  { encoding: 'utf-32', bytes: [0, 0, 0xfe, 0xff] },
  { encoding: 'utf-16le', bytes: [0xff, 0xfe] },
  { encoding: 'utf-16be', bytes: [0xfe, 0xff] },
  { encoding: 'utf-8', bytes: [0xef, 0xbb, 0xbf] },
]

/** Whether every four bytes are a code point, none of them U+0000, and nearly all of the first plane. */
function isUtf32(head: Uint8Array): boolean {
  const units = head.length >> 2
  if (units === 0) return false
  const view = new DataView(head.buffer, head.byteOffset, units * 4)
  return [true, false].some((little) => {
    let beyond = 0
    for (let at = 0; at < units * 4; at += 4) {
      const codePoint = view.getUint32(at, little)
      if (codePoint === 0 || codePoint > 0x10ffff) return false
      if (codePoint > 0xffff) beyond++
    }
    return beyond * 10 <= units
  })
}

/**
 * In UTF-16 each ASCII character, so at least every delimiter, digit and line end, has a zero in one half. A letter
 * such as U+0100 or U+4E00 has one in the other, but never both: that is U+0000, which a binary file has.
 */
function utf16WithoutBom(head: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const pairs = head.length >> 1
  let [first, second] = [0, 0]
  for (let at = 0; at < pairs * 2; at += 2) {
    if (head[at] === 0) first++
    if (head[at + 1] === 0) second++
  }
  if (Math.max(first, second) < pairs / 10 || first === second) return undefined
  const encoding = second > first ? 'utf-16le' : 'utf-16be'
  return decodesAs(encoding, head.subarray(0, pairs * 2)) ? encoding : undefined
}

/** Whether bytes are UTF-16 without lone surrogates and U+0000, which no writer leaves: signs of chance. */
function decodesAs(encoding: 'utf-16le' | 'utf-16be', bytes: Uint8Array): boolean {
  // The head may end between the halves of a surrogate pair.
  const high = bytes[bytes.length - (encoding === 'utf-16le' ? 1 : 2)] ?? 0
  const whole = high >= 0xd8 && high < 0xdc ? bytes.subarray(0, -2) : bytes
  try {
    return !decoderOf(encoding, { fatal: true }).decode(whole).includes('\0')
  } catch {
    return false
  }
}

/** Stands for whatever the scanner of records need not tell apart: no byte of ASCII. */
const letter = 0xff

/**
 * Gives the scanner of records one byte for each unit of a file, so that it sees delimiters, quotes and line ends
 * and nothing that only looks like one. A unit of UTF-16 is two bytes: itself below 0x80, else a letter. Where
 * characters have two bytes and the second may be one of ASCII (Shift_JIS, GB18030, Big5), that is a letter too.
 */
export class Narrower {
  /** Bytes of a unit. */
  readonly unit: 1 | 2
  /** Whether the scanner sees the file's own bytes. */
  readonly identity: boolean
  /** Which byte holds the ASCII of a unit of UTF-16. */
  readonly #low: 0 | 1
  readonly #pairs: Uint8Array | undefined
  /** A lead byte whose second has not come, or half a unit. */
  #held = -1

  constructor(encoding: Encoding) {
    this.unit = encoding === 'utf-16le' || encoding === 'utf-16be' ? 2 : 1
    this.#low = encoding === 'utf-16le' ? 0 : 1
    this.#pairs = pairsOf(encoding)
    this.identity = this.unit === 1 && !this.#pairs
  }

  push(bytes: Uint8Array): Uint8Array {
    if (this.unit === 2) return this.#halves(bytes)
    return this.#pairs ? this.#masked(bytes, this.#pairs) : bytes
  }

  /** After the last byte: an odd one is a letter. */
  finish(): Uint8Array {
    return this.halved ? Uint8Array.of(letter) : new Uint8Array(0)
  }

  /** Whether the input so far ends in half a unit. */
  get halved(): boolean {
    return this.unit === 2 && this.#held >= 0
  }

  #halves(bytes: Uint8Array): Uint8Array {
    const before = this.#held
    const from = before >= 0 ? 1 : 0
    const units = (bytes.length + from) >> 1
    const narrowed = new Uint8Array(units)
    for (let unit = 0; unit < units; unit++) {
      const at = unit * 2 - from
      const first = at < 0 ? before : bytes[at]!
      const second = bytes[at + 1]!
      const [low, high] = this.#low === 0 ? [first, second] : [second, first]
      narrowed[unit] = high === 0 && low < 0x80 ? low : letter
    }
    if (bytes.length > 0 || from === 0) this.#held = (bytes.length + from) % 2 === 1 ? bytes.at(-1)! : -1
    return narrowed
  }

  #masked(bytes: Uint8Array, pairs: Uint8Array): Uint8Array {
    if (this.#held < 0 && isAscii(bytes)) return bytes
    // Not slice(), which of a Buffer is no copy.
    const masked = new Uint8Array(bytes)
    let lead = this.#held
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (lead < 0) {
        lead = byte < 0x80 ? -1 : byte
      } else {
        const taken = byte >= 0x80 || pairs[(lead - 0x80) * 0x80 + byte] === 1
        if (taken) masked[at] = letter
        lead = -1
      }
    }
    this.#held = lead
    return masked
  }
}

const pairTables = new Map<Encoding, Uint8Array | undefined>()

/**
 * For each byte from 0x80 on, whether it takes the byte of ASCII after it into one character; undefined where none
 * does. Asked of the decoder that reads the records later, so that the two cannot differ.
 */
function pairsOf(encoding: Encoding): Uint8Array | undefined {
  if (!multiByte.has(encoding)) return undefined
  let table = pairTables.get(encoding)
  if (!table) {
    table = new Uint8Array(0x80 * 0x80)
    const decoder = decoderOf(encoding)
    for (let lead = 0x80; lead < 0x100; lead++) {
      for (let next = 0x21; next < 0x80; next++) {
        const text = decoder.decode(Uint8Array.of(lead, next))
        if (!text.endsWith(String.fromCharCode(next))) table[(lead - 0x80) * 0x80 + next] = 1
      }
    }
    pairTables.set(encoding, table)
  }
  return table
}

const multiByte = new Set(['shift_jis', 'gbk', 'gb18030', 'big5', 'euc-kr', 'euc-jp'])

/**
 * Tells whether bytes hold anything that the encoding does not have. Of windows-125x that includes what decoders
 * turn into control characters: no writer of names leaves those.
 */
export function brokenIn(encoding: Encoding): (bytes: Uint8Array) => boolean {
  if (encoding === 'utf-8') return (bytes) => !isUtf8(bytes)
  if (encoding.startsWith('windows-')) {
    const holes = holesOf(encoding)
    return (bytes) => !isAscii(bytes) && bytes.some((byte) => holes[byte] === 1)
  }
  const wide = encoding === 'utf-16le' || encoding === 'utf-16be'
  const decoder = decoderOf(encoding, { fatal: true })
  return (bytes) => {
    if (!wide && isAscii(bytes)) return false
    try {
      decoder.decode(bytes)
      return false
    } catch {
      return true
    }
  }
}

const control = /[\u0080-\u009f\ufffd]/

function holesOf(encoding: Encoding): Uint8Array {
  const decoder = decoderOf(encoding)
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    byte >= 0x80 && control.test(decoder.decode(Uint8Array.of(byte))) ? 1 : 0,
  )
}

/**
 * Counts the valid and the broken multi-byte sequences of UTF-8 over a stream. A broken sequence is a maximal
 * part that cannot go on (Unicode 16, table 3-7), as a decoder would replace it by one U+FFFD. One that the end of
 * the input cuts off is neither.
 */
export class Utf8Counter {
  valid: number
  invalid: number
  #needed = 0
  #lower = 0x80
  #upper = 0xbf

  constructor(from: { valid: number; invalid: number } = { valid: 0, invalid: 0 }) {
    this.valid = from.valid
    this.invalid = from.invalid
  }

  push(bytes: Uint8Array): void {
    if (this.#needed === 0 && isAscii(bytes)) return
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (this.#needed > 0) {
        if (byte >= this.#lower && byte <= this.#upper) {
          this.#lower = 0x80
          this.#upper = 0xbf
          if (--this.#needed === 0) this.valid++
          continue
        }
        this.#needed = 0
        this.invalid++
      }
      if (byte >= 0x80) this.#lead(byte)
    }
  }

  /** Accents in windows-1252 are broken UTF-8, a few damaged bytes in a UTF-8 file are outnumbered by right ones. */
  get isUtf8(): boolean {
    return this.valid >= this.invalid
  }

  #lead(byte: number): void {
    this.#lower = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80
    this.#upper = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf
    if (byte >= 0xc2 && byte <= 0xdf) this.#needed = 1
    else if (byte >= 0xe0 && byte <= 0xef) this.#needed = 2
    else if (byte >= 0xf0 && byte <= 0xf4) this.#needed = 3
    else this.invalid++
  }
}

/** What a scan has counted of a file that may be windows-1252. */
export type WesternCounts = {
  /** Rows with a byte above 7F, and those of them with one that windows-1252 leaves undefined. */
  rows: number
  undefinedRows: number
  /** Bytes above 7F, and those of them that stand in runs of three or more. */
  bytes: number
  inRuns: number
}

/**
 * Judges whether a file that is not UTF-8 can be windows-1252. Western names have single accents between letters of
 * ASCII; Cyrillic, Greek, Arabic, Thai, Chinese and Japanese names are runs of bytes above 7F, in any encoding.
 */
export class WesternJudge {
  readonly counts: WesternCounts
  readonly #undefined = holesOf('windows-1252')

  constructor(from: WesternCounts = { rows: 0, undefinedRows: 0, bytes: 0, inRuns: 0 }) {
    this.counts = { ...from }
  }

  /** A whole record, from `from` to before `to`, without its line end. */
  row(bytes: Uint8Array, from: number, to: number): void {
    const before = this.counts.bytes
    const broken = this.bytes(bytes, from, to)
    if (this.counts.bytes > before) this.counts.rows++
    if (broken) this.counts.undefinedRows++
  }

  /** The same of what is no row. Returns whether it holds a byte that windows-1252 leaves undefined. */
  bytes(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
    const { counts } = this
    let broken = false
    for (let at = from; at < to; at++) {
      if (bytes[at]! < 0x80) continue
      const begin = at
      for (; at < to && bytes[at]! >= 0x80; at++) broken ||= this.#undefined[bytes[at]!] === 1
      counts.bytes += at - begin
      if (at - begin >= 3) counts.inRuns += at - begin
    }
    return broken
  }

  get plausible(): boolean {
    const { rows, undefinedRows, bytes, inRuns } = this.counts
    return undefinedRows * 100 <= rows && inRuns * 2 <= bytes
  }
}
