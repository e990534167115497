import { createServer } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { randomFreePort } from '../../../infra/local/ports.ts'
import { logger } from '../../../lib/platform/log.ts'
import { metrics } from '../../../lib/platform/metrics.ts'
import { closeRedis, sharedRedis } from '../../../lib/platform/redis.ts'
import { redisBinary, startRedis } from '../../support/redis.ts'

const counted = vi.spyOn(metrics, 'addMetric')
const warned = vi.spyOn(logger, 'warn')
const errors = () => counted.mock.calls.filter(([name]) => name === 'CacheErrors').length

afterEach(async () => {
  await closeRedis()
  vi.unstubAllEnvs()
  counted.mockClear()
  warned.mockClear()
})

describe('the shared tier', () => {
  it('is none where CACHE_URL is absent or empty', async () => {
    expect(await sharedRedis()).toBeUndefined()
    vi.stubEnv('CACHE_URL', '')
    expect(await sharedRedis()).toBeUndefined()
  })

  it('that nobody listens for fails each command at once, and is logged once and counted', async () => {
    vi.stubEnv('CACHE_URL', `redis://127.0.0.1:${await randomFreePort()}`)
    const redis = await sharedRedis()
    await expect(redis!.get('key')).rejects.toThrow()
    await vi.waitFor(() => expect(errors()).toBeGreaterThan(2), 10_000)
    expect(warned).toHaveBeenCalledTimes(1)
  })

  it('that accepts and never answers fails its commands too', async () => {
    const server = createServer(() => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    vi.stubEnv('CACHE_URL', `redis://127.0.0.1:${port}`)
    const redis = await sharedRedis()
    await expect(redis!.get('key')).rejects.toThrow()
    expect(errors()).toBeGreaterThan(0)
    await closeRedis()
    server.close()
  })
})

describe.skipIf(!redisBinary)('a Redis server', () => {
  it('has one connection an environment', async () => {
    await using server = await startRedis()
    vi.stubEnv('CACHE_URL', server.url)
    const [first, second] = await Promise.all([sharedRedis(), sharedRedis()])
    expect(first).toBe(second)
    expect(await first!.set('key', 'value')).toBe('OK')
    await closeRedis()
    expect(await sharedRedis()).not.toBe(first)
    expect(await (await sharedRedis())!.get('key')).toBe('value')
  })

  it('that crashed is found again once it is back', async () => {
    await using server = await startRedis()
    vi.stubEnv('CACHE_URL', server.url)
    await (await sharedRedis())!.set('key', 'value')
    await server.kill()
    await expect(sharedRedis().then((redis) => redis!.get('key'))).rejects.toThrow()
    await server.start()
    await vi.waitFor(async () => expect(await (await sharedRedis())!.ping()).toBe('PONG'), 20_000)
  })

  it('that hangs fails the command in flight, and after it each at once over a new connection', async () => {
    await using server = await startRedis()
    vi.stubEnv('CACHE_URL', server.url)
    const redis = await sharedRedis()
    await redis!.set('key', 'value')
    server.freeze()
    await expect(redis!.get('key')).rejects.toThrow('timed out')
    // The socket is given up, and the next one gets no answer to its HELLO.
    await vi.waitFor(() => expect(redis!.status).not.toBe('ready'), 10_000)
    await expect(redis!.get('key')).rejects.toThrow("isn't writeable")
    server.thaw()
    await vi.waitFor(async () => expect(await redis!.get('key')).toBe('value'), 20_000)
  })
})
