import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { ConflictError, UnprocessableError } from '../../../../lib/platform/errors.ts'
import { etagOf } from '../../../../lib/platform/http/etag.ts'
import { type Answer, httpFunction, openRoute, route } from '../../../../lib/platform/http/index.ts'
import { call, httpEvent, lambdaContext } from '../../../support/http-event.ts'

const long = JSON.stringify({ names: Array.from({ length: 100 }, (_, n) => `Ada Example ${n}`) })
const tag = etagOf(long)

let answer: () => Answer = () => ({ status: 200, body: {} })
let seen: string | undefined
let begun = 0
const anything = z.looseObject({})
const handler = httpFunction({
  'GET /api/health': openRoute({
    answers: { 200: anything },
    errors: [409],
    handler({ event }) {
      seen = event.headers['if-match']
      return answer()
    },
  }),
  'GET /api/openapi.json': openRoute({ answers: { 200: anything, 304: null }, handler: () => answer() }),
  'GET /api/docs': openRoute({
    answers: { 200: z.string().meta({ contentMediaType: 'text/csv' }), 202: anything },
    head: () => ({ status: 200, headers: { 'content-type': 'text/csv' } }),
    handler() {
      begun++
      return { status: 202, body: {} }
    },
  }),
})
const get = (headers: Record<string, string> = {}, method = 'GET') =>
  call(handler, `${method} /api/health`, { headers })
const getTagged = (headers: Record<string, string>) => call(handler, 'GET /api/openapi.json', { headers })
const raw = (headers: Record<string, string>, method = 'GET') =>
  handler(httpEvent(`${method} /api/health`, { headers }), lambdaContext())

describe('a body', () => {
  it.each(['br', 'gzip'])(
    'of more than 1 KB comes in %s, and differs by what is accepted',
    async (coding) => {
      answer = () => ({ status: 200, body: long, headers: { vary: 'Cookie' } })
      const { headers, text } = await get({ 'accept-encoding': coding })
      expect(headers).toMatchObject({
        'content-encoding': coding,
        'content-type': 'application/json; charset=utf-8',
        vary: 'Cookie, Accept-Encoding, Origin',
      })
      expect(text).toBe(long)
      const plain = await get()
      expect(plain.headers).not.toHaveProperty('content-encoding')
      expect([plain.text, plain.headers.vary]).toEqual([long, headers.vary])
    },
  )

  it('of 1 KB and less stays as it is, unless that is refused', async () => {
    answer = () => ({ status: 200, body: { text: 'x'.repeat(1000) } })
    expect((await get({ 'accept-encoding': 'br' })).headers).not.toHaveProperty('content-encoding')
    answer = () => ({ status: 200, body: { text: 'ü'.repeat(510) } })
    expect((await get({ 'accept-encoding': 'br' })).headers['content-encoding']).toBe('br')
    answer = () => ({ status: 200, body: { ok: true } })
    const refusing = await get({ 'accept-encoding': 'gzip, identity;q=0' })
    expect([refusing.headers['content-encoding'], refusing.body]).toEqual(['gzip', { ok: true }])
  })

  it('in bytes, which are compressed already, is left alone', async () => {
    answer = () => ({
      status: 200,
      headers: { 'content-type': 'application/pdf' },
      body: Buffer.alloc(5000, 'x'),
    })
    const result = await raw({ 'accept-encoding': 'br' })
    expect(result).toMatchObject({ isBase64Encoded: true, body: Buffer.alloc(5000, 'x').toString('base64') })
    expect(result.headers).not.toHaveProperty('content-encoding')
  })

  it('of an error is compressed too', async () => {
    const details = Array.from({ length: 40 }, (_, n) => ({ field: `field ${n}`, message: 'is wrong' }))
    answer = () => {
      throw Object.assign(new ConflictError('It is taken'), { details })
    }
    const { status, headers, body } = await get({ 'accept-encoding': 'gzip' })
    expect([status, headers['content-encoding'], body.details.length]).toEqual([409, 'gzip', 40])
  })
})

