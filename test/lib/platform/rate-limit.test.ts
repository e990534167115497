import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { metrics } from '../../../lib/platform/metrics.ts'
import { createRateLimiter } from '../../../lib/platform/rate-limit.ts'
import { redisBinary, startRedis, type TestRedis } from '../../support/redis.ts'

const noRedis = async () => undefined
const counted = vi.spyOn(metrics, 'addMetric')
const timesCounted = (metric: string) => counted.mock.calls.filter(([name]) => name === metric).length

beforeEach(() => {
  counted.mockClear()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a limit', () => {
  it('holds for a minute from the first request, and refusals do not put its end off', async () => {
    vi.useFakeTimers()
    const count = createRateLimiter(noRedis)
    expect(await count('k', 2)).toEqual({ limit: 2, remaining: 1, resetSeconds: 60, exceeded: false })
    vi.advanceTimersByTime(20_500)
    expect(await count('k', 2)).toEqual({ limit: 2, remaining: 0, resetSeconds: 40, exceeded: false })
    expect(await count('k', 2)).toEqual({ limit: 2, remaining: 0, resetSeconds: 40, exceeded: true })
    vi.advanceTimersByTime(39_499)
    expect(await count('k', 2)).toEqual({ limit: 2, remaining: 0, resetSeconds: 1, exceeded: true })
    vi.advanceTimersByTime(1)
    expect(await count('k', 2)).toEqual({ limit: 2, remaining: 1, resetSeconds: 60, exceeded: false })
    expect(timesCounted('RateLimited')).toBe(2)
    expect(timesCounted('RateLimitFallbacks')).toBe(0)
  })

  it('is of one key, and counts no other', async () => {
    const count = createRateLimiter(noRedis)
    await count('a', 1)
    expect(await count('a', 1)).toMatchObject({ exceeded: true })
    expect(await count('b', 5)).toMatchObject({ limit: 5, remaining: 4, exceeded: false })
  })

  it('that was changed holds for the window that is open', async () => {
    const count = createRateLimiter(noRedis)
    await count('k', 1)
    expect(await count('k', 1)).toMatchObject({ exceeded: true })
    expect(await count('k', 10)).toMatchObject({ limit: 10, remaining: 7, exceeded: false })
    expect(await count('k', 2)).toMatchObject({ limit: 2, remaining: 0, exceeded: true })
  })
})

describe('a shared tier that fails', () => {
  /** A client whose commands all fail, as far as the limiter uses one. */
  function failing() {
    const command = vi.fn<() => Promise<never>>().mockRejectedValue(new Error('Command timed out'))
    return { client: { defineCommand() {}, rlflxIncr: command } as never, command }
  }

  it('is stood in for by memory, and left alone for a while', async () => {
    let now = 0
    const { client, command } = failing()
    const count = createRateLimiter(async () => client, { now: () => now })
    expect(await count('k', 2)).toMatchObject({ remaining: 1, exceeded: false })
    now = 4999
    expect(await count('k', 2)).toMatchObject({ remaining: 0, exceeded: false })
    expect(await count('k', 2)).toMatchObject({ exceeded: true })
    expect(command).toHaveBeenCalledTimes(1)
    now = 5000
    await count('k', 2)
    expect(command).toHaveBeenCalledTimes(2)
    expect(timesCounted('RateLimitFallbacks')).toBe(2)
  })

  it('fails no request where there is no client to be had', async () => {
    const count = createRateLimiter(() => Promise.reject(new Error('No client')))
    expect(await count('k', 2)).toMatchObject({ remaining: 1, exceeded: false })
    expect(timesCounted('RateLimitFallbacks')).toBe(1)
  })
})

