import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { smokeTest } from '../../../clients/cli/smoke.ts'

type Answer = { status: number; body: unknown; etag?: string }

const well: Record<string, Answer> = {
  '/api/health': { status: 200, body: { status: 'success' } },
  '/api/openapi.json': { status: 200, body: { openapi: '3.1.0' } },
  '/api/profiles?limit=1': { status: 401, body: { status: 'error', code: 'unauthorized' } },
}
let answers: Record<string, Answer | Answer[]>
let server: Server
let url: string

beforeAll(async () => {
  server = createServer(({ url: path = '' }, response) => {
    const given = answers[path]
    const answer = Array.isArray(given) ? (given.length > 1 ? given.shift() : given[0]) : given
    if (answer?.etag) response.setHeader('etag', answer.etag)
    response.statusCode = answer?.status ?? 404
    response.end(typeof answer?.body === 'string' ? answer.body : JSON.stringify(answer?.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
beforeEach(() => {
  answers = { ...well }
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function smoke(options: { key?: string; patience?: number } = {}) {
  let written = ''
  const outcome = await smokeTest(url, { ...options, write: (text) => (written += text) }).then(
    () => 'passed',
    (error: Error) => error.message,
  )
  return { outcome, written }
}

it('passes where the API answers as it should, and says what it asked', async () => {
  const { outcome, written } = await smoke()
  expect(outcome).toBe('passed')
  expect(written.match(/^ok {6}GET /gm)).toHaveLength(3)
})

it.each<[string, Answer, string]>([
  ['/api/health', { status: 503, body: { status: 'error' } }, '503 {"status":"error"}'],
  ['/api/openapi.json', { status: 200, body: '<html>' }, '<html>'],
  ['/api/profiles?limit=1', { status: 200, body: { data: [] } }, '200 {"data":[]}'],
  ['/api/profiles?limit=1', { status: 401, body: { message: 'Unauthorized' } }, '401'],
])('fails where %s answers %o', async (path, answer, told) => {
  answers[path] = answer
  const { outcome, written } = await smoke()
  expect(outcome).toBe(`1 of 3 checks failed at ${url}`)
  expect(/^FAILED .*$/m.exec(written)?.[0]).toContain(told)
})

it('says why an address cannot be reached', async () => {
  let written = ''
  const test = smokeTest('http://127.0.0.1:1', { write: (text) => (written += text) })
  await expect(test).rejects.toThrow('3 of 3 checks failed')
  expect(written).toMatch(/FAILED .*fetch failed: \S+/)
})

it('waits for a deployment that is still starting', async () => {
  answers['/api/health'] = [{ status: 503, body: {} }, well['/api/health']!]
  expect((await smoke({ patience: 60 })).outcome).toBe('passed')
})

it('with a key asks who it is and for profiles, twice', async () => {
  answers['/api/me'] = { status: 200, body: {} }
  answers['/api/profiles?limit=1'] = [
    well['/api/profiles?limit=1'] as Answer,
    { status: 200, body: {}, etag: '"a"' },
    { status: 304, body: '' },
  ]
  expect(await smoke({ key: 'ins_key' })).toMatchObject({ outcome: 'passed' })
  answers['/api/me'] = { status: 401, body: {} }
  const { outcome, written } = await smoke({ key: 'ins_key' })
  expect(outcome).toContain('checks failed')
  expect(written).not.toContain('ins_key')
})
