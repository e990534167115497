import { type IncomingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errorSchema } from '../../lib/platform/http/envelope.ts'
import { type Answer, type Call, startTestCloud, type TestCloud, until } from './cloud.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud?.close())

/** Words that only a stack trace, a query or a driver would bring into an answer. */
const internals = /\bat \S+ \(|node:internal|\.mjs:|\.ts:|node_modules|postgres|select |ECONN/i

function expectError(answer: Answer, status: number, code: string): void {
  expect([answer.status, answer.body?.code]).toEqual([status, code])
  const { request_id } = errorSchema.parse(answer.body)
  expect(request_id).toBe(answer.headers.get('x-request-id'))
  expect(answer.text).not.toMatch(internals)
}

const file = { filename: 'a.csv', size: 10 }
const noId = '00000000-0000-4000-8000-000000000000'

describe('what the API refuses wears the error envelope and shows nothing of the inside', () => {
  test.each<[string, string, Call, number, string]>([
    ['a body that is no JSON', 'POST /api/imports', { body: '{"filename":' }, 400, 'invalid_json'],
    ['an empty body', 'POST /api/imports', { body: '' }, 400, 'missing_body'],
    ['an unknown field', 'POST /api/imports', { body: { ...file, team: 'x' } }, 400, 'invalid_body'],
    ['a NUL', 'POST /api/imports', { body: { ...file, filename: 'a\0.csv' } }, 422, 'invalid_value'],
    [
      'half a character',
      'POST /api/imports',
      { body: { ...file, filename: '\ud83d.csv' } },
      422,
      'invalid_value',
    ],
    ['a missing field', 'POST /api/imports', { body: { filename: 'a.csv' } }, 400, 'invalid_body'],
    [
      'a value of the wrong type',
      'POST /api/imports',
      { body: { ...file, size: '10' } },
      422,
      'invalid_value',
    ],
    ['a body that is an array', 'POST /api/imports', { body: [file] }, 422, 'invalid_value'],
    [
      'another content type',
      'POST /api/imports',
      { body: file, headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
    ],
    [
      'a bad Idempotency-Key',
      'POST /api/imports',
      { body: file, headers: { 'idempotency-key': 'a b' } },
      400,
      'bad_request',
    ],
    ['an unknown query parameter', 'GET /api/profiles?colour=red', {}, 400, 'invalid_query'],
    ['a parameter given twice', 'GET /api/profiles?min_age=1&min_age=2', {}, 400, 'invalid_query'],
    ['an empty parameter', 'GET /api/profiles?gender=', {}, 400, 'invalid_query'],
    ['a query where there is none', 'GET /api/me?verbose=1', {}, 400, 'invalid_query'],
    ['a parameter of the wrong type', 'GET /api/profiles?min_age=old', {}, 422, 'invalid_value'],
    ['values that contradict', 'GET /api/profiles?min_age=50&max_age=20', {}, 422, 'invalid_value'],
    ['a limit below 1', 'GET /api/profiles?limit=0', {}, 422, 'invalid_value'],
    ['a page too deep', 'GET /api/profiles?page=1001&limit=50', {}, 422, 'use_cursor'],
    ['a forged cursor', 'GET /api/profiles?cursor=abc', {}, 422, 'invalid_cursor'],
    ['an unknown route', 'GET /api/unknown', {}, 404, 'not_found'],
    ['an unknown route without a key', 'GET /wp-login.php', { key: null }, 404, 'not_found'],
    ['a method that a path does not take', 'DELETE /api/imports', {}, 405, 'method_not_allowed'],
    ['a malformed id', 'GET /api/imports/12', {}, 404, 'not_found'],
    ['an id that nobody has', `GET /api/imports/${noId}`, {}, 404, 'not_found'],
    ['a malformed id of a profile', 'GET /api/profiles/%27%20or%201=1', {}, 404, 'not_found'],
    ['a profile that is not there', `DELETE /api/profiles/${noId}`, {}, 404, 'not_found'],
    ['no key', 'GET /api/profiles', { key: null }, 401, 'unauthorized'],
    ['a key that is none', 'GET /api/profiles', { key: 'secret' }, 401, 'unauthorized'],
    ['a key that nobody has', 'GET /api/profiles', { key: `ins_${'A'.repeat(43)}` }, 401, 'unauthorized'],
    ['another version', 'GET /api/me', { headers: { 'x-api-version': '2' } }, 400, 'unsupported_version'],
  ])('%s', async (_, target, call, status, code) => {
    expectError(await cloud.call(target, call), status, code)
  })

  test('a body of 1.5 MB', async () => {
    const body = JSON.stringify({ ...file, filename: 'x'.repeat(1_500_000) })
    expectError(await cloud.call('POST /api/imports', { body }), 413, 'too_large')
  })

  test('a body over the 10 MB of the gateway, which answers by itself', async () => {
    const { hostname, port } = new URL(cloud.url)
    const answer = await new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      // The gateway answers before it has read the body: fetch would report the broken pipe instead.
      const sending = request({ hostname, port, method: 'POST', path: '/api/imports' }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode, text })
      })
      sending.on('error', reject)
      sending.end(Buffer.alloc(11_000_000, 'x'))
    })
    expect(answer).toEqual({ status: 413, text: '{"message":"Request Entity Too Large"}' })
  })

  test('names each wrong field in details', async () => {
    const { body } = await cloud.call('GET /api/profiles?colour=red&min_age=old&gender=')
    expect(body.details.map(({ field }: { field: string }) => field)).toEqual(['gender'])
    const unknown = await cloud.call('GET /api/profiles?colour=red&min_age=old')
    expect(unknown.body.details).toEqual([
      { field: 'colour', message: 'is not known here' },
      { field: 'min_age', message: expect.any(String) },
    ])
  })

  test('says 401 with WWW-Authenticate and 405 with Allow', async () => {
    const unauthorized = await cloud.call('GET /api/me', { key: null })
    expect(unauthorized.headers.get('www-authenticate')).toBe('Bearer')
    const { headers } = await cloud.call('PUT /api/imports')
    expect(headers.get('allow')).toBe('GET, HEAD, POST')
    for (const method of ['DELETE', 'PROPFIND']) {
      const search = await cloud.call(`${method} /api/profiles/search`)
      expect([search.status, search.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    }
  })
})

