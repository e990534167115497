import { hash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { handler } from '../../functions/system.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { closeRedis } from '../../lib/platform/redis.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { redisBinary, startRedis } from '../support/redis.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
  for (const [name, value] of Object.entries(database.env)) vi.stubEnv(name, value)
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

describe('GET /api/me', () => {
  it('says whose key it is', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000)
    const key = await createKey(database.sql, { role: 'recruiter', team: 'acme', label: 'Laptop', expiresAt })
    const { status, body } = await call(handler, 'GET /api/me', { headers: { 'x-api-key': key.key } })
    expect(status).toBe(200)
    expect(handler.routes['GET /api/me']?.answers[200]?.parse(body)).toEqual({
      status: 'success',
      key: {
        id: key.id,
        label: 'Laptop',
        role: 'recruiter',
        roles: ['recruiter'],
        expires_at: expiresAt.toISOString(),
      },
      team: { id: expect.any(String), name: 'acme' },
      server_time: expect.any(String),
    })
  })

  it('needs a key', async () => {
    expect((await call(handler, 'GET /api/me')).status).toBe(401)
  })
})

describe('GET /api/health', () => {
  it('names each dependency with its latency, to anyone', async () => {
    const { status, body } = await call(handler, 'GET /api/health')
    expect(status).toBe(200)
    expect(body).toEqual({
      status: 'success',
      dependencies: { database: { status: 'up', latency_ms: expect.any(Number) } },
    })
  })

  it('is 503 while the database is down', async () => {
    await disconnect()
    vi.stubEnv('PGPORT', '1')
    const result = await call(handler, 'GET /api/health')
    await disconnect()
    vi.stubEnv('PGPORT', database.env.PGPORT!)
    expect(result).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
    expect(handler.routes['GET /api/health']?.answers[503]?.parse(result.body)).toMatchObject({
      code: 'unavailable',
      dependencies: { database: { status: 'down', latency_ms: null } },
    })
    expect((await call(handler, 'GET /api/health')).status).toBe(200)
  })
})

describe.skipIf(!redisBinary)('GET /api/health where environments share a cache', () => {
  it('names the cache, and is as well without it', async () => {
    await using redis = await startRedis()
    vi.stubEnv('CACHE_URL', redis.url)
    const up = await call(handler, 'GET /api/health')
    await redis.kill()
    const down = await call(handler, 'GET /api/health')
    vi.stubEnv('CACHE_URL', '')
    await closeRedis()
    expect(up.body.dependencies.cache).toEqual({ status: 'up', latency_ms: expect.any(Number) })
    expect(down).toMatchObject({
      status: 200,
      body: { status: 'success', dependencies: { cache: { status: 'down', latency_ms: null } } },
    })
  })
})

describe('everything else', () => {
  it.each([
    ['GET /api/nothing?x=1', 404],
    ['GET /api/nothing/', 404],
    ['PUT /api/profiles', 405],
    ['PROPFIND /api/me', 405],
  ])('%s is %i in the envelope', async (target, status) => {
    const result = await call(handler, target)
    expect(result).toMatchObject({ status, body: { status: 'error', request_id: expect.any(String) } })
  })
})

describe('GET /join', () => {
  it('is a page for anyone that reveals nothing, loads nothing and leaves the microphone to itself', async () => {
    const { status, text, headers } = await call(handler, 'GET /join')
    expect(status).toBe(200)
    expect(text).toContain('This is the address of your interview')
    expect(text).not.toMatch(/<script|<img|<link|https?:/)
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'permissions-policy': 'microphone=(self)',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
    const policy = headers['content-security-policy']!
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    )
    const style = /<style>([\s\S]*)<\/style>/.exec(text)![1]!
    expect(policy).toContain(hash('sha256', style, 'base64'))
  })

  it('has the headers for HEAD, too, and shows whatever a mail program adds to the link', async () => {
    const plain = await call(handler, 'GET /join')
    const { status, headers } = await call(handler, 'HEAD /join')
    expect(status).toBe(200)
    expect(headers['content-security-policy']).toBe(plain.headers['content-security-policy'])
    expect(await call(handler, 'GET /join?utm_source=%3Cscript%3E')).toMatchObject({
      status: 200,
      text: plain.text,
    })
  })
})
