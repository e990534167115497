import { isHyphen, type Token } from './tokens.ts'

export type Amount = { value: number; end: number }

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
export function amounts(tokens: readonly Token[], at: number): Amount[] {
  const token = tokens[at]
  if (token?.kind === 'number') return [{ value: Number(token.word), end: at + 1 }]
  const hundred = token?.word === 'hundred' ? at + 1 : tokens[at + 1]?.word === 'hundred' ? at + 2 : undefined
  if (hundred !== undefined && ['hundred', 'one', 'a'].includes(token!.word)) {
    return afterHundred(tokens, hundred).map(({ value, end }) => ({ value: 100 + value, end }))
  }
  return below100(tokens, at)
}

/** A number in the plural: "30s", "thirties", "18s", "eighteens". */
export function plural(token: Token | undefined): number | undefined {
  const word = token?.word ?? ''
  if (/^\d{1,3}s$/.test(word)) return Number(word.slice(0, -1))
  const value = word.endsWith('s') ? small.get(word.slice(0, -1)) : undefined
  return decades.get(word) ?? (value !== undefined && value > 10 ? value : undefined)
}

/** The tens of "thirtysomething", or of a number before "something". */
export function tensBefore(word: string, suffix: string): number | undefined {
  return word.endsWith(suffix) ? tens.get(word.slice(0, -suffix.length)) : undefined
}
