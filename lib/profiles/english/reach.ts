import { placesIn } from './country-words.ts'
import {
  type Alternative,
  areOpposite,
  type Group,
  type Kind,
  notClear,
  type People,
  quotedAges,
  type Values,
  valuesOf,
} from './people.ts'
import { contradiction } from './pieces.ts'

/** What is said of people, by kind; a kind that is missing is not restricted. */
export type Meaning = ReadonlyMap<Kind, Values>

/**
 * What a description says. Throws where it contradicts itself, where one of its alternatives would get lost, and
 * where a condition may belong to all alternatives or to one.
 */
export function meaningOf(people: People): Meaning {
  for (const group of people.groups) checkList(group)
  checkBothSides(people)
  const meaning = new Map<Kind, Values>()
  for (const kind of ['gender', 'country', 'ages'] as const) {
    const groups = people.groups.filter((group) => group.kind === kind)
    if (groups.length > 0)
      meaning.set(kind, narrow(kind === 'ages' ? withoutYoungOfChildren(groups) : groups))
  }
  return meaning
}

export function union(all: Iterable<Values>): Values {
  let joined: Values = new Set()
  for (const values of all) joined = joined.union(values)
  return joined
}

export function isSame(one: Values, other: Values): boolean {
  return one.size === other.size && one.isSubsetOf(other)
}

function intersection(groups: readonly Group[]): Values | undefined {
  return groups
    .map(valuesIn)
    .reduce<Values | undefined>((left, values) => left?.intersection(values) ?? values, undefined)
}

function valuesIn({ alternatives }: Group): Values {
  return union(alternatives.map(({ values }) => values))
}

function quoted(all: readonly { text: string }[]): string {
  return all.map(({ text }) => `"${text}"`).join(' and ')
}

function textOf({ alternatives }: Group): string {
  return alternatives.map(({ text }) => text).join(', ')
}

/** The values that every group allows. */
function narrow(groups: readonly Group[]): Values {
  checkNumbers(groups)
  for (const group of groups) if (group.alternatives.length > 1) checkShared(group, groups)
  let left = valuesIn(groups[0]!)
  for (const group of groups.slice(1)) {
    const next = left.intersection(valuesIn(group))
    if (next.size === 0) throw contradiction(`${saidBy(groups[0]!)} contradicts ${saidBy(group)}`)
    left = next
  }
  return left
}

function saidBy(group: Group): string {
  if (group.kind !== 'ages') return quoted(group.alternatives)
  return group.alternatives.map(quotedAges).join(' and ')
}

/** "over 20 under 30" is one range; of other numbers side by side it is open how they belong together. */
function checkNumbers(groups: readonly Group[]): void {
  const numbers = groups.flatMap(({ alternatives, interval }) =>
    alternatives.flatMap(({ last }) =>
      last.kind === 'ages' && last.shape !== 'noun' ? [{ last, interval }] : [],
    ),
  )
  const [one, other, ...more] = numbers
  const byGroup = groups.filter(
    ({ alternatives: [{ last }] }) => last.kind === 'ages' && last.shape !== 'noun',
  )
  if (byGroup.length < 2 || !one || !other) return
  const isInterval =
    more.length === 0 &&
    !one.interval &&
    !other.interval &&
    one.last.shape === 'bound' &&
    other.last.shape === 'bound' &&
    areOpposite(one.last, other.last)
  const areEqual = numbers.every(({ last }) => isSame(valuesOf(last), valuesOf(one.last)))
  if (!isInterval && !areEqual) throw notClear(numbers.map(({ last }) => last.text).join(' '))
}

/**
 * Conditions of the same kind before or behind a list: none of its alternatives may get lost, and it must not
 * matter whether they belong to all or only to the one beside them ("children and teenagers over 15").
 */
function checkShared(group: Group, groups: readonly Group[]): void {
  const before = intersection(groups.filter(({ at }) => at < group.at))
  const after = intersection(groups.filter(({ at }) => at > group.at))
  if (!before && !after) return
  const others = groups.filter((other) => other !== group)
  const within = (values: Values, limit: Values | undefined) => (limit ? values.intersection(limit) : values)
  for (const { values, text } of group.alternatives) {
    if (within(within(values, before), after).size === 0) {
      throw contradiction(`"${text}" contradicts ${others.map(saidBy).join(' and ')}`)
    }
  }
  const last = group.alternatives.length - 1
  const shared = union(group.alternatives.map(({ values }) => within(within(values, before), after)))
  const separate = union(
    group.alternatives.map(({ values }, at) =>
      within(within(values, at === 0 ? before : undefined), at === last ? after : undefined),
    ),
  )
  if (!isSame(shared, separate)) throw notClear(others.map(textOf).join(', '), mayBeOfOne(group))
}

