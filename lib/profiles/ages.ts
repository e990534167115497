import { type AgeGroup, ageGroups, maxAge } from './profile.ts'

/** First and last age, both inclusive. */
export type AgeRange = readonly [from: number, to: number]

/** Bounds that must hold together with one of the groups, if groups are given. */
export type AgeBounds = {
  age_group?: readonly AgeGroup[] | undefined
  min_age?: number | undefined
  max_age?: number | undefined
}

/** The ages that satisfy all bounds: youngest first, with a gap between any two ranges; none for a contradiction. */
export function ageRanges({ age_group, min_age = 0, max_age = maxAge }: AgeBounds): AgeRange[] {
  const groups = age_group ? age_group.map((group) => ageGroups[group]) : [[0, maxAge] as const]
  const ranges: [from: number, to: number][] = []
  for (const [first, last] of groups.toSorted((a, b) => a[0] - b[0])) {
    const [from, to] = [Math.max(first, min_age), Math.min(last, max_age)]
    if (from > to) continue
    const before = ranges.at(-1)
    if (before && from <= before[1] + 1) before[1] = to
    else ranges.push([from, to])
  }
  return ranges
}

/**
 * The one way to say these ages: by bounds alone where they are one range, else by the groups they lie in and
 * the bounds that narrow the first and the last. `ranges` come from ageRanges and are not empty.
 */
export function canonicalAges(ranges: readonly AgeRange[]): {
  age_group?: AgeGroup[]
  min_age?: number
  max_age?: number
} {
  const [from, to] = [ranges[0]![0], ranges.at(-1)![1]]
  if (ranges.length === 1) return { ...(from > 0 && { min_age: from }), ...(to < maxAge && { max_age: to }) }
  const groups = (Object.keys(ageGroups) as AgeGroup[]).filter((group) => {
    const [first, last] = ageGroups[group]
    return ranges.some((range) => range[0] <= last && range[1] >= first)
  })
  return {
    age_group: groups,
    ...(from > ageGroups[groups[0]!][0] && { min_age: from }),
    ...(to < ageGroups[groups.at(-1)!][1] && { max_age: to }),
  }
}

/** `13 to 19`, `60 and over`, `0 to 12 or 20 to 59`. */
export function describeAges(ranges: readonly AgeRange[]): string {
  return ranges.map(([from, to]) => (to === maxAge ? `${from} and over` : `${from} to ${to}`)).join(' or ')
}
