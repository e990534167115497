import type { Filter } from './filter.ts'
import type { Sort } from './page.ts'

/**
 * How a page is read:
 * - `merge`: the first rows of each cell by the index profiles_cell, then the first of those.
 * - `gather`: every match in the cells by the same index, then a sort.
 * - `range`: every row within the bound on the gender probability by its index, then a sort of the matches.
 * - `glance`: a walk that gives up after `glanceRows`.
 * - `walk`: the index of the order, row after row, until the page is full.
 * What the first three cost is known before, whatever the data looks like; what a walk costs is a guess.
 */
export type Path = 'merge' | 'gather' | 'range' | 'glance' | 'walk'

/** Rows that a path may touch without further question: about 20 ms from memory. */
export const touchLimit = 20_000
/** Half of the limit, so that what follows a glance in vain has the other half. */
export const glanceRows = 10_000
/** Going down the index to a cell costs about as much as this many rows of it. */
const rowsPerDescent = 3

export type AgeCount = { age: number; count: number; cells: number }

/** What is known of a filter before its page is read. */
export type Counts = {
  /** The exact number of profiles the filter lets through. */
  matches: number
  /** The same without its bounds on probabilities, which no cell knows. */
  candidates: number
  /** Non-empty cells of the candidates. */
  cells: number
  /** The candidates by age, youngest first. */
  ages?: readonly AgeCount[]
  /** Profiles within the bound on the gender probability alone, where there is one and they are few. */
  ranged?: number | undefined
  /** All profiles, roughly. */
  population: number
}

export type PathInput = Omit<Counts, 'ages'> & {
  sort: Sort
  /** Rows to read at the most: offset plus page. */
  depth: number
  /** Whether the filter bounds a probability. */
  probability: boolean
}

/**
 * Chooses the paths from the exact counts, to be tried in turn. Left to itself the planner took 831 ms for a
 * page that another plan had in 1 ms (10 M rows): it guesses how soon a walk meets its matches, and guesses
 * wrong where the filter goes with the order, as when one country was imported last. So a path of known cost
 * goes first, and a walk that may be short is given up where it is not.
 */
export function choosePaths(input: PathInput): Path[] {
  const { sort, depth, matches, population, probability } = input
  const costs = knownCosts(input)
  const [cheapest, cost] = costs.reduce((best, other) => (other[1] < best[1] ? other : best))
  if (cost <= touchLimit) return [cheapest]
  // How far a walk is expected to go, matches being spread evenly over what it walks.
  const walkedOver = sort.by === 'gender_probability' && probability ? (input.ranged ?? population) : population
  const walked = (Math.min(depth, matches) / matches) * walkedOver
  // With matches spread evenly one glance in millions needs more than twice what is expected and 1,000.
  if (2 * walked + 1000 <= glanceRows) return ['glance', cost < walkedOver ? cheapest : 'walk']
  return [cost < walked ? cheapest : 'walk']
}

function knownCosts({ sort, depth, matches, candidates, cells, ranged, probability }: PathInput): [Path, number][] {
  const descents = cells * rowsPerDescent
  const costs: [Path, number][] = [['gather', candidates + descents]]
  // Only as many cells as rows are wanted can hold one of them.
  if (!probability && sort.by !== 'gender_probability') {
    costs.push(['merge', Math.min(matches, Math.min(cells, depth) * depth) + descents])
  }
  if (ranged !== undefined) costs.push(['range', ranged])
  return costs
}

/** The ages in which a page lies, and what is known of a filter that is narrowed to them. */
export type AgeWindow = { filter: Filter; counts: Pick<Counts, 'matches' | 'candidates' | 'cells'>; offset: number }

/**
 * The ages that hold the rows from `offset` on, or those from the age `at` on, in a list ordered by age.
 * Undefined where they are all ages that the filter has.
 */
export function ageWindow(
  filter: Filter,
  ages: readonly AgeCount[],
  { order, at, offset, wanted }: { order: Sort['order']; at: number | undefined; offset: number; wanted: number },
): AgeWindow | undefined {
  const inOrder = order === 'asc' ? ages : ages.toReversed()
  const window: AgeCount[] = []
  let before = 0
  let held = 0
  for (const age of inOrder) {
    const ahead = at === undefined ? before + age.count <= offset : order === 'asc' ? age.age < at : age.age > at
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
  }
}
