import { setTimeout as wait } from 'node:timers/promises'
import { parentPort, Worker, workerData } from 'node:worker_threads'

/**
 * Queries in an open loop: each has its time by a fixed schedule and is measured from it, so that a stall
 * counts for every query that it held up. In a thread of its own, beside the local cloud's.
 */
export type QueryKind = 'popular' | 'fresh' | 'probability'
export type QuerySample = { kind: QueryKind; ms: number; cache: string; status: number }
export type LoadOptions = { url: string; key: string; perSecond: number }

/** Starts the load. `stop()` ends the schedule and answers every query's measure once all are answered. */
export function startQueryLoad(options: LoadOptions): { stop(): Promise<QuerySample[]> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: options })
  const ended = new Promise<QuerySample[]>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  // Seen by stop(); without this a failure before it would end the process.
  ended.catch(() => {})
  return {
    async stop() {
      worker.postMessage('stop')
      const samples = await ended
      await worker.terminate()
      return samples
    },
  }
}

/** What people ask again and again. */
const popular = [
  'gender=female&country_id=NG&min_age=20&max_age=45',
  'country_id=KE',
  'gender=male',
  'age_group=senior&sort_by=age&order=desc',
  'country_id=GH&gender=male&page=3&limit=50',
  'age_group=teenager&limit=50',
  'min_age=30&max_age=39&country_id=ZA',
  '',
]
const codes = ['NG', 'KE', 'ET', 'GH', 'ZA', 'EG', 'US', 'GB', 'FR', 'DE', 'IN', 'BR']

/** The nth query: of 20 nine popular ones, ten that nobody asked before, one over a probability. */
function query(n: number): { kind: QueryKind; text: string } {
  const pick = <T>(list: readonly T[]) => list[Math.floor(Math.random() * list.length)]!
  if (n % 2 === 0) return { kind: 'popular', text: pick(popular) }
  const from = Math.floor(Math.random() * 80)
  const to = from + Math.floor(Math.random() * (95 - from))
  const gender = pick(['', '&gender=male', '&gender=female'])
  const country = pick(['', ...codes.map((code) => `&country_id=${code}`)])
  const order = pick(['', '&sort_by=age', '&sort_by=age&order=desc', '&sort_by=created_at&order=desc'])
  const ages = `min_age=${from}&max_age=${to}`
  if (n % 20 === 19) {
    const least = (0.9 + Math.floor(Math.random() * 100) / 1000).toFixed(3)
    return { kind: 'probability', text: `${ages}${country}&min_gender_probability=${least}` }
  }
  return { kind: 'fresh', text: `${ages}${gender}${country}${order}&page=${1 + (n % 5)}` }
}

async function generate({ url, key, perSecond }: LoadOptions): Promise<void> {
  const samples: QuerySample[] = []
  const running = new Set<Promise<void>>()
  let stopped = false
  parentPort!.once('message', () => {
    stopped = true
  })
  const started = performance.now()
  for (let n = 0; !stopped; n++) {
    const due = started + (n * 1000) / perSecond
    await wait(Math.max(0, due - performance.now()))
    const { kind, text } = query(n)
    const one = ask(`${url}/api/profiles?${text}`, key)
      .then(({ status, cache }) => {
        samples.push({ kind, status, cache, ms: performance.now() - due })
      })
      .finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
  parentPort!.postMessage(samples)
}

async function ask(url: string, key: string): Promise<{ status: number; cache: string }> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } })
  await response.arrayBuffer()
  return { status: response.status, cache: response.headers.get('x-cache') ?? '' }
}

// Loaded as the worker of startQueryLoad.
if (parentPort && workerData) await generate(workerData as LoadOptions)
