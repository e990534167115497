import { isAscii } from 'node:buffer'

/** Bytes of the file's head that decide between UTF-16, a file with single-byte delimiters, and no CSV. */
export const headBytes = 256 * 1024

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252'

/** What the head of a file says: `undecided` is UTF-8 or windows-1252, which only the whole file tells. */
export type HeadEncoding = { encoding: 'utf-16le' | 'utf-16be' | 'undecided'; bomBytes: number }

/** Reads the encoding off the first bytes (up to headBytes of them). Answers undefined where it is no text. */
export function headEncoding(head: Uint8Array): HeadEncoding | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: 'utf-16le', bomBytes: 2 }
  if (head[0] === 0xfe && head[1] === 0xff) return { encoding: 'utf-16be', bomBytes: 2 }
  if (!head.includes(0)) {
    const bom = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf
    return { encoding: 'undecided', bomBytes: bom ? 3 : 0 }
  }
  const encoding = utf16WithoutBom(head)
  return encoding && { encoding, bomBytes: 0 }
}

/**
 * In UTF-16 each ASCII character, so at least every delimiter, digit and line end, has a zero in one half
 * and none in the other; text that holds U+0000 itself, or a binary file, has zeros in both.
 */
function utf16WithoutBom(head: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const zeros = [0, 0]
  const pairs = head.length >> 1
  for (let at = 0; at < pairs * 2; at++) if (head[at] === 0) zeros[at & 1]!++
  const [high, low] = zeros as [number, number]
  const enough = pairs / 10
  const encoding =
    low >= enough && high === 0 ? 'utf-16le' : high >= enough && low === 0 ? 'utf-16be' : undefined
  // Lone surrogates are a sign of chance: no UTF-16 writer leaves them.
  return encoding && decodesAs(encoding, head.subarray(0, pairs * 2)) ? encoding : undefined
}

function decodesAs(encoding: 'utf-16le' | 'utf-16be', bytes: Uint8Array): boolean {
  // The head may end between the halves of a surrogate pair.
  const high = bytes[bytes.length - (encoding === 'utf-16le' ? 1 : 2)] ?? 0
  const whole = high >= 0xd8 && high < 0xdc ? bytes.subarray(0, -2) : bytes
  try {
    new TextDecoder(encoding, { fatal: true }).decode(whole)
    return true
  } catch {
    return false
  }
}

/**
 * One byte for each UTF-16 code unit: itself where it is below 0x80, else a letter, so that the scanner of
 * records sees the same delimiters, quotes and line ends. An odd byte at the end of a file becomes a letter.
 */
export function narrow(bytes: Uint8Array, encoding: 'utf-16le' | 'utf-16be'): Uint8Array {
  const letter = 0x78
  const units = (bytes.length + 1) >> 1
  const narrowed = new Uint8Array(units)
  const low = encoding === 'utf-16le' ? 0 : 1
  for (let unit = 0; unit < units; unit++) {
    const byte = bytes[unit * 2 + low]
    const other = bytes[unit * 2 + 1 - low]
    narrowed[unit] = other === 0 && byte !== undefined && byte < 0x80 ? byte : letter
  }
  return narrowed
}

/**
 * Counts the valid and the broken multi-byte sequences of UTF-8 over a stream. A broken sequence is a maximal
 * part that cannot go on (Unicode 16, table 3-7), as a decoder would replace it by one U+FFFD.
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

  /** A sequence that the end of the input cut off is broken. */
  finish(): void {
    if (this.#needed > 0) this.invalid++
    this.#needed = 0
  }

  /** Accents in windows-1252 are broken UTF-8, a few damaged bytes in a UTF-8 file are outnumbered by right ones. */
  get encoding(): 'utf-8' | 'windows-1252' {
    return this.valid >= this.invalid ? 'utf-8' : 'windows-1252'
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
