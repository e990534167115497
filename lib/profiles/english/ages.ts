import { maxAge } from '../profile.ts'
import { amounts, plural, tensBefore } from './numbers.ts'
import { isGlued, isHyphen, Phrases, type Token } from './tokens.ts'

/** Both inclusive. */
export type Range = { from: number; to: number }

/** An age expression: its range, and how it was said, since "and" means different things between them. */
export type AgeExpression = Range & {
  /** `bound` says one end, `range` both, `decade` is a noun as "teenagers" is. */
  shape: 'bound' | 'range' | 'decade'
  /** The token after it. */
  end: number
  /** Whether a number in it is no age. */
  outside: boolean
  /** Ages between those listed that were not asked for. */
  gap?: Range
  /** Whether it would say something else right before people: "at least 5 women", "30-year-olds and older women". */
  notBeforePeople: boolean
  /** Said of people: "over 18s". */
  plural?: boolean
}

/** Whether a number after an operator counts the people that follow it: from a hundred on "over" does too. */
type Counting = 'never' | 'hundreds' | 'always'
type Operator = { bound: 'min' | 'max' | 'above' | 'below' | 'is'; counts: Counting; plural?: boolean }

function words<Meaning>(entries: readonly (readonly [Meaning, string])[]): Phrases<Meaning> {
  const phrases = new Phrases<Meaning>()
  for (const [meaning, list] of entries) for (const phrase of list.split(', ')) phrases.set(phrase, meaning)
  return phrases
}

/** Each phrase of a list alone and with each ending. */
function withEndings(list: string, endings: string): string {
  const phrases = list.split(', ')
  return phrases
    .flatMap((phrase) => [phrase, ...endings.split(', ').map((ending) => `${phrase} ${ending}`)])
    .join(', ')
}

const operators = words<Operator>([
  [{ bound: 'min', counts: 'hundreds', plural: true }, 'above, over'],
  [{ bound: 'max', counts: 'hundreds', plural: true }, 'below, under'],
  [{ bound: 'min', counts: 'hundreds' }, 'exceeding, beyond, not under, not below'],
  [{ bound: 'max', counts: 'hundreds' }, 'not over, not above'],
  [{ bound: 'min', counts: 'never' }, 'older than, no younger than, not younger than, >='],
  [{ bound: 'max', counts: 'never' }, 'younger than, no older than, not older than, <='],
  [
    { bound: 'min', counts: 'never' },
    withEndings('minimum age, min age, min_age, a minimum age, the minimum age', '=, of, is'),
  ],
  [
    { bound: 'max', counts: 'never' },
    withEndings('maximum age, max age, max_age, a maximum age, the maximum age', '=, of, is'),
  ],
  [
    { bound: 'min', counts: 'always' },
    'more than, greater than, higher than, at least, no less than, not less than, minimum, a minimum of, minimum of, min, upwards of, in excess of',
  ],
  [
    { bound: 'max', counts: 'always' },
    'less than, lower than, at most, up to, no more than, not more than, no greater than, not greater than, maximum, a maximum of, maximum of, max',
  ],
  [{ bound: 'is', counts: 'always' }, 'exactly, precisely'],
  [{ bound: 'is', counts: 'never' }, '=, equals, equal to'],
  // Symbols are read as programs read them; words are inclusive.
  [{ bound: 'above', counts: 'never' }, '>'],
  [{ bound: 'below', counts: 'never' }, '<'],
])

const endings = words<{ bound: 'min' | 'max'; counts: Counting }>([
  [
    { bound: 'min', counts: 'hundreds' },
    '+, plus, and above, and over, and older, and up, and upward, and upwards, and onward, and onwards, upwards, onwards, or above, or over, or older, or up',
  ],
  [{ bound: 'max', counts: 'hundreds' }, 'and below, and under, and younger, or below, or under, or younger'],
  [{ bound: 'min', counts: 'always' }, 'and more, or more'],
  [{ bound: 'max', counts: 'always' }, 'and less, or less'],
])

