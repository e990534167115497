import { holesOf } from './encoding.ts'

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
