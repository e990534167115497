import { setTimeout as wait } from 'node:timers/promises'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { SignedWebhook } from './interviews-events.ts'

/** How fast webhooks are sent: so many a second at fixed times, whatever the answers, or so many at once. */
export type Pace = { perSecond: number } | { atOnce: number }

/** Milliseconds from when it was due, or at once as it was sent; `status` is 0 where no answer came. */
export type WebhookSample = { ms: number; status: number }

type Load = { url: string; webhooks: readonly SignedWebhook[]; pace: Pace }

/** Milliseconds that an answer is waited for. */
const patience = 15_000

/** Sends each webhook once, in a thread of its own beside the local cloud's. Answers their measures in order. */
export async function sendWebhooks(
  url: string,
  webhooks: readonly SignedWebhook[],
  pace: Pace,
): Promise<WebhookSample[]> {
  const load: Load = { url, webhooks, pace }
  const worker = new Worker(new URL(import.meta.url), { workerData: load })
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  } finally {
    await worker.terminate()
  }
}

/** The webhooks that were not accepted, by the status that each got; "none" where there are none. */
export function refusals(samples: readonly WebhookSample[]): string {
  const refused = samples.filter(({ status }) => status !== 202)
  const groups = [...Map.groupBy(refused, ({ status }) => status)]
  return groups.map(([status, some]) => `${some.length} with ${status || 'no answer'}`).join(', ') || 'none'
}

async function generate({ url, webhooks, pace }: Load): Promise<WebhookSample[]> {
  // Loads the client, and reaches no function.
  await (await fetch(`${url}/`)).arrayBuffer()
  const samples: WebhookSample[] = []
  const running = new Set<Promise<void>>()
  const started = performance.now()
  for (const [n, webhook] of webhooks.entries()) {
    const due = await turnOf(n, pace, started, running)
    const one = send(url, webhook)
      .then((status) => {
        samples[n] = { status, ms: performance.now() - due }
      })
      .finally(() => running.delete(one))
    running.add(one)
  }
  await Promise.all(running)
  return samples
}

/** Resolves when the nth may be sent, with the moment that it is measured from. */
async function turnOf(
  n: number,
  pace: Pace,
  started: number,
  running: ReadonlySet<Promise<void>>,
): Promise<number> {
  if ('perSecond' in pace) {
    const due = started + (n * 1000) / pace.perSecond
    await wait(Math.max(0, due - performance.now()))
    return due
  }
  while (running.size >= pace.atOnce) await Promise.race(running)
  return performance.now()
}

async function send(url: string, { path, headers, body }: SignedWebhook): Promise<number> {
  try {
    const response = await fetch(url + path, {
      method: 'POST',
      headers,
      body,
      signal: AbortSignal.timeout(patience),
    })
    await response.arrayBuffer()
    return response.status
  } catch {
    return 0
  }
}

// Loaded as the worker of sendWebhooks.
if (parentPort && workerData) parentPort.postMessage(await generate(workerData as Load))
