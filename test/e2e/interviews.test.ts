import { randomUUID } from 'node:crypto'
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { TokenVerifier } from 'livekit-server-sdk'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { turnId } from '../../lib/interviews/transcript.ts'
import { routes } from '../../lib/platform/routes.ts'
import { pdfOf } from '../support/documents.ts'
import { agentHeaders, livekitHeaders, resendHeaders } from '../support/webhooks.ts'
import { apiOf, startTestCloud, type TestCloud, until } from './cloud.ts'
import { interviewsOf, modelPath, outsideOf, secretOf, turnEvent, turnsOf } from './recruiting.ts'

let cloud: TestCloud
let call: ReturnType<typeof apiOf>
let interviews: ReturnType<typeof interviewsOf>
let outside: ReturnType<typeof outsideOf>
let sql: postgres.Sql
let stranger: string

beforeAll(async () => {
  cloud = await startTestCloud()
  const { key } = await cloud.newKey('recruiter')
  call = apiOf(cloud.url, key)
  stranger = (await cloud.newKey('recruiter', 'strangers')).key
  interviews = interviewsOf(call)
  outside = outsideOf(cloud.credentials)
  sql = postgres(cloud.credentials.database_url, { max: 1 })
})
afterAll(async () => {
  await sql?.end({ timeout: 2 })
  await cloud?.close()
})

/** Words that no log may hold: they are people's, or were said by them. */
const personal = /quillfeather|zanele|@people\.example|zeppelin|marmalade|traveller|umbrella|doubled/i

const address = 'zanele.quillfeather@people.example'
const recruiter = 'recruiter@people.example'
const resume = `Zanele Quillfeather
Backend engineer

Six years of TypeScript and PostgreSQL. Led the move of the zeppelin bookings to AWS.
Skills: TypeScript, PostgreSQL, AWS
Senior engineer at Marmalade Travel, 2019 to 2025
`
const turns = turnsOf([
  ['Welcome. What have you been working on?', 'I led the move of our zeppelin bookings to Lambda and SQS.'],
  [
    'How did you make sure that no booking was lost?',
    'Each one is idempotent by its number, and a dead-letter queue keeps whatever fails.',
  ],
  ['Tell me about a mistake.', 'A deploy doubled the retries, and the pool ran out of connections.'],
  ['How do you explain that to others?', 'I draw what a traveller would see, with and without it.'],
])
const lost = new Set([3, 6])

