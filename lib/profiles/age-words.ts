import { maxAge } from './profile.ts'
import { isHyphen, Phrases, type Token } from './tokens.ts'

/** An age expression: its range, and how it was said, since "and" means different things between them. */
export type AgeExpression = {
  from: number
  to: number
  /** `bound` says one end, `range` both, `decade` is a noun as "teenagers" is. */
  shape: 'bound' | 'range' | 'decade'
  /** The token after it. */
  end: number
  /** Whether a number in it is no age. */
  outside: boolean
}

function words<Meaning>(entries: readonly (readonly [Meaning, string])[]): Phrases<Meaning> {
  const phrases = new Phrases<Meaning>()
  for (const [meaning, list] of entries) for (const phrase of list.split(', ')) phrases.set(phrase, meaning)
  return phrases
}

const operators = words([
  [
    'min',
    'above, over, older than, more than, greater than, higher than, at least, no less than, not less than, no younger than, not younger than, not under, not below, minimum, a minimum of, minimum of, minimum age, minimum age of, min age, >=',
  ],
  [
    'max',
    'below, under, younger than, less than, lower than, at most, up to, no more than, not more than, no older than, not older than, not over, not above, no greater than, not greater than, maximum, a maximum of, maximum of, maximum age, maximum age of, max age, <=',
  ],
] as const)

const endings = words([
  [
    'min',
    '+, plus, and above, and over, and older, and up, and upwards, and more, or above, or over, or older, or up, or more',
  ],
  ['max', 'and below, and under, and younger, and less, or below, or under, or younger, or less'],
] as const)

const ageWords = words([
  [
    true,
    'age, ages, aged, age of, ages of, the age, the ages, the age of, the ages of, at age, at the age of, age is, age group, age groups, age range, the age group, the age range, age group of, age range of, the age group of, the age range of, in the age group, in the age range, in the age group of, in the age range of, in age group, in age range',
  ],
] as const)

const units = words([
  ['age', 'years old, year old, year olds, years of age, year of age, yrs old, yr old, yo, y.o, y/o'],
  ['years', 'years, year, yrs, yr'],
] as const)

const decadePrefixes = words([[true, 'in, in the, in their, in his, in her, in his or her']] as const)

const rangeWords = new Set(['to', 'until', 'till', 'through', 'thru'])

const small = new Map(
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'
    .split(' ')
    .map((word, value) => [word, value]),
)
const tens = new Map(
  'twenty thirty forty fifty sixty seventy eighty ninety'
    .split(' ')
    .map((word, index) => [word, 20 + 10 * index]),
)
const decades = new Map([...tens].map(([word, value]) => [`${word.slice(0, -1)}ies`, value]))

type Amount = { value: number; end: number }

/** Whether a token can be part of a number: a dash beside one is no mere mark. */
export function isNumeric(token: Token | undefined): boolean {
  return token !== undefined && (token.kind === 'number' || /^\d/.test(token.word))
}

/** What may follow "one hundred": nothing, or a number below 100 with or without "and". */
function afterHundred(tokens: readonly Token[], at: number): Amount[] {
  const rest = tokens[at]?.word === 'and' ? at + 1 : at
  return [...below100(tokens, rest), { value: 0, end: at }]
}

function below100(tokens: readonly Token[], at: number): Amount[] {
  const word = tokens[at]?.word ?? ''
  const plain = small.get(word)
  if (plain !== undefined) return [{ value: plain, end: at + 1 }]
  const ten = tens.get(word)
  if (ten === undefined) return []
  const next = isHyphen(tokens, at + 1) ? at + 2 : at + 1
  const unit = small.get(tokens[next]?.word ?? '')
  // Never both: "twenty-five" is no range of two numbers.
  if (unit !== undefined && unit >= 1 && unit <= 9) return [{ value: ten + unit, end: next + 1 }]
  return [{ value: ten, end: at + 1 }]
}

/** The numbers that may begin at a token, the longest first: "one hundred and ten" is also "one hundred". */
function amounts(tokens: readonly Token[], at: number): Amount[] {
  const token = tokens[at]
  if (token?.kind === 'number') return [{ value: Number(token.word), end: at + 1 }]
  const hundred = token?.word === 'hundred' ? at + 1 : tokens[at + 1]?.word === 'hundred' ? at + 2 : undefined
  if (hundred !== undefined && ['hundred', 'one', 'a'].includes(token!.word)) {
    return afterHundred(tokens, hundred).map(({ value, end }) => ({ value: 100 + value, end }))
  }
  return below100(tokens, at)
}

