import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { fuzz, neverSucceeded } from './run.ts'

const json = (schema: object) => ({ description: '', content: { 'application/json': { schema } } })
const anything = json({})
const responses = {
  200: json({ type: 'object', properties: { ok: { const: true } }, required: ['ok'] }),
  422: anything,
}
const document = {
  openapi: '3.1.1',
  paths: {
    '/things': {
      get: { parameters: [{ in: 'query', name: 'name', schema: { type: 'string' } }], responses },
    },
    '/things/{id}': {
      delete: {
        parameters: [{ in: 'path', name: 'id', schema: { type: 'string', format: 'uuid' } }],
        responses,
      },
    },
  },
  components: { responses: { Error404: anything } },
}

type Reply = [status: number, body: object]

let server: Server
afterEach(() => new Promise((resolve) => server.close(resolve)))

/** The faults found in an API of two operations that replies to `GET /things` as it is told. */
async function faultsOf(reply: (query: URLSearchParams) => Reply | 'cut') {
  const replyTo = (method: string, [path = '', query = '']: string[]): Reply | 'cut' => {
    if (path === '/api/openapi.json') return [200, document]
    if ((method === 'GET' || method === 'HEAD') && path === '/things')
      return reply(new URLSearchParams(query))
    return method === 'DELETE' && /^\/things\/[^/]+$/.test(path) ? [422, {}] : [404, {}]
  }
  server = createServer((request, response) => {
    request.resume().on('end', () => {
      const made = replyTo(request.method ?? '', (request.url ?? '').split(/\?(.*)/s))
      if (made === 'cut') return request.socket.destroy()
      const [status, body] = made
      return response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const keys = { admin: 'key', analyst: 'key', recruiter: 'key', nobody: null, stranger: 'other' }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return fuzz({ url, keys, known: [], prepare: async (wire) => wire }, { requests: 400, seed: 1 })
}

it('finds nothing wrong with an API that is as described, and says what never succeeded', async () => {
  const result = await faultsOf(() => [200, { ok: true }])
  expect(result.violations).toEqual([])
  expect(neverSucceeded(result)).toEqual(['DELETE /things/{id}'])
  expect(result.tally.get('GET /things')?.get(200)).toBeGreaterThan(100)
})

it('tells a defect once, with the smallest request that has it', async () => {
  const { violations } = await faultsOf((query) =>
    query.get('name')?.includes('\0') ? [500, {}] : [200, { ok: true }],
  )
  expect(violations).toMatchObject([{ operation: 'GET /things', problem: 'a defect (500)' }])
  expect(violations[0]!.times).toBeGreaterThan(1)
  // No body, no header but the key's, and the one parameter.
  expect(violations[0]!.curl).toMatch(
    /^curl -i --path-as-is -X GET (?:-H "Authorization[^"]*" )?'[^ ]*\/things\?name=\S*%00\S*'$/,
  )
})

it.each<[string, Reply, RegExp]>([
  ['a status', [418, {}], /answered 418, which is not documented/],
  ['a body', [200, { ok: 'yes' }], /not as documented/],
  [
    'the inside in a message',
    [422, { message: 'at query (/app/node_modules/x.mjs:1)' }],
    /the inside is shown/,
  ],
  ['an outage that is none', [503, {}], /unavailable/],
])('finds %s that should not be there', async (_, reply, problem) => {
  const { violations } = await faultsOf((query) => (query.has('name') ? reply : [200, { ok: true }]))
  expect(violations).toContainEqual(
    expect.objectContaining({ operation: 'GET /things', problem: expect.stringMatching(problem) }),
  )
})

it('finds connections that are cut', async () => {
  const { violations } = await faultsOf((query) => (query.has('name') ? 'cut' : [200, { ok: true }]))
  expect(violations).toMatchObject([{ problem: 'no response: socket hang up' }])
})
