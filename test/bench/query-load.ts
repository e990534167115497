import { setTimeout as wait } from 'node:timers/promises'
import { parentPort, Worker, workerData } from 'node:worker_threads'

/**
 * Queries in an open loop: each has its time by a fixed schedule and is measured from it, so that a stall
 * counts for every query that it held up. In a thread of its own, beside the local cloud's.
 */
export type Query = { kind: string; path: string }
/** `status` is 0 where no answer came. */
export type QuerySample = { kind: string; ms: number; cache: string; status: number }
export type LoadOptions = {
  url: string
  key: string
  perSecond: number
  /** Asked in their order, and again from the first one on. */
  queries: readonly Query[]
}

/** Milliseconds that queries are waited for once the schedule has ended. */
const patience = 10_000

/** Starts the load. `stop()` ends the schedule and answers every query's measure once all are answered or given up. */
export function startQueryLoad(options: LoadOptions): { stop(): Promise<QuerySample[]> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: options })
  // Where nobody stops it, it must not keep the process from ending.
  worker.unref()
  const ended = new Promise<QuerySample[]>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  // Seen by stop(); without this a failure before it would end the process.
  ended.catch(() => {})
  return {
    async stop() {
      worker.ref()
      worker.postMessage('stop')
      const samples = await ended
      await worker.terminate()
      return samples
    },
  }
}

async function generate({ url, key, perSecond, queries }: LoadOptions): Promise<void> {
  const samples: QuerySample[] = []
  const running = new Set<Promise<void>>()
  const givenUp = new AbortController()
  let stopped = false
  parentPort!.once('message', () => {
    stopped = true
  })
  const started = performance.now()
  for (let n = 0; !stopped; n++) {
    const due = started + (n * 1000) / perSecond
    await wait(Math.max(0, due - performance.now()))
    const { kind, path } = queries[n % queries.length]!
    const one = ask(url + path, key, givenUp.signal)
      .then(({ status, cache }) => {
        samples.push({ kind, status, cache, ms: performance.now() - due })
      })
      .finally(() => running.delete(one))
    running.add(one)
  }
  const timer = setTimeout(() => givenUp.abort(), patience)
  await Promise.all(running)
  clearTimeout(timer)
  parentPort!.postMessage(samples)
}

async function ask(
  url: string,
  key: string,
  signal: AbortSignal,
): Promise<{ status: number; cache: string }> {
  try {
    const response = await fetch(url, { headers: { authorization: `Bearer ${key}` }, signal })
    await response.arrayBuffer()
    return { status: response.status, cache: response.headers.get('x-cache') ?? '' }
  } catch {
    return { status: 0, cache: '' }
  }
}

// Loaded as the worker of startQueryLoad.
if (parentPort && workerData) await generate(workerData as LoadOptions)
