import { describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import type { Caller } from '../../../../lib/platform/auth.ts'
import { ConflictError, UnauthorizedError } from '../../../../lib/platform/errors.ts'
import { errorSchema, httpFunction, json, openRoute, route } from '../../../../lib/platform/http/index.ts'
import { logger } from '../../../../lib/platform/log.ts'
import { call, httpEvent, lambdaContext } from '../../../support/http-event.ts'
import { fc } from '../../../support/properties.ts'

const caller: Caller = {
  keyId: 'k',
  teamId: 't',
  teamName: 'acme',
  roles: ['admin'],
  label: 'CI',
  rateLimit: null,
  expiresAt: null,
}

const anything = z.looseObject({})
let next: () => unknown = () => ({})
const handler = httpFunction(
  {
    'GET /api/health': openRoute({
      answers: { 200: anything },
      handler: () => json(200, { status: 'success' }),
    }),
    'GET /api/profiles': route({
      query: z.strictObject({
        page: z.coerce.number<string>().int().optional(),
        range: z.strictObject({ from: z.string() }).optional(),
      }),
      answers: { 200: anything },
      errors: [409],
      handler: async ({ query, caller: who }) =>
        json(200, { query, roles: who.roles, ...((await next()) as object) }),
    }),
    'GET /api/profiles/{id}': route({
      path: z.strictObject({ id: z.uuid() }),
      answers: { 200: anything },
      handler: ({ path }) => json(200, path),
    }),
    'POST /api/profiles': route({
      body: z.strictObject({ name: z.string().trim().min(1), age: z.int().optional() }),
      answers: { 201: anything },
      handler: ({ body }) => json(201, body, { location: '/api/profiles/1' }),
    }),
  },
  async ({ authorization }) => {
    if (authorization === undefined) throw new UnauthorizedError('no key')
    return { ...caller, roles: [authorization === 'Bearer analyst' ? 'analyst' : 'admin'] }
  },
)

const get = (target: string, headers?: Record<string, string>) =>
  call(handler, `GET ${target}`, { key: 'admin', ...(headers && { headers }) })
const post = (body: unknown, headers?: Record<string, string>) =>
  call(handler, 'POST /api/profiles', { key: 'admin', body, ...(headers && { headers }) })

/** The answer must be an envelope that shows nothing of the inside. */
function expectError(result: Awaited<ReturnType<typeof call>>, status: number, code: string) {
  expect(result.status).toBe(status)
  expect(result.headers['content-type']).toBe('application/json; charset=utf-8')
  expect(errorSchema.parse(result.body)).toMatchObject({ code })
  expect(result.body.request_id).toBe(result.headers['x-request-id'])
  expect(result.text).not.toMatch(/\.ts|node_modules| at /)
}

describe('an HTTP function', () => {
  it('answers JSON with the ids of the request and the version', async () => {
    const result = await get('/api/profiles?page=2', { 'x-correlation-id': 'abc-1', 'x-api-version': '1' })
    expect(result).toMatchObject({ status: 200, body: { query: { page: 2 }, roles: ['admin'] } })
    expect(result.headers).toMatchObject({ 'x-correlation-id': 'abc-1', 'x-api-version': '1' })
    expect(result.headers['x-request-id']).toMatch(/^request-/)
  })

  it('replaces a correlation id that is not plain', async () => {
    const result = await get('/api/profiles', { 'x-correlation-id': 'a\r\nx: y' })
    expect(result.headers['x-correlation-id']).toBe(result.headers['x-request-id'])
  })

  it('refuses another version', async () => {
    expectError(await get('/api/profiles', { 'x-api-version': '2' }), 400, 'unsupported_version')
  })

  it('asks for a key before it looks at anything else, and for the role', async () => {
    const result = await call(handler, 'GET /api/profiles?bad=1')
    expectError(result, 401, 'unauthorized')
    expect(result.headers['www-authenticate']).toBe('Bearer')
    expectError(await call(handler, 'POST /api/profiles', { key: 'analyst', body: '{' }), 403, 'forbidden')
  })

  it('leaves open routes open', async () => {
    expect((await call(handler, 'GET /api/health')).status).toBe(200)
  })

  it('answers 404 for an unknown path and 405 with Allow for an unknown method', async () => {
    expectError(await get('/api/nothing'), 404, 'not_found')
    const wrong = await call(handler, 'PUT /api/profiles/1')
    expectError(wrong, 405, 'method_not_allowed')
    expect(wrong.headers.allow).toBe('DELETE, GET, HEAD, PATCH')
  })

  it.each([
    ['GET /', 302, '/api/docs'],
    ['GET /api', 302, '/api/docs'],
    ['HEAD /api/', 302, '/api/docs'],
    ['GET /api/profiles/?gender=male&page=2', 308, '/api/profiles?gender=male&page=2'],
    ['POST /api/imports/', 308, '/api/imports'],
    [
      'GET /api/profiles/018f0000-0000-7000-8000-000000000000/',
      308,
      '/api/profiles/018f0000-0000-7000-8000-000000000000',
    ],
  ])('redirects %s with %d to %s', async (target, status, location) => {
    const answer = await call(handler, target)
    expect(answer).toMatchObject({ status, text: '' })
    expect(answer.headers.location).toBe(location)
  })

  it.each([
    'POST /api',
    'GET /api/nothing/',
    'GET //evil.example/',
    'GET //api/profiles/',
    'GET /api/profiles//',
  ])('leads %s nowhere', async (target) => {
    expect((await call(handler, target)).status).toBe(404)
  })

  it('answers 404 for an id that is none', async () => {
    expectError(await get('/api/profiles/42'), 404, 'not_found')
    expect((await get('/api/profiles/0199c82c-c07b-7000-8000-000000000000')).status).toBe(200)
  })

  it('refuses to be built for other callers than the route table says', () => {
    const open = openRoute({ answers: {}, handler: () => ({ status: 200 }) })
    expect(() => httpFunction({ 'GET /api/profiles': open } as never)).toThrow('GET /api/profiles')
  })
})

describe('a query', () => {
  it.each([
    ['colour=red&page=1', 400, 'colour'],
    ['page=1&page=2', 400, 'page'],
    ['page=', 400, 'page'],
    ['__proto__=1', 400, '__proto__'],
    ['page=one', 422, 'page'],
  ])('%j is refused by name', async (query, status, field) => {
    const result = await get(`/api/profiles?${query}`)
    expectError(result, status, status === 400 ? 'invalid_query' : 'invalid_value')
    expect(result.body.message).toBe('Invalid query parameters')
    expect(result.body.details).toContainEqual(expect.objectContaining({ field }))
  })

  it('is refused wholly where the route takes none', async () => {
    expectError(await call(handler, 'GET /api/health?x=1'), 400, 'invalid_query')
  })

  it('never makes a 500, whatever it holds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
        const event = { ...httpEvent('GET /api/profiles', { key: 'admin' }), rawQueryString: text }
        const result = (await handler(event, lambdaContext())) as { statusCode: number }
        expect([200, 400, 422]).toContain(result.statusCode)
      }),
    )
  })
})

