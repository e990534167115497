import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type LocalS3, startS3 } from '../../infra/local/s3/index.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { startTestAws, type TestAws } from '../support/aws.ts'
import { call, lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

let folder: string
let database: TestDatabase
let s3: LocalS3
let aws: TestAws
const keys = { recruiter: '', other: '', analyst: '' }
/** Bodies of messages, as S3 sends them. */
const events: string[] = []
let api: typeof import('../../functions/candidates.ts').handler
let worker: (event: SQSEvent) => Promise<SQSBatchResponse>

const facts = {
  summary: 'Builds services.',
  current_title: 'Engineer',
  years_of_experience: 3,
  skills: ['Go'],
  location: null,
  employment: [],
  education: [],
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-candidates-'))
  const credentials = { accessKeyId: 'TESTTESTTESTTESTTEST', secretAccessKey: 'secret' }
  database = await freshDatabase()
  aws = await startTestAws()
  aws.functions.gemini = (event) => {
    const request = event as { kind: string; texts: string[] }
    const vector = Array.from({ length: 768 }, (_, index) => (index === 0 ? 1 : 0))
    return { status: 'done', result: request.kind === 'ask' ? facts : request.texts.map(() => vector) }
  }
  s3 = await startS3({
    dataDir: folder,
    region: aws.region,
    credentials,
    publish: async (_queue, body) => {
      events.push(body)
    },
    log: () => {},
  })
  const rule = { id: 'resumes', events: ['s3:ObjectCreated:*'], prefix: 'resumes/', queueArn: 'arn' }
  await s3.putBucket('uploads', { notifications: [rule] })
  const environment = {
    ...aws.environment,
    ...database.env,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    UPLOAD_BUCKET: 'uploads',
    GEMINI_FUNCTION_NAME: 'gemini',
    LIVEKIT_FUNCTION_NAME: 'livekit',
    RESUMES_QUEUE_URL: 'http://127.0.0.1:1/none',
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  keys.recruiter = (await createKey(database.sql, { role: 'recruiter', team: 'acme', label: 'a' })).key
  keys.other = (await createKey(database.sql, { role: 'recruiter', team: 'other', label: 'b' })).key
  keys.analyst = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'c' })).key
  api = (await import('../../functions/candidates.ts')).handler
  const { handler } = await import('../../functions/read-resume.ts')
  worker = async (event) => (await handler(event, lambdaContext())) as SQSBatchResponse
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), s3.close(), aws.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const ask = (target: string, body?: unknown, key = keys.recruiter) =>
  call(api, target, { key, ...(body !== undefined && { body }) })

const deliver = (body: string) =>
  worker({ Records: [{ messageId: '1', body, attributes: { ApproximateReceiveCount: '1' } }] } as SQSEvent)

const person = (email: string) => ({ full_name: 'Ada Obi', email })

test('a candidate is added, found, listed and deleted', async () => {
  const made = await ask('POST /api/candidates', person('ada@example.com'))
  expect(made.status).toBe(201)
  const { id } = made.body.data
  expect(made.headers.location).toBe(`/api/candidates/${id}`)
  expect((await ask(`GET /api/candidates/${id}`)).body.data).toEqual(made.body.data)
  expect((await ask('GET /api/candidates?q=OBI&page=1&limit=5')).body).toMatchObject({
    total: 1,
    data: [made.body.data],
  })
  expect((await ask('POST /api/candidates', person('ADA@example.com'))).body).toMatchObject({
    code: 'email_taken',
    details: [{ field: 'candidate_id', message: id }],
  })
  expect((await ask(`DELETE /api/candidates/${id}`)).status).toBe(204)
  expect((await ask(`GET /api/candidates/${id}`)).status).toBe(404)
})

test.each([
  ['POST /api/candidates', { full_name: 'Ada' }, 400],
  ['POST /api/candidates', { full_name: 'Ada', email: 'ada' }, 422],
  ['GET /api/candidates?sort=name', undefined, 400],
  ['GET /api/candidates/1', undefined, 404],
])('%s with %j is %d', async (target, body, status) => {
  expect((await ask(target, body)).status).toBe(status)
})

