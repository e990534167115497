import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import type { Caller } from '../../../../lib/platform/auth.ts'
import { NotFoundError, UnauthorizedError } from '../../../../lib/platform/errors.ts'
import { errorSchema, httpFunction, json, openRoute, route } from '../../../../lib/platform/http/index.ts'
import { logger } from '../../../../lib/platform/log.ts'
import { createRateLimiter } from '../../../../lib/platform/rate-limit.ts'
import { call } from '../../../support/http-event.ts'

let caller: Caller
let keys = 0
let next: () => object = () => ({})

beforeEach(() => {
  caller = {
    keyId: `key-${++keys}`,
    teamId: 't',
    teamName: 'acme',
    roles: ['analyst'],
    label: 'CI',
    rateLimit: 3,
    expiresAt: null,
  }
  next = () => ({})
})

const anything = z.looseObject({})
const handler = httpFunction(
  {
    'GET /api/health': openRoute({ answers: { 200: anything }, handler: () => json(200, {}) }),
    'GET /api/profiles': route({
      query: z.strictObject({ page: z.coerce.number<string>().int().optional() }),
      answers: { 200: anything, 304: null },
      errors: [404],
      handler: ({ event }) => {
        const etag = '"a"'
        if (event.headers['if-none-match'] === etag) return { status: 304, headers: { etag } }
        return json(200, next(), { etag })
      },
    }),
    'DELETE /api/profiles/{id}': route({ answers: { 204: null }, handler: () => ({ status: 204 }) }),
  },
  async ({ authorization }) => {
    if (authorization === undefined) throw new UnauthorizedError('no key')
    return caller
  },
  createRateLimiter(async () => undefined),
)

const get = (query = '', headers: Record<string, string> = {}) =>
  call(handler, `GET /api/profiles${query}`, { key: 'k', headers })
const quotaOf = ({ headers }: Awaited<ReturnType<typeof call>>) =>
  ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'].map((name) => headers[name])
const digits = expect.stringMatching(/^\d+$/)

describe('a key with a limit', () => {
  it('is refused once it is used up: 429 in the envelope, with the time to come back', async () => {
    for (const remaining of ['2', '1', '0']) {
      expect(quotaOf(await get())).toEqual(['3', remaining, digits])
    }
    const refused = await get()
    expect(refused.status).toBe(429)
    expect(errorSchema.parse(refused.body)).toMatchObject({
      code: 'rate_limited',
      message: expect.stringMatching(/^This key may make 3 requests a minute: come back in \d+ s$/),
      request_id: refused.headers['x-request-id'],
    })
    expect(quotaOf(refused)).toEqual(['3', '0', refused.headers['retry-after']])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  })

  it('is told how it stands by every answer to it, whatever it is', async () => {
    caller.rateLimit = 100
    const throws = (error: Error) => () => {
      next = () => {
        throw error
      }
      return get()
    }
    const answers: [number, () => ReturnType<typeof call>][] = [
      [200, () => get()],
      [304, () => get('', { 'if-none-match': '"a"' })],
      [400, () => get('?colour=red')],
      [403, () => call(handler, 'DELETE /api/profiles/1', { key: 'k' })],
      [404, throws(new NotFoundError('None'))],
      [422, () => get('?page=one')],
      [500, throws(new TypeError('defect'))],
      [503, throws(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))],
    ]
    for (const [index, [status, answer]] of answers.entries()) {
      const result = await answer()
      expect([result.status, ...quotaOf(result)]).toEqual([status, '100', String(99 - index), digits])
    }
  })

  it('is refused before the query is looked at, and never runs the handler', async () => {
    caller.rateLimit = 1
    await get()
    const ran = vi.fn<() => object>(() => ({}))
    next = ran
    expect((await get('?colour=red')).status).toBe(429)
    expect((await get()).status).toBe(429)
    expect(ran).not.toHaveBeenCalled()
  })

  it('writes one plain line for a refusal, no warning', async () => {
    caller.rateLimit = 1
    await get()
    const lines = {
      info: vi.spyOn(logger, 'info'),
      warn: vi.spyOn(logger, 'warn'),
      error: vi.spyOn(logger, 'error'),
    }
    await get()
    expect(lines.info).toHaveBeenCalledExactlyOnceWith('Request', expect.objectContaining({ status: 429 }))
    expect(lines.warn).not.toHaveBeenCalled()
    expect(lines.error).not.toHaveBeenCalled()
    vi.restoreAllMocks()
  })
})

describe('an answer without a quota', () => {
  const none = [undefined, undefined, undefined]

  it('goes to a key without a limit, however often it asks', async () => {
    caller.rateLimit = null
    for (let request = 0; request < 10; request++) expect(quotaOf(await get())).toEqual(none)
  })

  it('goes to a caller without a key', async () => {
    const unauthorized = await call(handler, 'GET /api/profiles')
    expect([unauthorized.status, ...quotaOf(unauthorized)]).toEqual([401, ...none])
    const open = await call(handler, 'GET /api/health')
    expect([open.status, ...quotaOf(open)]).toEqual([200, ...none])
  })
})
