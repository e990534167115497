import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { type EventSource, startEventSource } from '../../infra/local/event-source.ts'
import { randomFreePort } from '../../infra/local/ports.ts'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { createInterview } from '../../lib/interviews/interviews.ts'
import { receiveWebhook } from '../../lib/interviews/webhooks.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createQueue } from '../../lib/platform/queue.ts'
import { lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { agentHeaders, testSecrets } from '../support/webhooks.ts'

let folder: string
let database: TestDatabase
let sqs: Sqs
let worker: EventSource
let events: { url: string; arn: string }
/** Deliveries that went back to the queue. */
let failed = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-apply-event-'))
  database = await freshDatabase()
  sqs = await startSqs({
    dataDir: folder,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  })
  events = sqs.createQueue('interview-events', { VisibilityTimeout: '600' })
  for (const [name, value] of Object.entries(database.env)) vi.stubEnv(name, value)
  vi.stubEnv('AWS_ENDPOINT_URL_SQS', sqs.url)
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  vi.stubEnv('UPLOAD_BUCKET', 'uploads')
  vi.stubEnv('ASSESSMENTS_QUEUE_URL', sqs.createQueue('assessments').url)
  vi.stubEnv('REDELIVERY_BASE_SECONDS', '1')
  vi.stubEnv('REDELIVERY_MAX_SECONDS', '1')
  const { handler } = await import('../../functions/apply-event.ts')
  const mapping = {
    functionName: 'apply-event',
    queueArn: events.arn,
    queueUrl: events.url,
    batchSize: 10,
    windowSeconds: 0,
    maximumConcurrency: 2,
    reportBatchItemFailures: true,
  }
  const lambda = {
    async invoke(_: string, payload: string) {
      const answer = await handler(JSON.parse(payload), lambdaContext())
      failed += answer?.batchItemFailures.length ?? 0
      return { payload: JSON.stringify(answer) }
    },
  }
  worker = startEventSource({ sqs, lambda, mapping })
})
afterAll(async () => {
  await worker.close()
  await disconnect()
  await Promise.all([database.close(), sqs.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

async function anInterview(): Promise<string> {
  const { sql } = database
  const [team] = await sql`insert into teams (name) values ('acme') returning id`
  const [key] = await sql`
    insert into api_keys (team_id, label, role, hash)
    values (${team!.id}, 'test', 'recruiter', ${Buffer.alloc(32)}) returning id`
  const [candidate] = await sql`
    insert into candidates (team_id, full_name, email) values (${team!.id}, 'Ada', 'ada@example.com') returning id`
  const owner = { teamId: team!.id, keyId: key!.id }
  const details = { candidate_id: candidate!.id, role_title: 'Engineer' }
  return (await sql.begin((tx) => createInterview(tx, owner, details))).id
}

it('webhooks that come while the database is down are taken in, and all there when it is back, each once', async () => {
  const interview_id = await anInterview()
  const queue = createQueue(events.url)
  const receiver = { secrets: testSecrets, queue, storage: () => Promise.reject(new Error('not asked for')) }
  const send = async (id: string, type: string, data: object) => {
    const body = JSON.stringify({
      type,
      timestamp: new Date().toISOString(),
      data: { interview_id, ...data },
    })
    const event = { headers: agentHeaders(id, body), body, isBase64Encoded: false }
    return (await receiveWebhook('agent', event, receiver)).status
  }
  const turns = Array.from({ length: 150 }, (_, index) => index + 1)

  vi.stubEnv('PGPORT', String(await randomFreePort()))
  const sent = turns.flatMap((sequence_no) => {
    const turn = () => send(`turn_${sequence_no}`, 'turn', { sequence_no, speaker: 'ai', content: 'Hello' })
    // Every third one twice.
    return sequence_no % 3 === 0 ? [turn(), turn()] : [turn()]
  })
  sent.push(send('end', 'session.completed', { transcript: [] }))
  const statuses = await Promise.all(sent)
  expect(statuses).toHaveLength(201)
  expect(new Set(statuses)).toEqual(new Set([202]))
  await vi.waitFor(() => expect(failed).toBeGreaterThan(200), 20_000)
  expect(await database.sql`select type from webhook_events`).toHaveLength(0)

  vi.stubEnv('PGPORT', database.env.PGPORT!)
  await vi.waitFor(() => {
    const { ready, inFlight } = sqs.inspect('interview-events')!
    expect(ready.length + inFlight.length).toBe(0)
  }, 20_000)
  const { sql } = database
  const stored =
    await sql`select sequence_no from turns where interview_id = ${interview_id} order by sequence_no`
  expect(stored.map(({ sequence_no }) => sequence_no)).toEqual(turns)
  expect(await sql`select outcome, count(*)::int from webhook_events group by outcome`).toEqual([
    { outcome: 'applied', count: 151 },
  ])
  expect(await sql`select state from interviews`).toEqual([{ state: 'completed' }])
  // Where the end overtook turns, the assessment waits for them.
  const { ready, delayed } = sqs.inspect('assessments')!
  const asked = new Set([...ready, ...delayed].map(({ body }) => body))
  expect([...asked].map((body) => JSON.parse(body))).toEqual([{ interview_id }])
})