test("another team's candidate is not there, and an analyst sees none", async () => {
  const { id } = (await ask('POST /api/candidates', person('hidden@example.com'))).body.data
  const file = { filename: 'cv.txt', size: 3 }
  for (const [target, body] of [
    [`GET /api/candidates/${id}`],
    [`DELETE /api/candidates/${id}`],
    [`GET /api/candidates/${id}/resume`],
    [`GET /api/candidates/${id}/resume/file`],
    [`POST /api/candidates/${id}/resume`, file],
  ] as const) {
    expect((await ask(target, body, keys.other)).status, target).toBe(404)
    expect((await ask(target, body, keys.analyst)).status, target).toBe(403)
  }
  expect((await ask('GET /api/candidates', undefined, keys.other)).body.total).toBe(0)
})

test('a résumé is uploaded and read; the event may come twice', async () => {
  const { id } = (await ask('POST /api/candidates', person('cv@example.com'))).body.data
  expect((await ask(`GET /api/candidates/${id}/resume`)).status).toBe(404)
  const file = 'Ada Obi, Engineer'
  const made = await ask(`POST /api/candidates/${id}/resume`, { filename: 'cv.txt', size: file.length })
  expect(made).toMatchObject({ status: 201, body: { state: 'awaiting_upload' } })
  const { method, url, headers } = made.body.upload
  expect((await fetch(url, { method, headers, body: file })).status).toBe(200)
  await vi.waitUntil(() => events.length > 0)
  const event = events.pop()!
  for (let time = 0; time < 2; time++) expect(await deliver(event)).toEqual({ batchItemFailures: [] })
  expect((await ask(`GET /api/candidates/${id}/resume`)).body).toMatchObject({
    id: made.body.id,
    state: 'completed',
    extracted: facts,
  })
  expect((await ask(`GET /api/candidates/${id}`)).body.data).toMatchObject({
    current_title: 'Engineer',
    years_of_experience: 3,
    skills: ['Go'],
    location: null,
  })
})

test('the file of a résumé can be fetched under its own name once it has arrived', async () => {
  const { id } = (await ask('POST /api/candidates', person('file@example.com'))).body.data
  const path = `GET /api/candidates/${id}/resume/file`
  expect((await ask(path)).status).toBe(404)
  const body = 'Ada Obi, Engineer'
  const filename = 'Lebenslauf "Jürgen" (2).txt'
  const made = await ask(`POST /api/candidates/${id}/resume`, { filename, size: body.length })
  const early = await ask(path)
  expect([early.status, early.body.code]).toEqual([409, 'not_finished'])
  const { method, url, headers } = made.body.upload
  expect((await fetch(url, { method, headers, body })).status).toBe(200)
  await vi.waitUntil(() => events.length > 0)
  await deliver(events.pop()!)

  const redirect = await ask(path)
  expect(redirect.status).toBe(302)
  const file = await fetch(redirect.headers.location!)
  expect(await file.text()).toBe(body)
  expect(file.headers.get('content-disposition')).toBe(
    `attachment; filename="Lebenslauf _J_rgen_ (2).txt"; filename*=UTF-8''Lebenslauf%20%22J%C3%BCrgen%22%20%282%29.txt`,
  )
  const named = await call(api, path, { key: keys.recruiter, headers: { accept: 'application/json' } })
  expect(named.status).toBe(200)
  expect(await (await fetch(named.body.url)).text()).toBe(body)

  await database.sql`
    update resumes set state = 'failed', failure = ${database.sql.json({ code: 'upload_expired', message: '' })}
    where candidate_id = ${id}`
  expect((await ask(path)).status).toBe(404)
})

test('years of experience are kept to a tenth, also those that no database could hold', async () => {
  const years = async (years_of_experience: number) => {
    const given = { ...person(`${crypto.randomUUID()}@example.com`), years_of_experience }
    return (await ask('POST /api/candidates', given)).body.data.years_of_experience
  }
  expect([await years(5e-324), await years(2.349), await years(80)]).toEqual([0, 2.3, 80])
})

test('a file without a candidate is removed by its event', async () => {
  const { id } = (await ask('POST /api/candidates', person('gone@example.com'))).body.data
  const made = await ask(`POST /api/candidates/${id}/resume`, { filename: 'cv.txt', size: 3 })
  await ask(`DELETE /api/candidates/${id}`)
  const { method, url, headers } = made.body.upload
  const put = () => fetch(url, { method, headers, body: 'Ada' }).then(({ status }) => status)
  expect(await put()).toBe(200)
  await vi.waitUntil(() => events.length > 0)
  expect(await deliver(events.pop()!)).toEqual({ batchItemFailures: [] })
  // If-None-Match: only where there is no file any more.
  expect(await put()).toBe(200)
})

