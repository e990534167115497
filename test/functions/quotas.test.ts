import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { disconnect, type Sql } from '../../lib/platform/db.ts'
import type { HttpFunction } from '../../lib/platform/http/index.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { queueVariables } from '../../lib/platform/names.ts'
import { dailyLimits, type QuotaKind } from '../../lib/platform/quotas.ts'
import { startTestAws, type TestAws } from '../support/aws.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'
import { factories } from './authorisation-rows.ts'

let folder: string
let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sqs: Sqs
let aws: TestAws
let sql: Sql
let make: ReturnType<typeof factories>
let asked = 0
const keys = { acme: '', other: '', operator: '' }
const handlers = {} as Record<'imports' | 'interviews' | 'candidates' | 'operations' | 'system', HttpFunction>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-quotas-'))
  ;[database, bucket, aws] = await Promise.all([freshDatabase(), startStorage(), startTestAws()])
  sqs = await startSqs({ dataDir: folder, region: bucket.region, credentials: bucket.credentials })
  sql = database.sql
  make = factories(sql)
  aws.functions.gemini = () => {
    asked++
    return { status: 'done', result: { answer: 'x', found: false, turn_ids: [] } }
  }
  const environment: Record<string, string> = {
    ...database.env,
    ...aws.environment,
    ...bucket.env,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    UPLOAD_BUCKET: 'uploads',
    GEMINI_FUNCTION_NAME: 'gemini',
    LIVEKIT_FUNCTION_NAME: 'livekit',
  }
  for (const [name, { source, deadLetters }] of Object.entries(queueVariables)) {
    environment[source] = sqs.createQueue(name).url
    environment[deadLetters] = sqs.createQueue(`${name}-dlq`).url
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  for (const team of ['acme', 'other'] as const) {
    keys[team] = (await createKey(sql, { role: 'admin', team, label: 'x' })).key
  }
  keys.operator = (await createKey(sql, { role: 'operator', team: 'platform', label: 'x' })).key
  for (const name of ['imports', 'interviews', 'candidates', 'operations', 'system'] as const) {
    handlers[name] = (await import(`../../functions/${name}.ts`)).handler
  }
})
beforeEach(async () => {
  await sql`truncate team_usage, team_quotas`
  asked = 0
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), bucket.close(), sqs.close(), aws.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const limit = (kind: QuotaKind, daily: number) => sql`
  insert into team_quotas (team_id, kind, daily_limit) select id, ${kind}, ${daily} from teams where name = 'acme'`

async function used(kind: QuotaKind, key = keys.acme): Promise<number> {
  const { body } = await call(handlers.system, 'GET /api/usage', { key })
  return body.data.find((each: { kind: string }) => each.kind === kind).used
}

const upload = (size: number, key = keys.acme, headers = {}) =>
  call(handlers.imports, 'POST /api/imports', { key, headers, body: { filename: 'a.csv', size } })

/** How many responses have each status. */
async function statuses(calls: Promise<{ status: number }>[]): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  for (const { status } of await Promise.all(calls)) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

describe("a team's quota", () => {
  it('is shown with what is used, and is generous unless it is set', async () => {
    await upload(7)
    const { body } = await call(handlers.system, 'GET /api/usage', { key: keys.acme })
    expect(body.data.map(({ resets_at: _, ...rest }: { resets_at: string }) => rest)).toEqual([
      { kind: 'model_calls', used: 0, daily_limit: dailyLimits.model_calls },
      { kind: 'emails', used: 0, daily_limit: dailyLimits.emails },
      { kind: 'upload_bytes', used: 7, daily_limit: dailyLimits.upload_bytes },
    ])
    for (const { resets_at } of body.data) expect(resets_at).toMatch(/T00:00:00\.000Z$/)
    expect(await used('upload_bytes', keys.other)).toBe(0)
  })

  it('of bytes is exact however many uploads begin at once, and holds for that team alone', async () => {
    await limit('upload_bytes', 100)
    const before = await sql`select count(*)::int as count from imports`
    expect(await statuses(Array.from({ length: 20 }, () => upload(10)))).toEqual({ 201: 10, 429: 10 })
    expect(await used('upload_bytes')).toBe(100)
    const after = await sql`select count(*)::int as count from imports`
    expect(after[0]!.count - before[0]!.count).toBe(10)
    expect((await upload(1000, keys.other)).status).toBe(201)
  })

  it('refuses by 429 with the wait, and what is smaller may still fit', async () => {
    await limit('upload_bytes', 100)
    await upload(60)
    const refused = await upload(41)
    expect(refused).toMatchObject({ status: 429, body: { code: 'quota_exceeded' } })
    const wait = Number(refused.headers['retry-after'])
    expect(wait).toBeGreaterThanOrEqual(1)
    expect(wait).toBeLessThanOrEqual(24 * 60 * 60)
    expect((await upload(40)).status).toBe(201)
    expect((await upload(1)).status).toBe(429)
  })

  it('is spent once by a request that is repeated under its Idempotency-Key, also when it is used up', async () => {
    await limit('upload_bytes', 10)
    const headers = { 'idempotency-key': 'once' }
    expect((await upload(10, keys.acme, headers)).status).toBe(201)
    expect((await upload(10, keys.acme, headers)).status).toBe(200)
    expect(await used('upload_bytes')).toBe(10)
  })

  it('begins again with the day', async () => {
    await limit('upload_bytes', 10)
    await upload(10)
    expect((await upload(10)).status).toBe(429)
    await sql`update team_usage set day = day - 1`
    expect((await upload(10)).status).toBe(201)
  })

  it('of model calls is exact however many are made at once, and none is made beyond it', async () => {
    await limit('model_calls', 3)
    const id = await make.ended('acme')
    const question = () =>
      call(handlers.interviews, `POST /api/interviews/${id}/ask`, {
        key: keys.acme,
        body: { question: 'Why?' },
      })
    expect(await statuses(Array.from({ length: 8 }, question))).toEqual({ 200: 3, 429: 5 })
    expect(asked).toBe(3)
    expect(await used('model_calls')).toBe(3)
  })

  it('of model calls holds for assessments that are asked for again, and leaves them as they were', async () => {
    await limit('model_calls', 0)
    const id = await make.assessed('acme')
    const target = `POST /api/interviews/${id}/assessment/retry`
    expect((await call(handlers.interviews, target, { key: keys.acme })).status).toBe(429)
    expect(await sql`select state from assessments where interview_id = ${id}`).toEqual([{ state: 'failed' }])
  })

  it('of e-mails is exact however many are invited at once, and an invitation that was sent costs nothing', async () => {
    await limit('emails', 2)
    const ids = await Promise.all(Array.from({ length: 5 }, () => make.draft('acme')))
    const invite = (id: string) =>
      call(handlers.interviews, `POST /api/interviews/${id}/invite`, { key: keys.acme, body: {} })
    expect(await statuses(ids.map(invite))).toEqual({ 202: 2, 429: 3 })
    expect(await sql`select interview_id from emails where kind = 'invite'`).toHaveLength(2)
    const [sent] = await sql<
      { interview_id: string }[]
    >`select interview_id from emails where kind = 'invite'`
    expect((await invite(sent!.interview_id)).status).toBe(202)
    expect(await used('emails')).toBe(2)
  })

  it('holds for résumés by their bytes and by the call that reads them, and neither alone is spent', async () => {
    await limit('model_calls', 0)
    const id = await make.candidate('acme')
    const body = { filename: 'cv.txt', size: 3, content_type: 'text/plain' }
    const target = `POST /api/candidates/${id}/resume`
    expect((await call(handlers.candidates, target, { key: keys.acme, body })).status).toBe(429)
    expect(await used('upload_bytes')).toBe(0)
    await sql`truncate team_quotas`
    expect((await call(handlers.candidates, target, { key: keys.acme, body })).status).toBe(201)
    expect([await used('upload_bytes'), await used('model_calls')]).toEqual([3, 1])
  })
})

describe('an operator', () => {
  const idOf = async (team: string) => (await sql`select id from teams where name = ${team}`)[0]!.id as string
  const quotas = (method: string, id: string, body?: unknown, key = keys.operator) =>
    call(handlers.operations, `${method} /api/ops/teams/${id}/quotas`, { key, body })
  const limits = (body: { data: { kind: string; daily_limit: number }[] }) =>
    Object.fromEntries(body.data.map(({ kind, daily_limit }) => [kind, daily_limit]))

  it("sets and lifts a team's limits, which hold at once and for that team alone", async () => {
    const id = await idOf('acme')
    await upload(5)
    const set = await quotas('PUT', id, { upload_bytes: 10, emails: 0 })
    expect(set.status).toBe(200)
    expect(limits(set.body)).toEqual({ ...dailyLimits, upload_bytes: 10, emails: 0 })
    expect((await upload(6)).status).toBe(429)
    expect((await upload(6, keys.other)).status).toBe(201)
    expect(await quotas('PUT', id, { upload_bytes: 10, emails: 0 })).toMatchObject({
      status: 200,
      body: set.body,
    })
    expect(limits((await quotas('PUT', id, { upload_bytes: null })).body)).toEqual({
      ...dailyLimits,
      emails: 0,
    })
    expect((await upload(6)).status).toBe(201)
    const { body } = await quotas('GET', id)
    expect(body).toEqual((await call(handlers.system, 'GET /api/usage', { key: keys.acme })).body)
  })

  it.each<[string, unknown, number]>([
    ['nothing', {}, 422],
    ['an unknown kind', { tokens: 1 }, 400],
    ['less than nothing', { emails: -1 }, 422],
    ['half an e-mail', { emails: 0.5 }, 422],
    ['a text', { emails: '5' }, 422],
    ['more than can be counted', { emails: 1e300 }, 422],
  ])('who sets %s changes nothing', async (_what, body, status) => {
    const id = await idOf('acme')
    expect((await quotas('PUT', id, body)).status).toBe(status)
    expect(limits((await quotas('GET', id)).body)).toEqual(dailyLimits)
  })

  it('finds no team that is not there, and no one else may set a limit', async () => {
    const none = '00000000-0000-4000-8000-000000000000'
    expect((await quotas('GET', none)).status).toBe(404)
    expect((await quotas('PUT', none, { emails: 1 })).status).toBe(404)
    expect((await quotas('PUT', await idOf('acme'), { emails: 1 }, keys.acme)).status).toBe(403)
  })
})
