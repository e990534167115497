import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  createCache,
  createSharedTier,
  createStore,
  type SharedCommands,
} from '../../../lib/platform/cache.ts'
import { metrics } from '../../../lib/platform/metrics.ts'
import { redisBinary, startRedis, type TestRedis } from '../../support/redis.ts'

const counted = vi.spyOn(metrics, 'addMetric')
const errors = () => counted.mock.calls.filter(([name]) => name === 'CacheErrors').length
afterEach(() => counted.mockClear())

type Text = { text: string }

/** A cache of an environment of its own whose source counts how often it is asked. */
function environment(connect: () => Promise<SharedCommands | undefined>, shared = true) {
  const loads: string[] = []
  const tier = createSharedTier('test:', connect)
  const cache = createCache<Text, string>({
    name: 'texts',
    bound: { max: 100 },
    ttl: 60_000,
    now: () => performance.now(),
    tier,
    fits: (found): found is Text => typeof found === 'object' && found !== null && 'text' in found,
    shares: () => shared,
    async load(word) {
      loads.push(word)
      return { text: word.repeat(2) }
    },
  })
  return { loads, tier, get: (word: string) => cache.get(`key of ${word}`, word) }
}

const none = async () => undefined

describe('a cache without a shared tier', () => {
  it('asks its source once, also where many ask at once', async () => {
    const { get, loads } = environment(none)
    const answers = await Promise.all([get('a'), get('a'), get('a')])
    expect(answers.map(({ value }) => value)).toEqual(Array(3).fill({ text: 'aa' }))
    expect(await get('a')).toEqual({ value: { text: 'aa' }, origin: 'memory' })
    expect(loads).toEqual(['a'])
    expect(errors()).toBe(0)
  })
})

describe('a cache whose shared tier is down', () => {
  const down = async () => ({
    get: () => Promise.reject(new Error('Connection is closed.')),
    set: () => Promise.reject(new Error('Connection is closed.')),
  })

  it('answers from its source and counts each command that failed', async () => {
    const { get, tier } = environment(down)
    expect(await get('a')).toEqual({ value: { text: 'aa' }, origin: 'source' })
    await tier.settle()
    expect(errors()).toBe(2)
    expect((await get('a')).origin).toBe('memory')
    expect(errors()).toBe(2)
  })
})

describe('a store', () => {
  const shared = new Map<string, string>()
  const commands = async () => ({
    get: async (key: string) => shared.get(key) ?? null,
    set: async (key: string, value: string) => shared.set(key, value),
  })
  const store = (shares = true) =>
    createStore<Text, undefined>({
      name: 'texts',
      bound: { max: 100 },
      ttl: 60_000,
      now: () => performance.now(),
      tier: createSharedTier('test:', commands),
      fits: (found): found is Text => typeof found === 'object' && found !== null && 'text' in found,
      shares: () => shares,
    })
  afterEach(() => shared.clear())

  it('finds what was kept last, also in another environment', async () => {
    const [first, second] = [store(), store()]
    expect(await first.find('a', undefined)).toBeUndefined()
    first.keep('a', { text: 'old' }, undefined)
    first.keep('a', { text: 'new' }, undefined)
    expect(await first.find('a', undefined)).toEqual({ text: 'new' })
    await vi.waitFor(async () => expect(await second.find('a', undefined)).toEqual({ text: 'new' }))
    shared.clear()
    expect(await second.find('a', undefined)).toEqual({ text: 'new' })
  })

  it('takes junk for nothing, and counts it', async () => {
    shared.set('test:texts a', '{"other":1}')
    expect(await store().find('a', undefined)).toBeUndefined()
    expect(errors()).toBe(1)
  })

  it('keeps to itself what is not worth sharing', async () => {
    const own = store(false)
    own.keep('a', { text: 'own' }, undefined)
    expect(await own.find('a', undefined)).toEqual({ text: 'own' })
    expect(await store(false).find('a', undefined)).toBeUndefined()
    expect(shared.size).toBe(0)
  })
})

describe.skipIf(!redisBinary)('a cache with a shared tier', () => {
  let server: TestRedis
  let redis: Redis
  const connect = async () => redis
  beforeAll(async () => {
    server = await startRedis()
    redis = new Redis(server.url)
  })
  afterEach(() => redis.flushall())
  afterAll(async () => {
    redis.disconnect()
    await server.close()
  })

  it('finds what another environment has found', async () => {
    const [first, second] = [environment(connect), environment(connect)]
    expect((await first.get('a')).origin).toBe('source')
    await first.tier.settle()
    expect(await second.get('a')).toEqual({ value: { text: 'aa' }, origin: 'shared' })
    expect((await second.get('a')).origin).toBe('memory')
    expect(second.loads).toEqual([])
    expect(await redis.keys('*')).toEqual(['test:texts key of a'])
    expect(await redis.pttl('test:texts key of a')).toBeGreaterThan(50_000)
  })

  it('takes junk for nothing, counts it, and stores what is right in its place', async () => {
    for (const junk of ['{"text"', '"text"', 'null', '[]', '7']) {
      counted.mockClear()
      await redis.set('test:texts key of a', junk)
      const { get, tier } = environment(connect)
      expect(await get('a')).toEqual({ value: { text: 'aa' }, origin: 'source' })
      expect(errors(), junk).toBe(1)
      await tier.settle()
      expect(await redis.get('test:texts key of a')).toBe('{"text":"aa"}')
    }
  })

  it('keeps to itself what is too large, and what is not worth sharing', async () => {
    const large = environment(connect)
    await large.get('x'.repeat(200_000))
    const unshared = environment(connect, false)
    await unshared.get('a')
    await Promise.all([large.tier.settle(), unshared.tier.settle()])
    expect(await redis.dbsize()).toBe(0)
  })

  it('does not wait for what it stores until it is told to', async () => {
    let store: () => void = () => {}
    const stored = new Promise<void>((resolve) => {
      store = resolve
    })
    const { get, tier } = environment(async () => ({ get: async () => null, set: () => stored }))
    await get('a')
    let settled = false
    const settling = tier.settle().then(() => {
      settled = true
    })
    await new Promise(setImmediate)
    expect(settled).toBe(false)
    store()
    await settling
    expect(settled).toBe(true)
  })
})