const age = 'age, ages, aged, the age, the ages, age range, the age range, age group, the age group'
const ageWords = words([
  [true, withEndings(age, 'of, is, are, =, equals')],
  [true, 'of age, of ages, at age, at ages, at the age of, age groups, age_group, age_group ='],
  [
    true,
    withEndings('in the age group, in the age range, in age group, in age range, in the age bracket', 'of'),
  ],
  [
    true,
    withEndings('with age, with ages, with an age, with the age, having an age, whose age', 'of, is, ='),
  ],
  [true, withEndings('who have an age, that have an age, whose ages', 'of, are')],
] as const)

/** Before a number alone: "men who are 30". */
const predicates = words([[true, 'who are, who is, that are, that is, which are']] as const)

const units = words([
  [
    'age',
    'years old, year old, year olds, years of age, year of age, yrs old, yr old, yr olds, yrs of age, yo, yos, y.o, y/o, y',
  ],
  ['years', 'years, year, yrs, yr'],
] as const)

const decadePrefixes = words([
  [true, 'in, in the, in their, in his, in her, in his or her, from their, their'],
] as const)
const theirs = words([[true, 'their, the, his, her']] as const)

const rangeWords = new Set(['to', 'until', 'till', 'through', 'thru'])
const joinsPlainRange = (token: Token) => token.kind === 'dash' || rangeWords.has(token.word)
const joinsBetween = (token: Token) => joinsPlainRange(token) || token.word === 'and'

/** Ages in one list at most; a longer one leaves the rest over and is refused. */
const longestList = 20

function skip(phrases: Phrases<true>, tokens: readonly Token[], at: number): number {
  return phrases.at(tokens, at)?.end ?? at
}

/** A unit, also hyphenated to its number ("20-year-old"). */
function unitAt(tokens: readonly Token[], at: number): { meaning: 'age' | 'years'; end: number } | undefined {
  return units.at(tokens, isHyphen(tokens, at) ? at + 1 : at)
}

/** "and above" and the like; not where a number follows, since "18 and under 60" is no "18 and under". */
function endingAt(tokens: readonly Token[], at: number): ReturnType<typeof endings.at> {
  const ending = endings.at(tokens, isHyphen(tokens, at) ? at + 1 : at)
  if (!ending || (tokens[at]?.kind === 'word' && amounts(tokens, ending.end).length > 0)) return undefined
  return ending
}

function countsPeople(counting: Counting, value: number): boolean {
  return counting === 'always' || (counting === 'hundreds' && value >= 100)
}

function bounded(bound: Operator['bound'], value: number): Range {
  if (bound === 'is') return { from: value, to: value }
  if (bound === 'min' || bound === 'above') return { from: bound === 'min' ? value : value + 1, to: maxAge }
  return { from: 0, to: bound === 'max' ? value : value - 1 }
}

function operated({ bound, counts }: Operator, value: number, end: number): AgeExpression {
  const range = bounded(bound, value)
  return {
    ...range,
    shape: bound === 'is' ? 'range' : 'bound',
    end,
    outside: value > maxAge || range.from > range.to,
    notBeforePeople: countsPeople(counts, value),
  }
}

/** Two numbers with one of the joiners between them, the smaller first in the answer whichever came first. */
function rangeAt(
  tokens: readonly Token[],
  at: number,
  joins: (token: Token) => boolean,
): AgeExpression | undefined {
  for (const first of amounts(tokens, at)) {
    const unit = unitAt(tokens, first.end)
    const joiner = unit?.end ?? first.end
    const token = tokens[joiner]
    if (!token || !joins(token)) continue
    const second = amounts(tokens, joiner + 1)[0] ?? pluralEnd(tokens, joiner + 1)
    if (!second) continue
    const last = unitAt(tokens, second.end)
    const end = last?.end ?? second.end
    const high = Math.max(first.value, second.value)
    const counting = unit || last ? 'never' : token.kind === 'dash' ? 'hundreds' : 'always'
    return {
      from: Math.min(first.value, second.value),
      to: high,
      shape: 'range',
      end: tokens[end]?.word === 'inclusive' ? end + 1 : end,
      outside: high > maxAge,
      notBeforePeople: countsPeople(counting, high),
    }
  }
  return undefined
}

