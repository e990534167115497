import {
  addTerm,
  type ConditionTerm,
  formOfLast,
  hasNoun,
  joinTerm,
  type Kind,
  notClear,
  type People,
  type Values,
} from './people.ts'
import { contradiction, leftOut, uninterpretable } from './pieces.ts'
import { isSame, type Meaning, meaningOf, union } from './reach.ts'
import type { Join, Term } from './terms.ts'

/**
 * What the terms of a query mean together. Alternatives become one list or range. Throws where that would lose
 * one of them, and where English leaves open what belongs together.
 */
export function meaningOfSentence(items: readonly (Term | Join)[]): Meaning {
  const all: People[] = [{ terms: [], groups: [] }]
  const between: Join[] = []
  let join: Join | undefined
  items.forEach((item, at) => {
    if (item.kind === 'join') {
      join = item
      return
    }
    const people = all.at(-1)!
    const how = join ? reach(people, join, item, nounFollows(items, at)) : 'all'
    if (how === 'unclear') throw notClear(join!.text)
    if (how === 'any') joinTerm(people, item as ConditionTerm, join!.by)
    else if (how === 'all') addTerm(people, item)
    else {
      all.push({ terms: [], groups: [] })
      between.push(join!)
      addTerm(all.at(-1)!, item)
    }
    join = undefined
  })
  const meaning = together(all, between)
  checkGaps(meaning, all)
  return meaning
}

/** Whether a noun for people stands between the term and the next joiner. */
function nounFollows(items: readonly (Term | Join)[], at: number): boolean {
  for (const item of items.slice(at + 1)) {
    if (item.kind === 'join') return false
    if (item.form === 'noun' && !item.predicate) return true
  }
  return false
}

/**
 * What a joined term is to those before it: one more of the last one's kind of which `any` may hold, one more that
 * `all` must satisfy, or the first word about `others`.
 */
function reach(
  people: People,
  { by }: Join,
  next: Term,
  nounFollows: boolean,
): 'any' | 'all' | 'others' | 'unclear' {
  const last = people.terms.at(-1)
  if (!last) return by === 'comma' ? 'all' : 'unclear'
  const isAdded = next.form === 'attribute' || next.predicate
  // "all but men" excludes: only "older than 20 but younger than 30" adds.
  const isNumber = next.kind === 'ages' && next.shape !== 'noun'
  if (by === 'but' && ((!isAdded && !isNumber) || last.kind === 'subject')) return 'unclear'
  if (last.kind === next.kind && next.kind !== 'subject') {
    const isNoun = next.form === 'noun' && !next.predicate
    if (by === 'but' && next.kind !== 'ages') return 'all'
    // "Kenyan men and women", but not "men from Kenya and Ugandans"
    const form = formOfLast(people)
    if (isNoun) return form === 'noun' || (form === 'adjective' && !hasNoun(people)) ? 'any' : 'others'
    return nounFollows && hasNoun(people) ? 'others' : 'any'
  }
  if (isAdded && by !== 'or') return 'all'
  const areOthers = nounFollows || next.form === 'noun'
  if (by === 'comma') return areOthers && hasNoun(people) ? 'others' : 'all'
  // "people who are young and female"
  const areAdjectives = last.predicate || (last.form === 'adjective' && !hasNoun(people))
  if (by === 'and' && !areOthers && areAdjectives) return 'all'
  return 'others'
}

/** One meaning of several descriptions; they may differ in one kind of condition. */
function together(all: readonly People[], between: readonly Join[]): Meaning {
  const meanings = all.map(meaningOf)
  const [first, ...rest] = meanings
  if (rest.length === 0) return first!
  const isAlike = rest.every((meaning) => isSame(new Set(meaning.keys()), new Set(first!.keys())))
  const differing = [...first!.keys()].filter((kind) =>
    rest.some((meaning) => !isSame(meaning.get(kind) ?? new Set(), first!.get(kind)!)),
  )
  const haveNames = all.every(({ terms }) => terms.some(({ form }) => form !== 'attribute'))
  if (!isAlike || !haveNames || differing.length > 1) throw apart(all)
  if (differing[0] === 'ages' && between.some(({ by }) => by === 'and') && coversAll(meanings))
    throw apart(all)
  return new Map(
    [...first!].map(([kind]): [Kind, Values] => [kind, union(meanings.map((meaning) => meaning.get(kind)!))]),
  )
}

/** "people over 18 and people under 60" may mean both. */
function coversAll(meanings: readonly Meaning[]): boolean {
  return union(meanings.map((meaning) => meaning.get('ages')!)).size > 150
}

function apart(all: readonly People[]): Error {
  // A word that says two things is two terms: "Frenchmen".
  const written = ({ terms }: People) =>
    terms.map(({ text }) => text).filter((text, at, texts) => text !== texts[at - 1])
  const texts = all.map((people) => `"${written(people).join(' ')}"`)
  return uninterpretable([`${texts.join(' and ')} cannot be asked for together: ask for one group at a time`])
}

/** A filter has one range of ages. */
function checkGaps(meaning: Meaning, all: readonly People[]): void {
  const ages = [...(meaning.get('ages') ?? [])].map(Number).sort((a, b) => a - b)
  const after = ages.findIndex((age, at) => at > 0 && age > ages[at - 1]! + 1)
  if (after < 0) return
  const texts = all
    .flatMap(({ groups }) => groups)
    .filter(({ kind }) => kind === 'ages')
    .flatMap(({ alternatives }) => alternatives.map(({ text }) => `"${text}"`))
  const gap = { from: ages[after - 1]! + 1, to: ages[after]! - 1 }
  throw contradiction(leftOut(texts.join(' and '), gap, texts.length > 1 ? 'leave' : 'leaves'))
}
