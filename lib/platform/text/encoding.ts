import { isAscii, isUtf8 } from 'node:buffer'
import { decoderOf, type Encoding } from './decoder.ts'

/** Bytes of the file's head that decide between UTF-16, a file with single-byte delimiters, and no CSV. */
export const headBytes = 256 * 1024

/**
 * What the head of a file says of its encoding. `undecided` is UTF-8 or windows-1252, which only the whole file
 * tells.
 */
export type HeadEncoding =
  | { encoding: Encoding | 'undecided'; bomBytes: number }
  | { encoding: 'utf-32' | 'none' }

/**
 * Reads the encoding off the first bytes (up to headBytes of them): a mark counts first, then what was said with the
 * import, then the zeros of UTF-16. `none` where a NUL says that it is no text.
 */
export function headEncoding(head: Uint8Array, said?: Encoding): HeadEncoding {
  const mark = marks.find(({ bytes }) => bytes.every((byte, at) => head[at] === byte))
  if (mark?.encoding === 'utf-32') return { encoding: 'utf-32' }
  if (mark) {
    if (mark.encoding === 'utf-8' && head.includes(0)) return { encoding: 'none' }
    return { encoding: mark.encoding, bomBytes: mark.bytes.length }
  }
  const unmarked = (encoding: Encoding) => ({ encoding, bomBytes: 0 })
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

/** The byte order mark of an encoding; undefined if it has none. */
export function markOf(encoding: Encoding): readonly number[] | undefined {
  return marks.find((mark) => mark.encoding === encoding)?.bytes
}

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

/** Of the head of a file the part that surely holds names of columns, delimiters and line ends. */
const headerBytes = 512

/**
 * In UTF-16 each ASCII character, so at least every delimiter, digit and line end, has a zero in one half. A letter
 * such as U+0100 or U+4E00 has one in the other. Long Chinese texts leave few of them beyond the header.
 */
function utf16WithoutBom(head: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const all = zerosOf(head)
  const enough = [all, zerosOf(head.subarray(0, headerBytes))].some(
    ({ first, second, units }) => Math.max(first, second) * 10 >= units,
  )
  if (!enough || all.first === all.second) return undefined
  const encoding = all.second > all.first ? 'utf-16le' : 'utf-16be'
  return isMostlyText(head, encoding === 'utf-16le') ? encoding : undefined
}

/** How many units of two bytes have a zero in their first half, and in their second. */
function zerosOf(bytes: Uint8Array): { first: number; second: number; units: number } {
  const units = bytes.length >> 1
  let [first, second] = [0, 0]
  for (let at = 0; at < units * 2; at += 2) {
    if (bytes[at] === 0) first++
    if (bytes[at + 1] === 0) second++
  }
  return { first, second, units }
}

/**
 * Whether bytes as UTF-16 hold at least ten characters of printable ASCII for each U+0000 and each half of a
 * surrogate pair. Programs leave a few of these, binary files are full of them.
 */
function isMostlyText(head: Uint8Array, little: boolean): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  let [printable, lost, high] = [0, 0, false]
  for (let at = 0; at + 1 < head.length; at += 2) {
    const unit = view.getUint16(at, little)
    const low = unit >= 0xdc00 && unit < 0xe000
    if (unit === 0 || low !== high) lost++
    high = unit >= 0xd800 && unit < 0xdc00
    if (unit >= 0x20 && unit < 0x7f) printable++
  }
  return lost * 10 <= printable
}

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

/** For each byte from 0 to 255, 1 where a decoder gives a control character or nothing for it. */
export function holesOf(encoding: Encoding): Uint8Array {
  const decoder = decoderOf(encoding)
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    byte >= 0x80 && control.test(decoder.decode(Uint8Array.of(byte))) ? 1 : 0,
  )
}
