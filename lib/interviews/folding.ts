/*
 * How texts are made findable: case, accents and vowel signs are folded away, and scripts that write no blanks
 * between words are cut into pairs of characters, as search engines do (Lucene's CJKBigramFilter). Tokens are ASCII,
 * so that PostgreSQL's parser takes each for one word, whatever the locale of the database is.
 */

/** The number of `tokensOf`: it goes up with each change of what that returns, and stored turns follow (refold.ts). */
export const folding = 1

export type Token = {
  text: string
  /** Where it stands in the text in NFC: UTF-16 units, the end exclusive. */
  start: number
  end: number
}

/** Accents, and the vowel signs of Hebrew and Arabic: in other scripts marks are letters as others are. */
const folded =
  /[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed]/g

/** What Unicode does not decompose. */
const alike: Record<string, string> = {
  ß: 'ss',
  ı: 'i',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  ł: 'l',
  ħ: 'h',
  æ: 'ae',
  œ: 'oe',
  þ: 'th',
  ς: 'σ',
  // Arabic as it is written elsewhere, and without dots.
  ى: 'ي',
  ی: 'ي',
  ک: 'ك',
  ة: 'ه',
}

/** Letters, digits and marks, with the joiners and soft hyphens inside words. */
const words = /[\p{L}\p{N}\p{M}\u00ad\p{Join_Control}]+/gu
/** With the marks behind them, those of half-width kana too. */
const character = /[\p{L}\p{N}][\p{M}\u00ad\p{Join_Control}\uff9e\uff9f]*|[\p{M}\u00ad\p{Join_Control}]+/gu

/** Korean has blanks, but writes particles onto its words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}々ー]/u

/** Characters of a word that count: PostgreSQL refuses one of 2 KB. */
const longestWord = 50

/** ASCII characters of all tokens of one text at most: PostgreSQL refuses a text whose words fill 1 MB. */
const mostText = 500_000

type Unit = { char: string; start: number; end: number }

function fold(text: string): string {
  const bare = text.normalize('NFKD').toLowerCase().replaceAll(folded, '')
  return [...bare.replaceAll(/[\u00ad\p{Join_Control}]/gu, '').normalize('NFC')]
    .map((c) => alike[c] ?? c)
    .join('')
}

/**
 * The tokens of a text in their order. A word is one: letters from a to z or digits as they are, so that PostgreSQL
 * knows English ones in any form, every other one by its code points. In a run of characters of a script without
 * blanks each is one with the character behind it, the last by itself.
 */
export function* tokensOf(text: string): Generator<Token> {
  let left = mostText
  for (const match of text.normalize('NFC').matchAll(words)) {
    for (const token of tokensOfWord(match[0], match.index)) {
      left -= token.text.length + 1
      if (left < 0) return
      yield token
    }
  }
}

function* tokensOfWord(word: string, at: number): Generator<Token> {
  // Most words, and ten times faster.
  if (/^[a-zA-Z0-9]+$/.test(word)) {
    yield { text: wordText(word.slice(0, longestWord).toLowerCase()), start: at, end: at + word.length }
    return
  }
  let spaced: Unit[] = []
  let run: Unit[] = []
  for (const match of word.matchAll(character)) {
    const start = at + match.index
    const end = start + match[0].length
    for (const char of fold(match[0])) {
      if (unspaced.test(char) || (run.length > 0 && /\p{M}/u.test(char))) {
        yield* wordToken(spaced)
        spaced = []
        run.push({ char, start, end })
      } else {
        yield* pairs(run)
        run = []
        spaced.push({ char, start, end })
      }
    }
  }
  yield* wordToken(spaced)
  yield* pairs(run)
}

function* wordToken(units: readonly Unit[]): Generator<Token> {
  const [first] = units
  if (!first) return
  const chars = units.slice(0, longestWord).map(({ char }) => char)
  yield { text: wordText(chars.join('')), start: first.start, end: units.at(-1)!.end }
}

function wordText(word: string): string {
  return /^(?:[a-z]+|[0-9]+)$/.test(word) ? word : `zw${[...word].map(coded).join('')}`
}

function* pairs(run: readonly Unit[]): Generator<Token> {
  for (const [index, { char, start, end }] of run.entries()) {
    const next = run[index + 1]
    yield { text: `zq${hex(char)}${next ? hex(next.char) : ''}`, start, end: next?.end ?? end }
  }
}

const coded = (char: string): string => (/[a-z0-9]/.test(char) ? char : `z${hex(char)}`)
const hex = (char: string): string => char.codePointAt(0)!.toString(16).padStart(5, '0')

/** What the tokens of a text are to `to_tsvector`. */
export function foldedText(text: string): string {
  return [...tokensOf(text)].map((token) => token.text).join(' ')
}

/** Whether a token is one character of a script without blanks, behind which a text may go on. */
export function isSingle(token: string): boolean {
  return /^zq[0-9a-f]{5}$/.test(token)
}
