import { SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestCloud, type TestCloud, until } from '../e2e/cloud.ts'
import { interviewsOf, modelPath, outsideOf, secretOf, turnEvent, turnsOf } from '../e2e/recruiting.ts'
import { agentHeaders } from '../support/webhooks.ts'

let cloud: TestCloud
let interviews: ReturnType<typeof interviewsOf>
let outside: ReturnType<typeof outsideOf>
let sql: postgres.Sql
let candidate: string

beforeAll(async () => {
  cloud = await startTestCloud(undefined, { timeouts: 'short' })
  interviews = interviewsOf(cloud.call)
  outside = outsideOf(cloud.credentials)
  sql = postgres(cloud.credentials.database_url, { max: 1 })
  candidate = await interviews.meet('Ada Example', 'ada@people.example')
})
afterAll(async () => {
  await sql?.end({ timeout: 2 })
  await cloud?.close()
})

const turns = turnsOf([
  ['What have you built?', 'A queue that forgets nothing, and a page that shows it.'],
  ['What went wrong?', 'The pool ran out of connections, until I bounded it.'],
])

const sweep = () => cloud.lambda.invoke('Insighta-local-recovery-Sweep', '{}')

/** An interview whose session has ended, so that its assessment is due. */
async function ended(recruiter_email: string): Promise<string> {
  const id = await interviews.draft(candidate, { recruiter_email })
  await outside.agent({ type: 'session.completed', data: { interview_id: id, transcript: turns } })
  return id
}

async function letters(queue: string, state = 'open') {
  return (await cloud.call(`GET /api/ops/dead-letters/${queue}?state=${state}&limit=100`)).body.data
}

test('without Gemini an assessment fails with the reason, and is completed once its dead letter is redriven', async () => {
  await outside.fault({ path: modelPath, status: 503, times: 1000 })
  const id = await ended('dead@people.example')
  await interviews.assessed(id, 'failed')
  expect((await interviews.assessment(id)).failure).toEqual({
    code: 'assessment_failed',
    message: 'Gemini answered 503 (UNAVAILABLE)',
  })
  expect(await letters('assessments')).toMatchObject([
    { cause: 'dependency', owner: { type: 'interview', id }, receive_count: expect.any(Number) },
  ])
  expect(await outside.mails('dead@people.example')).toEqual([])

  await outside.calm()
  // The circuit of whoever asks Gemini may be open for seconds yet: an operator redrives what dies meanwhile.
  await until(async () => {
    const ids = (await letters('assessments')).map((letter: { id: string }) => letter.id)
    if (ids.length > 0) await cloud.call('POST /api/ops/dead-letters/assessments/redrive', { body: { ids } })
    return (await interviews.assessment(id)).state === 'completed'
  })
  expect(await interviews.assessment(id)).toMatchObject({ generation: 1 })
  expect(await letters('assessments')).toEqual([])
  await until(async () => (await outside.mails('dead@people.example')).length > 0)
  expect(await outside.mails('dead@people.example')).toHaveLength(1)
})

test('a thousand webhooks that come while the database is out are all taken, and all there when it is back', async () => {
  const { webhook_secret: secret } = await secretOf(cloud.credentials, 'agent')
  await retryDeadLettersSoon()
  const id = await interviews.draft(candidate)
  const bodies = Array.from({ length: 1000 }, (_, at) =>
    JSON.stringify(turnEvent(id, { ...turns[at % 2]!, sequence_no: at + 1, content: `Marmalade ${at}` })),
  )
  await cloud.database.stop()
  const statuses = new Map<number, number>()
  const sending = bodies.entries()
  const send = async () => {
    for (const [at, body] of sending) {
      const headers = agentHeaders(`turn-${at}`, body, { secret: secret! })
      const { status } = await cloud.call('POST /webhooks/agent', { key: null, headers, body })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 8 }, send))
  expect([...statuses]).toEqual([[202, 1000]])
  await until(() => {
    const dead = cloud.sqs.inspect('insighta-local-interview-events-dlq')
    return dead !== undefined && dead.ready.length + dead.inFlight.length > 0
  })
  await cloud.database.start()

  await until(async () => {
    await sweep()
    return (await interviews.transcript(id)).total_turns === 1000
  })
  const { turns: heard } = await interviews.transcript(id)
  expect(heard.map(({ content }: { content: string }) => content)).toEqual(
    bodies.map((_, at) => `Marmalade ${at}`),
  )
  expect(
    await sql`
    select outcome, count(*)::int as events from webhook_events where source = 'agent' and event_id like 'turn-%'
    group by outcome`,
  ).toEqual([{ outcome: 'applied', events: 1000 }])
  const [letter] = await letters('interview-events', 'redriven')
  expect(letter).toMatchObject({ cause: 'dependency', owner: { type: 'interview', id } })
  expect(JSON.parse(letter.body)).toEqual({
    source: 'agent',
    id: expect.stringMatching(/^turn-\d+$/),
    received_at: expect.any(String),
    body_bytes: expect.any(Number),
  })
}, 90_000)

/** What cannot be recorded comes back to be recorded within seconds, where the template says half a minute. */
async function retryDeadLettersSoon(): Promise<void> {
  const { region, endpoint_sqs, access_key_id, secret_access_key } = cloud.credentials.aws
  const credentials = { accessKeyId: access_key_id, secretAccessKey: secret_access_key }
  const sqs = new SQSClient({ region, credentials, endpoint: endpoint_sqs })
  const queue = cloud.sqs.queues().find(({ name }) => name === 'insighta-local-interview-events-dlq')
  await sqs.send(
    new SetQueueAttributesCommand({ QueueUrl: queue!.url, Attributes: { VisibilityTimeout: '2' } }),
  )
  sqs.destroy()
}

test('no log of these outages holds a word of what was said', async () => {
  const logs = await cloud.logs()
  expect(logs.get('Insighta-local-interviews-ApplyEvent.log')).toMatch(/ECONNREFUSED|CONNECTION_|57P0/)
  for (const [name, text] of logs)
    expect(text, name).not.toMatch(/Marmalade|forgets nothing|@people\.example/)
})
