import { retryRead, type Sql } from '../platform/db.ts'
import { InsightaError } from '../platform/errors.ts'
import { conditions } from './conditions.ts'
import { countByFacets } from './facets.ts'
import { boundsProbability, type Filter } from './filter.ts'
import { type Counts, type Range, touchLimit } from './path.ts'

/**
 * Milliseconds that a total may take that no facet knows: 10 million rows take one at the most, so that a
 * database that needs five is in trouble, and the function's own deadline is at 15.
 */
export const totalBudget = 5000

/** Thrown when counting took longer than its budget: 503, to be tried again when the database has less to do. */
export class TotalTimeoutError extends InsightaError {
  constructor(cause: unknown) {
    super('The matches could not be counted in time: ask for less, or again later', {
      code: 'total_timeout',
      status: 503,
      retryable: true,
      cause,
      headers: { 'Retry-After': '10' },
    })
  }
}

/** The exact number of matches, and what else the choice of a path needs. Throws TotalTimeoutError. */
export async function countProfiles(sql: Sql, filter: Filter, population: number): Promise<Counts> {
  const facets = retryRead(() => countByFacets(sql, filter))
  if (!boundsProbability(filter)) {
    const { matches, ...rest } = await facets
    return { matches, candidates: matches, ...rest, population }
  }
  const [{ matches: candidates, cells, ages }, matches] = await Promise.all([
    facets,
    countByScan(sql, filter),
  ])
  const range = candidates > touchLimit && matches > 0 ? await smallestRange(sql, filter) : undefined
  return { matches, candidates, cells, ages, range, population }
}

/** Counts the matches row by row, by index: for filters that the facets cannot count. Throws TotalTimeoutError. */
export async function countByScan(sql: Sql, filter: Filter): Promise<number> {
  const [row] = await withinBudget(
    () =>
      sql<{ count: number }[]>`select count(*) from profiles where ${conditions(sql, filter, 'profiles')}`,
  )
  return row!.count
}

const bounds = ['min_gender_probability', 'min_country_probability'] as const

/** The bound on a probability that leaves fewest profiles by itself; undefined where each leaves many. */
async function smallestRange(sql: Sql, filter: Filter): Promise<Range | undefined> {
  const found: Range[] = []
  for (const by of bounds) {
    const bound = filter[by]
    if (bound === undefined) continue
    const [row] = await retryRead(
      () => sql<{ count: number }[]>`
        select count(*) from (
          select from profiles where ${conditions(sql, { [by]: bound }, 'profiles')} limit ${touchLimit + 1}
        ) ranged`,
    )
    if (row!.count <= touchLimit) found.push({ by, rows: row!.count })
  }
  return found.sort((a, b) => a.rows - b.rows)[0]
}

type Cancellable<T> = Promise<T> & { cancel(): unknown }

/**
 * Runs a read that is cancelled when its time is up. Not by statement_timeout, which would need a transaction
 * around it: three more trips, and a connection that is cut inside one takes the whole pool with it.
 */
export async function withinBudget<T>(read: () => Cancellable<T>, budget = totalBudget): Promise<T> {
  let running: Cancellable<T> | undefined
  let late = false
  const timer = setTimeout(() => {
    late = true
    // It takes a connection of its own. Where there is none to be had, the read ends with its own.
    Promise.resolve(running?.cancel()).catch(() => {})
  }, budget)
  try {
    return await retryRead(() => {
      running = read()
      return running
    })
  } catch (error) {
    if (late && error instanceof Error && 'code' in error && error.code === '57014')
      throw new TotalTimeoutError(error)
    throw error
  } finally {
    clearTimeout(timer)
  }
}
