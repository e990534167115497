import type postgres from 'postgres'
import type { Sql } from '../platform/db.ts'
import { InsightaError } from '../platform/errors.ts'
import { conditions, creationConditions, every } from './conditions.ts'
import { countByFacets } from './facets.ts'
import { boundsCreation, boundsProbability, type Filter, isCountedByFacets } from './filter.ts'
import { type Counts, type Range, rangePart, rowsPerDescent, touchLimit } from './path.ts'

type Fragment = postgres.Fragment

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
  if (filter.name !== undefined) {
    const matches = await countByScan(sql, filter)
    return { matches, candidates: matches, cells: matches, range: { by: 'name', rows: matches }, population }
  }
  if (filter.updated_after !== undefined) {
    const matches = await countByScan(sql, filter)
    return { matches, candidates: matches, cells: matches, population }
  }
  const facets = countByFacets(sql, filter)
  if (isCountedByFacets(filter)) {
    const { matches, ...rest } = await facets
    return { matches, candidates: matches, ...rest, population }
  }
  const [{ matches: most, cells, ages }, created, scanned] = await Promise.all([
    facets,
    boundsCreation(filter) ? estimateCreated(sql, filter) : population,
    boundsProbability(filter) ? countByScan(sql, filter) : undefined,
  ])
  const matches = scanned ?? (await countCreated(sql, filter, created > population / 2))
  const candidates = scanned === undefined ? matches : Math.max(matches, Math.min(most, created))
  const counts: Counts = { matches, candidates, cells, ages, population }
  // A hundredth is what a step of the histogram holds, and no estimate is finer than that.
  if (boundsCreation(filter)) counts.created = Math.max(created, matches, population / 100)
  if (!mayNeedRange(counts)) return counts
  const range = await smallestRange(sql, filter)
  return { ...counts, range, ...(range?.by === 'creation' && { created: range.rows }) }
}

/** Whether its cells are too much to read, and one of its bounds may leave little. */
function mayNeedRange({ matches, candidates, cells, created }: Counts): boolean {
  if (matches === 0 || matches > touchLimit) return false
  return candidates > touchLimit || (created !== undefined && cells * rowsPerDescent > touchLimit)
}

/** Counts the matches row by row, by index: for filters that the facets cannot count. Throws TotalTimeoutError. */
export async function countByScan(sql: Sql, filter: Filter): Promise<number> {
  const [row] = await withinBudget(() => sql<{ count: number }[]>`select ${counted(sql, filter)} as count`)
  return row!.count
}

/**
 * Counts the matches of a filter that bounds creation and no probability. What its bounds leave out is counted
 * instead where that is less, `mostWithin`, and taken off what the facets say: at three million profiles a tenth
 * of them takes 15 to 30 ms, nine tenths 250. Throws TotalTimeoutError.
 */
async function countCreated(sql: Sql, filter: Filter, mostWithin: boolean): Promise<number> {
  if (!mostWithin) return countByScan(sql, filter)
  const outside = createdOutside(filter).reduce((sum, part) => sql`${sum} + ${counted(sql, part)}`, sql`0`)
  const [row] = await withinBudget(
    () => sql<{ count: number }[]>`
      select coalesce(sum(count), 0)::bigint - (${outside}) as count
      from facets where ${conditions(sql, filter, 'facets')}`,
  )
  return row!.count
}

/**
 * The number of matches as an expression. Of excluded countries there may be none in the order of an index, so
 * that the table would be read: those of all countries and those of the excluded ones are counted by index.
 */
function counted(sql: Sql, { exclude_country_id, ...filter }: Filter): Fragment {
  const count = (of: Filter) => sql`(select count(*) from profiles where ${conditions(sql, of, 'profiles')})`
  if (!exclude_country_id) return count(filter)
  return sql`(${count(filter)} - ${count({ ...filter, country_id: exclude_country_id })})`
}

/** What the bounds on creation leave out, each side as a filter that is otherwise the same. */
export function createdOutside({ created_after, created_before, ...filter }: Filter): Filter[] {
  return [
    ...(created_after === undefined ? [] : [{ ...filter, created_before: created_after }]),
    ...(created_before === undefined ? [] : [{ ...filter, created_after: created_before }]),
  ]
}

/** Whether more profiles are within the bounds on creation than outside, roughly. */
export async function mostCreatedWithin(sql: Sql, filter: Filter): Promise<boolean> {
  const [{ matches: population }, created] = await Promise.all([
    countByFacets(sql, {}),
    estimateCreated(sql, filter),
  ])
  return created > population / 2
}

/** How many profiles the planner expects within the bounds on creation: by its histogram, to a hundredth. */
async function estimateCreated(sql: Sql, filter: Filter): Promise<number> {
  const [row] = await sql<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }[]>`
      explain (format json) select from profiles where ${every(sql, creationConditions(sql, filter))}`
  return row!['QUERY PLAN'][0].Plan['Plan Rows']
}

const bounds = ['creation', 'min_gender_probability', 'min_country_probability'] as const

/** The bound that leaves fewest profiles by itself; undefined where each leaves many. */
async function smallestRange(sql: Sql, filter: Filter): Promise<Range | undefined> {
  const found: Range[] = []
  for (const by of bounds) {
    const part = rangePart(filter, by)
    if (Object.keys(part).length === 0) continue
    const [row] = await sql<{ count: number }[]>`
        select count(*) from (
          select from profiles where ${conditions(sql, part, 'profiles')} limit ${touchLimit + 1}
        ) ranged`
    if (row!.count <= touchLimit) found.push({ by, rows: row!.count })
  }
  return found.sort((a, b) => a.rows - b.rows)[0]
}

type Cancellable<T> = Promise<T> & { cancel(): unknown }

/**
 * Runs a read that is cancelled when its time is up. Not by statement_timeout, which would need a transaction
 * around it: three more trips.
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
    running = read()
    return await running
  } catch (error) {
    if (late && error instanceof Error && 'code' in error && error.code === '57014')
      throw new TotalTimeoutError(error)
    throw error
  } finally {
    clearTimeout(timer)
  }
}
