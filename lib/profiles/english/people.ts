import { maxAge } from '../profile.ts'
import { contradiction, uninterpretable } from './pieces.ts'
import type { Join, Term } from './terms.ts'

export type Kind = 'gender' | 'country' | 'ages'
/** Genders, codes or single ages. */
export type Values = ReadonlySet<string | number>
export type ConditionTerm = Exclude<Term, { kind: 'subject' }>
type AgesTerm = Extract<ConditionTerm, { kind: 'ages' }>

/** One of several conditions of a kind: "young adults" in "teenagers and young adults". */
export type Alternative = {
  /** The words it begins and ends with: "middle-aged" and "adults". */
  first: ConditionTerm
  last: ConditionTerm
  values: Values
  text: string
  /** What joins it to the alternative before it. */
  by?: Join['by']
}

/** Conditions of one kind in one place of the sentence, of which any may hold. */
export type Group = {
  kind: Kind
  alternatives: [Alternative, ...Alternative[]]
  /** Two bounds that both hold, as one alternative: "over 20 and under 30". */
  interval: boolean
  /** The index of its first term among those of its people. */
  at: number
}

/** People of one description, such as "young Kenyan men over 20": every group must hold. */
export type People = { terms: Term[]; groups: Group[] }

export function valuesOf(term: ConditionTerm): Values {
  if (term.kind === 'gender') return new Set(term.genders)
  if (term.kind === 'country') return new Set(term.codes)
  const { from, to } = term.range
  return new Set(Array.from({ length: to - from + 1 }, (_, index) => from + index))
}

/** Whether a noun says who they are: what is joined then may be other people. */
export function hasNoun({ terms }: People): boolean {
  return terms.some(({ form, predicate }) => form === 'noun' && !predicate)
}

/** How the last condition stands in the sentence; what repeats it counts with it: "from Kenya (KE)". */
export function formOfLast({ terms, groups }: People): Term['form'] {
  const last = terms.at(-1)!
  const alternative = groups.at(-1)?.alternatives.at(-1)
  const isRepeated = last === alternative?.last && alternative.first.form === 'attribute'
  return isRepeated ? 'attribute' : last.form
}

export function notClear(text: string, why?: string): Error {
  return uninterpretable([`"${text}" is not clear here${why ? `: ${why}` : ''}`])
}

function alternative(term: ConditionTerm, by?: Join['by']): Alternative {
  return { first: term, last: term, values: valuesOf(term), text: term.text, ...(by && { by }) }
}

/** Adds one more condition that must hold, or a word for the people themselves. */
export function addTerm(people: People, term: Term): void {
  const last = people.terms.at(-1)
  people.terms.push(term)
  if (term.kind === 'subject') return
  const group = people.groups.at(-1)
  if (group && last?.kind === term.kind && term.adjacent && extendPhrase(group, term)) return
  people.groups.push({
    kind: term.kind,
    alternatives: [alternative(term)],
    interval: false,
    at: people.terms.length - 1,
  })
}

/** Adds a term to the one of its kind right before it if they are one phrase: "young adults", "Kenya (KE)". */
function extendPhrase({ alternatives }: Group, term: ConditionTerm): boolean {
  const before = alternatives.at(-1)!
  if (term.form === 'attribute' || (before.last.form === 'attribute' && term.kind !== 'country')) return false
  if (term.kind === 'gender') {
    // "male female"
    alternatives.push(alternative(term))
    return true
  }
  const values = before.values.intersection(valuesOf(term))
  if (values.size === 0) throw contradiction(`"${term.text}" contradicts "${before.text}"`)
  before.last = term
  before.values = values
  before.text += ` ${term.text}`
  return true
}

/** Adds a term to the group of its kind that was last: one more that may hold, or the other end of an interval. */
export function joinTerm(people: People, term: ConditionTerm, by: Join['by']): void {
  const group = people.groups.at(-1)!
  const before = group.alternatives.at(-1)!.last
  const how = term.kind === 'ages' && before.kind === 'ages' ? reachOfAges(group, before, term, by) : 'any'
  if (how === 'unclear') throw notClear(by === 'comma' ? `${before.text}, ${term.text}` : by)
  if (how === 'all') {
    addTerm(people, term)
    return
  }
  people.terms.push(term)
  if (how === 'any') {
    group.alternatives.push(alternative(term, by))
    return
  }
  const [only] = group.alternatives
  const values = only.values.intersection(valuesOf(term))
  if (values.size === 0)
    throw contradiction(`${quotedAges(only)} contradicts ${quotedAges(alternative(term))}`)
  group.alternatives = [{ ...only, values, text: `${only.text} ${by === 'comma' ? ',' : by} ${term.text}` }]
  group.interval = true
}

/**
 * What an age condition is to the one that it is joined to: `any` of them may hold, both make an `interval`,
 * it narrows `all` that was said before, or English leaves that open.
 */
function reachOfAges(
  group: Group,
  last: AgesTerm,
  next: AgesTerm,
  by: Join['by'],
): 'any' | 'interval' | 'all' | 'unclear' {
  const nouns = [last, next].filter(({ shape }) => shape === 'noun').length
  if (nouns === 2) return by === 'but' ? 'unclear' : 'any'
  // "teenagers, over 15"
  if (nouns === 1) return by === 'comma' || by === 'but' ? 'all' : 'unclear'
  if (by === 'or') return group.interval ? 'unclear' : 'any'
  if (last.shape === 'bound' && next.shape === 'bound') {
    const isPlain = group.alternatives.length === 1 && !group.interval && !last.plural && !next.plural
    return isPlain && areOpposite(last, next) ? 'interval' : 'unclear'
  }
  const areRanges = last.shape === 'range' && next.shape === 'range' && by !== 'but'
  // "20-30 and 30-40" are both; of "20-30 and 25-40" it may be what they share.
  return areRanges && valuesOf(last).intersection(valuesOf(next)).size <= 1 ? 'any' : 'unclear'
}

/** Whether one bounds the age below and the other above. */
export function areOpposite({ range: one }: AgesTerm, { range: other }: AgesTerm): boolean {
  return (one.from === 0 && other.to === maxAge) || (one.to === maxAge && other.from === 0)
}

export function quotedAges({ text, values }: { text: string; values: Values }): string {
  const ages = [...values] as number[]
  const [from, to] = [Math.min(...ages), Math.max(...ages)]
  return `"${text}" (${to === maxAge ? `${from} and over` : `${from} to ${to}`})`
}
