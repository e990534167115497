import { decoderOf, type Encoding } from '../platform/text/decoder.ts'
import { brokenIn, headBytes, headEncoding } from '../platform/text/encoding.ts'
import { Utf8Counter } from '../platform/text/utf8-counter.ts'
import { WesternJudge } from '../platform/text/western-judge.ts'
import { otherType } from './document-kinds.ts'
import { FinalError } from './failure.ts'

/**
 * The text of a plain text, whose encoding is judged as that of an import: a mark, what was said, UTF-8, and
 * windows-1252 if it can be that. Throws FinalError: `type_mismatch` if it is no text, `unknown_encoding` rather
 * than a text that is garbage.
 */
export function plainText(bytes: Buffer, said?: Encoding): string {
  const head = headEncoding(bytes.subarray(0, headBytes), said)
  if (head.encoding === 'utf-32') throw unknownEncoding('The file looks like UTF-32')
  if (!('bomBytes' in head)) throw otherType()
  const content = bytes.subarray(head.bomBytes)
  const encoding = head.encoding === 'undecided' ? judged(content) : head.encoding
  const text = decoderOf(encoding).decode(content)
  // Of a text that a few bytes were lost of, the rest can be read.
  if (brokenIn(encoding)(content) && isMostlyBroken(text)) {
    throw unknownEncoding(`The file is not in ${encoding}`)
  }
  return text
}

function judged(bytes: Uint8Array): Encoding {
  const utf8 = new Utf8Counter()
  utf8.push(bytes)
  if (utf8.isUtf8) return 'utf-8'
  const western = new WesternJudge()
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(0x0a, from)
    const to = end < 0 ? bytes.length : end
    western.row(bytes, from, to)
    from = to + 1
  }
  if (western.plausible && looksWestern(decoderOf('windows-1252').decode(bytes))) return 'windows-1252'
  throw unknownEncoding('The encoding of the file cannot be told')
}

/**
 * What Western writers hardly write: rare signs, a sign at the beginning or in the middle of a word (`ƒGƒ“ƒW`, which
 * is Japanese, and `£ukasz`, which is Polish), an opening quote at its end, a capital with an accent inside it.
 */
const odd =
  /[ƒ†‡ˆ˜‰‹›¤¦¬¯±¶¸]|[“„‚€£¥¢©®«»¿¡]\p{L}(?<=\p{L}.\p{L})|[€£¥¢]\p{L}|(?<=\p{L})[‘“„‚]|(?<=\p{L})[À-ÖØ-ÞŒŠŽŸ](?=\p{Ll})/gu

/**
 * Whether a text of some length is one, judged by its characters beyond ASCII: a list of names has many in a row in
 * any other script, but a short text in Shift_JIS may have none.
 */
function looksWestern(text: string): boolean {
  const beyond = text.match(/[^\0-\x7f]/g)?.length ?? 0
  const strange = text.match(odd)?.length ?? 0
  return strange * 5 <= beyond
}

/** Whether one in a hundred characters was lost, or is a control character that no writer leaves. */
function isMostlyBroken(text: string): boolean {
  const lost = text.match(/[\u0080-\u009f\ufffd]/g)?.length ?? 0
  return lost * 100 > text.length
}

function unknownEncoding(what: string): FinalError {
  return new FinalError(
    'unknown_encoding',
    `${what}: save it as UTF-8, or name its encoding with the upload (text/plain; charset=...)`,
  )
}
