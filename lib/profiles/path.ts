import type { Sort } from './page.ts'

/**
 * How a page is read:
 * - `merge`: the first rows of each cell by the index profiles_cell, then the first of those. Its cost has a
 *   bound whatever the data looks like.
 * - `gather`: every match, then a sort.
 * - `walk`: the index of the order, row after row, until the page is full.
 */
export type Path = 'merge' | 'gather' | 'walk'

/** Rows that merge or gather may touch without further question: about 20 ms from memory. */
const touchLimit = 20_000
/** Going down the index to a cell costs about as much as this many rows of it. */
const rowsPerDescent = 5

/** What is known of a filter before its page is read. */
export type Counts = {
  /** The exact number of profiles the filter lets through. */
  matches: number
  /** The same without its bounds on probabilities, which no cell knows. */
  candidates: number
  /** Non-empty cells of the candidates. */
  cells: number
  /** All profiles, roughly. */
  population: number
}

export type PathInput = Counts & {
  sort: Sort
  /** Rows to read at the most: offset plus page. */
  depth: number
  /** Whether the filter bounds a probability. */
  probability: boolean
}

/**
 * Chooses the path from the exact counts. Left to itself the planner took 831 ms for a page that another
 * plan had in 1 ms (10 M rows): it guesses how soon a walk meets its matches, and guesses wrong where the
 * filter goes with the order, as when one country was imported last. So a path with a bound goes first.
 */
export function choosePath(input: PathInput): Path {
  const { sort, depth, matches, candidates, cells, population, probability } = input
  const merged = Math.min(matches, cells * depth) + cells * rowsPerDescent
  const mergeable = !probability && sort.by !== 'gender_probability'
  if (mergeable && merged <= touchLimit) return 'merge'
  if (candidates <= touchLimit) return 'gather'
  // How far a walk is expected to go, matches being spread evenly.
  const walked = (Math.min(depth, matches) / matches) * population
  return candidates < walked ? 'gather' : 'walk'
}
