import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { createAuthenticator } from '../../../../lib/platform/auth.ts'
import { httpFunction, json, openRoute, route } from '../../../../lib/platform/http/index.ts'
import { type KeyRecord, keyHash } from '../../../../lib/platform/keys.ts'
import { logger } from '../../../../lib/platform/log.ts'
import { createRateLimiter } from '../../../../lib/platform/rate-limit.ts'
import { type CallOptions, call } from '../../../support/http-event.ts'

const key = `ins_${'a'.repeat(43)}`
const busyKey = `ins_${'b'.repeat(43)}`
const revokedKey = `ins_${'d'.repeat(43)}`
const strangeKey = `ins_${'c'.repeat(43)}`
const record: KeyRecord = {
  keyId: '0199c82c-c07b-7000-8000-000000000001',
  teamId: '0199c82c-c07b-7000-8000-000000000002',
  teamName: 'Quillfeather & Sons',
  roles: ['analyst'],
  label: "Zanele's notebook",
  rateLimit: null,
  expiresAt: null,
  revokedAt: null,
}
const busy: KeyRecord = { ...record, keyId: '0199c82c-c07b-7000-8000-000000000003', rateLimit: 1 }
const revoked: KeyRecord = { ...record, keyId: '0199c82c-c07b-7000-8000-000000000004', revokedAt: new Date() }
const stored = new Map([
  [keyHash(revokedKey).toString('hex'), revoked],
  [keyHash(key).toString('hex'), record],
  [keyHash(busyKey).toString('hex'), busy],
])

let written = ''
beforeEach(() => {
  written = ''
})
const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
  written += String(text)
  return true
})
const level = logger.getLevelName()
logger.setLogLevel('INFO')
afterAll(() => {
  logger.setLogLevel(level)
  stdout.mockRestore()
})

const anything = z.looseObject({})
const handler = httpFunction(
  {
    'GET /api/health': openRoute({ answers: { 200: anything }, handler: () => json(200, {}) }),
    'GET /api/profiles/search': route({
      query: z.strictObject({ q: z.string() }),
      answers: { 200: anything },
      handler: ({ query }) => json(200, query),
    }),
    'GET /api/profiles/{id}': route({
      path: z.strictObject({ id: z.uuid() }),
      answers: { 200: anything },
      handler: ({ path }) => json(200, path),
    }),
    'POST /api/profiles': route({
      body: z.strictObject({ name: z.string().max(9), email: z.email() }),
      answers: { 201: anything },
      handler: ({ body }) => json(201, body),
    }),
  },
  createAuthenticator(async (hash) => stored.get(hash.toString('hex'))),
  createRateLimiter(async () => undefined),
)

/** All that came with a request or stands beside its key, and is nobody's business afterwards. */
const personal = new RegExp(
  `quillfeather|zanele|example|notebook|${key}|${keyHash(key).toString('hex')}`,
  'i',
)
const who = { key_id: record.keyId, team_id: record.teamId, roles: ['analyst'] }

/** The line of one request, as CloudWatch gets it. Throws unless it is the only one. */
async function lineOf(target: string, options?: CallOptions): Promise<Record<string, unknown>> {
  await call(handler, target, options)
  const lines = written.split('\n').filter(Boolean)
  if (lines.length !== 1) throw new Error(`Not one line:\n${written}`)
  return JSON.parse(lines[0]!)
}

describe('the log', () => {
  it('has one line for each request: whose key it was, what it asked, how it ended, and the id of both logs', async () => {
    const line = await lineOf('GET /api/profiles/search?q=women', { key })
    expect(line).toMatchObject({
      level: 'INFO',
      message: 'Request',
      ...who,
      method: 'GET',
      route: 'GET /api/profiles/search',
      status: 200,
      duration_ms: expect.any(Number),
      request_id: expect.stringMatching(/^request-\d+$/),
    })
    expect(line).not.toHaveProperty('edge_request_id')
  })

  it.each<[number, string, CallOptions]>([
    [400, 'GET /api/profiles/search?colour=red', { key }],
    [403, 'POST /api/profiles', { key, body: {} }],
    [404, 'GET /api/profiles/42', { key }],
  ])('says whose key was refused with %i', async (status, target, options) => {
    expect(await lineOf(target, options)).toMatchObject({ status, ...who })
  })

  it('says whose key was over its limit', async () => {
    await call(handler, 'GET /api/profiles/search?q=women', { key: busyKey })
    written = ''
    const line = await lineOf('GET /api/profiles/search?q=women', { key: busyKey })
    expect(line).toMatchObject({ ...who, status: 429, key_id: busy.keyId })
  })

  it('says which key was shown after it had been revoked', async () => {
    const line = await lineOf('GET /api/profiles/search?q=women', { key: revokedKey })
    expect(line).toMatchObject({ status: 401, key_id: revoked.keyId })
  })

  it.each([
    ['without a key', 401, 'GET /api/profiles/search?q=women', {}],
    ['with a key that nobody has', 401, 'GET /api/profiles/search?q=women', { key: strangeKey }],
    ['to an open route', 200, 'GET /api/health', { key }],
    ['to no route', 404, 'GET /wp-login.php', { key }],
  ])('names nobody for a request %s', async (_, status, target, options) => {
    const line = await lineOf(target, options)
    expect(line).toMatchObject({ status })
    for (const name of Object.keys(who)) expect(line).not.toHaveProperty(name)
  })

  it('names the request as CloudFront does, and nothing else that stands in its header', async () => {
    const id = 'k6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLrow=='
    const through = (value: string) => lineOf('GET /api/health', { headers: { 'x-amz-cf-id': value } })
    expect(await through(id)).toMatchObject({ edge_request_id: id })
    written = ''
    expect(await through('zanele@people.example')).not.toHaveProperty('edge_request_id')
  })

  it('never holds a name, an e-mail, a label, a query, a body, a path or the key', async () => {
    const headers = { 'user-agent': 'Zanele/1', cookie: 'name=zanele', referer: 'https://zanele.example' }
    const body = { name: 'Zanele Quillfeather', email: 'zanele@people.example' }
    for (const [target, options] of [
      ['GET /api/profiles/search?q=Zanele%20Quillfeather', { key, headers }],
      ['GET /api/profiles/search?name=Zanele&name=Quillfeather', { key, headers }],
      ['POST /api/profiles', { key, headers, body }],
      ['GET /api/profiles/Zanele%20Quillfeather', { key, headers }],
      ['GET /api/people/Zanele%20Quillfeather', { key, headers }],
      ['GET /api/health?email=zanele@people.example', { headers: { ...headers, 'x-api-key': key } }],
    ] satisfies [string, CallOptions][]) {
      await call(handler, target, options)
    }
    expect(written.split('\n').filter(Boolean)).toHaveLength(6)
    expect(written).not.toMatch(personal)
  })
})
