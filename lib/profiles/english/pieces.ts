import { BadRequestError, UnprocessableError } from '../../platform/errors.ts'
import { type Gender, maxAge } from '../profile.ts'
import { type AgeExpression, ageAt, type Range } from './ages.ts'
import { type CountryMeaning, capitalsMean, codeAt, countryPhrases, type Place } from './country-phrases.ts'
import { isNumeric } from './numbers.ts'
import { notUnderstood } from './reasons.ts'
import type { Token } from './tokens.ts'
import { type Form, type Stage, vocabulary, type WordMeaning } from './vocabulary.ts'

export type Condition = { form: Form } & (
  | { kind: 'gender'; genders: readonly Gender[]; stage?: Stage }
  | { kind: 'country'; codes: readonly string[]; isName: boolean }
  | {
      kind: 'ages'
      range: Range
      /** `noun` for a word or a decade. */
      shape: 'noun' | 'bound' | 'range'
      /** Whether its number would count the people that came next. */
      notBeforePeople: boolean
      plural?: boolean
    }
)
type Joiner = { kind: 'join'; by: 'and' | 'or' | 'but' | 'comma' }
type Mark = Exclude<WordMeaning, { kind: 'gender' | 'ages' | 'join' }>
/** A phrase of the query that is known. */
export type Piece = { text: string; bracket: number; possessive?: boolean } & (Condition | Joiner | Mark)

/** What is understood, for those who were not. */
const hint =
  'Understood are gender, age and country, as in "Nigerian females between ages 20 and 45": see Plain English in docs/querying.md'

/** Each message becomes a detail. */
export function uninterpretable(messages: Iterable<string>): BadRequestError {
  const details = [...new Set(messages), hint].map((message) => ({ field: 'q', message }))
  return new BadRequestError('Unable to interpret query', details, 'uninterpretable_query')
}

/** A query that is understood and that nobody can satisfy, or that no filter can express. */
export function contradiction(message: string): UnprocessableError {
  return new UnprocessableError(message, [{ field: 'q', message }])
}

/** The query cut into known phrases, the longest first. Throws where a word is left over or a number is no age. */
export function readPieces(written: readonly Token[]): Piece[] {
  const pieces: Piece[] = []
  const leftover: Token[] = []
  const noAges: string[] = []
  const capitals = capitalsMean(written)
  // In "show US men" it is no pronoun.
  const tokens = written.map((token) => (capitals && token.text === 'US' ? { ...token, word: 'u.s' } : token))
  for (let at = 0; at < tokens.length; ) {
    const token = tokens[at]!
    if (token.kind === 'comma') {
      pieces.push({ kind: 'join', by: 'comma', text: ',', bracket: token.bracket })
      at++
      continue
    }
    const found = pieceAt(tokens, at, pieces, capitals)
    if (found) {
      const text = textOf(tokens, at, found.end)
      const { bracket } = token
      const possessive = tokens[found.end - 1]!.possessive && found.end === at + 1
      for (const meaning of found.meanings) {
        pieces.push({ ...meaning, text, bracket, ...(possessive && { possessive }) })
      }
      if (found.age?.outside) noAges.push(`"${text}": ages are 0 to ${maxAge}`)
      else if (found.age?.gap) noAges.push(leftOut(`"${text}"`, found.age.gap, 'leaves'))
      at = found.end
      continue
    }
    // A dash between words is a mark; beside a number it could be a minus.
    const isMark = token.kind === 'dash' && !isNumeric(tokens[at - 1]) && !isNumeric(tokens[at + 1])
    if (!isMark) leftover.push(token)
    at++
  }
  if (leftover.length > 0) throw uninterpretable(leftover.map(notUnderstood))
  if (noAges.length > 0) {
    const details = noAges.map((message) => ({ field: 'q', message }))
    throw new UnprocessableError(noAges[0]!, details)
  }
  return pieces
}

/** Says which ages were not asked for, between those that were. */
export function leftOut(asked: string, gap: Range, verb: 'leave' | 'leaves'): string {
  const ages = gap.from === gap.to ? `age ${gap.from}` : `ages ${gap.from} to ${gap.to}`
  return `${asked} ${verb} out ${ages}: ask for one range`
}

type Found = { meanings: readonly (Condition | Joiner | Mark)[]; end: number; age?: AgeExpression }