describe.skipIf(!redisBinary)('the shared tier', () => {
  const patience = { timeout: 20_000 }
  let redis: TestRedis
  const closing: (() => Promise<void>)[] = []
  beforeAll(async () => {
    redis = await startRedis()
    vi.stubEnv('CACHE_URL', redis.url)
  })
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await redis?.close()
  })

  /** An execution environment: all modules its own, and so its connection; on a clock that the test moves. */
  async function environment(windowSeconds?: number) {
    vi.resetModules()
    const { createRateLimiter } = await import('../../../lib/platform/rate-limit.ts')
    const { closeRedis, sharedRedis } = await import('../../../lib/platform/redis.ts')
    const own = await import('../../../lib/platform/metrics.ts')
    const added = vi.spyOn(own.metrics, 'addMetric')
    closing.push(closeRedis)
    const clock = { now: 0 }
    const options = { now: () => clock.now, ...(windowSeconds !== undefined && { windowSeconds }) }
    return {
      clock,
      count: createRateLimiter(sharedRedis, options),
      fallbacks: () => added.mock.calls.filter(([name]) => name === 'RateLimitFallbacks').length,
      redis: async () => (await sharedRedis())!,
    }
  }

  /** Counts until the shared tier takes part again, and answers how often. */
  async function countUntilBack(of: Awaited<ReturnType<typeof environment>>, key: string, limit: number) {
    return vi.waitFor(async () => {
      of.clock.now += 5000
      const before = of.fallbacks()
      const quota = await of.count(key, limit)
      expect(of.fallbacks()).toBe(before)
      return quota
    }, patience)
  }

  it('has one count for two environments', async () => {
    const [first, second] = [await environment(), await environment()]
    expect(await first.count('both', 3)).toMatchObject({ remaining: 2, resetSeconds: 60, exceeded: false })
    expect(await second.count('both', 3)).toMatchObject({ remaining: 1, exceeded: false })
    expect(await first.count('both', 3)).toMatchObject({ remaining: 0, exceeded: false })
    expect(await second.count('both', 3)).toMatchObject({ remaining: 0, exceeded: true })
    expect(await second.count('other', 3)).toMatchObject({ remaining: 2, exceeded: false })
    expect([first.fallbacks(), second.fallbacks()]).toEqual([0, 0])
  })

  it('counts every one of many requests at once', async () => {
    const environments = [await environment(), await environment()]
    const quotas = await Promise.all(
      Array.from({ length: 200 }, (_, index) => environments[index % 2]!.count('many', 150)),
    )
    expect(quotas.filter(({ exceeded }) => exceeded)).toHaveLength(50)
  })

  it('begins a new window where the old one ended, however often it refused meanwhile', async () => {
    const { count } = await environment(1)
    await count('short', 1)
    const again = async () => expect(await count('short', 1)).toMatchObject({ exceeded: false })
    await expect(again()).rejects.toThrow()
    await vi.waitFor(again, patience)
  })

  it('holds no key for longer than its window, and under the id of the key', async () => {
    const { count, redis } = await environment()
    await count('id-of-a-key', 3)
    const keys = await (await redis()).keys('*id-of-a-key*')
    expect(keys).toEqual(['rate-limit:id-of-a-key'])
    const left = await (await redis()).pttl(keys[0]!)
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(60_000)
  })

  it('that was killed refuses nobody, and counts again once it is back', async () => {
    const of = await environment()
    await of.count('killed', 2)
    await of.count('killed', 2)
    await redis.kill()
    expect(await of.count('killed', 2)).toMatchObject({ remaining: 1, exceeded: false })
    expect(await of.count('killed', 2)).toMatchObject({ remaining: 0, exceeded: false })
    expect(of.fallbacks()).toBe(1)
    await redis.start()
    expect(await countUntilBack(of, 'killed', 2)).toMatchObject({ remaining: 1 })
    expect(await (await environment()).count('killed', 2)).toMatchObject({ remaining: 0, exceeded: false })
  })

  it('that hangs refuses nobody, and is waited for once', async () => {
    const of = await environment()
    await of.count('frozen', 5)
    redis.freeze()
    try {
      for (const remaining of [4, 3, 2]) expect(await of.count('frozen', 5)).toMatchObject({ remaining })
      expect(of.fallbacks()).toBe(1)
    } finally {
      redis.thaw()
    }
    await countUntilBack(of, 'frozen', 5)
  })

  it('that was away from the start refuses nobody', async () => {
    await redis.kill()
    const of = await environment()
    expect(await of.count('early', 1)).toMatchObject({ remaining: 0, exceeded: false })
    expect(of.fallbacks()).toBe(1)
    await redis.start()
    expect(await countUntilBack(of, 'late', 1)).toMatchObject({ exceeded: false })
  })
})