function decadeAt(tokens: readonly Token[], at: number): Amount | undefined {
  const word = tokens[at]?.word ?? ''
  const value = decades.get(word) ?? (/^[1-9]\d{0,2}s$/.test(word) ? Number(word.slice(0, -1)) : undefined)
  return value !== undefined && value % 10 === 0 && value <= maxAge ? { value, end: at + 1 } : undefined
}

function skip(phrases: Phrases<true>, tokens: readonly Token[], at: number): number {
  return phrases.at(tokens, at)?.end ?? at
}

/** A unit, also hyphenated to its number ("20-year-old"). */
function unitAt(tokens: readonly Token[], at: number): { meaning: 'age' | 'years'; end: number } | undefined {
  return units.at(tokens, isHyphen(tokens, at) ? at + 1 : at)
}

function skipUnit(tokens: readonly Token[], at: number): number {
  return unitAt(tokens, at)?.end ?? at
}

/** "and above" and the like; not where a number follows, since "18 and under 60" is no "18 and under". */
function endingAt(tokens: readonly Token[], at: number): { meaning: 'min' | 'max'; end: number } | undefined {
  const ending = endings.at(tokens, at)
  if (!ending || (tokens[at]?.kind === 'word' && amounts(tokens, ending.end).length > 0)) return undefined
  return ending
}

function expression(
  from: number,
  to: number,
  shape: AgeExpression['shape'],
  end: number,
  said = [from, to],
): AgeExpression {
  return { from, to, shape, end, outside: said.some((age) => age > maxAge) }
}

function bound(meaning: 'min' | 'max', value: number, end: number): AgeExpression {
  return meaning === 'min'
    ? expression(value, maxAge, 'bound', end, [value])
    : expression(0, value, 'bound', end, [value])
}

/** Two numbers with one of the joiners between them, the smaller first in the answer whichever came first. */
function rangeAt(
  tokens: readonly Token[],
  at: number,
  joins: (token: Token) => boolean,
): AgeExpression | undefined {
  for (const first of amounts(tokens, at)) {
    const joiner = skipUnit(tokens, first.end)
    const token = tokens[joiner]
    if (!token || !joins(token)) continue
    const [second] = amounts(tokens, joiner + 1)
    if (!second) continue
    const [low, high] = [Math.min(first.value, second.value), Math.max(first.value, second.value)]
    return expression(low, high, 'range', skipUnit(tokens, second.end))
  }
  return undefined
}

const joinsPlainRange = (token: Token) => token.kind === 'dash' || rangeWords.has(token.word)
const joinsBetween = (token: Token) => joinsPlainRange(token) || token.word === 'and'

function decadesAt(tokens: readonly Token[], at: number): AgeExpression | undefined {
  const first = decadeAt(tokens, at)
  if (!first) return undefined
  const joiner = tokens[first.end]
  const second = joiner && joinsPlainRange(joiner) ? decadeAt(tokens, first.end + 1) : undefined
  const [low, high] = [first.value, second?.value ?? first.value].sort((a, b) => a - b) as [number, number]
  const end = second?.end ?? first.end
  const ending = endingAt(tokens, end)
  if (ending?.meaning === 'min') return bound('min', low, ending.end)
  if (ending) return bound('max', Math.min(high + 9, maxAge), ending.end)
  return expression(low, Math.min(high + 9, maxAge), 'decade', end)
}

/** The age expression that begins at a token: a bound, a range, one age, or decades. */
export function ageAt(tokens: readonly Token[], start: number): AgeExpression | undefined {
  const decade = decadesAt(tokens, skip(decadePrefixes, tokens, start))
  if (decade) return decade
  const at = skip(ageWords, tokens, start)
  const word = tokens[at]?.word
  if (word === 'between') return rangeAt(tokens, skip(ageWords, tokens, at + 1), joinsBetween)
  const operator = operators.at(tokens, at)
  if (operator) {
    const [amount] = amounts(tokens, skip(ageWords, tokens, operator.end))
    return amount && bound(operator.meaning, amount.value, skipUnit(tokens, amount.end))
  }
  const range = rangeAt(tokens, word === 'from' ? skip(ageWords, tokens, at + 1) : at, joinsPlainRange)
  if (range) return range
  return oneAgeAt(tokens, at, at > start)
}

/** "20 and above", "20 years old", and after "aged" just "20". A number alone may mean anything. */
function oneAgeAt(tokens: readonly Token[], at: number, asked: boolean): AgeExpression | undefined {
  const [amount] = amounts(tokens, at)
  if (!amount) return undefined
  const unit = unitAt(tokens, amount.end)
  const end = unit?.end ?? amount.end
  const ending = endingAt(tokens, end)
  if (ending) return bound(ending.meaning, amount.value, skipUnit(tokens, ending.end))
  if (!asked && unit?.meaning !== 'age') return undefined
  return expression(amount.value, amount.value, 'range', end)
}
