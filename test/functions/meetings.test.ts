import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SQSBatchResponse } from 'aws-lambda'
import { TokenVerifier } from 'livekit-server-sdk'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { disconnect, type Sql } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { queueVariables } from '../../lib/platform/names.ts'
import { startTestAws, type TestAws, type TestFunction } from '../support/aws.ts'
import { unfolded } from '../support/calendar.ts'
import { call, lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'
import { startThirdParties, type ThirdParties } from '../support/third-parties.ts'

/*
 * What candidates are told of the times of their interviews, and what becomes of rooms and of who may join them,
 * through every function on the way: the real SDKs meet the simulated Resend and LiveKit.
 */

let folder: string
let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sqs: Sqs
let aws: TestAws
let parties: ThirdParties
let sql: Sql
let sendEmail: TestFunction
let sweep: () => Promise<unknown>
const apis: Record<string, Parameters<typeof call>[0]> = {}
const keys = { recruiter: '', admin: '', other: '' }
const livekit = {
  api_key: 'APIlocal',
  api_secret: 'a secret of at least thirty-two bytes',
  url: 'ws://nowhere',
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-meetings-'))
  const secrets: Record<string, Record<string, string>> = { livekit, resend: {}, agent: {} }
  ;[database, bucket, aws, parties] = await Promise.all([
    freshDatabase(),
    startStorage(),
    startTestAws(30_000),
    startThirdParties({
      webhookWaitsMs: [],
      outgoing: () => ({ gatewayUrl: 'http://127.0.0.1:1', secret: (name) => secrets[name]! }),
    }),
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
    CONSOLE_URL: 'https://console.example.com',
    MAIL_FROM: 'Insighta <interviews@example.com>',
    GEMINI_FUNCTION_NAME: 'none',
    MAILER_FUNCTION_NAME: 'mailer',
    LIVEKIT_FUNCTION_NAME: 'livekit',
    LIVEKIT_AGENT_NAME: 'interviewer',
    RESEND_SECRET_ARN: await secret('resend', { api_key: 're_key', webhook_secret: 'whsec_x' }),
    LIVEKIT_SECRET_ARN: await secret('livekit', livekit),
  }
  for (const [name, { source }] of Object.entries(queueVariables)) {
    environment[source] = sqs.createQueue(name).url
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  vi.spyOn(console, 'log').mockImplementation(() => {})
  vi.spyOn(console, 'warn').mockImplementation(() => {})
  const load = async (name: string) => (await import(`../../functions/${name}.ts`)).handler
  for (const name of ['livekit', 'mailer']) aws.functions[name] = await load(name)
  for (const name of ['candidates', 'interviews']) apis[name] = await load(name)
  sendEmail = await load('send-email')
  const sweeper = await load('sweep')
  sweep = () => sweeper({}, lambdaContext())
  keys.recruiter = (await createKey(sql, { role: 'recruiter', team: 'acme', label: 'a' })).key
  keys.admin = (await createKey(sql, { role: 'admin', team: 'acme', label: 'b' })).key
  keys.other = (await createKey(sql, { role: 'recruiter', team: 'other', label: 'c' })).key
})
beforeEach(async () => {
  await parties.unmet()
  await sql`truncate candidates, emails, outbox, rooms_to_close, invitations_sent cascade`
  await taken()
})
afterAll(async () => {
  vi.restoreAllMocks()
  await disconnect()
  await Promise.all([database.close(), bucket.close(), aws.close(), parties.close(), sqs.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const ask = (target: string, body?: unknown, key = keys.recruiter) =>
  call(
    apis[target.includes('/candidates') || target.includes('/erasures') ? 'candidates' : 'interviews']!,
    target,
    {
      key,
      ...(body !== undefined && { body }),
    },
  )

/** The messages that wait to be sent as e-mails, which are then no more in the queue. */
async function taken(): Promise<string[]> {
  const { arn } = sqs.queues().find(({ arn }) => arn.endsWith(':emails'))!
  const received = await sqs.receive(arn, { max: 10, waitSeconds: 0 })
  sqs.deleteMessages(
    arn,
    received.map(({ receiptHandle }) => receiptHandle),
  )
  return received.map(({ body }) => body)
}

async function deliver(body: string): Promise<void> {
  const event = { Records: [{ messageId: randomUUID(), body, attributes: { ApproximateReceiveCount: '1' } }] }
  const { batchItemFailures } = (await sendEmail(event, lambdaContext(30_000))) as SQSBatchResponse
  expect(batchItemFailures).toEqual([])
}

/** Sends what waits to be sent. */
async function post(): Promise<void> {
  for (const body of await taken()) await deliver(body)
}

type Attachment = { filename: string; content: string; content_type: string }
type Mail = { to: string[]; subject: string; text: string; html: string; attachments?: Attachment[] }

/** What Resend has sent to an address. */
async function mailsTo(address: string): Promise<Mail[]> {
  const answer = await fetch(`${parties.url}/resend/outbox`, {
    headers: { authorization: `Bearer ${parties.key}` },
  })
  return ((await answer.json()) as Mail[]).filter(({ to }) => to.includes(address))
}

/** The properties of a mail's calendar file. */
function calendarOf({ attachments }: Mail) {
  const [file, ...others] = attachments ?? []
  expect(others).toEqual([])
  if (!file) return undefined
  const lines = unfolded(Buffer.from(file.content, 'base64').toString('utf8'))
  const value = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1)
  return {
    type: file.content_type,
    method: value('METHOD'),
    uid: value('UID'),
    sequence: Number(value('SEQUENCE')),
    start: value('DTSTART'),
    status: value('STATUS'),
  }
}

async function candidate(email = `${randomUUID()}@example.com`) {
  const made = await ask('POST /api/candidates', { full_name: 'Ada Obi', email })
  return { id: made.body.data.id as string, email }
}

async function interview(about: object = {}, { email }: { email?: string } = {}) {
  const person = await candidate(email)
  const made = await ask('POST /api/interviews', {
    candidate_id: person.id,
    role_title: 'Engineer',
    scheduled_at: '2077-01-04T15:00:00Z',
    timezone: 'Europe/Berlin',
    ...about,
  })
  expect(made.status).toBe(201)
  const { id } = made.body.data as { id: string }
  const to = `/api/interviews/${id}`
  return {
    id,
    data: made.body.data,
    change: (changes: object) => ask(`PATCH ${to}`, changes),
    cancel: () => ask(`POST ${to}/cancel`),
    invite: (body: object = {}) => ask(`POST ${to}/invite`, body),
    join: (body: object, key?: string) => ask(`POST ${to}/join-token`, body, key),
    emails: async () => (await ask(`GET ${to}/emails`)).body.data as { kind: string; state: string }[],
    mails: () => mailsTo(person.email),
  }
}

const kindsOf = (emails: { kind: string }[]) => emails.map(({ kind }) => kind)
const problemsOf = ({ status, body }: { status: number; body: { details?: { field: string }[] } }) => [
  status,
  body.details?.map(({ field }) => field),
]

describe('an interview that was invited', () => {
  it('says when it begins in its zone, with a calendar file', async () => {
    const { id, invite, mails } = await interview()
    await invite()
    await post()
    const [mail] = await mails()
    expect(mail!.text).toContain('It begins on Monday, 4 January 2077 at 16:00 (UTC+1, Europe/Berlin).')
    expect(mail!.html).toContain('16:00 (UTC+1, Europe/Berlin)')
    expect(calendarOf(mail!)).toEqual({
      type: 'text/calendar; charset=utf-8; method=REQUEST',
      method: 'REQUEST',
      uid: `interview-${id}@insighta`,
      sequence: 0,
      start: '20770104T150000Z',
      status: 'CONFIRMED',
    })
  })

  it('tells the candidate of each new time once, with a growing sequence', async () => {
    const { id, invite, change, emails, mails } = await interview()
    await invite()
    expect((await change({ scheduled_at: '2077-01-05T15:00:00Z' })).status).toBe(200)
    expect((await change({ scheduled_at: '2077-01-05T16:00:00+01:00' })).status).toBe(200)
    expect((await change({ role_title: 'Engineer', scheduled_at: '2077-01-06T09:30:00' })).status).toBe(200)
    expect((await change({ duration_minutes: 30, timezone: 'Asia/Kolkata' })).status).toBe(200)
    expect(kindsOf(await emails())).toEqual(['invite', 'rescheduled', 'rescheduled'])
    await post()
    const sent = await mails()
    expect(sent.map(({ subject }) => subject)).toEqual([
      'Your interview: Engineer',
      'New time for your interview: Engineer',
      'New time for your interview: Engineer',
    ])
    expect(sent[2]!.text).toContain('Before, it was to begin on Tuesday, 5 January 2077 at 16:00')
    expect(sent[2]!.text).toContain('It begins on Wednesday, 6 January 2077 at 09:30 (UTC+1, Europe/Berlin).')
    const files = sent.map(calendarOf)
    expect(files.map((file) => [file!.method, file!.sequence, file!.start])).toEqual([
      ['REQUEST', 0, '20770104T150000Z'],
      ['REQUEST', 1, '20770105T150000Z'],
      ['REQUEST', 2, '20770106T083000Z'],
    ])
    expect(new Set(files.map((file) => file!.uid))).toEqual(new Set([`interview-${id}@insighta`]))
  })

  it('tells each of two changes at once', async () => {
    const { invite, change, emails } = await interview()
    await invite()
    await Promise.all([5, 6, 7].map((day) => change({ scheduled_at: `2077-01-0${day}T15:00:00Z` })))
    expect(kindsOf(await emails())).toEqual(['invite', 'rescheduled', 'rescheduled', 'rescheduled'])
    const [row] =
      await sql`select count(distinct dedupe_key)::int as keys from emails where kind = 'rescheduled'`
    expect(row).toEqual({ keys: 3 })
  })

  it('is not invited again to a time that the candidate was told', async () => {
    const { invite, change, emails } = await interview()
    await invite()
    await change({ scheduled_at: '2077-01-05T15:00:00Z' })
    expect((await invite()).body.email.kind).toBe('rescheduled')
    await change({ scheduled_at: '2077-01-04T15:00:00Z' })
    expect((await invite()).body.email.kind).toBe('rescheduled')
    expect(kindsOf(await emails())).toEqual(['invite', 'rescheduled', 'rescheduled'])
  })

  it('loses its entry in the calendar with its time, and gets one with a time', async () => {
    const { invite, change, mails } = await interview()
    await invite()
    await change({ scheduled_at: null })
    await change({ scheduled_at: '2077-01-05T15:00:00Z' })
    await post()
    const sent = await mails()
    expect(sent[1]!.text).toContain('You can join whenever it suits you.')
    expect(sent.map((mail) => calendarOf(mail)!.method)).toEqual(['REQUEST', 'CANCEL', 'REQUEST'])
  })

  it('tells of a cancellation once, and asks for nothing', async () => {
    const { invite, cancel, emails, mails } = await interview()
    await invite()
    await post()
    expect((await cancel()).body.data.state).toBe('cancelled')
    expect((await cancel()).status).toBe(200)
    expect(kindsOf(await emails())).toEqual(['invite', 'cancelled'])
    await post()
    const [, mail] = await mails()
    expect(mail!.subject).toBe('Your interview was cancelled: Engineer')
    expect(mail!.text).toContain(
      'which was to begin on Monday, 4 January 2077 at 16:00 (UTC+1, Europe/Berlin)',
    )
    expect(mail!.html).not.toContain('<a ')
    expect(calendarOf(mail!)).toMatchObject({ method: 'CANCEL', sequence: 1, status: 'CANCELLED' })
  })

  it('that is cancelled before its invitation was sent sends neither', async () => {
    const { invite, cancel, emails, mails } = await interview()
    await invite()
    await cancel()
    await post()
    expect(await emails()).toMatchObject([
      { kind: 'invite', state: 'failed', failure: { code: 'interview_ended' } },
    ])
    expect(await mails()).toEqual([])
  })

  it('tells of a cancellation if an attempt at the invitation may have arrived', async () => {
    const { invite, cancel, emails } = await interview()
    await invite()
    // Resend took it, and its word was lost.
    await sql`update emails set attempts = 1`
    await cancel()
    expect(kindsOf(await emails())).toEqual(['invite', 'cancelled'])
  })

  it('tells of changes whatever quota is left, and uses none of it', async () => {
    const { invite, change, emails } = await interview()
    await invite()
    await sql`truncate team_usage`
    await sql`
      insert into team_quotas (team_id, kind, daily_limit) select id, 'emails', 0 from teams where name = 'acme'`
    await change({ scheduled_at: '2077-01-05T15:00:00Z' })
    await sql`truncate team_quotas`
    const [, notice] = await emails()
    expect(notice).toMatchObject({ kind: 'rescheduled', state: 'queued' })
    expect(notice).not.toHaveProperty('failure')
    expect(await sql`select used from team_usage where kind = 'emails'`).toEqual([])
  })

  it('has notices sent again that failed, whatever quota is left', async () => {
    const { id, invite, change, emails } = await interview()
    await invite()
    await change({ scheduled_at: '2077-01-05T15:00:00Z' })
    await sql`
      update emails set state = 'failed', failure = '{"code":"email_failed","message":"x"}' where kind = 'rescheduled'`
    const limit = { team_id: sql`(select id from teams where name = 'acme')` }
    await sql`insert into team_quotas (team_id, kind, daily_limit) values (${limit.team_id}, 'emails', 0)`
    const { status } = await ask(`POST /api/interviews/${id}/emails/retry`)
    await sql`truncate team_quotas`
    expect(status).toBe(202)
    expect(await emails()).toMatchObject([{ kind: 'invite' }, { kind: 'rescheduled', state: 'queued' }])
  })

  it('does not tell an older time after a newer one', async () => {
    const { invite, change, emails, mails } = await interview()
    await invite()
    await change({ scheduled_at: '2077-01-05T15:00:00Z' })
    await change({ scheduled_at: '2077-01-06T15:00:00Z' })
    for (const body of (await taken()).reverse()) await deliver(body)
    expect((await mails()).map((mail) => calendarOf(mail)!.sequence)).toEqual([2])
    expect(await emails()).toMatchObject([
      { kind: 'invite', failure: { code: 'superseded' } },
      { kind: 'rescheduled', failure: { code: 'superseded' } },
      { kind: 'rescheduled', state: 'sent' },
    ])
  })
})

it('writes to no one about an interview that was not invited', async () => {
  const { change, cancel, emails } = await interview()
  await change({ scheduled_at: '2077-01-05T15:00:00Z' })
  await cancel()
  expect(await emails()).toEqual([])
})

describe('the start of an interview', () => {
  it('in the past is refused, when it is made and when it is moved', async () => {
    const { id } = await candidate()
    const past = { candidate_id: id, role_title: 'Engineer', scheduled_at: '2026-01-01T10:00:00Z' }
    expect(problemsOf(await ask('POST /api/interviews', past))).toEqual([422, ['scheduled_at']])
    const { change } = await interview()
    expect(problemsOf(await change({ scheduled_at: '2026-01-01T10:00:00Z' }))).toEqual([
      422,
      ['scheduled_at'],
    ])
    expect(problemsOf(await change({ scheduled_at: '1999-01-01T10:00:00' }))).toEqual([422, ['scheduled_at']])
  })

  it('in a year of five digits is refused, also one that an offset leads to', async () => {
    const { change } = await interview()
    for (const scheduled_at of ['9999-12-31T23:59:59-23:59', '9999-01-02T00:00:00']) {
      expect(problemsOf(await change({ scheduled_at }))).toEqual([422, ['scheduled_at']])
    }
    expect((await change({ scheduled_at: '9998-12-31T10:00:00' })).status).toBe(200)
  })

  it('that has come may be sent along unchanged', async () => {
    const { id, change } = await interview()
    await sql`update interviews set scheduled_at = '2026-01-01T10:00:00Z' where id = ${id}`
    const { status, body } = await change({ role_title: 'Cook', scheduled_at: '2026-01-01T10:00:00Z' })
    expect([status, body.data.role_title]).toEqual([200, 'Cook'])
  })

  it('is local in the zone of the request, or else in that of the interview', async () => {
    const { data, change } = await interview({ scheduled_at: '2077-01-04T16:00:00' })
    expect(data).toMatchObject({ scheduled_at: '2077-01-04T15:00:00.000Z', timezone: 'Europe/Berlin' })
    const moved = await change({ scheduled_at: '2077-01-05T16:00', timezone: 'asia/tokyo' })
    expect(moved.body.data).toMatchObject({
      scheduled_at: '2077-01-05T07:00:00.000Z',
      timezone: 'Asia/Tokyo',
    })
    const nowhere = await change({ scheduled_at: '2077-01-05T16:00', timezone: null })
    expect(problemsOf(nowhere)).toEqual([422, ['scheduled_at']])
  })

  it.each([
    // Skipped, and twice: RFC 5545. With an offset each of the two.
    ['2077-03-28T02:30:00', '2077-03-28T01:30:00.000Z', '03:30 (UTC+2'],
    ['2077-10-31T02:30:00', '2077-10-31T00:30:00.000Z', '02:30 (UTC+2'],
    ['2077-10-31T02:30:00+02:00', '2077-10-31T00:30:00.000Z', '02:30 (UTC+2'],
    ['2077-10-31T02:30:00+01:00', '2077-10-31T01:30:00.000Z', '02:30 (UTC+1'],
  ])('in a change of clocks, %s, is %s and is told as %s', async (scheduled_at, instant, told) => {
    const { data, invite, mails } = await interview({ scheduled_at })
    expect(data.scheduled_at).toBe(instant)
    await invite()
    await post()
    const [mail] = await mails()
    expect(mail!.text).toContain(told)
    expect(calendarOf(mail!)!.start).toBe(instant.replaceAll(/[-:]|\.000/g, ''))
  })

  it.each(['Mars/Olympus', 'Europe/Atlantis', '+01:00', 7])('in the zone %j is refused', async (timezone) => {
    const { change } = await interview()
    expect(problemsOf(await change({ timezone }))).toEqual([422, ['timezone']])
  })
})

describe('names and titles', () => {
  it.each(['see https://evil.example', 'WWW.evil.example', 'ｗｗｗ．evil.example', 'ftp：／／evil'])(
    'that would be links are refused: %s',
    async (text) => {
      const person = { full_name: text, email: `${randomUUID()}@example.com` }
      expect(problemsOf(await ask('POST /api/candidates', person))).toEqual([422, ['full_name']])
      const { change, join } = await interview()
      expect(problemsOf(await change({ role_title: text }))).toEqual([422, ['role_title']])
      expect((await change({ rubric: [{ id: 'a', title: text }] })).status).toBe(422)
      expect(problemsOf(await join({ name: text }))).toEqual([422, ['name']])
    },
  )

  it('of an earlier release are still shown', async () => {
    const { id } = await interview()
    await sql`update interviews set role_title = 'Engineer at www.example.com' where id = ${id}`
    expect((await ask(`GET /api/interviews/${id}`)).body.data.role_title).toBe('Engineer at www.example.com')
  })
})

describe('invitations to one address', () => {
  const email = 'often@example.com'

  it('are three a day in a team, whatever its case, and notices of changes are none', async () => {
    const first = await interview({}, { email })
    expect((await first.invite()).status).toBe(202)
    for (const day of [5, 6, 7, 8]) await first.change({ scheduled_at: `2077-01-0${day}T15:00:00Z` })
    expect((await first.invite({ again: true })).status).toBe(202)
    await sql`update candidates set email = 'OFTEN@example.com'`
    expect((await first.invite({ again: true })).status).toBe(202)
    const { status, body, headers } = await first.invite({ again: true })
    expect([status, body.code]).toEqual([429, 'quota_exceeded'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    // One that is there is returned, and another address is free.
    expect((await first.invite()).status).toBe(202)
    expect((await (await interview()).invite()).status).toBe(202)
  })

  it('stay three when the interview is deleted, and however many come at once', async () => {
    const { id, invite } = await interview({}, { email })
    expect((await invite()).status).toBe(202)
    await ask(`DELETE /api/interviews/${id}`)
    const [{ id: person } = { id: '' }] = await sql<{ id: string }[]>`select id from candidates`
    const made = await Promise.all(
      [1, 2, 3, 4].map(() => ask('POST /api/interviews', { candidate_id: person, role_title: 'Engineer' })),
    )
    const invited = await Promise.all(
      made.map(({ body }) => ask(`POST /api/interviews/${body.data.id}/invite`, {})),
    )
    expect(invited.map(({ status }) => status).sort()).toEqual([202, 202, 429, 429])
  })

  it('are counted for each day, without the address', async () => {
    const { invite } = await interview({}, { email })
    await invite()
    await sql`update invitations_sent set day = day - 1, used = 3`
    expect((await invite({ again: true })).status).toBe(202)
    const rows = await sql`select * from invitations_sent`
    expect(JSON.stringify(rows)).not.toContain('often')
    await sweep()
    expect(await sql`select used from invitations_sent`).toEqual([{ used: 1 }])
    await ask('POST /api/erasures', { email }, keys.admin)
    expect(await sql`select used from invitations_sent`).toEqual([])
  })

  it('of another team are its own', async () => {
    const { invite } = await interview({}, { email })
    for (let count = 0; count < 3; count++) await invite({ again: true })
    const person = await ask('POST /api/candidates', { full_name: 'Ada Obi', email }, keys.other)
    const about = { candidate_id: person.body.data.id, role_title: 'Engineer' }
    const made = await ask('POST /api/interviews', about, keys.other)
    expect((await ask(`POST /api/interviews/${made.body.data.id}/invite`, {}, keys.other)).status).toBe(202)
  })
})

describe('a cancellation', () => {
  it('after the start is refused: the time has come, or something was said', async () => {
    const late = await interview()
    await sql`update interviews set scheduled_at = now() - interval '1 second' where id = ${late.id}`
    const open = await interview({ scheduled_at: null })
    await sql`update interviews set state = 'in_progress' where id = ${open.id}`
    await sql`insert into turns (interview_id, sequence_no, speaker, content) values (${open.id}, 1, 'ai', 'Hello')`
    for (const { cancel, emails } of [late, open]) {
      const { status, body } = await cancel()
      expect([status, body.code]).toEqual([409, 'conflict'])
      expect(await emails()).toEqual([])
    }
    await late.change({ scheduled_at: '2077-01-05T15:00:00Z' })
    expect((await late.cancel()).status).toBe(200)
    expect(await sql`select state from interviews where id = ${open.id}`).toEqual([{ state: 'in_progress' }])
  })
})

/** What LiveKit has of a room. */
async function roomOf(room: string): Promise<'open' | 'closed' | 'none'> {
  const headers = { authorization: `Bearer ${parties.key}` }
  const answer = await fetch(`${parties.url}/livekit/rooms`, { headers })
  const { open, closed } = (await answer.json()) as { open: string[]; closed: string[] }
  return open.includes(room) ? 'open' : closed.includes(room) ? 'closed' : 'none'
}

/** Somebody opens a room; that nobody takes the webhook is no matter here. */
async function open(room: string): Promise<void> {
  await fetch(`${parties.url}/livekit/send`, {
    method: 'POST',
    headers: { authorization: `Bearer ${parties.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ event: 'room_started', room }),
  })
  expect(await roomOf(room)).toBe('open')
}

const deleteRoom = '/twirp/livekit.RoomService/DeleteRoom'
const toClose = () => sql<{ attempts: number; last_error: string | null }[]>`
  select attempts, last_error from rooms_to_close`
const due = () => sql`update rooms_to_close set due_at = now()`

describe('the room of an interview', () => {
  it('is closed when it is cancelled, and so is one that was never opened', async () => {
    const opened = await interview()
    await open(opened.id)
    await opened.cancel()
    expect(await roomOf(opened.id)).toBe('closed')
    const unopened = await interview()
    await unopened.cancel()
    expect(await toClose()).toEqual([])
  })

  it('is closed by the sweep once LiveKit is back', async () => {
    const { id, cancel } = await interview()
    await open(id)
    await parties.fault({ path: deleteRoom, status: 503, times: 3 })
    expect((await cancel()).body.data.state).toBe('cancelled')
    expect(await roomOf(id)).toBe('open')
    expect(await toClose()).toMatchObject([{ attempts: 1, last_error: expect.any(String) }])
    await sweep()
    expect(await roomOf(id)).toBe('open')
    await parties.unmet()
    await due()
    await sweep()
    expect(await roomOf(id)).toBe('closed')
    expect(await toClose()).toEqual([])
  })

  it('is tried again later each time, and given up after a day', async () => {
    const { id, cancel } = await interview()
    await open(id)
    await parties.fault({ path: deleteRoom, status: 401, times: 20 })
    await cancel()
    const waits: number[] = []
    for (let attempt = 0; attempt < 6; attempt++) {
      const [row] = await sql<{ seconds: number }[]>`
        select extract(epoch from due_at - now())::float8 as seconds from rooms_to_close`
      waits.push(Math.round(row!.seconds / 60))
      await due()
      await sweep()
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 16])
    await sql`update rooms_to_close set due_at = now(), requested_at = requested_at - interval '25 hours'`
    await sweep()
    expect(await toClose()).toEqual([])
    expect(await roomOf(id)).toBe('open')
  })

  it('is closed when the interview is deleted', async () => {
    const { id } = await interview()
    await open(id)
    await ask(`DELETE /api/interviews/${id}`)
    await sweep()
    expect(await roomOf(id)).toBe('closed')
  })

  it('is not forgotten if it is to be closed again while it is being closed', async () => {
    const { id, cancel } = await interview()
    await open(id)
    const real = aws.functions.livekit!
    aws.functions.livekit = async (event, context) => {
      const answer = await real(event, context)
      await sql`update rooms_to_close set requested_at = clock_timestamp(), due_at = now(), attempts = 0`
      return answer
    }
    await cancel()
    aws.functions.livekit = real
    expect(await toClose()).toEqual([{ attempts: 0, last_error: null }])
  })
})

describe('a join token', () => {
  const claimsOf = (token: string) => new TokenVerifier(livekit.api_key, livekit.api_secret).verify(token)

  it('is for a recruiter unless asked for, or for a candidate, and calls the agent in', async () => {
    const { id, join } = await interview()
    const own = await join({})
    expect([own.status, own.body.identity]).toEqual([200, `recruiter-${id}`])
    const theirs = await claimsOf((await join({ as: 'candidate' })).body.token)
    expect(theirs).toMatchObject({
      sub: `candidate-${id}`,
      name: 'Ada Obi',
      roomConfig: { agents: [{ agentName: 'interviewer', metadata: JSON.stringify({ interview_id: id }) }] },
    })
    expect(theirs.kind).toBeUndefined()
  })

  it('that speaks as the interviewer needs an admin', async () => {
    const { join } = await interview()
    const refused = await join({ as: 'agent' })
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
    const { status, body } = await join({ as: 'agent' }, keys.admin)
    const claims = await claimsOf(body.token)
    expect([status, claims.kind, claims.roomConfig]).toEqual([200, 'agent', undefined])
  })

  it('ends soon after the interview should', async () => {
    const seconds = async (startsIn: string, minutes = 20) => {
      const { id, join } = await interview({ duration_minutes: minutes })
      await sql`update interviews set scheduled_at = now() + ${startsIn}::interval where id = ${id}`
      const { token, expires_at } = (await join({})).body
      const { exp } = await claimsOf(token)
      expect(Math.abs(Date.parse(expires_at) / 1000 - exp!)).toBeLessThanOrEqual(2)
      return Math.round((exp! - Date.now() / 1000) / 60)
    }
    expect(await seconds('1 day')).toBe(60)
    expect(await seconds('-10 minutes')).toBe(40)
    expect(await seconds('-2 hours')).toBe(10)
  })

  it.each(['cancelled', 'completed', 'needs_attention'])(
    'is refused once the interview is %s',
    async (state) => {
      const { id, join } = await interview()
      await sql`update interviews set state = ${state} where id = ${id}`
      const { status, body } = await join({})
      expect([status, body.code]).toEqual([409, 'interview_ended'])
    },
  )
})
