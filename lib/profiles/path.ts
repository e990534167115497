import type { Filter } from './filter.ts'
import type { Sort } from './page.ts'

/**
 * How a page is read:
 * - `merge`: the first rows of each cell by the index profiles_cell, then the first of those.
 * - `gather`: every match in the cells by the same index, then a sort.
 * - `range`: every row within one bound by its index, then a sort of the matches.
 * - `walk`: the index of the order, row after row, until the page is full.
 * What the others cost is known before, whatever the data looks like; what a walk costs is a guess.
 */
export type Path = 'merge' | 'gather' | 'range' | 'walk'

/** A path to try. With `rows` a walk is given up after as many. */
export type Step = { path: Path; rows?: number }

/** Rows that a page should touch at the most: about 20 ms from memory. */
export const touchLimit = 19_500
/** Going down the index to a cell takes 6 us, about as long as this many rows of a walk. */
export const rowsPerDescent = 15

export type AgeCount = { age: number; count: number; cells: number }

/** The parts of a filter that an index serves alone. */
const rangeFields = {
  min_gender_probability: ['min_gender_probability'],
  min_country_probability: ['min_country_probability'],
  creation: ['created_after', 'created_before'],
  name: ['name'],
  updated_after: ['updated_after'],
} as const satisfies Record<string, readonly (keyof Filter)[]>

/** How many profiles satisfy one part of the filter, whatever else they are. */
export type Range = { by: keyof typeof rangeFields; rows: number }

/** The part by itself; empty if the filter does not have it. */
export function rangePart(filter: Filter, by: Range['by']): Filter {
  const fields: readonly (keyof Filter)[] = rangeFields[by]
  return Object.fromEntries(fields.flatMap((field) => (field in filter ? [[field, filter[field]]] : [])))
}

/** What is known of a filter before its page is read. */
export type Counts = {
  /** The exact number of profiles the filter lets through. */
  matches: number
  /** The same without its bounds on probabilities, which no cell knows; at most so many. */
  candidates: number
  /** Non-empty cells of the candidates. */
  cells: number
  /** What its country, gender and age let through by age, youngest first. */
  ages?: readonly AgeCount[]
  /** The bound that leaves fewest profiles by itself, where it leaves few. */
  range?: Range | undefined
  /** Of all profiles those within its bounds on creation, roughly; missing without such bounds. */
  created?: number
  /** All profiles, roughly. */
  population: number
}

export type PathInput = Omit<Counts, 'ages' | 'created'> & {
  sort: Sort
  /** Rows to read at the most: offset plus page. */
  depth: number
  /** Whether the filter bounds a probability. */
  probability: boolean
}

/**
 * Chooses the paths from the exact counts, to be tried in turn until the page is full. Left to itself the planner took 831 ms for a
 * page that another plan had in 1 ms (10 M rows): it guesses how soon a walk meets its matches, and guesses
 * wrong where the filter goes with the order, as when one country was imported last. So a path of known cost
 * goes first, and a walk that may be short is given up where it is not.
 */
export function choosePaths(input: PathInput): Step[] {
  const { depth, matches, population } = input
  const [cheapest, cost] = knownCosts(input).reduce((best, other) => (other[1] < best[1] ? other : best))
  // How far a walk is expected to go, matches being spread evenly.
  const walked = (Math.min(depth, matches) / matches) * population
  // So spread, one walk in millions of ten rows needs more than thrice as many.
  const rows = Math.ceil(3 * walked) + 500
  if (rows >= population) return [{ path: cost < population ? cheapest : 'walk' }]
  // What is lost where it is in vain must be little, or the other path long.
  const worthTrying = rows <= cost / 2 || (rows <= cost && cost > touchLimit)
  return worthTrying ? [{ path: 'walk', rows }, { path: cheapest }] : [{ path: cheapest }]
}

function knownCosts(input: PathInput): [Path, number][] {
  const { sort, depth, matches, candidates, cells, range, probability } = input
  const descents = cells * rowsPerDescent
  const costs: [Path, number][] = [['gather', candidates + descents]]
  if (sort.by !== 'gender_probability') {
    // Only as many cells as rows are wanted can hold one of them.
    const merged = Math.min(matches, Math.min(cells, depth) * depth)
    // Between two rows within a bound stand those that are not; at worst all are read for the heads and again.
    const passed = probability ? Math.min(2 * candidates, (cells + merged) * (candidates / matches)) : merged
    costs.push(['merge', passed + descents])
  }
  if (range) costs.push(['range', range.rows])
  return costs
}

/** The ages in which a page lies, and what is known of a filter that is narrowed to them. */
export type AgeWindow = {
  filter: Filter
  counts: Pick<Counts, 'matches' | 'candidates' | 'cells'>
  offset: number
  /** Whether ages follow that were left out. */
  goesOn: boolean
}

/**
 * The ages that hold the rows from `offset` on, or those from the age `at` on, in a list ordered by age.
 * Undefined where they are all ages that the filter has.
 */
export function ageWindow(
  filter: Filter,
  ages: readonly AgeCount[],
  {
    order,
    at,
    offset,
    wanted,
  }: { order: Sort['order']; at: number | undefined; offset: number; wanted: number },
): AgeWindow | undefined {
  const inOrder = order === 'asc' ? ages : ages.toReversed()
  const window: AgeCount[] = []
  let before = 0
  let held = 0
  for (const age of inOrder) {
    const ahead =
      window.length === 0 &&
      (at === undefined ? before + age.count <= offset : order === 'asc' ? age.age < at : age.age > at)
    if (ahead) {
      before += age.count
      continue
    }
    window.push(age)
    // Of the age that a position is in, an unknown part lies before it.
    if (age.age !== at) held += age.count
    if (held - (at === undefined ? offset - before : 0) >= wanted) break
  }
  if (window.length === 0 || window.length === ages.length) return undefined
  const bounds = window.map(({ age }) => age)
  const matches = window.reduce((sum, { count }) => sum + count, 0)
  const cells = window.reduce((sum, age) => sum + age.cells, 0)
  return {
    filter: { ...filter, min_age: Math.min(...bounds), max_age: Math.max(...bounds) },
    counts: { matches, candidates: matches, cells },
    offset: at === undefined ? offset - before : 0,
    goesOn: window.at(-1) !== inOrder.at(-1),
  }
}
