import { disconnect } from '../../lib/platform/db.ts'
import { env } from '../../lib/platform/names.ts'
import { pageQuestion, sorts } from './query-questions.ts'

/** What came back, and how long it took in milliseconds. */
export type Asked = {
  ms: number
  cache: string
  /** Of `Server-Timing`: each step in milliseconds. */
  timings: Record<string, number>
  total: number
  ids: string[]
}

/** The profiles function in this process, as one execution environment of Lambda. */
export type HandlerUnderTest = {
  ask(path: string): Promise<Asked>
  /** Makes it an environment that is warm and has answered nothing: connected, its sessions at home, and with nothing in memory. */
  forget(): Promise<void>
  close(): Promise<void>
}

/** In each order two questions, wide and narrow, that no bench asks: a new session knows nothing of the tables. */
const warmingPaths = sorts.map((sort) =>
  [
    { min_age: 1, max_age: 93 },
    { country_id: ['BR'], min_age: 11, max_age: 17 },
  ].map((filter) => pageQuestion(filter, sort).path),
)

/** Loads the function on the database. Its log is silent: on Lambda a line a request goes to its standard output. */
export async function loadHandler(databaseUrl: string, key: string): Promise<HandlerUnderTest> {
  const url = new URL(databaseUrl)
  Object.assign(process.env, {
    [env.databaseHost]: url.hostname,
    [env.databasePort]: url.port,
    [env.databaseName]: url.pathname.slice(1),
    [env.databaseUser]: decodeURIComponent(url.username),
    [env.databasePassword]: decodeURIComponent(url.password),
    [env.databaseTls]: 'disable',
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    POWERTOOLS_METRICS_DISABLED: 'true',
  })
  // Only now: the log reads the environment when it is loaded, which both of these do.
  const { handler } = await import('../../functions/profiles.ts')
  const { httpEvent, lambdaContext } = await import('../support/http-event.ts')

  async function ask(path: string): Promise<Asked> {
    const event = httpEvent(`GET ${path}`, { key })
    const context = lambdaContext()
    const started = performance.now()
    const { statusCode, headers = {}, body = '' } = await handler(event, context)
    const ms = performance.now() - started
    if (statusCode !== 200) throw new Error(`GET ${path}: ${statusCode} ${body}`)
    const { total, data }: { total: number; data: { id: string }[] } = JSON.parse(body)
    const timings = timingsOf(String(headers['server-timing']))
    return { ms, cache: String(headers['x-cache']), timings, total, ids: data.map(({ id }) => id) }
  }

  return {
    ask,
    async forget() {
      await disconnect()
      // Two at once, for both connections of its pool.
      for (const paths of warmingPaths) await Promise.all(paths.map(ask))
    },
    close: disconnect,
  }
}

function timingsOf(header: string): Record<string, number> {
  const steps = header.matchAll(/(\w+);dur=([\d.]+)/g)
  return Object.fromEntries([...steps].map(([, name, ms]) => [name, Number(ms)]))
}

/** Throws where an answer came from memory that should have been worked out. */
export function expectMiss(path: string, { cache }: Asked): void {
  if (cache !== 'miss') throw new Error(`${path} was to be asked for the first time, and the cache had it`)
}