/** "18-24s"; after tens it could be a decade: "20-30s". */
function pluralEnd(tokens: readonly Token[], at: number): { value: number; end: number } | undefined {
  const value = plural(tokens[at])
  return value !== undefined && value % 10 !== 0 ? { value, end: at + 1 } : undefined
}

/** "30s", "thirties", "30-something". */
function decadeAt(tokens: readonly Token[], at: number): { value: number; end: number } | undefined {
  const token = tokens[at]
  const found = plural(token)
  if (found !== undefined) return isDecade(found) ? { value: found, end: at + 1 } : undefined
  const word = token?.word ?? ''
  const joined = tensBefore(word, 'something') ?? tensBefore(word, 'somethings')
  if (joined !== undefined) return { value: joined, end: at + 1 }
  const [amount] = amounts(tokens, at)
  if (!amount || !isDecade(amount.value)) return undefined
  const suffix = isHyphen(tokens, amount.end) ? amount.end + 1 : amount.end
  return /^somethings?$/.test(tokens[suffix]?.word ?? '')
    ? { value: amount.value, end: suffix + 1 }
    : undefined
}

function isDecade(value: number): boolean {
  return value > 0 && value % 10 === 0 && value <= maxAge
}

function decadesAt(
  tokens: readonly Token[],
  at: number,
  joins: (token: Token) => boolean,
): AgeExpression | undefined {
  const first = decadeAt(tokens, at)
  if (!first) return undefined
  const joiner = tokens[first.end]
  const second = joiner && joins(joiner) ? decadeAt(tokens, skip(theirs, tokens, first.end + 1)) : undefined
  const low = Math.min(first.value, second?.value ?? first.value)
  const high = Math.min(Math.max(first.value, second?.value ?? first.value) + 9, maxAge)
  const end = second?.end ?? first.end
  const ending = endingAt(tokens, end)
  if (!ending) return { from: low, to: high, shape: 'decade', end, outside: false, notBeforePeople: false }
  const range = bounded(ending.meaning.bound, ending.meaning.bound === 'min' ? low : high)
  return {
    ...range,
    shape: 'bound',
    end: ending.end,
    outside: false,
    notBeforePeople: compares(tokens, ending.end),
  }
}

/** The age expression that begins at a token: a bound, a range, ages, or decades. */
export function ageAt(tokens: readonly Token[], start: number): AgeExpression | undefined {
  const decade = decadesAt(tokens, skip(decadePrefixes, tokens, start), joinsPlainRange)
  if (decade) return decade
  const predicate = predicates.at(tokens, start)
  if (predicate) {
    return rangeAt(tokens, predicate.end, joinsPlainRange) ?? agesAt(tokens, predicate.end, 'predicate')
  }
  const at = skip(ageWords, tokens, start)
  const found = numbersAt(tokens, at, at > start)
  return found && at > start ? { ...found, notBeforePeople: false } : found
}

function numbersAt(tokens: readonly Token[], at: number, asked: boolean): AgeExpression | undefined {
  const word = tokens[at]?.word
  if (word === 'between') {
    const first = skip(ageWords, tokens, at + 1)
    const range = rangeAt(tokens, first, joinsBetween)
    if (range) return first > at + 1 ? { ...range, notBeforePeople: false } : range
    return decadesAt(tokens, skip(theirs, tokens, at + 1), joinsBetween)
  }
  const operator = operators.at(tokens, at)
  if (operator) return operatorAt(tokens, operator.meaning, operator.end)
  const first = word === 'from' ? skip(ageWords, tokens, at + 1) : at
  const range = rangeAt(tokens, first, joinsPlainRange)
  if (range) return first > at + 1 ? { ...range, notBeforePeople: false } : range
  const ages = agesAt(tokens, first, asked ? 'asked' : 'alone')
  // "from 18" alone may lack its end.
  return ages && (first === at || ages.shape === 'bound') ? ages : undefined
}

