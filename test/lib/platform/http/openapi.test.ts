import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { docsPage } from '../../../../lib/platform/http/docs-page.ts'
import { errorSchema, openRoute, route } from '../../../../lib/platform/http/index.ts'
import { openApiDocument } from '../../../../lib/platform/http/openapi.ts'
import { contractOf, resolve } from '../../../support/contract.ts'

const handler = () => ({ status: 200 })
const item = z.strictObject({ id: z.uuid(), size: z.int().min(0) }).meta({ id: 'Item' })
const document = openApiDocument({
  'GET /api/health': openRoute({
    answers: { 200: z.strictObject({ status: z.literal('success') }) },
    handler,
  }),
  'GET /api/me': route({ answers: { 200: z.looseObject({}) }, handler }),
  'GET /api/profiles': route({
    summary: 'All <items>',
    query: z.strictObject({
      page: z
        .string()
        .transform(Number)
        .default(1)
        .meta({ description: 'counts from "1"', override: { type: 'integer', minimum: 1 } }),
    }),
    answers: { 200: z.strictObject({ data: z.array(item) }), 304: null },
    handler,
  }),
  'POST /api/profiles': route({
    headers: z.object({ 'Idempotency-Key': z.string().optional() }),
    body: z.strictObject({ size: z.int() }),
    answers: {
      201: item,
      202: z.union([
        z.string().meta({ contentMediaType: 'text/csv' }),
        z.string().meta({ contentMediaType: 'application/x-ndjson' }),
        item,
      ]),
    },
    errors: [409],
    handler,
  }),
  'DELETE /api/profiles/{id}': route({
    path: z.strictObject({ id: z.uuid() }),
    answers: { 204: null },
    handler,
  }),
})
const at = (method: string, path: string) => {
  const operation = (document.paths as Record<string, Record<string, unknown>>)[path]?.[method]
  return operation as Record<string, unknown> & { responses: Record<string, Record<string, unknown>> }
}
const statuses = (method: string, path: string) => Object.keys(at(method, path).responses)

describe('the description of a route', () => {
  it('has the statuses that follow from its access, its schemas and its own errors', () => {
    expect(statuses('get', '/api/health')).toEqual(['200', '400', '413', '429', '500', '503'])
    expect(statuses('get', '/api/me')).toEqual(['200', '400', '401', '413', '429', '500', '503'])
    expect(statuses('get', '/api/profiles')).toEqual([
      ...['200', '304', '400', '401', '403', '413', '422', '429', '500', '503'],
    ])
    expect(statuses('post', '/api/profiles')).toEqual([
      ...['201', '202', '400', '401', '403', '409', '413', '415', '422', '429', '500', '503'],
    ])
    expect(statuses('delete', '/api/profiles/{id}')).toEqual([
      ...['204', '400', '401', '403', '404', '413', '429', '500', '503'],
    ])
  })

  it('says who may call it, by the route table', () => {
    expect(at('get', '/api/health').security).toEqual([])
    expect(at('get', '/api/me').security).toEqual([{ bearer: [] }, { apiKey: [] }])
    expect(at('get', '/api/profiles').security).toEqual([{ bearer: ['analyst'] }, { apiKey: ['analyst'] }])
  })

  it('has its parameters as they are sent: optional where a default stands in, If-None-Match beside a 304', () => {
    const { parameters } = at('get', '/api/profiles')
    expect(parameters).toContainEqual({
      in: 'query',
      name: 'page',
      description: 'counts from "1"',
      schema: expect.objectContaining({ type: 'integer', minimum: 1 }),
    })
    expect(parameters).toContainEqual({ $ref: '#/components/parameters/IfNoneMatch' })
    expect(at('delete', '/api/profiles/{id}').parameters).toContainEqual(
      expect.objectContaining({ in: 'path', name: 'id', required: true }),
    )
    expect(at('post', '/api/profiles').parameters).toContainEqual(
      expect.objectContaining({ in: 'header', name: 'Idempotency-Key' }),
    )
  })

  it('tells how the key stands in every answer that a key is needed for, and in no other', () => {
    const quota = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset']
    const headersOf = (method: string, path: string, status: string) => {
      const answer = resolve(document, at(method, path).responses[status])
      return Object.keys(answer.headers as object)
    }
    for (const status of statuses('get', '/api/profiles').filter((each) => each !== '401')) {
      expect(headersOf('get', '/api/profiles', status), status).toEqual(expect.arrayContaining(quota))
    }
    expect(headersOf('get', '/api/profiles', '401')).toEqual(['WWW-Authenticate'])
    expect(headersOf('get', '/api/profiles', '429')).toEqual(['Retry-After', ...quota])
    expect(headersOf('get', '/api/health', '200')).toEqual(['X-Request-Id', 'X-API-Version'])
  })

  it('offers each kind of text of a union beside JSON', () => {
    const { content } = at('post', '/api/profiles').responses['202'] as { content: object }
    expect(Object.keys(content)).toEqual(['text/csv', 'application/x-ndjson', 'application/json'])
    expect(content).toMatchObject({ 'application/json': { schema: { $ref: '#/components/schemas/Item' } } })
  })
})

