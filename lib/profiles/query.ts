import {
  createCache,
  createSharedTier,
  createStore,
  type Origin,
  type SharedTier,
} from '../platform/cache.ts'
import { elapsedClock } from '../platform/clock.ts'
import { retryRead, type Sql } from '../platform/db.ts'
import { inSnapshot } from '../platform/snapshot.ts'
import { countProfiles } from './counts.ts'
import { countByFacets, datasetState } from './facets.ts'
import { type Filter, filterKey, isCountedByFacets } from './filter.ts'
import { maxLimit, type PageRequest, pageOf } from './page.ts'
import { readPage } from './page-store.ts'
import type { Counts } from './path.ts'
import { type Profile, toProfile } from './profile.ts'
import type { ReadAt } from './reader.ts'
import { type ProfileStats, readStats, type TwoDimensions } from './stats.ts'

/** One page of a list. `total` is exact; `next_cursor` is null on the last page, `prev_cursor` on the first. */
export type ProfilePage = {
  total: number
  data: Profile[]
  next_cursor: string | null
  prev_cursor: string | null
}

/** Milliseconds that the steps of a query took; a step that was not needed is missing. */
export type Timings = { version?: number; total?: number; page?: number; stats?: number }

/**
 * Where an answer came from, and what it took. `stale` is a hit that was given while the version was being read
 * again: not older than any hit may be.
 */
export type Served = { cache: 'hit' | 'miss' | 'stale'; origin: Origin; timings: Timings }
export type ListResult = ProfilePage & Served

export type ProfileQueries = {
  /**
   * The page, from a cache where the same was asked for since the last write. Those larger than a page for people
   * are not kept: whoever walks over everything reads each once, and would push out all the others.
   */
  list(filter: Filter, request: PageRequest): Promise<ListResult>
  /** The counts, in the same way; `by` two dimensions together too. */
  stats(filter: Filter, by?: TwoDimensions): Promise<{ stats: ProfileStats } & Served>
  /** Tells of a write that this environment committed itself, so that its next answer holds it. */
  wrote(): void
  /** Resolves when nothing is on its way to the shared tier: see SharedTier. */
  settle(): Promise<void>
}

/** The state of the data is read at most this often, which bounds how old an answer can be. */
const stateAge = 1000
/** From this age on it is read again behind the answers, so that those asked for often never wait for it. */
const renewalAge = 800
const answerTtl = 5 * 60_000
/** How old the number of all profiles may be: it only helps to choose a path. */
const populationAge = 60_000
/** Bytes that pages may take, about: a profile is some 300 in memory. */
const cacheBytes = 32 * 1024 * 1024
const bytesPerProfile = 300
/** The same for statistics. By country and age together they may have 37,000 counts, 4 MB. */
const statsBytes = 16 * 1024 * 1024
const bytesPerCount = 100

/**
 * In front of every key of the shared tier. The number goes up with each change of the shape of what is stored
 * or of what a key means, since two releases run side by side during a deployment.
 */
export const sharedPrefix = 'insighta:profiles:2:'

/** What was counted, and the state of the data that it was counted of. */
type Counted = Counts & { state: string }

type Lookup = { filter: Filter; state: string; timings: Timings }
type PageLookup = Lookup & { request: PageRequest }
type StatsLookup = Lookup & { by: TwoDimensions | undefined }

export type QueryOptions = {
  /** In milliseconds; never goes back, and goes on through a freeze. Default: elapsedClock. */
  now?: () => number
  tier?: SharedTier
  /** Where the data is read, by a state that the writer has told. Default: from the writer too. */
  readAt?: ReadAt
}

/**
 * Cached queries on profiles; `sql` reaches the writer.
 *
 * An answer misses no commit that was over a second old when it was asked for:
 * - A key holds the state of the data (datasetState), and what is stored under it holds at least that state: it
 *   may be newer, never older. So the age of the state is all that matters, whichever tier answers.
 * - The state is the writer's, so that a reader's lag adds nothing to its age: a reader that has not come to the
 *   state is not read (readAt).
 * - A state counts as old as the beginning of the query that read it, and is not used after a second. A query
 *   that began over a second ago, as one that was frozen with its environment, is not waited for either.
 * - A state that is read again behind an answer changes nothing about the state that this answer was given
 *   under, which is within its second; if the reading fails, the next answer after that second says so.
 * - Total and rows of a page are of one moment: one transaction reads both, and what was counted before is used only
 *   if that transaction sees the state that it was counted of. That moment may be newer than the key's state, like
 *   all that is stored under it. Statistics are one statement.
 * - States of a restored database are others than those it had before (see 0008_dataset_epoch.sql), and which
 *   of two is newer never matters: the last one read holds, unless this environment has written since.
 */
