import { setTimeout } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { localCredentials } from './credentials.ts'
import { run } from './run.ts'

type Answer = { status: number; headers: Headers; body: Record<string, unknown> }
type Ask = (path: string, headers?: Record<string, string>) => Promise<Answer>
type Check = { name: string; run(ask: Ask, key: string): Promise<string | undefined> }

/** Without a key: what anybody may ask. Each answers what is wrong, or nothing. */
const openChecks: readonly Check[] = [
  {
    name: 'GET /api/health says that every dependency is well',
    run: async (ask) => {
      const { status, body } = await ask('/api/health')
      return status === 200 && body.status === 'success' ? undefined : told(status, body)
    },
  },
  {
    name: 'GET /api/openapi.json describes the API',
    run: async (ask) => {
      const { status, body } = await ask('/api/openapi.json')
      return status === 200 && typeof body.openapi === 'string' ? undefined : told(status, body)
    },
  },
  {
    name: 'GET /api/profiles without a key is 401 in the envelope of the API',
    run: async (ask) => {
      const { status, body } = await ask('/api/profiles?limit=1')
      return status === 401 && body.status === 'error' && body.code ? undefined : told(status, body)
    },
  },
]

const keyChecks: readonly Check[] = [
  {
    name: 'GET /api/me knows the key',
    run: async (ask, key) => {
      const { status, body } = await ask('/api/me', { authorization: `Bearer ${key}` })
      return status === 200 ? undefined : told(status, body)
    },
  },
  {
    name: 'GET /api/profiles answers, and 304 the second time',
    run: async (ask, key) => {
      const authorization = `Bearer ${key}`
      const first = await ask('/api/profiles?limit=1', { authorization })
      const etag = first.headers.get('etag')
      if (first.status !== 200 || etag === null) return told(first.status, first.body)
      const second = await ask('/api/profiles?limit=1', { authorization, 'if-none-match': etag })
      // 200 where somebody wrote in between.
      return second.status === 304 || second.status === 200 ? undefined : told(second.status, second.body)
    },
  },
]

function told(status: number, body: Answer['body']): string {
  return `${status} ${JSON.stringify(body).slice(0, 300)}`
}

function asking(url: string): Ask {
  return async (path, headers = {}) => {
    const response = await fetch(url + path, {
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: parsed(text) }
  }
}

/** The JSON object of an answer; of anything else the text, since a proxy may answer with a page. */
function parsed(text: string): Answer['body'] {
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : { text }
  } catch {
    return { text }
  }
}

export type SmokeOptions = {
  /** Enables the checks that need one; an analyst's is enough. */
  key?: string | undefined
  /** Seconds in which the first check may fail: after a deployment environments and the database start. */
  patience?: number
  write(text: string): void
}

/**
 * Asks the API under `url` (scheme and host, without `/api`) the least that a working deployment answers, and
 * writes a line for each check. Only reads. Rejects with the number of those that failed.
 */
export async function smokeTest(url: string, options: SmokeOptions): Promise<void> {
  const { key, patience = 0, write } = options
  const ask = asking(url.replace(/\/(?:api\/?)?$/, ''))
  const checks = key === undefined ? openChecks : [...openChecks, ...keyChecks]
  // One time for all: what is not there after it will not come for the next check either.
  const deadline = performance.now() + patience * 1000
  let failed = 0
  for (const { name, run } of checks) {
    const problem = await patiently(() => run(ask, key ?? ''), deadline)
    write(problem === undefined ? `ok      ${name}\n` : `FAILED  ${name}: ${problem}\n`)
    if (problem !== undefined) failed++
  }
  if (failed > 0) throw new Error(`${failed} of ${checks.length} checks failed at ${url}`)
}

/** The last problem of a check that is repeated until the deadline. */
async function patiently(
  run: () => Promise<string | undefined>,
  deadline: number,
): Promise<string | undefined> {
  for (;;) {
    const problem = await run().catch((error: unknown) => reason(error))
    if (problem === undefined || performance.now() >= deadline) return problem
    await setTimeout(1000)
  }
}

/** `fetch failed` alone says nothing: the cause does. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

function seconds(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('It must be a number from 0.')
  return value
}

/** The command line `smoke [url]`; without an address it asks the local cloud, with its key. */
export function smokeProgram(write: (text: string) => void): Command {
  return new Command('smoke')
    .description('Ask an API the least that a working deployment answers; reads only')
    .argument('[url]', 'its address (default: the local cloud, with its key)')
    .option('--patience <seconds>', 'how long the checks may fail at first', seconds, 0)
    .addHelpText('after', '\nINSIGHTA_API_KEY holds a key for the checks that need one.')
    .action(async (url: string | undefined, { patience }: { patience: number }) => {
      const local = url === undefined ? await localCredentials() : undefined
      const key = process.env.INSIGHTA_API_KEY || local?.api_key
      await smokeTest(url ?? local!.url, { key, patience, write })
    })
}

if (import.meta.main) {
  await run(smokeProgram((text) => process.stdout.write(text)))
}
