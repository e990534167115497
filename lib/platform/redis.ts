import type { Redis } from 'ioredis'
import { logger } from './log.ts'
import { MetricUnit, metrics } from './metrics.ts'
import { env } from './names.ts'

/** Milliseconds for the connection, TLS included; only the first request of an environment ever waits for it. */
const connectTimeout = 200
/** Milliseconds for a command: what a cache takes longer for is had sooner from the database. */
const commandTimeout = 100

let shared: Promise<Redis> | undefined

/**
 * The connection of this execution environment to the shared tier, by CACHE_URL (`redis://` or, with TLS,
 * `rediss://`); undefined where that is not set. To be asked for each time, not kept. Never rejects: while the
 * tier is down each command rejects, at once or within 100 ms, and the connection is tried again behind it.
 */
export function sharedRedis(): Promise<Redis | undefined> {
  const url = process.env[env.cacheUrl]
  if (!url) return Promise.resolve(undefined)
  if (!shared) {
    const opened = openRedis(url, () => {
      if (shared === opened) shared = undefined
    })
    shared = opened
  }
  return shared
}

/** Lets go of the connection, so that the next sharedRedis() makes another. */
export async function closeRedis(): Promise<void> {
  const closing = shared
  shared = undefined
  const redis = await closing
  redis?.disconnect()
}

/** Counts a command that failed, or an answer that could not be used, in the metric CacheErrors. */
export function countCacheError(): void {
  metrics.addMetric('CacheErrors', MetricUnit.Count, 1)
}

/** `onEnd` is called when the client gives up for good, as it does not for a server that is down. */
async function openRedis(url: string, onEnd: () => void): Promise<Redis> {
  // Not at the top: a cold start without the shared tier must not pay for the client.
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout,
    commandTimeout,
    // A socket that died while the environment was frozen says nothing: without this every request would wait
    // for the command's timeout until TCP gives up, many minutes later.
    socketTimeout: 2 * commandTimeout,
    // What cannot be sent now, or was not answered, is a miss now rather than an answer later.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // Saves two round trips. That the server is alive shows in its answer to HELLO.
    enableReadyCheck: false,
    disableClientInfo: true,
  })
  watch(redis)
  redis.on('end', onEnd)
  // Not connected is a state like any other: the client goes on trying by itself.
  await redis.connect().catch(() => {})
  return redis
}

/** One log line for an outage and one for its end, whatever the number of attempts between. */
function watch(redis: Redis): void {
  let down = false
  redis.on('error', (error) => {
    countCacheError()
    // The message alone: an error of the client brings the command along, which may be the password.
    if (!down) logger.warn('The shared cache does not answer', { reason: error.message })
    down = true
  })
  redis.on('ready', () => {
    if (down) logger.info('The shared cache answers again')
    down = false
  })
}