function mayBeOfOne({ alternatives }: Group): string {
  return `it may be said of ${quoted(alternatives)} or of one of them`
}

/** Young children are children. */
function withoutYoungOfChildren(groups: readonly Group[]): readonly Group[] {
  const isChildren = ({ alternatives: [{ last, values }] }: Group) =>
    last.kind === 'ages' && last.shape === 'noun' && values.has(0)
  if (!groups.some(isChildren)) return groups
  return groups.filter(({ alternatives: [{ text }] }) => text.toLowerCase() !== 'young')
}

/**
 * In "young men and women" and "men and women over 30" what stands before or behind is said of both. With
 * conditions of one kind on both sides ("young men and women over 20") each may be said of one only.
 */
function checkBothSides({ groups, terms }: People): void {
  for (const group of groups) {
    if (group.alternatives.length < 2 || group.alternatives[0].first.form === 'attribute') continue
    const before = groups.filter(({ at, kind }) => at < group.at && kind !== group.kind)
    const after = groups.filter(({ at, kind }) => at > group.at && kind !== group.kind)
    const isBehindNoun = ({ at }: Group) =>
      terms.slice(group.at, at).some(({ form, predicate }) => form === 'noun' && !predicate)
    for (const one of before) {
      const other = after.find((next) => next.kind === one.kind && isBehindNoun(next))
      if (other && !isSame(valuesIn(one), valuesIn(other))) throw notClear(textOf(other), mayBeOfOne(group))
    }
    checkStages(group, before, after)
  }
}

/** "Teen boys and women", "adult men and girls": an age that suits only one of them may be said of it alone. */
function checkStages(group: Group, before: readonly Group[], after: readonly Group[]): void {
  const stages = group.alternatives.map(({ last }) => (last.kind === 'gender' ? last.stage : undefined))
  if (!stages.includes('child')) return
  const isAges = ({ kind }: Group) => kind === 'ages'
  const [ahead, behind] = [before.find(isAges), after.find(isAges)]
  const isMixed = stages.includes('adult')
  const suits = (ages: Group) => {
    const values = [...valuesIn(ages)] as number[]
    return values.some((age) => age < 20) && (!isMixed || values.some((age) => age >= 20))
  }
  if (ahead && (isMixed || !suits(ahead))) throw notClear(textOf(ahead), mayBeOfOne(group))
  const genders = union(group.alternatives.map(({ values }) => values))
  if (behind && isMixed && (genders.size > 1 || !suits(behind))) {
    throw notClear(textOf(behind), mayBeOfOne(group))
  }
}

/** Lists whose commas may mean something else than "or". */
function checkList(group: Group): void {
  const [first, ...rest] = group.alternatives
  const onlyCommas = rest.every(({ by }) => by === undefined || by === 'comma')
  let before: Alternative = first
  for (const next of rest) {
    if (next.by === 'comma' && mayBeOne(before, next, onlyCommas)) {
      throw notClear(`${before.text}, ${next.text}`, 'join them with "and" or "or"')
    }
    before = next
  }
  // "young teenagers and adults": are the adults young too?
  if (group.kind !== 'ages' || first.first === first.last) return
  const adjective = valuesOf(first.first)
  for (const { first: noun, last, values } of rest) {
    const both = values.intersection(adjective)
    if (noun === last && both.size > 0 && !isSame(both, values))
      throw notClear(first.first.text, mayBeOfOne(group))
  }
}

/** "young, adult women", "Samoa, American women", "Georgia, USA" */
function mayBeOne(one: Alternative, other: Alternative, onlyCommas: boolean): boolean {
  const [before, next] = [one.last, other.first]
  if (before.kind === 'ages' && next.kind === 'ages') {
    const areAdjectives = one.first.form === 'adjective' && before.shape === 'noun' && next.shape === 'noun'
    return onlyCommas && areAdjectives && one.values.intersection(other.values).size > 0
  }
  if (before.kind !== 'country' || next.kind !== 'country') return false
  if (before.isName !== next.isName) return true
  const [part] = before.codes
  return next.codes.some((whole) => {
    const isPlaceThere = placesIn[whole]?.split(' ').includes(part!) ?? false
    return isPlaceThere && (onlyCommas || part === 'GE' || part === 'NE')
  })
}
