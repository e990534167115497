import Fastify from 'fastify'
import { LRUCache } from 'lru-cache'
import * as z from 'zod'
import { canonicalFilter, type Filter, filterKey, filterParameters } from '../../lib/profiles/filter.ts'
import { interpret, searchText } from '../../lib/profiles/grammar.ts'
import { type PageInput, pageParameters, type Sort } from '../../lib/profiles/page.ts'
import { toProfile } from '../../lib/profiles/profile.ts'
import { masterPool } from './cloud.ts'
import { countAndPage } from './count-offset.ts'

/** What a team would write first: one server, COUNT(*) and OFFSET, answers kept for five minutes whatever is written. */
export type Rival = {
  url: string
  /** Gives up every query that runs or waits; what is cached stays. */
  drop(): Promise<void>
  close(): Promise<void>
}

const cacheTtl = 5 * 60_000
const connections = 10
const listQuery = z.strictObject({ ...filterParameters, ...pageParameters })
const searchQuery = z.strictObject({ q: searchText, ...pageParameters })

/** Listens on any free port of 127.0.0.1. `now` is in milliseconds (default: performance.now). */
export async function startRival(
  databaseUrl: string,
  now: () => number = () => performance.now(),
): Promise<Rival> {
  let sql = masterPool(databaseUrl, connections)
  const cache = new LRUCache<string, string>({ max: 10_000, ttl: cacheTtl, perf: { now }, ttlResolution: 0 })
  const app = Fastify()

  async function answer(filter: Filter, input: PageInput): Promise<{ body: string; hit: boolean }> {
    const { page = 1, limit = 10 } = input
    const sort: Sort = { by: input.sort_by ?? 'created_at', order: input.order ?? 'asc' }
    const key = JSON.stringify([filterKey(filter), sort, page, limit])
    const known = cache.get(key)
    if (known !== undefined) return { body: known, hit: true }
    const { total, rows } = await countAndPage(sql, filter, sort, limit, (page - 1) * limit)
    const total_pages = Math.ceil(total / limit)
    const body = JSON.stringify({
      status: 'success',
      page,
      limit,
      total,
      total_pages,
      data: rows.map(toProfile),
    })
    cache.set(key, body)
    return { body, hit: false }
  }
  const serve = (path: string, read: (query: unknown) => { filter: Filter; input: PageInput }) =>
    app.get(path, async ({ query }, reply) => {
      const { filter, input } = read(query)
      const { body, hit } = await answer(filter, input)
      return reply
        .header('x-cache', hit ? 'hit' : 'miss')
        .type('application/json')
        .send(body)
    })
  serve('/api/profiles', (query) => {
    const input = listQuery.parse(query)
    return { filter: canonicalFilter(input), input }
  })
  serve('/api/profiles/search', (query) => {
    const input = searchQuery.parse(query)
    return { filter: interpret(input.q), input }
  })

  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    url,
    async drop() {
      const old = sql
      sql = masterPool(databaseUrl, connections)
      await old.end({ timeout: 0 })
    },
    async close() {
      await sql.end({ timeout: 0 })
      await app.close()
    },
  }
}