function pieceAt(
  tokens: readonly Token[],
  at: number,
  before: readonly Piece[],
  capitals: boolean,
): Found | undefined {
  const candidates = [
    ageFound(tokens, at),
    countryFound(tokens, at, placeAfter(before, tokens[at]!.bracket), capitals),
    letterFound(tokens, at, before),
    wordFound(tokens, at),
  ]
  let longest: Found | undefined
  for (const candidate of candidates) {
    if (candidate && (!longest || candidate.end > longest.end)) longest = candidate
  }
  return longest
}

function ageFound(tokens: readonly Token[], at: number): Found | undefined {
  const age = ageAt(tokens, at)
  if (!age) return undefined
  const { from, to, shape, end, notBeforePeople, plural } = age
  const decade = shape === 'decade'
  const isNoun = plural || /^(?:olds|yos|somethings|\p{L}+somethings)$/u.test(tokens[end - 1]!.word)
  const isAdded = !decade || tokens[at]!.word === 'in'
  const meaning: Condition = {
    kind: 'ages',
    range: { from, to },
    shape: decade ? 'noun' : shape,
    form: isNoun ? 'noun' : isAdded ? 'attribute' : 'adjective',
    notBeforePeople,
    ...(plural && { plural }),
  }
  return { meanings: [meaning], end, age }
}

function countryFound(
  tokens: readonly Token[],
  at: number,
  place: Place,
  capitals: boolean,
): Found | undefined {
  const named = countryPhrases().at(tokens, at)
  if (!named || named.end === at + 1) {
    const code = codeAt(tokens, at, place, capitals)
    if (code) {
      return {
        meanings: [{ kind: 'country', codes: [code], isName: true, form: 'adjective' }],
        end: at + 1,
      }
    }
  }
  return named && { meanings: countryMeanings(named.meaning), end: named.end }
}

function countryMeanings({ codes, said, gender }: CountryMeaning): Condition[] {
  const isName = said === 'name'
  const country: Condition = {
    kind: 'country',
    codes,
    isName,
    form: said === 'plural' ? 'noun' : 'adjective',
  }
  if (!gender) return [country]
  return [country, { kind: 'gender', genders: [gender], form: 'noun', stage: 'adult' }]
}

/** "gender: f" */
function letterFound(tokens: readonly Token[], at: number, before: readonly Piece[]): Found | undefined {
  const last = before.findLast(({ kind }) => kind !== 'filler' && kind !== 'relative' && kind !== 'equals')
  if (last?.kind !== 'field' || last.of !== 'gender') return undefined
  const gender = { m: 'male', f: 'female' }[tokens[at]!.word]
  if (!gender) return undefined
  return {
    meanings: [{ kind: 'gender', genders: [gender as Gender], form: 'adjective' }],
    end: at + 1,
  }
}

function wordFound(tokens: readonly Token[], at: number): Found | undefined {
  const known = vocabulary.at(tokens, at)
  if (!known) return undefined
  const { meaning, end } = known
  // Only names of countries are written with accents.
  for (let token = at; token < end; token++) if (tokens[token]!.accented) return undefined
  if (meaning.kind !== 'ages') return { meanings: [meaning], end }
  const { from, to, form } = meaning
  return {
    meanings: [{ kind: 'ages', range: { from, to }, shape: 'noun', form, notBeforePeople: false }],
    end,
  }
}

/** The tokens as they were written, with one blank where blanks stood. */
function textOf(tokens: readonly Token[], start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) {
    const token = tokens[at]!
    text += at > start && token.start > tokens[at - 1]!.end ? ` ${token.text}` : token.text
  }
  return text
}

/** Whether a country is what comes next: after "from" and the like, beside another one, or in brackets after it. */
function placeAfter(before: readonly Piece[], bracket: number): Place {
  let joined = false
  for (let at = before.length - 1; at >= 0; at--) {
    const piece = before[at]!
    if (piece.kind === 'place' || (piece.kind === 'field' && piece.of === 'country')) {
      return joined ? 'listed' : 'country'
    }
    if (piece.kind === 'of') return 'of'
    if (piece.kind === 'country') {
      if (bracket > 0 && piece.bracket === 0 && at === before.length - 1) return 'repeated'
      return joined ? 'listed' : 'none'
    }
    if (piece.kind === 'join') joined = true
    else if (piece.kind !== 'filler' && piece.kind !== 'equals') return 'none'
  }
  return 'none'
}
