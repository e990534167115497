import { LRUCache } from 'lru-cache'
import { retryRead, type Sql } from '../platform/db.ts'
import { countProfiles } from './counts.ts'
import { countByFacets, datasetVersion } from './facets.ts'
import { type Filter, filterKey } from './filter.ts'
import { type PageRequest, pageOf } from './page.ts'
import { readPage } from './page-store.ts'
import type { Counts } from './path.ts'
import { type Profile, toProfile } from './profile.ts'
import { type ProfileStats, readStats } from './stats.ts'

/** One page of a list. `total` is exact; `next_cursor` is null on the last page, `prev_cursor` on the first. */
export type ProfilePage = {
  total: number
  data: Profile[]
  next_cursor: string | null
  prev_cursor: string | null
}

/** Milliseconds that the steps of a query took; a step that was not needed is missing. */
export type Timings = { version?: number; total?: number; page?: number; stats?: number }

/** Where an answer came from, and what it took. */
export type Served = { cache: 'hit' | 'miss'; timings: Timings }
export type ListResult = ProfilePage & Served

export type ProfileQueries = {
  /** The page, from memory where the same was asked for since the last write. */
  list(filter: Filter, request: PageRequest): Promise<ListResult>
  /** The counts, in the same way. */
  stats(filter: Filter): Promise<{ stats: ProfileStats } & Served>
  /** Tells of a write that this environment committed itself, so that its next answer holds it. */
  wrote(version: number): void
}

/** The version is read at most this often, which bounds how old an answer can be. */
const versionAge = 1000
const pageTtl = 5 * 60_000
/** How old the number of all profiles may be: it only helps to choose a path. */
const populationAge = 60_000
/** Bytes that pages may take, about: a profile is some 300 in memory. */
const cacheBytes = 32 * 1024 * 1024
const bytesPerProfile = 300

type Lookup = { filter: Filter; request: PageRequest; version: number; timings: Timings }

/** Cached queries on profiles. `now` is in milliseconds and never goes back (default: performance.now). */
export function createProfileQueries(sql: Sql, now: () => number = () => performance.now()): ProfileQueries {
  const perf = { now }
  let known: { version: number; at: number } | undefined
  let reading: Promise<number> | undefined

  async function readVersion(timings: Timings): Promise<number> {
    // Taken before the query: what is committed after this moment may be missing from its answer.
    const at = now()
    const read = await retryRead(() => datasetVersion(sql))
    timings.version = now() - at
    // A write of this environment that ended meanwhile is newer than what was read.
    const version = Math.max(read, known?.version ?? 0)
    known = { version, at }
    return version
  }

  async function version(timings: Timings): Promise<number> {
    if (known && now() - known.at < versionAge) return known.version
    reading ??= readVersion(timings).finally(() => {
      reading = undefined
    })
    return reading
  }

  let counted: { population: number; at: number } | undefined

  async function population(): Promise<number> {
    if (counted && now() - counted.at < populationAge) return counted.population
    const { matches } = await retryRead(() => countByFacets(sql, {}))
    counted = { population: matches, at: now() }
    return matches
  }

  const counts = new LRUCache<string, Counts, Lookup>({
    max: 5000,
    ttl: pageTtl,
    perf,
    ttlResolution: 0,
    // An entry pushed out while it is read is still an answer for those who wait.
    ignoreFetchAbort: true,
    fetchMethod: async (_key, _stale, { context: { filter } }) => {
      return countProfiles(sql, filter, await population())
    },
  })

  const pages = new LRUCache<string, ProfilePage, Lookup>({
    maxSize: cacheBytes,
    sizeCalculation: ({ data }, key) => 2 * key.length + 200 + data.length * bytesPerProfile,
    ttl: pageTtl,
    perf,
    ttlResolution: 0,
    // An entry pushed out while it is read is still an answer for those who wait.
    ignoreFetchAbort: true,
    fetchMethod: async (_key, _stale, { context }) => {
      const { filter, request, timings } = context
      const start = now()
      const found = await counts.forceFetch(`${context.version} ${filterKey(filter)}`, { context })
      const counting = now()
      timings.total = counting - start
      const rows = await readPage(sql, filter, request, found)
      timings.page = now() - counting
      const { rows: shown, ...cursors } = pageOf(rows, request, filter)
      return { total: found.matches, data: shown.map(toProfile), ...cursors }
    },
  })

  const statistics = new LRUCache<string, ProfileStats, Omit<Lookup, 'request'>>({
    // 250 countries and 150 ages at the most: about 30 KB each.
    max: 300,
    ttl: pageTtl,
    perf,
    ttlResolution: 0,
    ignoreFetchAbort: true,
    fetchMethod: async (_key, _stale, { context: { filter, timings } }) => {
      const start = now()
      const stats = await readStats(sql, filter)
      timings.stats = now() - start
      return stats
    },
  })

  return {
    async list(filter, request) {
      const timings: Timings = {}
      const current = await version(timings)
      const status: LRUCache.Status<string, ProfilePage, Lookup> = {}
      const page = await pages.forceFetch(pageKey(filter, request, current), {
        context: { filter, request, version: current, timings },
        status,
      })
      return { ...page, cache: status.fetch === 'hit' ? 'hit' : 'miss', timings }
    },
    async stats(filter) {
      const timings: Timings = {}
      const current = await version(timings)
      const status: LRUCache.Status<string, ProfileStats, Omit<Lookup, 'request'>> = {}
      const stats = await statistics.forceFetch(`${current} ${filterKey(filter)}`, {
        context: { filter, version: current, timings },
        status,
      })
      return { stats, cache: status.fetch === 'hit' ? 'hit' : 'miss', timings }
    },
    wrote(written) {
      if (known && written > known.version) known.version = written
    },
  }
}

function pageKey(filter: Filter, request: PageRequest, version: number): string {
  const { sort, limit, ...place } = request
  return `${version} ${sort.by} ${sort.order} ${limit} ${JSON.stringify(place)} ${filterKey(filter)}`
}