test.each([
  [{ filename: 'cv.png', size: 3 }, 415, 'unsupported_media_type'],
  [{ filename: 'cv.pdf', size: 10 * 1024 * 1024 + 1 }, 413, 'too_large'],
  [{ filename: 'cv.pdf', size: 0 }, 422, 'invalid_value'],
])('a résumé of %j is refused: %d', async (file, status, code) => {
  const { id } = (await ask('POST /api/candidates', person(`${code}@example.com`))).body.data
  const refused = await ask(`POST /api/candidates/${id}/resume`, file)
  expect(refused).toMatchObject({ status, body: { code } })
})

test("messages that are not ours, or S3's test event, do no harm", async () => {
  const key = 'resumes/none/file'
  const foreign = JSON.stringify({ Records: [{ s3: { object: { key } } }] })
  for (const body of [foreign, JSON.stringify({ Service: 'Amazon S3', Event: 's3:TestEvent' })]) {
    expect(await deliver(body)).toEqual({ batchItemFailures: [] })
  }
  expect(await deliver('{}')).toEqual({ batchItemFailures: [{ itemIdentifier: '1' }] })
})

describe('consents', () => {
  const candidate = async () => {
    const body = { full_name: 'Ngozi Told', email: `${randomUUID()}@example.com` }
    return (await call(api, 'POST /api/candidates', { key: keys.recruiter, body })).body.data.id as string
  }
  const record = (id: string, body: object, key = keys.recruiter) =>
    call(api, `POST /api/candidates/${id}/consents`, { key, body })
  const told = { kind: 'notice', version: 'Notice 2026-11', how: 'by_email', at: '2026-11-02T10:00:00+01:00' }
  const shown = async (id: string) =>
    (await call(api, `GET /api/candidates/${id}`, { key: keys.recruiter })).body.consents

  test('are shown with the candidate, what happened last first, and who recorded them', async () => {
    const id = await candidate()
    expect(await shown(id)).toEqual([])
    const agreed = { ...told, kind: 'consent', at: '2026-11-03T10:00:00Z' }
    expect((await record(id, agreed)).status).toBe(201)
    const { status, body } = await record(id, told)
    expect(status).toBe(201)
    expect(body.data).toMatchObject({
      ...told,
      at: '2026-11-02T09:00:00.000Z',
      recorded_by: { label: expect.any(String) },
    })
    expect(await shown(id)).toMatchObject([{ kind: 'consent' }, body.data])
  })

  test('recorded again are the same, and a withdrawal is another record', async () => {
    const id = await candidate()
    const first = await record(id, { ...told, kind: 'consent' })
    const again = await record(id, { ...told, kind: 'consent', at: '2026-11-02T09:00:00Z' })
    expect([again.status, again.body]).toEqual([200, first.body])
    expect((await record(id, { ...told, kind: 'withdrawal', at: '2026-11-04T09:00:00Z' })).status).toBe(201)
    expect((await shown(id)).map(({ kind }: { kind: string }) => kind)).toEqual(['withdrawal', 'consent'])
  })

  test.each<[string, object, number, string]>([
    ['of a time that has not come', { at: '2999-01-01T00:00:00Z' }, 422, 'at'],
    ['of a year that nobody remembers', { at: '0001-01-01T00:00:00Z' }, 422, 'at'],
    ['of the year 0', { at: '0000-01-01T00:00:00Z' }, 422, 'at'],
    ['without a zone', { at: '2026-11-02T10:00:00' }, 422, 'at'],
    ['of no time', { at: undefined }, 400, 'at'],
    ['without a version', { version: undefined }, 400, 'version'],
    ['with an empty version', { version: ' ' }, 400, 'version'],
    ['of an unknown kind', { kind: 'maybe' }, 422, 'kind'],
    ['by an unknown way', { how: 'by_pigeon' }, 422, 'how'],
  ])('%s are refused', async (_what, changes, status, field) => {
    const id = await candidate()
    const answer = await record(id, { ...told, ...changes })
    expect(answer.status).toBe(status)
    expect(answer.body.details[0].field).toBe(field)
    expect(await shown(id)).toEqual([])
  })

  test('of another team, or of no one, are 404, and they go with the candidate', async () => {
    const id = await candidate()
    expect((await record(id, told, keys.other)).status).toBe(404)
    expect((await record(randomUUID(), told)).status).toBe(404)
    await record(id, told)
    expect((await call(api, `DELETE /api/candidates/${id}`, { key: keys.recruiter })).status).toBe(204)
    expect(await database.sql`select from consents where candidate_id = ${id}`).toHaveLength(0)
  })
})
