import { isAscii } from 'node:buffer'

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
