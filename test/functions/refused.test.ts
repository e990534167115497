import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SQSBatchResponse } from 'aws-lambda'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { disconnect, type Sql } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { type QueueName, queueVariables } from '../../lib/platform/names.ts'
import { startTestAws, type TestAws, type TestFunction } from '../support/aws.ts'
import { call, lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'
import { type Fault, startThirdParties, type ThirdParties } from '../support/third-parties.ts'

/*
 * Work that a third party refuses, through every function that it passes on its way: the real SDKs meet the simulated
 * third parties, and messages go by the queues.
 */

let folder: string
let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sqs: Sqs
let aws: TestAws
let parties: ThirdParties
let sql: Sql
const printed: string[] = []
const keys = { recruiter: '', operator: '', other: '' }
type Api = Parameters<typeof call>[0]
const apis: Record<string, Api> = {}
const workers: Partial<Record<QueueName, TestFunction>> = {}
let sweep: () => Promise<unknown>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-refused-'))
  ;[database, bucket, aws, parties] = await Promise.all([
    freshDatabase(),
    startStorage(),
    startTestAws(30_000),
    startThirdParties(),
  ])
  sql = database.sql
  sqs = await startSqs({ dataDir: folder, region: bucket.region, credentials: bucket.credentials })
  const secret = async (name: string, value: object) =>
    (await aws.secrets.create(name, undefined, JSON.stringify(value))).arn
  const environment: Record<string, string> = {
    ...database.env,
    ...aws.environment,
    ...bucket.env,
    ...parties.environment,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    UPLOAD_BUCKET: 'uploads',
    CONSOLE_URL: 'http://console.test',
    MAIL_FROM: 'Insighta <interviews@example.com>',
    GEMINI_FUNCTION_NAME: 'gemini',
    MAILER_FUNCTION_NAME: 'mailer',
    LIVEKIT_FUNCTION_NAME: 'livekit',
    GEMINI_SECRET_ARN: await secret('gemini', { api_key: 'key' }),
    RESEND_SECRET_ARN: await secret('resend', { api_key: 're_key', webhook_secret: 'whsec_x' }),
    LIVEKIT_SECRET_ARN: await secret('livekit', {}),
    POWERTOOLS_METRICS_DISABLED: 'false',
    POWERTOOLS_METRICS_NAMESPACE: 'Insighta',
    POWERTOOLS_SERVICE_NAME: 'sweep',
    POWERTOOLS_DEV: 'true',
  }
  for (const [name, { source, deadLetters }] of Object.entries(queueVariables)) {
    environment[source] = sqs.createQueue(name).url
    environment[deadLetters] = sqs.createQueue(`${name}-dlq`).url
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line))
  const load = async (name: string) => (await import(`../../functions/${name}.ts`)).handler
  for (const name of ['gemini', 'mailer']) aws.functions[name] = await load(name)
  for (const name of ['candidates', 'interviews', 'operations']) apis[name] = await load(name)
  workers.assessments = await load('assess')
  workers.emails = await load('send-email')
  workers.resumes = await load('read-resume')
  const sweeper = await load('sweep')
  sweep = () => sweeper({}, lambdaContext())
  keys.recruiter = (await createKey(sql, { role: 'recruiter', team: 'acme', label: 'a' })).key
  keys.operator = (await createKey(sql, { role: 'operator', team: 'platform', label: 'b' })).key
  keys.other = (await createKey(sql, { role: 'recruiter', team: 'other', label: 'c' })).key
})
beforeEach(async () => {
  await parties.unmet()
  await sql`truncate candidates, emails, outbox, dead_letters cascade`
  for (const queue of Object.keys(workers) as QueueName[]) while ((await taken(queue)).length > 0);
  printed.length = 0
})
afterAll(async () => {
  vi.restoreAllMocks()
  await disconnect()
  await Promise.all([database.close(), bucket.close(), aws.close(), parties.close(), sqs.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const ask = (api: string, target: string, body?: unknown, key = keys.recruiter) =>
  call(apis[api]!, target, { key, ...(body !== undefined && { body }) })

async function deliver(queue: QueueName, body: string): Promise<void> {
  const event = { Records: [{ messageId: randomUUID(), body, attributes: { ApproximateReceiveCount: '1' } }] }
  const { batchItemFailures } = (await workers[queue]!(event, lambdaContext(30_000))) as SQSBatchResponse
  expect(batchItemFailures).toEqual([])
}

/** The bodies of up to ten messages, which are then no more in the queue. */
async function taken(queue: QueueName): Promise<string[]> {
  const { arn } = sqs.queues().find(({ arn }) => arn.endsWith(`:${queue}`))!
  const received = await sqs.receive(arn, { max: 10, waitSeconds: 0 })
  sqs.deleteMessages(
    arn,
    received.map(({ receiptHandle }) => receiptHandle),
  )
  return received.map(({ body }) => body)
}

/** Delivers every message until the queues are empty. Returns how many there were. */
async function drain(): Promise<number> {
  let delivered = 0
  for (;;) {
    const before = delivered
    for (const queue of Object.keys(workers) as QueueName[]) {
      const received = await taken(queue)
      for (const body of received) await deliver(queue, body)
      delivered += received.length
    }
    if (delivered === before) return delivered
  }
}

/** A candidate with a résumé that was uploaded, whose event is not delivered yet. */
async function candidate() {
  const email = `${randomUUID()}@example.com`
  const made = await ask('candidates', 'POST /api/candidates', { full_name: 'Ada Obi', email })
  const { id } = made.body.data
  const content = 'Ada Obi\nEngineer\nBuilt services in Go at Kuda.'
  const file = { filename: 'cv.txt', size: content.length }
  const { id: resume, upload } = (await ask('candidates', `POST /api/candidates/${id}/resume`, file)).body
  const { ok } = await fetch(upload.url, { method: 'PUT', headers: upload.headers, body: content })
  expect(ok).toBe(true)
  return { id, resume, content, read: () => deliver('resumes', JSON.stringify({ resume_id: resume })) }
}

/** An interview that was held, and the invitation to it, which is not sent yet. */
async function interview(candidateId: string) {
  const about = { candidate_id: candidateId, role_title: 'Engineer', recruiter_email: 'r@example.com' }
  const { id } = (await ask('interviews', 'POST /api/interviews', about)).body.data
  await ask('interviews', `POST /api/interviews/${id}/invite`, {})
  for (const [at, speaker, content] of [
    [1, 'ai', 'What have you built?'],
    [2, 'candidate', 'Services in Go.'],
  ] as const) {
    await sql`insert into turns (interview_id, sequence_no, speaker, content) values (${id}, ${at}, ${speaker}, ${content})`
  }
  return {
    id,
    async end() {
      await sql`update interviews set state = 'completed', completed_at = now() where id = ${id}`
      await ask('interviews', `POST /api/interviews/${id}/assessment/generate`)
    },
    assessment: async () => (await ask('interviews', `GET /api/interviews/${id}/assessment`)).body,
    emails: async () => (await ask('interviews', `GET /api/interviews/${id}/emails`)).body.data,
  }
}

const resumeOf = async (id: string) => (await ask('candidates', `GET /api/candidates/${id}/resume`)).body
const refused = async () => {
  const { body } = await ask('operations', 'GET /api/ops/refused', undefined, keys.operator)
  return Object.fromEntries(body.data.map(({ service, counts }: never) => [service, counts]))
}
const retry = (service: string) =>
  ask('operations', 'POST /api/ops/refused/retry', { service }, keys.operator)

/** The points of the metric that the alarm watches. */
async function watched() {
  printed.length = 0
  await sweep()
  const lines = printed.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
  const points = lines.filter((line) => 'RefusedWork' in line)
  return Object.fromEntries(
    points.map(({ ThirdParty, RefusedWork }) => [ThirdParty, [RefusedWork].flat()[0]]),
  )
}

const none = { assessments: 0, emails: 0, resumes: 0, embeddings: 0 }
const hour = 100_000

type Refusal = Omit<Fault, 'path' | 'times'>
const google = (code: number, status: string, message: string, reason?: string): Refusal => {
  const type = 'type.googleapis.com/google.rpc.ErrorInfo'
  const details = [{ '@type': type, reason, domain: 'googleapis.com' }]
  return { status: code, body: { error: { code, status, message, ...(reason && { details }) } } }
}
const geminiRefusals: Record<string, Refusal> = {
  '401': { status: 401 },
  '402': google(402, 'FAILED_PRECONDITION', 'Billing is off.'),
  '403': { status: 403 },
  '403 of a key that was suspended': google(403, 'PERMISSION_DENIED', 'Suspended.', 'CONSUMER_SUSPENDED'),
  '404 of a retired model': google(404, 'NOT_FOUND', 'models/gemini-1 is not found for API version v1beta.'),
  '400 of a wrong key': google(
    400,
    'INVALID_ARGUMENT',
    'API key not valid. Please pass a valid API key.',
    'API_KEY_INVALID',
  ),
  '400 of an expired key, without details': google(
    400,
    'INVALID_ARGUMENT',
    'API key expired. Please renew it.',
  ),
  '400 without billing': google(400, 'FAILED_PRECONDITION', 'User location is not supported.'),
  '403 as a page of a proxy': { status: 403, body: '<html>Forbidden</html>' },
}
const resend = (statusCode: number, name: string, message: string): Refusal => ({
  status: statusCode,
  body: { statusCode, name, message },
})
const resendRefusals: Record<string, Refusal> = {
  '400 of a wrong key': resend(400, 'validation_error', 'API key is invalid'),
  '401': resend(401, 'missing_api_key', 'Missing API Key'),
  '401 of a restricted key': resend(401, 'restricted_api_key', 'This API key is restricted.'),
  '402': resend(402, 'payment_required', 'Pay.'),
  '403 of a wrong key': { status: 403 },
  '403 of a domain': resend(403, 'validation_error', 'The example.com domain is not verified.'),
  '404': { status: 404 },
  '422 of the sender': resend(422, 'validation_error', 'Invalid `from` field.'),
  '422 of the address it is sent from': resend(422, 'invalid_from_address', 'Invalid.'),
  '429 of a month that is spent': resend(429, 'monthly_quota_exceeded', 'Upgrade your plan.'),
  '451': resend(451, 'security_error', 'We may have found a security issue.'),
}

describe('Gemini', () => {
  it.each(Object.entries(geminiRefusals))(
    'refuses with %s: all waits, and one call tries all of it again',
    async (_, refusal) => {
      await parties.fault({ path: '/gemini', times: hour, ...refusal })
      const { id, resume, content, read } = await candidate()
      const held = await interview(id)
      await held.end()
      await read()
      await drain()
      const failure = {
        code: 'refused_by_provider',
        service: 'gemini',
        message: expect.stringMatching(/^Gemini refused the call: 40\d/),
      }
      expect(await held.assessment()).toMatchObject({ state: 'failed', failure })
      expect(await resumeOf(id)).toMatchObject({ id: resume, state: 'failed', failure, searchable: false })
      expect(await refused()).toEqual({ gemini: { ...none, assessments: 1, resumes: 1 }, resend: none })
      await parties.unmet()
      const counts = { ...none, assessments: 1, resumes: 1 }
      expect((await retry('gemini')).body).toMatchObject({ retried: counts, remaining: 0 })
      await drain()
      expect(await held.assessment()).toMatchObject({ state: 'completed', generation: 1 })
      expect(await resumeOf(id)).toMatchObject({ id: resume, state: 'completed', searchable: true })
      const [{ text }] = await sql<
        [{ text: string }]
      >`select content as text from resumes where id = ${resume}`
      expect(text).toBe(content)
      expect((await retry('gemini')).body).toMatchObject({ retried: none, remaining: 0 })
      expect(await drain()).toBe(0)
    },
  )

  it('refuses whoever waits for an answer, with the same code', async () => {
    const { id } = await candidate()
    const held = await interview(id)
    await parties.fault({ path: '/gemini', times: hour, status: 403 })
    const asked = await ask('interviews', `POST /api/interviews/${held.id}/ask`, { question: 'Why?' })
    expect(asked).toMatchObject({ status: 502, body: { code: 'refused_by_provider' } })
  })

  it('refuses only embeddings: the résumé can be read, and is searched once they are made', async () => {
    await parties.fault({ path: '/gemini/v1beta/models/gemini-embedding-001', times: hour, status: 404 })
    const { id, read } = await candidate()
    await read()
    expect(await resumeOf(id)).toMatchObject({
      state: 'completed',
      searchable: false,
      extracted: expect.any(Object),
    })
    expect(await refused()).toEqual({ gemini: { ...none, embeddings: 1 }, resend: none })
    await parties.unmet()
    expect((await retry('gemini')).body).toMatchObject({
      retried: { ...none, embeddings: 1 },
      remaining: 0,
    })
    await drain()
    expect(await resumeOf(id)).toMatchObject({ state: 'completed', searchable: true })
    expect(await refused()).toEqual({ gemini: none, resend: none })
  })

  it('refuses only embeddings for a while: the sweep has them made, without anyone', async () => {
    await parties.fault({ path: '/gemini/v1beta/models/gemini-embedding-001', times: 2, status: 403 })
    const { id, read } = await candidate()
    await read()
    const states: boolean[] = []
    for (let minute = 1; minute <= 2; minute++) {
      await sql`update resumes set embedding_due_at = now()`
      await sweep()
      expect(await drain()).toBe(1)
      states.push((await resumeOf(id)).searchable)
    }
    expect(states).toEqual([false, true])
    expect(await parties.unmet()).toEqual([])
  })

  it('refuses what is asked: the assessment and the résumé are for their owner to try again, one by one', async () => {
    await parties.fault({ path: '/gemini', times: hour, status: 400 })
    const { id, read } = await candidate()
    const held = await interview(id)
    await held.end()
    await read()
    await drain()
    const failure = { code: 'refused', service: 'gemini' }
    expect(await held.assessment()).toMatchObject({ state: 'failed', failure })
    expect(await resumeOf(id)).toMatchObject({ state: 'failed', failure })
    expect(await refused()).toEqual({ gemini: none, resend: none })
    expect((await retry('gemini')).body).toMatchObject({ retried: none })
    await parties.unmet()
    expect((await ask('interviews', `POST /api/interviews/${held.id}/assessment/retry`)).status).toBe(202)
    expect(await ask('candidates', `POST /api/candidates/${id}/resume/retry`)).toMatchObject({
      status: 202,
      body: { state: 'pending' },
    })
    await drain()
    expect(await held.assessment()).toMatchObject({ state: 'completed' })
    expect(await resumeOf(id)).toMatchObject({ state: 'completed' })
  })
})

describe('Resend', () => {
  it.each(Object.entries(resendRefusals))(
    'refuses with %s: the e-mail waits, and one call sends it once',
    async (_, refusal) => {
      await parties.fault({ path: '/resend', times: hour, ...refusal })
      const { id } = await candidate()
      const held = await interview(id)
      await drain()
      const [email] = await held.emails()
      expect(email).toMatchObject({
        state: 'failed',
        failure: { code: 'refused_by_provider', service: 'resend' },
      })
      expect(await refused()).toEqual({ gemini: none, resend: { ...none, emails: 1 } })
      await parties.unmet()
      const [one, two] = await Promise.all([retry('resend'), retry('resend')])
      expect(one.body.retried.emails + two.body.retried.emails).toBe(1)
      expect(await drain()).toBe(1)
      expect(await held.emails()).toMatchObject([{ id: email.id, state: 'sent' }])
      expect(await refused()).toEqual({ gemini: none, resend: none })
    },
  )

  it.each<[string, Refusal]>([
    ['422', { status: 422 }],
    ['400', { status: 400 }],
    ['409', resend(409, 'invalid_idempotent_request', 'Used before.')],
  ])('refuses an e-mail for itself with %s: it is sent again for itself', async (_, refusal) => {
    await parties.fault({ path: '/resend', ...refusal })
    const { id } = await candidate()
    const held = await interview(id)
    await drain()
    expect(await held.emails()).toMatchObject([{ state: 'failed', failure: { code: 'refused' } }])
    expect(await refused()).toEqual({ gemini: none, resend: none })
    const again = `POST /api/interviews/${held.id}/emails/retry`
    expect(await ask('interviews', again)).toMatchObject({
      status: 202,
      body: { data: [{ state: 'queued' }] },
    })
    expect(await ask('interviews', again)).toMatchObject({
      status: 202,
      body: { data: [{ state: 'queued' }] },
    })
    expect(await drain()).toBe(1)
    expect(await held.emails()).toMatchObject([{ state: 'sent' }])
    expect((await ask('interviews', again)).body.data).toMatchObject([{ state: 'sent' }])
    expect(await drain()).toBe(0)
  })

  it('refuses an invitation until the interview is over: it is not sent any more', async () => {
    await parties.fault({ path: '/resend', status: 403 })
    const { id } = await candidate()
    const held = await interview(id)
    await drain()
    await sql`update interviews set state = 'completed' where id = ${held.id}`
    await retry('resend')
    await drain()
    expect(await held.emails()).toMatchObject([{ state: 'failed', failure: { code: 'interview_ended' } }])
    expect(await refused()).toEqual({ gemini: none, resend: none })
  })
})

describe('refused work', () => {
  it('is watched by third party for as long as it waits, an hour too', async () => {
    expect(await watched()).toEqual({ gemini: 0, resend: 0 })
    await parties.fault({ path: '/gemini', times: hour, status: 403 })
    await parties.fault({ path: '/resend', times: hour, status: 403 })
    const { id, read } = await candidate()
    const held = await interview(id)
    await drain()
    await held.end()
    await read()
    await drain()
    expect(await watched()).toEqual({ gemini: 2, resend: 1 })
    for (const table of ['assessments', 'emails', 'resumes']) {
      await sql`update ${sql(table)} set touched_at = touched_at - interval '1 hour'`
    }
    expect(await watched()).toEqual({ gemini: 2, resend: 1 })
    expect(await drain()).toBe(0)
    await parties.unmet()
    await retry('gemini')
    await retry('resend')
    await drain()
    expect(await watched()).toEqual({ gemini: 0, resend: 0 })
  })

  it('is tried again 200 pieces a call, the longest waiting first', async () => {
    const { id } = await candidate()
    await sql`
      insert into emails (team_id, kind, recipient, data, state, failure, touched_at)
      select team_id, 'welcome', n || '@example.com', '{"name":"Ada"}', 'failed',
        '{"code":"refused_by_provider","message":"x","service":"resend"}', now() - make_interval(secs => n)
      from candidates, generate_series(1, 201) n where id = ${id}`
    const { body } = await retry('resend')
    expect(body).toMatchObject({ retried: { ...none, emails: 200 }, remaining: 1 })
    expect(await sql`select recipient from emails where state = 'failed'`).toEqual([
      { recipient: '1@example.com' },
    ])
    expect((await retry('resend')).body).toMatchObject({ retried: { emails: 1 }, remaining: 0 })
  })

  it('is no more to be sent once its address was deleted after its time', async () => {
    const { id } = await candidate()
    await sql`
      insert into emails (team_id, kind, recipient, data, state, failure)
      select team_id, 'welcome', '', '{}', 'failed',
        '{"code":"refused_by_provider","message":"x","service":"resend"}' from candidates where id = ${id}`
    expect(await refused()).toEqual({ gemini: none, resend: none })
    expect((await retry('resend')).body).toMatchObject({ retried: none, remaining: 0 })
  })
})

describe('reading a résumé again', () => {
  it('is 404 without one and for another team, and changes nothing about one that was read', async () => {
    const { id, read } = await candidate()
    await read()
    const again = `POST /api/candidates/${id}/resume/retry`
    expect(await ask('candidates', again, undefined, keys.other)).toMatchObject({ status: 404 })
    expect(await ask('candidates', again)).toMatchObject({ status: 202, body: { state: 'completed' } })
    expect(await drain()).toBe(0)
    const bare = await ask('candidates', 'POST /api/candidates', { full_name: 'Ada', email: 'b@example.com' })
    const none = `POST /api/candidates/${bare.body.data.id}/resume/retry`
    expect(await ask('candidates', none)).toMatchObject({ status: 404 })
  })

  it.each(['upload_expired', 'object_missing'])('is 409 no_file after %s', async (code) => {
    const { id, resume } = await candidate()
    await sql`update resumes set state = 'failed', failure = ${sql.json({ code, message: 'x' })} where id = ${resume}`
    expect(await ask('candidates', `POST /api/candidates/${id}/resume/retry`)).toMatchObject({
      status: 409,
      body: { code: 'no_file' },
    })
  })

  it('closes the dead letter that it makes idle', async () => {
    const { id, resume } = await candidate()
    await sql`
      update resumes set state = 'failed', failure = ${sql.json({ code: 'resume_failed', message: 'x' })}
      where id = ${resume}`
    await sql`
      insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
      values ('resumes', ${randomUUID()}, '{}', 5, 'x', 'defect', 'resume', ${resume})`
    await ask('candidates', `POST /api/candidates/${id}/resume/retry`)
    expect(await sql`select state, sent from dead_letters`).toEqual([{ state: 'redriven', sent: true }])
    await drain()
    expect(await resumeOf(id)).toMatchObject({ state: 'completed' })
  })
})