describe('an interview from the first word to its deletion', () => {
  let candidate: string
  let id: string

  test('a résumé that is uploaded is read, and tells what nobody had typed', async () => {
    candidate = await interviews.meet('Zanele Quillfeather', address)
    const pdf = await pdfOf([resume])
    const file = { filename: 'Quillfeather.pdf', size: pdf.length }
    const { status, body } = await call(`POST /api/candidates/${candidate}/resume`, { body: file })
    expect([status, body.state]).toEqual([201, 'awaiting_upload'])
    const { url, method, headers } = body.upload
    expect((await fetch(url, { method, headers, body: pdf })).status).toBe(200)
    const read = async () => (await call(`GET /api/candidates/${candidate}/resume`)).body
    await until(async () => (await read()).state === 'completed')
    const { text, hidden_text, extracted } = await read()
    expect(text).toMatch(/^Zanele Quillfeather\nBackend engineer\n\s*Six years of TypeScript and PostgreSQL/)
    expect(hidden_text).toEqual({ characters: 0, kinds: [], excerpt: '' })
    expect(extracted.skills).toEqual(['AWS', 'PostgreSQL', 'TypeScript'])
    const located = await call(`GET /api/candidates/${candidate}/resume/file`, {
      headers: { accept: 'application/json' },
    })
    const fetched = await fetch(located.body.url)
    expect(fetched.headers.get('content-disposition')).toContain('attachment; filename="Quillfeather.pdf"')
    expect(Buffer.from(await fetched.arrayBuffer()).equals(pdf)).toBe(true)
    const known = await call(`GET /api/candidates/${candidate}`)
    expect(known.body.data).toMatchObject({ current_title: 'Backend engineer', years_of_experience: 6 })
  })

  test('it is planned and confirmed, and whoever joins gets a token for its room', async () => {
    id = await interviews.draft(candidate, {
      role_title: 'Backend engineer',
      job_description: 'Reliable serverless systems on AWS with TypeScript and PostgreSQL.',
      recruiter_email: recruiter,
    })
    const planned = await call(`POST /api/interviews/${id}/questions`, { body: { kind: 'plan' } })
    expect(planned.body.plan.questions.length).toBeGreaterThanOrEqual(5)
    const confirmed = await call(`POST /api/interviews/${id}/confirm`)
    expect(confirmed.body.data).toMatchObject({ state: 'scheduled', plan: planned.body.plan })

    const { body } = await call(`POST /api/interviews/${id}/join-token`, { body: { as: 'candidate' } })
    const { api_key, api_secret } = await secretOf(cloud.credentials, 'livekit')
    expect(await new TokenVerifier(api_key!, api_secret!).verify(body.token)).toMatchObject({
      sub: `candidate-${id}`,
      video: { roomJoin: true, room: id },
    })
  })

  test('the candidate is invited once, and Resend tells that it was delivered', async () => {
    const states = async () =>
      (await call(`GET /api/interviews/${id}/emails`)).body.data.map(
        ({ kind, state }: { kind: string; state: string }) => `${kind} ${state}`,
      )
    const first = await call(`POST /api/interviews/${id}/invite`, { body: {} })
    const second = await call(`POST /api/interviews/${id}/invite`, { body: {} })
    expect([first.status, second.body.email.id]).toEqual([202, first.body.email.id])
    await until(async () => (await states())[0] === 'invite delivered')
    expect(await outside.mails(address)).toMatchObject([
      {
        subject: 'Your interview: Backend engineer',
        text: expect.stringContaining(`Join the interview: ${cloud.url}/join#${id}\n`),
      },
    ])
  })

  test('turns that come doubled and out of order are there once, in order; two never come', async () => {
    await outside.room({ event: 'room_started', room: id })
    const sent = [...turns.slice(4), ...turns.slice(0, 4)].filter(({ sequence_no }) => !lost.has(sequence_no))
    for (const turn of sent) {
      const event = { ...turnEvent(id, turn), id: `${id}-${turn.sequence_no}` }
      await outside.agent(event)
      if (turn.sequence_no % 3 === 1) await outside.agent(event)
    }
    await interviews.heard(id, sent.length)
    const heard = await interviews.transcript(id)
    expect(heard).toMatchObject({ source: 'turns', state: 'transcribing', is_live: true })
    expect(heard.turns.map(({ sequence_no }: { sequence_no: number }) => sequence_no)).toEqual([
      1, 2, 4, 5, 7, 8,
    ])
  })

  test('its end brings the lost turns back, and an assessment through a storm of 429', async () => {
    const before = await interviews.transcript(id)
    await outside.fault({ path: modelPath, status: 429, times: 2, retry_after: 1 })
    await outside.agent({ type: 'session.completed', data: { interview_id: id, transcript: turns } })
    await outside.room({ event: 'room_finished', room: id })
    await until(async () => (await interviews.transcript(id)).source === 'merged')
    const whole = await interviews.transcript(id)
    expect(whole).toMatchObject({ state: 'completed', total_turns: 8, skipped_elements: 0 })
    expect(
      whole.turns.map(({ id, content, timestamp }: Record<string, unknown>) => [id, content, timestamp]),
    ).toEqual(
      turns.map(({ sequence_no, content, timestamp_sec }) => [
        turnId(id, sequence_no),
        content,
        new Date(timestamp_sec * 1000).toISOString().slice(11, 19),
      ]),
    )
    const kept = whole.turns.filter(({ sequence_no }: { sequence_no: number }) => !lost.has(sequence_no))
    expect(kept).toEqual(before.turns)

    await interviews.assessed(id, 'completed', 'failed')
    const { state, content } = await interviews.assessment(id)
    expect(state).toBe('completed')
    const cited = content!.criteria.flatMap(({ evidence }) => evidence.map(({ turn_id }) => turn_id))
    expect(cited.length).toBeGreaterThan(0)
    const spoken = new Set(turns.map(({ sequence_no }) => turnId(id, sequence_no)))
    expect(cited.filter((turn) => !spoken.has(turn))).toEqual([])
  })

  test('what went wrong on the way is in the log and the metrics, as retries that recovered', async () => {
    await until(() => cloud.metric('RetryRecoveries', { Call: 'Generate assessment' }) > 0)
    expect(cloud.metric('RetryRecoveries', { Call: 'Generate assessment' })).toBe(1)
    expect(cloud.metric('RetryExhaustions')).toBe(0)
    const log = (await cloud.logs()).get('Insighta-local-interviews-Gemini.log') ?? ''
    const line = /Attempt (\d\/3) failed for Generate assessment: .+? Retrying in (\d+\.\d\d)s\.\.\./g
    const failed = [...log.matchAll(line)]
    expect(failed.map(([, attempt]) => attempt)).toEqual(['1/3', '2/3'])
    for (const [, , wait] of failed) expect(Number(wait)).toBeGreaterThanOrEqual(1)
  })

  test('the recruiter is told once', async () => {
    await until(async () => (await outside.mails(recruiter)).length > 0)
    const { data } = (await call(`GET /api/interviews/${id}/emails`)).body
    expect(data.map(({ kind }: { kind: string }) => kind)).toEqual(['invite', 'assessment_ready'])
    expect(await outside.mails(recruiter)).toMatchObject([
      { subject: expect.stringContaining('Backend engineer'), text: expect.stringContaining(id) },
    ])
  })

  test('questions are answered by the turns that they stand on, or not at all', async () => {
    const ask = async (question: string) =>
      (await call(`POST /api/interviews/${id}/ask`, { body: { question } })).body.answer
    const known = await ask('Which retries did the deploy double?')
    expect(known).toMatchObject({ found: true })
    expect(known.citations).toContainEqual({
      id: turnId(id, 6),
      sequence_no: 6,
      timestamp: '00:01:12',
      speaker_label: 'Candidate',
      content: turns[5]!.content,
    })
    expect(await ask('Does she own an umbrella?')).toMatchObject({ found: false, citations: [] })
    const { data } = (await call(`GET /api/interviews/${id}/ask`)).body
    expect(data.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant', 'user', 'assistant'])
  })

  test('what was said is found, the turns that never came too', async () => {
    const found = await call('GET /api/interviews/search?q=doubled+retries')
    expect(found.body.data).toMatchObject([
      { interview_id: id, turn_id: turnId(id, 6), snippet: expect.stringContaining('**doubled**') },
    ])
    const { messages } = (await call(`GET /api/interviews/${id}/history`)).body
    expect(messages.map(({ id, role }: Record<string, string>) => [id, role])).toEqual(
      turns.map(({ sequence_no, speaker }) => [turnId(id, sequence_no), speaker]),
    )
  })

  test.each([
    ['transcript', 'txt', 'text/plain', '[00:00:12] Candidate: I led the move'],
    ['transcript', 'json', 'application/json', '"source": "merged"'],
    ['transcript', 'csv', 'text/csv', 'I led the move'],
    ['transcript', 'md', 'text/markdown', 'I led the move'],
    ['transcript', 'vtt', 'text/vtt', 'WEBVTT'],
    ['assessment', 'md', 'text/markdown', 'Backend engineer'],
    ['assessment', 'pdf', 'application/pdf', '%PDF'],
  ])('its %s is a file: %s', async (what, format, type, content) => {
    const { status, headers, text } = await call(`GET /api/interviews/${id}/${what}/export?format=${format}`)
    expect([status, headers.get('content-type')?.split(';')[0]]).toEqual([200, type])
    expect(text).toContain(content)
    if (format === 'pdf') expect(text.slice(0, 5)).toBe('%PDF-')
  })

  test('to another team none of it is there, on any route', async () => {
    const bodies: Record<string, object> = {
      'POST /api/candidates/{id}/resume': { filename: 'resume.txt', size: 10 },
      'POST /api/candidates/{id}/consents': {
        kind: 'consent',
        version: '1',
        how: 'by_word',
        at: '2026-01-01T00:00:00Z',
      },
      'POST /api/interviews/{id}/ask': { question: 'What was said?' },
      'PUT /api/interviews/{id}/verdict': { generation: 1, decision: 'reject' },
    }
    const queries: Record<string, string> = { 'DELETE /api/interviews/{id}/verdict': '?generation=1' }
    const own = Object.keys(routes).filter((key) => /^\w+ \/api\/(?:interviews|candidates)\/\{id\}/.test(key))
    expect(own.length).toBeGreaterThan(15)
    for (const route of own) {
      const target = route.replace('{id}', route.includes('/candidates/') ? candidate : id)
      const body = /^(?:POST|PATCH|PUT) /.test(route) ? (bodies[route] ?? {}) : undefined
      const answer = await call(`${target}${queries[route] ?? ''}`, { key: stranger, ...(body && { body }) })
      expect([route, answer.status, answer.body.code]).toEqual([route, 404, 'not_found'])
    }
    for (const list of ['candidates', 'interviews', 'interviews/search?q=doubled']) {
      expect((await call(`GET /api/${list}`, { key: stranger })).body.data, list).toEqual([])
    }
    const theirs = { candidate_id: candidate, role_title: 'Spy' }
    const drafted = await call('POST /api/interviews', { key: stranger, body: theirs })
    expect([drafted.status, drafted.body.code]).toEqual([404, 'not_found'])
  })

  test('deleted it is gone, with all that was said in it; that it was deleted is kept', async () => {
    expect((await call(`DELETE /api/interviews/${id}`)).status).toBe(204)
    for (const route of ['', '/transcript', '/assessment', '/ask', '/emails']) {
      expect((await call(`GET /api/interviews/${id}${route}`)).status).toBe(404)
    }
    expect((await call('GET /api/interviews/search?q=doubled+retries')).body.data).toEqual([])
    const [left] = await sql`
      select (select count(*) from turns where interview_id = ${id})::int as turns,
        (select count(*) from turn_texts where interview_id = ${id})::int as texts,
        (select count(*) from emails where interview_id = ${id})::int as emails,
        (select count(*) from deletions where subject_id = ${id})::int as deletions`
    expect(left).toEqual({ turns: 0, texts: 0, emails: 0, deletions: 1 })
    expect((await call(`DELETE /api/candidates/${candidate}`)).status).toBe(204)
  })
})

test('an interview that is moved and cancelled tells its candidate, and ends its room', async () => {
  const email = 'traveller.moved@people.example'
  const id = await interviews.draft(await interviews.meet('Zanele Quillfeather', email), {
    scheduled_at: '2077-03-28T02:30:00',
    timezone: 'Europe/Berlin',
  })
  await call(`POST /api/interviews/${id}/invite`, { body: {} })
  await until(async () => (await outside.mails(email)).length === 1)
  await call(`PATCH /api/interviews/${id}`, { body: { scheduled_at: '2077-03-29T09:00:00' } })
  await until(async () => (await outside.mails(email)).length === 2)
  await outside.room({ event: 'room_started', room: id })
  expect((await outside.rooms()).open).toContain(id)
  const cancelled = await call(`POST /api/interviews/${id}/cancel`)
  expect(cancelled.body.data.state).toBe('cancelled')
  expect(await outside.rooms()).toMatchObject({ closed: expect.arrayContaining([id]) })
  await until(async () => (await outside.mails(email)).length === 3)
  const mails = await outside.mails(email)
  expect(mails.map(({ attachments }) => attachments?.[0]?.content_type)).toEqual([
    'text/calendar; charset=utf-8; method=REQUEST',
    'text/calendar; charset=utf-8; method=REQUEST',
    'text/calendar; charset=utf-8; method=CANCEL',
  ])
  expect(mails[0]!.text).toContain('Sunday, 28 March 2077 at 03:30 (UTC+2, Europe/Berlin)')
  const refused = await call(`POST /api/interviews/${id}/join-token`, { body: {} })
  expect([refused.status, refused.body.code]).toEqual([409, 'interview_ended'])
})

describe('a webhook', () => {
  let secret: string
  let id: string

  beforeAll(async () => {
    secret = (await secretOf(cloud.credentials, 'agent')).webhook_secret!
    id = await interviews.draft(await interviews.meet('Zanele Other', 'zanele.other@people.example'))
  })

  const [turn] = turns
  const next = (sequence_no: number) => JSON.stringify(turnEvent(id, { ...turn!, sequence_no }))
  const post = (body: string, headers: Record<string, string>, to = 'agent') =>
    call(`POST /webhooks/${to}`, { key: null, headers, body })
  const signed = (body: string, event: string, at?: Date) =>
    agentHeaders(event, body, { secret, ...(at && { at }) })
  const eventOf = async (event: string) =>
    (await sql`select outcome, body from webhook_events where event_id = ${event}`)[0]

  test('that is forged, altered or old is 401, and leaves nothing', async () => {
    const body = next(1)
    const old = new Date(Date.now() - 6 * 60_000)
    for (const answer of [
      await post(body, {}),
      await post(body, agentHeaders('forged', body, { secret: 'whsec_Zm9yZ2Vk' })),
      await post(body.replace('"turn"', '"tern"'), signed(body, 'altered')),
      await post(body, signed(body, 'old', old)),
      await post(body, resendHeaders('forged', body), 'resend'),
      await post('{"event":"room_started"}', await livekitHeaders('{"event":"room_started"}'), 'livekit'),
    ]) {
      expect([answer.status, answer.body.code]).toEqual([401, 'invalid_signature'])
    }
    const ids = ['forged', 'altered', 'old']
    expect(await sql`select event_id from webhook_events where event_id in ${sql(ids)}`).toEqual([])
    expect((await interviews.transcript(id)).total_turns).toBe(0)
  })

  test('that the gateway hands on in base64 is the same', async () => {
    const body = next(1)
    const headers = { ...signed(body, 'base64'), 'content-type': 'application/octet-stream' }
    expect((await post(body, headers)).status).toBe(202)
    await interviews.heard(id, 1)
  })

  test('that comes again is 202 with no second effect', async () => {
    const body = next(2)
    for (let copy = 0; copy < 3; copy++) {
      expect(await post(body, signed(body, 'again'))).toMatchObject({ status: 202, body: { id: 'again' } })
    }
    await interviews.heard(id, 2)
    const queue = 'insighta-local-interview-events'
    await until(() => {
      const { ready, inFlight, delayed } = cloud.sqs.inspect(queue)!
      return ready.length + inFlight.length + delayed.length === 0
    })
    expect(await sql`select outcome from webhook_events where event_id = 'again'`).toEqual([
      { outcome: 'applied' },
    ])
    expect((await interviews.transcript(id)).total_turns).toBe(2)
  })

  test('of a type that nobody knows is 422, and about nobody 202 and kept', async () => {
    const unknown = '{"type":"weather.changed","data":{"umbrella":true}}'
    expect(await post(unknown, signed(unknown, 'unknown'))).toMatchObject({
      status: 422,
      body: { details: [{ field: 'type' }] },
    })
    const nobody = JSON.stringify(turnEvent(randomUUID(), turn!))
    expect((await post(nobody, signed(nobody, 'nobody'))).status).toBe(202)
    await until(async () => (await eventOf('nobody')) !== undefined)
    expect(await eventOf('unknown')).toBeUndefined()
    expect(await eventOf('nobody')).toEqual({ outcome: 'unmatched', body: nobody })
  })

  test('of 1 MB is taken in through S3 and applied', async () => {
    const data = { interview_id: id, transcript: turns, report: { notes: 'umbrella'.repeat(128 * 1024) } }
    const body = JSON.stringify({ type: 'session.completed', data })
    expect((await post(body, signed(body, 'large'))).status).toBe(202)
    await interviews.heard(id, 8)
    await interviews.assessed(id, 'completed')
    expect(await eventOf('large')).toEqual({ outcome: 'applied', body: null })
    const { endpoint_s3, region, access_key_id, secret_access_key } = cloud.credentials.aws
    const credentials = { accessKeyId: access_key_id, secretAccessKey: secret_access_key }
    const s3 = new S3Client({ region, endpoint: endpoint_s3, credentials })
    const Bucket = 'insighta-local-data-uploads'
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'webhooks/' }))
    s3.destroy()
    expect(Contents?.map(({ Size }) => Size)).toEqual([Buffer.byteLength(body)])
  })

  test('of 7 MB is 413', async () => {
    const body = 'x'.repeat(7 * 1024 * 1024)
    expect((await post(body, signed(body, 'huge'))).status).toBe(413)
  })
})

