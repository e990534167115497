import type { Redis } from 'ioredis'
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js'
import RateLimiterRedis from 'rate-limiter-flexible/lib/RateLimiterRedis.js'
import { MetricUnit, metrics } from './metrics.ts'
import { sharedRedis } from './redis.ts'

/** How a key stands in its window, its latest request counted. */
export type Quota = {
  /** Requests per window. */
  limit: number
  remaining: number
  /** Whole seconds until the window ends, at least 1. */
  resetSeconds: number
  exceeded: boolean
}

/** Counts one request of the key with this id against its limit. Never rejects. */
export type CountRequest = (keyId: string, limit: number) => Promise<Quota>

export type RateLimiterOptions = {
  /** Length of a window, which the first request of a key begins. */
  windowSeconds?: number
  now?: () => number
}

/** Milliseconds that a shared tier which failed is left alone: while it hangs, each try delays a request. */
const restAfterFailure = 5000

/**
 * Counts in the shared tier, so that all execution environments have one count; without one, or while it
 * fails, each environment counts for itself, in memory. Requests over the limit are counted too, but leave
 * the end of the window where it is. The limit is compared with the count, not stored with it: a new one holds
 * for the window that is open.
 */
export function createRateLimiter(
  shared: () => Promise<Redis | undefined>,
  { windowSeconds = 60, now = Date.now }: RateLimiterOptions = {},
): CountRequest {
  const options = { keyPrefix: 'rate-limit', points: Number.MAX_SAFE_INTEGER, duration: windowSeconds }
  const own = new RateLimiterMemory(options)
  const limiters = new WeakMap<Redis, RateLimiterRedis>()
  let restUntil = 0

  function limiterOf(storeClient: Redis): RateLimiterRedis {
    const limiter = limiters.get(storeClient) ?? new RateLimiterRedis({ ...options, storeClient })
    limiters.set(storeClient, limiter)
    return limiter
  }

  async function count(keyId: string) {
    if (now() >= restUntil) {
      // Not the limiter's own insurance: nobody would know how often it stood in.
      try {
        const redis = await shared()
        if (redis) return await limiterOf(redis).consume(keyId)
      } catch {
        metrics.addMetric('RateLimitFallbacks', MetricUnit.Count, 1)
        restUntil = now() + restAfterFailure
      }
    }
    return own.consume(keyId)
  }

  return async (keyId, limit) => {
    const { consumedPoints, msBeforeNext } = await count(keyId)
    const exceeded = consumedPoints > limit
    if (exceeded) metrics.addMetric('RateLimited', MetricUnit.Count, 1)
    return {
      limit,
      remaining: Math.max(limit - consumedPoints, 0),
      resetSeconds: Math.max(Math.ceil(msBeforeNext / 1000), 1),
      exceeded,
    }
  }
}

/** The limiter of this execution environment. */
export const countRequest: CountRequest = createRateLimiter(sharedRedis)

/** The headers that tell a caller how its key stands. */
export function quotaHeaders({ limit, remaining, resetSeconds }: Quota): Record<string, string> {
  return {
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(resetSeconds),
  }
}