function operatorAt(tokens: readonly Token[], operator: Operator, at: number): AgeExpression | undefined {
  // "under-25"
  const next = isGlued(tokens, at) ? at + 1 : at
  const number = skip(ageWords, tokens, next)
  const [amount] = amounts(tokens, number)
  if (amount) {
    const unit = unitAt(tokens, amount.end)
    const expression = operated(operator, amount.value, unit?.end ?? amount.end)
    return unit || number > next ? { ...expression, notBeforePeople: false } : expression
  }
  const many = operator.plural ? plural(tokens[number]) : undefined
  if (many === undefined) return undefined
  return { ...operated(operator, many, number + 1), notBeforePeople: false, plural: true }
}

/**
 * "20 and above", "20 years old", "20, 21 or 22 year olds", and where an age was asked for ("aged") or said of
 * people ("who are") just "20". A number alone may mean anything.
 */
function agesAt(
  tokens: readonly Token[],
  at: number,
  after: 'asked' | 'predicate' | 'alone',
): AgeExpression | undefined {
  const several = plural(tokens[at])
  const first = several === undefined ? amounts(tokens, at)[0] : { value: several, end: at + 1 }
  if (!first) return undefined
  const unit = unitAt(tokens, first.end)
  const ending = endingAt(tokens, unit?.end ?? first.end)
  if (ending) {
    const { bound, counts } = ending.meaning
    const last = unitAt(tokens, ending.end)
    const operator = { bound, counts: unit || last ? ('never' as const) : counts }
    const expression = operated(operator, first.value, last?.end ?? ending.end)
    const isOfPeople = several !== undefined || (unit && ['olds', 'yos'].includes(tokens[unit.end - 1]!.word))
    return isOfPeople && compares(tokens, ending.end) ? { ...expression, notBeforePeople: true } : expression
  }
  // "18s and over", but not "18s"
  if (several !== undefined) return undefined
  const { values, end, inYears } = listAt(tokens, at)
  if (after === 'alone' && !inYears) return undefined
  const from = Math.min(...values)
  const to = Math.max(...values)
  const gap = gapIn(values)
  const notBeforePeople = after === 'predicate' && !inYears
  return { from, to, shape: 'range', end, outside: to > maxAge, ...(gap && { gap }), notBeforePeople }
}

/** In "30-year-olds and older women" the last word may belong to the women. */
function compares(tokens: readonly Token[], end: number): boolean {
  return ['older', 'younger'].includes(tokens[end - 1]!.word)
}

/** The ages listed from a token on; `inYears` if a unit says that they are ages. */
function listAt(
  tokens: readonly Token[],
  start: number,
): { values: number[]; end: number; inYears: boolean } {
  const values: number[] = []
  let inYears = false
  let end = start
  let at = start
  while (values.length < longestList) {
    const [amount] = amounts(tokens, at)
    // "aged 20 or 25-30": the range stands for itself.
    if (!amount || (values.length > 0 && rangeAt(tokens, at, joinsPlainRange))) break
    const unit = unitAt(tokens, amount.end)
    values.push(amount.value)
    inYears ||= unit?.meaning === 'age'
    end = unit?.end ?? amount.end
    at = tokens[end]?.kind === 'comma' ? end + 1 : end
    if (['and', 'or'].includes(tokens[at]?.word ?? '')) at++
    if (at === end) break
  }
  return { values, end, inYears }
}

function gapIn(values: readonly number[]): Range | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const after = sorted.findIndex((value, at) => at > 0 && value > sorted[at - 1]! + 1)
  return after < 0 ? undefined : { from: sorted[after - 1]! + 1, to: sorted[after]! - 1 }
}