describe('when a third party fails', () => {
  let id: string
  const sent = async () => (await call(`GET /api/interviews/${id}/emails`)).body.data
  const invite = async () => {
    const { body } = await call(`POST /api/interviews/${id}/invite`, { body: { again: true } })
    return body.email.id
  }

  beforeAll(async () => {
    const somebody = await interviews.meet('Zanele Third', 'zanele.third@people.example')
    id = await interviews.draft(somebody, { recruiter_email: 'third.recruiter@people.example' })
  })

  test('an e-mail that Resend had no answer to is sent once', async () => {
    await outside.fault({ path: '/resend/emails', status: 500 })
    const email = await invite()
    await until(async () => (await sent())[0].state === 'delivered')
    expect(await outside.mails('zanele.third')).toMatchObject([{ idempotency_key: email }])
    await until(() => cloud.metric('RetryRecoveries', { Call: 'Send e-mail' }) > 0)
    expect(cloud.metric('RetryRecoveries', { Call: 'Send e-mail' })).toBe(1)
  })

  test('an e-mail that Resend refuses is failed at once, with the reason', async () => {
    await outside.fault({ path: '/resend/emails', status: 422 })
    await invite()
    await until(async () => (await sent())[1].state === 'failed')
    expect((await sent())[1].failure).toEqual({
      code: 'refused',
      service: 'resend',
      message: expect.stringContaining('422'),
    })
    expect(await outside.mails('zanele.third')).toHaveLength(1)
  })

  test('what Resend and Gemini refuse for their keys waits, and is done by one call each', async () => {
    const operator = apiOf(cloud.url, (await cloud.newKey('operator')).key)
    const candidate = await interviews.meet('Zanele Fourth', 'zanele.fourth@people.example')
    const interview = await interviews.draft(candidate)
    const read = async () => (await call(`GET /api/candidates/${candidate}/resume`)).body
    const mailed = async () => (await call(`GET /api/interviews/${interview}/emails`)).body.data[0]
    const file = { filename: 'resume.txt', size: Buffer.byteLength(resume) }
    const { body } = await call(`POST /api/candidates/${candidate}/resume`, { body: file })
    await outside.fault({ path: '/gemini', status: 403, times: 1000 })
    await outside.fault({ path: '/resend/emails', status: 403, times: 1000 })
    const { url, method, headers } = body.upload
    await fetch(url, { method, headers, body: resume })
    await call(`POST /api/interviews/${interview}/invite`, { body: {} })
    await until(async () => (await read()).state === 'failed' && (await mailed()).state === 'failed')
    expect([(await read()).failure.code, (await mailed()).failure.code]).toEqual([
      'refused_by_provider',
      'refused_by_provider',
    ])
    await outside.calm()
    const none = { assessments: 0, emails: 0, resumes: 0, embeddings: 0 }
    for (const [service, kind] of [
      ['gemini', 'resumes'],
      ['resend', 'emails'],
    ]) {
      const retried = await operator('POST /api/ops/refused/retry', { body: { service } })
      expect(retried.body).toMatchObject({ retried: { ...none, [kind!]: 1 }, remaining: 0 })
    }
    await until(async () => (await read()).searchable && (await mailed()).state === 'delivered')
    expect(await outside.mails('zanele.fourth')).toHaveLength(1)
  })

  test('an assessment for which Gemini writes no sense is failed, with nothing of it, until it is tried again', async () => {
    const candidates = [{ content: { parts: [{ text: '{"summary":"Yes' }] }, finishReason: 'STOP' }]
    await outside.fault({ path: modelPath, status: 200, times: 3, body: { candidates } })
    await outside.agent({ type: 'session.completed', data: { interview_id: id, transcript: turns } })
    await interviews.assessed(id, 'failed')
    const failed = await interviews.assessment(id)
    expect(failed.failure).toMatchObject({ code: 'invalid_answer' })
    expect([failed.content, failed.completed_at]).toEqual([undefined, null])

    expect((await call(`POST /api/interviews/${id}/assessment/retry`)).status).toBe(202)
    await interviews.assessed(id, 'completed')
    await until(async () => (await outside.mails('third.recruiter')).length > 0)
    expect(await outside.mails('third.recruiter')).toHaveLength(1)
  })
})

test('no log holds a name, an address or a word of what was said', async () => {
  const logs = await cloud.logs()
  expect(logs.get('Insighta-local-interviews-ApplyEvent.log')).toContain('Webhook event handled')
  expect(logs.get('Insighta-local-interviews-SendEmail.log')).toContain('E-mail worked on')
  for (const [name, text] of logs) expect(text.match(personal)?.[0], name).toBeUndefined()
})
