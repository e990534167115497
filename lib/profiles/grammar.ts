import * as z from 'zod'
import { UnprocessableError } from '../platform/errors.ts'
import { canonicalFilter, type Filter } from './filter.ts'
import { type Condition, type Join, type Piece, type Range, readPieces, uninterpretable } from './pieces.ts'
import { genders, maxAge } from './profile.ts'
import { tokenise } from './tokens.ts'

/** Characters (UTF-16 units) of a query at the most. */
export const maxQueryLength = 500
const tooLong = `must have at most ${maxQueryLength} characters`

/** The query parameter `q`, for the schema of a route. */
export const searchText = z
  .string()
  .max(maxQueryLength, tooLong)
  .meta({
    description: 'plain English',
    examples: ['Nigerian females between ages 20 and 45'],
  })

/** Conditions that were joined: any of them. */
type Alternatives = { conditions: Condition[]; by?: 'and' | 'or' }

/**
 * The canonical filter that a query in plain English means. Throws BadRequestError `uninterpretable_query`
 * naming each word that is not understood, and UnprocessableError where its conditions contradict each other
 * or a number is no age. Nothing is guessed and nothing left out.
 */
export function interpret(query: string): Filter {
  if (query.length > maxQueryLength) {
    throw new UnprocessableError(tooLong, [{ field: 'q', message: tooLong }])
  }
  if (/\p{Cc}/u.test(query)) throw uninterpretable(['must not contain control characters'])
  const pieces = readPieces(tokenise(query.normalize('NFC')))
  const alternatives = combine(pieces)
  if (alternatives.length === 0 && !pieces.some(({ kind }) => kind === 'subject')) {
    throw uninterpretable(['names nobody to look for'])
  }
  return toFilter(alternatives)
}

/** Puts joined conditions together; each entry of the answer must hold. Throws for joiners that are unclear. */
function combine(pieces: readonly Piece[]): Alternatives[] {
  const all: Alternatives[] = []
  const unclear: string[] = []
  let last: Condition | undefined
  let join: (Join & { beforeSubject: boolean }) | undefined
  let place: string | undefined
  for (const piece of pieces) {
    if (piece.kind === 'filler' || piece.kind === 'of') continue
    if (piece.kind === 'country' && place !== undefined) {
      attach({ ...piece, added: true, text: `${place} ${piece.text}` })
      place = undefined
      continue
    }
    // "from" must be followed by its country.
    if (place !== undefined) unclear.push(place)
    place = piece.kind === 'place' ? piece.text : undefined
    if (piece.kind === 'join') join = { ...stronger(join, piece), beforeSubject: false }
    else if (piece.kind === 'subject') join &&= { ...join, beforeSubject: true }
    else if (piece.kind === 'gender' || piece.kind === 'country' || piece.kind === 'ages') attach(piece)
  }
  if (place !== undefined) unclear.push(place)
  if (join && join.by !== 'comma') unclear.push(join.text)
  if (unclear.length > 0) throw uninterpretable(unclear.map((word) => `"${word}" is not clear here`))
  return all

  function attach(condition: Condition): void {
    const how = reach(last, join, condition, all.at(-1)?.by)
    const by = join?.by === 'comma' ? undefined : join?.by
    if (how === 'unclear' && join) unclear.push(join.text)
    if (how === 'any') {
      const joined = all.at(-1)!
      joined.conditions.push(condition)
      if (by) joined.by = by
    } else all.push({ conditions: [condition], ...(by && { by }) })
    last = condition
    join = undefined
  }
}

/** In "Nigeria, and Ghana" the comma says nothing; "and/or" is "or". */
function stronger(first: Join | undefined, second: Join): Join {
  const rank = { comma: 0, and: 1, or: 2 }
  return first && rank[first.by] >= rank[second.by] ? first : second
}

/**
 * What a condition is to the one before it: one of several, or one more that must hold. Where English leaves
 * open how far a joiner reaches ("young males and old females", "women from Kenya or over 30") it is unclear.
 * `earlier` is what joined the one before to its own predecessor.
 */