describe('an answer is held to the description', () => {
  const check = contractOf(document)
  const own = { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'r', 'x-api-version': '1' }
  const problem = (key: string, status: number, body: unknown, headers: Record<string, string> = {}) => {
    const all: Record<string, string> = { ...own, ...headers }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    try {
      check(key, { status, text, header: (name) => all[name] })
    } catch (error) {
      return (error as Error).message
    }
    return undefined
  }
  const error = { status: 'error', code: 'not_found', message: 'None', request_id: 'r' }
  const id = '0199c82c-c07b-7000-8000-000000000000'

  it('and passes where it is as described', () => {
    expect(problem('GET /api/profiles', 200, { data: [{ id, size: 3 }] }, { etag: '"a"' })).toBeUndefined()
    expect(problem('GET /api/profiles', 304, '', { etag: '"a"' })).toBeUndefined()
    expect(problem('DELETE /api/profiles/{id}', 404, errorSchema.parse(error))).toBeUndefined()
    expect(problem('GET /api/me', 429, { message: 'Too Many Requests' })).toBeUndefined()
    expect(problem('POST /api/profiles', 202, 'a,b', { 'content-type': 'text/csv' })).toBeUndefined()
    expect(problem('$default', 405, error)).toBeUndefined()
  })

  it.each<[string, string, number, unknown, Record<string, string>, RegExp]>([
    ['an unknown field', 'GET /api/profiles', 200, { data: [], x: 1 }, { etag: 'a' }, /Unrecognized key/],
    ['a missing field', 'GET /api/profiles', 200, {}, { etag: 'a' }, /data/],
    ['a wrong value inside', 'GET /api/profiles', 200, { data: [{ id, size: -1 }] }, { etag: 'a' }, /size/],
    ['an unknown status', 'GET /api/me', 403, error, {}, /not documented/],
    ['an unknown route', 'GET /api/imports', 200, {}, {}, /not documented/],
    ['an answer where no route is', '$default', 200, {}, {}, /not documented/],
    ['another content type', 'GET /api/me', 200, '<p>', { 'content-type': 'text/html' }, /as text\/html/],
    ['a body where none is', 'DELETE /api/profiles/{id}', 204, {}, {}, /with a body/],
    ['a missing header', 'POST /api/profiles', 201, { id, size: 1 }, {}, /header Location/],
    ['a wrong header', 'GET /api/me', 200, {}, { 'x-api-version': '2' }, /X-API-Version: 2/],
    [
      'a quota that is no number',
      'GET /api/me',
      200,
      {},
      { 'ratelimit-reset': '1.5' },
      /RateLimit-Reset: 1.5/,
    ],
    ['the body of the gateway for an error of ours', 'GET /api/me', 401, { message: 'no' }, {}, /401/],
  ])('and fails for %s', (_, key, status, body, headers, message) => {
    expect(problem(key, status, body, headers)).toMatch(message)
  })
})

describe('the page', () => {
  it('shows every route with what it takes and answers, as text', () => {
    const html = docsPage(document)
    expect(html.match(/<details id="/g)).toHaveLength(5)
    expect(html).toContain('All &lt;items&gt;')
    expect(html).toContain('counts from &quot;1&quot;')
    expect(html).toContain('<h3 id="schema-Item">')
    expect(html).toContain('<code>text/csv</code>')
    expect(html).not.toMatch(/undefined|\[object|<script|\son\w+=|src=|@import|url\(/)
  })
})