describe('a response over the gateway', () => {
  type Raw = { status: number | undefined; headers: IncomingHttpHeaders; bytes: Buffer }

  /** What goes over the wire, which fetch would decompress. */
  async function raw(method: string, path: string, headers: Record<string, string> = {}): Promise<Raw> {
    const { hostname, port } = new URL(cloud.url)
    const authorization = `Bearer ${cloud.credentials.api_key}`
    return new Promise((resolve, reject) => {
      const asking = request(
        { hostname, port, method, path, headers: { authorization, ...headers } },
        async (response) => {
          resolve({ status: response.statusCode, headers: response.headers, bytes: await buffer(response) })
        },
      )
      asking.on('error', reject)
      asking.end()
    })
  }

  test.each(['br', 'gzip', 'identity'])(
    'to HEAD has the headers of GET without its body, in %s',
    async (coding) => {
      const accepting = { 'accept-encoding': coding }
      for (const path of ['/api/openapi.json', '/api/health', '/api/unknown']) {
        const got = await raw('GET', path, accepting)
        const head = await raw('HEAD', path, accepting)
        expect([head.status, head.bytes.length]).toEqual([got.status, 0])
        for (const name of [
          'content-type',
          'content-encoding',
          'vary',
          'cache-control',
          'x-content-type-options',
        ]) {
          expect([path, name, head.headers[name]]).toEqual([path, name, got.headers[name]])
        }
        // That of health holds milliseconds.
        if (path !== '/api/health') {
          expect(head.headers['content-length']).toBe(String(got.bytes.length))
        }
      }
    },
  )

  test('comes compressed, and is the same text', async () => {
    const [plain, small] = [
      await raw('GET', '/api/docs'),
      await raw('GET', '/api/docs', { 'accept-encoding': 'br' }),
    ]
    expect([plain.headers['content-encoding'], small.headers['content-encoding']]).toEqual([undefined, 'br'])
    expect(brotliDecompressSync(small.bytes)).toEqual(plain.bytes)
    expect(small.bytes.length).toBeLessThan(plain.bytes.length / 4)
  })
})

describe('a key', () => {
  test('opens what its role may: an analyst reads profiles and writes nothing', async () => {
    const { key } = await cloud.newKey('analyst')
    expect((await cloud.call('GET /api/profiles', { key })).status).toBe(200)
    expect((await cloud.call('GET /api/me', { key })).body.key.role).toBe('analyst')
    for (const [target, body] of [
      ['POST /api/imports', file],
      ['GET /api/imports', undefined],
      [`GET /api/imports/${noId}`, undefined],
      ['POST /api/profiles', { name: 'Ada', gender: 'female', age: 36, country_id: 'NG' }],
      [`DELETE /api/profiles/${noId}`, undefined],
    ] as const) {
      expectError(await cloud.call(target, { key, ...(body && { body }) }), 403, 'forbidden')
    }
  })

  test('of a recruiter opens no profiles', async () => {
    const { key } = await cloud.newKey('recruiter')
    expectError(await cloud.call('GET /api/profiles', { key }), 403, 'forbidden')
  })

  test('has a limit of requests a minute, told by every answer; that of the local administrator has none', async () => {
    const { key } = await cloud.newKey('analyst', 'local', 3)
    const quotaOf = ({ headers }: Answer) =>
      ['limit', 'remaining', 'reset'].map((name) => headers.get(`ratelimit-${name}`))
    for (const [target, status, remaining] of [
      ['GET /api/profiles', 200, '2'],
      ['GET /api/profiles?limit=0', 422, '1'],
      [`GET /api/profiles/${noId}`, 404, '0'],
    ] as const) {
      const answer = await cloud.call(target, { key })
      expect([answer.status, ...quotaOf(answer)]).toEqual([status, '3', remaining, expect.any(String)])
    }
    const refused = await cloud.call('GET /api/profiles', { key })
    expectError(refused, 429, 'rate_limited')
    expect(quotaOf(refused)).toEqual(['3', '0', refused.headers.get('retry-after')])
    await until(() => cloud.metric('RateLimited') > 0)
    expect(quotaOf(await cloud.call('GET /api/profiles'))).toEqual([null, null, null])
  })

  test('works in X-API-Key too, and not once it is revoked', async () => {
    const { key, id } = await cloud.newKey('analyst')
    const other = await cloud.newKey('analyst')
    const headers = { 'x-api-key': other.key }
    expect((await cloud.call('GET /api/me', { key: null, headers })).status).toBe(200)
    await cloud.revoke(id)
    expectError(await cloud.call('GET /api/me', { key }), 401, 'unauthorized')
  })
})