function reach(
  last: Condition | undefined,
  join: (Join & { beforeSubject: boolean }) | undefined,
  next: Condition,
  earlier: 'and' | 'or' | undefined,
): 'any' | 'all' | 'unclear' {
  // Without a joiner all must hold, but "male female" is both.
  if (!join) return last?.kind === 'gender' && next.kind === 'gender' ? 'any' : 'all'
  const { by, beforeSubject } = join
  if (last?.kind !== next.kind) {
    return by === 'comma' || (last && by === 'and' && next.added && !beforeSubject) ? 'all' : 'unclear'
  }
  if (last.kind !== 'ages' || next.kind !== 'ages') return 'any'
  if (last.shape === 'noun' && next.shape === 'noun') return 'any'
  if (by === 'comma') return 'all'
  if (last.shape === 'noun' || next.shape === 'noun') return 'unclear'
  if (by === 'or') return earlier === 'and' ? 'unclear' : 'any'
  const isInterval = last.shape === 'bound' && next.shape === 'bound' && !beforeSubject
  return isInterval && earlier !== 'or' ? 'all' : 'unclear'
}

function toFilter(all: readonly Alternatives[]): Filter {
  const kinds = { gender: byKind(all, 'gender'), country: byKind(all, 'country'), ages: byKind(all, 'ages') }
  const gender = narrow(kinds.gender, genders, ({ genders }) => genders)
  const country = narrow(kinds.country, undefined, ({ codes }) => codes)
  const ages = narrowAges(kinds.ages)
  return canonicalFilter({
    gender: gender?.length === 1 ? gender[0] : undefined,
    country_id: country && [...country],
    min_age: ages.from,
    max_age: ages.to,
  })
}

type Of<Kind extends Condition['kind']> = Extract<Condition, { kind: Kind }>

function byKind<Kind extends Condition['kind']>(all: readonly Alternatives[], kind: Kind): Of<Kind>[][] {
  const isOf = (condition: Condition): condition is Of<Kind> => condition.kind === kind
  return all.map(({ conditions }) => conditions.filter(isOf)).filter(({ length }) => length > 0)
}

/** The values that every entry allows; undefined where there is no entry. */
function narrow<C extends Condition, Value>(
  all: readonly C[][],
  everything: readonly Value[] | undefined,
  valuesOf: (condition: C) => readonly Value[],
): readonly Value[] | undefined {
  let left = everything
  for (const conditions of all) {
    const allowed = new Set(conditions.flatMap(valuesOf))
    const next: Value[] = left === undefined ? [...allowed] : left.filter((value) => allowed.has(value))
    if (next.length === 0) throw contradiction(`${quoted(all[0]!)} contradicts ${quoted(conditions)}`)
    left = next
  }
  return left
}

function narrowAges(all: readonly Of<'ages'>[][]): Range {
  const ranges = all.map((conditions) => ({ ...span(conditions), text: quoted(conditions) }))
  const from = Math.max(0, ...ranges.map((range) => range.from))
  const to = Math.min(maxAge, ...ranges.map((range) => range.to))
  if (from <= to) return { from, to }
  const [oldest, youngest] = [ranges.find((range) => range.from === from)!, ranges.find((r) => r.to === to)!]
  throw contradiction(`${said(youngest)}, which contradicts ${said(oldest)}`)
}

/** The one range that alternatives make up. Throws where there is a gap between them. */
function span(conditions: readonly Of<'ages'>[]): Range {
  const sorted = conditions.toSorted((a, b) => a.range.from - b.range.from)
  const { from, to: first } = sorted[0]!.range
  let to = first
  for (const { range } of sorted) {
    if (range.from > to + 1) {
      throw contradiction(
        `${quoted(conditions)} leave out ages ${to + 1} to ${range.from - 1}: ask for one range`,
      )
    }
    to = Math.max(to, range.to)
  }
  return { from, to }
}

function quoted(conditions: readonly Condition[]): string {
  return conditions.map(({ text }) => `"${text}"`).join(' and ')
}

function said({ text, from, to }: Range & { text: string }): string {
  return `${text} (${to === maxAge ? `${from} and over` : `${from} to ${to}`})`
}

function contradiction(message: string): UnprocessableError {
  return new UnprocessableError(message, [{ field: 'q', message }])
}