describe('an ETag', () => {
  it('names the body with its coding, and each of its forms gives 304 under any coding', async () => {
    answer = () => ({ status: 200, headers: { etag: tag, 'x-cache': 'hit' }, body: long })
    const codings = ['br', 'gzip', 'identity']
    const tags = await Promise.all(
      codings.map(async (coding) => (await getTagged({ 'accept-encoding': coding })).headers.etag!),
    )
    expect(tags).toEqual([`${tag.slice(0, -1)}-br"`, `${tag.slice(0, -1)}-gzip"`, tag])
    for (const sent of [...tags, ...tags.map((each) => `W/${each}`), `"other", ${tags[0]}`, '*']) {
      for (const [at, coding] of codings.entries()) {
        const again = await getTagged({ 'accept-encoding': coding, 'if-none-match': sent })
        expect(again).toMatchObject({
          status: 304,
          text: '',
          headers: { etag: tags[at], 'x-cache': 'hit', vary: 'Accept-Encoding, Origin' },
        })
        expect(again.headers).not.toHaveProperty('content-type')
        expect(again.headers).not.toHaveProperty('content-encoding')
      }
    }
    for (const sent of ['"other"', tag.slice(1, -1), `${tag.slice(0, -1)}-zstd"`, '']) {
      expect((await getTagged({ 'if-none-match': sent })).status).toBe(200)
    }
  })

  it('reaches a handler as that of the body without a coding', async () => {
    answer = () => ({ status: 200, body: {} })
    await get({ 'if-match': `${tag.slice(0, -1)}-br", W/"x-gzip"` })
    expect(seen).toBe(`${tag}, W/"x"`)
  })

  it('of an error is no reason for a 304', async () => {
    answer = () => {
      throw new UnprocessableError('No')
    }
    const result = await raw({ 'if-none-match': '*' })
    expect(result.statusCode).toBe(422)
  })
})

describe('HEAD', () => {
  it('has the status and the headers of GET, of which the gateway leaves out the body', async () => {
    answer = () => ({ status: 200, headers: { etag: tag }, body: long })
    for (const sent of [{}, { 'accept-encoding': 'br' }, { 'if-none-match': tag }]) {
      const [head, got] = [await raw(sent, 'HEAD'), await raw(sent)]
      const own = { 'x-request-id': expect.any(String), 'x-correlation-id': expect.any(String) }
      expect(head).toEqual({ ...got, headers: { ...got.headers, ...own } })
    }
  })

  it('does not begin what GET would begin', async () => {
    const head = await call(handler, 'HEAD /api/docs')
    expect([head.status, head.headers['content-type'], begun]).toEqual([200, 'text/csv', 0])
    expect((await call(handler, 'GET /api/docs')).status).toBe(202)
  })

  it('is not taken where GET is not', async () => {
    const result = await call(handler, 'HEAD /webhooks/agent')
    expect([result.status, result.headers.allow]).toEqual([405, 'POST'])
  })
})

describe('every response', () => {
  it.each(['GET /api/health', 'GET /api/nothing', 'PATCH /api/health', 'GET /api/health?x=1'])(
    '%s forbids to guess its type, and differs by origin',
    async (target) => {
      answer = () => ({ status: 200, body: {} })
      const { headers } = await call(handler, target)
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-api-version': '1' })
      expect(headers.vary).toMatch(/(?:^|, )Origin$/)
    },
  )
})

describe('a path that a parameter of another would take', () => {
  it('keeps its own methods', async () => {
    const keyed = httpFunction(
      {
        'DELETE /api/profiles/{id}': route({
          path: z.strictObject({ id: z.uuid() }),
          answers: { 204: null },
          handler: () => ({ status: 204 }),
        }),
      },
      async () => {
        throw new Error('not asked')
      },
    )
    for (const method of ['DELETE', 'POST', 'PUT', 'PROPFIND']) {
      const result = await call(keyed, `${method} /api/profiles/search?q=x`)
      expect([method, result.status, result.headers.allow]).toEqual([method, 405, 'GET, HEAD'])
    }
    expect((await call(keyed, 'POST /api/profiles/42')).headers.allow).toContain('DELETE')
  })
})