describe('a body', () => {
  it('is parsed, base64 or not', async () => {
    expect(await post({ name: ' Ada ' })).toMatchObject({ status: 201, body: { name: 'Ada' } })
    const options = { key: 'admin', body: { name: 'Zoë' }, base64: true }
    expect((await call(handler, 'POST /api/profiles', options)).body).toEqual({ name: 'Zoë' })
    expect((await post({ name: 'x' }, { 'content-type': 'Application/JSON; charset=utf-8' })).status).toBe(
      201,
    )
  })

  it.each([
    ['{"name":', 400, 'invalid_json'],
    ['', 400, 'missing_body'],
    ['{}', 400, 'invalid_body'],
    [{ name: '  ' }, 400, 'invalid_body'],
    [{ name: 'x', colour: 'red' }, 400, 'invalid_body'],
    ['{"name":"x","__proto__":{}}', 400, 'invalid_body'],
    [{ name: 1 }, 422, 'invalid_value'],
    [{ name: 'x', age: '7' }, 422, 'invalid_value'],
    ['[]', 422, 'invalid_value'],
    ['null', 422, 'invalid_value'],
    [{ name: 'x'.repeat(1024 * 1024) }, 413, 'too_large'],
    ['['.repeat(500_000), 400, 'invalid_json'],
  ])('%.40j is %i %s', async (body, status, code) => {
    expectError(await post(body), status, code)
  })

  it.each(['[]', '[{"name":"x"}]', 'null', '"x"', '5', 'true'])(
    'that is %s is told to be one object',
    async (body) => {
      const result = await post(body)
      expectError(result, 422, 'invalid_value')
      expect(result.body.message).toBe('The body must be one JSON object')
      expect(result.body.details).toEqual([{ message: 'must be one JSON object' }])
    },
  )

  it('with a hundred thousand faults has as many named as anyone reads', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`f${n}`, 1]))
    const { body } = await post({ name: 'x', ...unknown })
    expect(body.details).toHaveLength(51)
    expect(body.details.at(-1)).toEqual({ message: '69950 more are not listed' })
  })

  it('names what is wrong with it', async () => {
    const { body } = await post({ age: 1.5, colour: 'red' })
    expect(body.details).toEqual([
      { field: 'name', message: 'is required' },
      { field: 'colour', message: 'is not known here' },
      { field: 'age', message: 'must be a whole number' },
    ])
  })

  it('of another content type, or of none, is 415', async () => {
    for (const type of ['text/plain', 'application/jsonp', 'application/x-www-form-urlencoded', '']) {
      expectError(await post('{"name":"x"}', { 'content-type': type }), 415, 'unsupported_media_type')
    }
  })

  it('under a content coding is 415, which names what is read', async () => {
    for (const coding of ['gzip', 'br', 'Deflate', 'identity, gzip']) {
      const result = await post('{"name":"x"}', { 'content-encoding': coding })
      expectError(result, 415, 'unsupported_media_type')
      expect(result.headers['accept-encoding']).toBe('identity')
    }
    expect((await post('{"name":"x"}', { 'content-encoding': 'Identity' })).status).toBe(201)
  })

  it('that is not UTF-8 is no JSON', async () => {
    const event = httpEvent('POST /api/profiles', { key: 'admin', body: '{}' })
    const invalid = Buffer.from([0x7b, 0xff, 0x7d]).toString('base64')
    const result = await handler({ ...event, body: invalid, isBase64Encoded: true }, lambdaContext())
    expect(result).toMatchObject({ statusCode: 400 })
  })
})

describe('a handler that throws', () => {
  it('an error meant for callers answers with it', async () => {
    next = () => {
      throw new ConflictError('It is taken', 'taken')
    }
    expectError(await get('/api/profiles'), 409, 'taken')
  })

  it('anything else answers 500 without a word of it, and logs it with its stack', async () => {
    const logged = vi.spyOn(logger, 'error')
    const defect = new TypeError('secret detail')
    next = () => {
      throw defect
    }
    const result = await get('/api/profiles')
    expectError(result, 500, 'internal_error')
    expect(result.text).not.toContain('secret')
    expect(logged).toHaveBeenCalledWith('Request failed', { error: defect })
    logged.mockRestore()
  })

  it('because the database is away answers 503 with Retry-After', async () => {
    next = () => {
      throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' })
    }
    const result = await get('/api/profiles')
    expectError(result, 503, 'unavailable')
    expect(result.headers['retry-after']).toBe('5')
    expect(result.text).not.toContain('10.0.0.1')
  })

  it('nothing but does not end before the deadline answers 503', async () => {
    next = () => new Promise(() => {})
    const result = await handler(httpEvent('GET /api/profiles', { key: 'admin' }), lambdaContext(200))
    expect(result).toMatchObject({ statusCode: 503 })
  })
})
