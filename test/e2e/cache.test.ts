import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { redisBinary } from '../support/redis.ts'
import { startTestCloud } from './cloud.ts'

describe.skipIf(!redisBinary)('the shared cache of the local cloud', () => {
  let cloud: Awaited<ReturnType<typeof startTestCloud>>

  beforeAll(async () => {
    cloud = await startTestCloud()
  })
  afterAll(() => cloud?.close())

  it('is up', async () => {
    const { status, body } = await cloud.call('GET /api/health')
    expect(status).toBe(200)
    expect(body.dependencies.cache).toEqual({ status: 'up', latency_ms: expect.any(Number) })
    expect(cloud.differences.join('\n')).not.toContain('cache')
  })

  it('gives an environment that was never asked what another one has found', async () => {
    const ask = () => cloud.call('GET /api/profiles?gender=female')
    expect((await ask()).headers.get('x-cache')).toBe('miss')
    // An environment serves one request at a time, so that many at once need others.
    while (cloud.metric('CacheSharedHit') === 0) await Promise.all(Array.from({ length: 8 }, ask))
    expect((await ask()).status).toBe(200)
  })
})
