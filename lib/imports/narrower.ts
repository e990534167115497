import { isAscii } from 'node:buffer'
import { decoderOf, type Encoding } from '../platform/text/decoder.ts'

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
  readonly #pairs: Pairs | undefined
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

  #masked(bytes: Uint8Array, { leads, taken }: Pairs): Uint8Array {
    if (this.#held < 0 && isAscii(bytes)) return bytes
    // Not slice(), which of a Buffer is no copy.
    const masked = new Uint8Array(bytes)
    let lead = this.#held
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (lead < 0) {
        lead = leads[byte] === 1 ? byte : -1
      } else {
        if (byte >= 0x80 || taken[(lead - 0x80) * 0x80 + byte] === 1) masked[at] = letter
        lead = -1
      }
    }
    this.#held = lead
    return masked
  }
}

/** Which bytes begin a character of several, and, for each from 0x80 on, whether it takes the byte of ASCII after it. */
type Pairs = { leads: Uint8Array; taken: Uint8Array }

const pairTables = new Map<Encoding, Pairs>()

/**
 * Undefined if no byte of ASCII is part of another character. Asked of the decoder that reads the records later, so
 * that the two cannot differ. Not every byte from 0x80 on is a lead: half-width katakana of Shift_JIS have one byte.
 */
function pairsOf(encoding: Encoding): Pairs | undefined {
  if (!multiByte.has(encoding)) return undefined
  let tables = pairTables.get(encoding)
  if (!tables) {
    tables = { leads: new Uint8Array(0x100), taken: new Uint8Array(0x80 * 0x80) }
    const decoder = decoderOf(encoding)
    for (let lead = 0x80; lead < 0x100; lead++) {
      const alone = decoderOf(encoding).decode(Uint8Array.of(lead), { stream: true })
      if (alone === '') tables.leads[lead] = 1
      for (let next = 0x21; next < 0x80; next++) {
        const text = decoder.decode(Uint8Array.of(lead, next))
        if (!text.endsWith(String.fromCharCode(next))) tables.taken[(lead - 0x80) * 0x80 + next] = 1
      }
    }
    pairTables.set(encoding, tables)
  }
  return tables
}

const multiByte = new Set(['shift_jis', 'gbk', 'gb18030', 'big5', 'euc-kr', 'euc-jp'])
