import { BadRequestError, UnprocessableError } from '../platform/errors.ts'
import { ageAt, isNumeric } from './age-words.ts'
import { capitalsMean, codeAt, countryPhrases } from './country-phrases.ts'
import { type Gender, maxAge } from './profile.ts'
import type { Token } from './tokens.ts'
import { vocabulary, type WordMeaning } from './vocabulary.ts'

export type Range = { from: number; to: number }
/** A condition. `added` ones ("from Kenya", "over 30") may follow "and" after a condition of another kind. */
export type Condition = { text: string; added: boolean } & (
  | { kind: 'gender'; genders: readonly Gender[] }
  | { kind: 'country'; codes: readonly string[] }
  | { kind: 'ages'; range: Range; shape: 'noun' | 'bound' | 'range' }
)
export type Join = { kind: 'join'; by: 'and' | 'or' | 'comma'; text: string }
type Mark = { kind: 'place' | 'of' | 'filler' | 'subject'; text: string }
export type Piece = Condition | Join | Mark

/** Each message becomes a detail. */
export function uninterpretable(messages: Iterable<string>): BadRequestError {
  const details = [...new Set(messages)].map((message) => ({ field: 'q', message }))
  return new BadRequestError('Unable to interpret query', details, 'uninterpretable_query')
}

/** The query cut into known phrases, the longest first. Throws where a word is left over. */
export function readPieces(written: readonly Token[]): Piece[] {
  const pieces: Piece[] = []
  const leftover: string[] = []
  const noAges: string[] = []
  const capitals = capitalsMean(written)
  // In "show US men" it is no pronoun.
  const tokens = written.map((token) => (capitals && token.text === 'US' ? { ...token, word: 'u.s' } : token))
  for (let at = 0; at < tokens.length; ) {
    const token = tokens[at]!
    if (token.kind === 'comma') {
      pieces.push({ kind: 'join', by: 'comma', text: ',' })
      at++
      continue
    }
    const found = pieceAt(tokens, at, pieces, capitals)
    if (found) {
      if (found.outside) noAges.push(found.piece.text)
      pieces.push(found.piece)
      at = found.end
      continue
    }
    // A dash between words is a mark; beside a number it could be a minus.
    const isMark = token.kind === 'dash' && !isNumeric(tokens[at - 1]) && !isNumeric(tokens[at + 1])
    if (!isMark) leftover.push(token.text)
    at++
  }
  if (leftover.length > 0) throw uninterpretable(leftover.map((word) => `"${word}" is not understood`))
  if (noAges.length > 0) {
    const details = noAges.map((text) => ({ field: 'q', message: `"${text}": ages are 0 to ${maxAge}` }))
    throw new UnprocessableError(`Ages are 0 to ${maxAge}`, details)
  }
  return pieces
}

type Found = { piece: Piece; end: number; outside?: boolean }

function pieceAt(
  tokens: readonly Token[],
  at: number,
  before: readonly Piece[],
  capitals: boolean,
): Found | undefined {
  const text = (end: number) => phraseText(tokens, at, end)
  const candidates: Found[] = []
  const age = ageAt(tokens, at)
  if (age) {
    const { from, to, end, outside } = age
    const shape = age.shape === 'decade' ? 'noun' : age.shape
    const added = shape !== 'noun' || tokens[at]!.word === 'in'
    candidates.push({
      piece: { kind: 'ages', range: { from, to }, shape, added, text: text(end) },
      end,
      outside,
    })
  }
  const country = countryAt(tokens, at, before, capitals)
  if (country) {
    const { codes, end } = country
    candidates.push({ piece: { kind: 'country', codes, added: false, text: text(end) }, end })
  }
  const known = vocabulary.at(tokens, at)
  if (known) candidates.push({ piece: wordPiece(known.meaning, text(known.end)), end: known.end })
  let longest: Found | undefined
  for (const candidate of candidates) if (!longest || candidate.end > longest.end) longest = candidate
  return longest
}

function wordPiece(meaning: WordMeaning, text: string): Piece {
  if (meaning.kind === 'gender') return { ...meaning, text, added: false }
  if (meaning.kind !== 'ages') return { ...meaning, text }
  const { from, to } = meaning
  return { kind: 'ages', range: { from, to }, shape: 'noun', added: /^in\s/i.test(text), text }
}

/** The tokens as they were written, with one blank where blanks stood. */
function phraseText(tokens: readonly Token[], start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) {
    const token = tokens[at]!
    text += at > start && token.start > tokens[at - 1]!.end ? ` ${token.text}` : token.text
  }
  return text
}

function countryAt(
  tokens: readonly Token[],
  at: number,
  before: readonly Piece[],
  capitals: boolean,
): { codes: readonly string[]; end: number } | undefined {
  const named = countryPhrases().at(tokens, at)
  if (named && named.end > at + 1) return { codes: named.meaning, end: named.end }
  const code = codeAt(tokens[at], placeAfter(before), capitals)
  if (code) return { codes: [code], end: at + 1 }
  return named && { codes: named.meaning, end: named.end }
}

/** Whether a country is what comes next: after "from" and the like, or beside another one. */
function placeAfter(before: readonly Piece[]): 'none' | 'of' | 'country' {
  let joined = false
  for (let at = before.length - 1; at >= 0; at--) {
    const { kind } = before[at]!
    if (kind === 'place') return 'country'
    if (kind === 'of') return 'of'
    if (kind === 'country') return joined ? 'country' : 'none'
    if (kind === 'join') joined = true
    else if (kind !== 'filler') return 'none'
  }
  return 'none'
}