export function createProfileQueries(
  sql: Sql,
  {
    now = elapsedClock(),
    tier = createSharedTier(sharedPrefix),
    readAt = (_, work) => retryRead(() => work(sql)),
  }: QueryOptions = {},
): ProfileQueries {
  let known: { state: string; at: number } | undefined
  let reading: { at: number; state: Promise<string> } | undefined

  function readState(): Promise<string> {
    if (reading && now() - reading.at < stateAge) return reading.state
    // Taken before the query: what is committed after this moment may be missing from its answer.
    const at = now()
    const begun = {
      at,
      state: retryRead(() => datasetState(sql))
        .then((state) => {
          if (reading === begun) known = { state, at }
          return state
        })
        .finally(() => {
          if (reading === begun) reading = undefined
        }),
    }
    reading = begun
    return begun.state
  }

  /** The state to answer by, and whether it is being read again meanwhile. */
  async function currentState(timings: Timings): Promise<{ state: string; renewing: boolean }> {
    const start = now()
    if (known && start - known.at < stateAge) {
      const renewing = start - known.at >= renewalAge
      // Not awaited, not even by settle(): where the environment is frozen first, it is asked again.
      if (renewing) readState().catch(() => {})
      return { state: known.state, renewing }
    }
    const state = await readState()
    timings.version = now() - start
    return { state, renewing: false }
  }

  let counted: { population: number; at: number } | undefined

  async function population(from: Sql): Promise<number> {
    if (counted && now() - counted.at < populationAge) return counted.population
    const { matches } = await countByFacets(from, {})
    counted = { population: matches, at: now() }
    return matches
  }

  const both = { ttl: answerTtl, now, tier }
  const counts = createStore<Counted, Lookup>({
    ...both,
    name: 'counts',
    bound: { max: 5000 },
    fits: (found): found is Counted =>
      hasNumber(found, 'matches') && typeof Reflect.get(found, 'state') === 'string',
    // Facets count as fast as the shared tier answers.
    shares: ({ filter }) => !isCountedByFacets(filter),
  })

  const pages = createCache<ProfilePage, PageLookup>({
    ...both,
    name: 'pages',
    bound: {
      maxSize: cacheBytes,
      sizeCalculation: ({ data }, key) => 2 * key.length + 200 + data.length * bytesPerProfile,
    },
    fits: (found): found is ProfilePage =>
      hasNumber(found, 'total') && Array.isArray(Reflect.get(found, 'data')),
    load: loadPage,
  })

  function loadPage(lookup: PageLookup): Promise<ProfilePage> {
    return readAt(lookup.state, (from) => inSnapshot(from, (snapshot) => readTogether(snapshot, lookup)))
  }

  /** Total and rows of the snapshot. What was counted before is used only if that was of the same state. */
  async function readTogether(snapshot: Sql, lookup: PageLookup): Promise<ProfilePage> {
    const { filter, request, timings } = lookup
    const key = `${lookup.state} ${filterKey(filter)}`
    const start = now()
    const known = await counts.find(key, lookup)
    const count = async () => countProfiles(snapshot, filter, await population(snapshot))
    // Both go out at once.
    const [state, fresh] = await Promise.all([datasetState(snapshot), known ? undefined : count()])
    const found = known?.state === state ? known : { ...(fresh ?? (await count())), state }
    if (found !== known) counts.keep(key, found, lookup)
    const counting = now()
    timings.total = counting - start
    const rows = await readPage(snapshot, filter, request, found)
    timings.page = now() - counting
    const { rows: shown, ...cursors } = pageOf(rows, request, filter)
    return { total: found.matches, data: shown.map(toProfile), ...cursors }
  }

  async function findPage(lookup: PageLookup): Promise<{ value: ProfilePage; origin: Origin }> {
    const { filter, request, state } = lookup
    if (request.limit > maxLimit) return { value: await loadPage(lookup), origin: 'source' }
    return pages.get(pageKey(filter, request, state), lookup)
  }

  const statistics = createCache<ProfileStats, StatsLookup>({
    ...both,
    name: 'stats',
    bound: {
      maxSize: statsBytes,
      sizeCalculation: ({ by_country, age_histogram, counts = [] }, key) =>
        2 * key.length + 200 + (by_country.length + age_histogram.length + counts.length) * bytesPerCount,
    },
    fits: (found): found is ProfileStats => hasNumber(found, 'total'),
    async load({ filter, by, state, timings }) {
      const start = now()
      const stats = await readAt(state, (from) => readStats(from, filter, by))
      timings.stats = now() - start
      return stats
    },
  })

  return {
    async list(filter, request) {
      const timings: Timings = {}
      const { state, renewing } = await currentState(timings)
      const { value, origin } = await findPage({ filter, request, state, timings })
      return { ...value, cache: servedAs(origin, renewing), origin, timings }
    },
    async stats(filter, by) {
      const timings: Timings = {}
      const { state, renewing } = await currentState(timings)
      const key = `${state} ${filterKey(filter)}${by ? ` ${by}` : ''}`
      const { value, origin } = await statistics.get(key, { filter, by, state, timings })
      return { stats: value, cache: servedAs(origin, renewing), origin, timings }
    },
    wrote() {
      // Also what is being read now may have begun before the write.
      known = undefined
      reading = undefined
    },
    settle: () => tier.settle(),
  }
}

function servedAs(origin: Origin, renewing: boolean): Served['cache'] {
  if (origin === 'source') return 'miss'
  return renewing ? 'stale' : 'hit'
}

function hasNumber(found: unknown, field: string): found is object {
  return typeof found === 'object' && found !== null && typeof Reflect.get(found, field) === 'number'
}

function pageKey(filter: Filter, request: PageRequest, state: string): string {
  const { sort, limit, ...place } = request
  return `${state} ${sort.by} ${sort.order} ${limit} ${JSON.stringify(place)} ${filterKey(filter)}`
}
