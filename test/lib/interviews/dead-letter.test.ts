import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Interview } from '../../../lib/interviews/interviews.ts'
import { claimWork, releaseWork } from '../../../lib/interviews/lease.ts'
import { type AssessmentBench, deliveries, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
let interview: Interview
beforeAll(async () => {
  bench = await startAssessmentBench()
})
beforeEach(async () => {
  await bench.clear()
  interview = await bench.requested()
})
afterAll(() => bench.close())

async function failing(table: 'emails' | 'resumes', id: string): Promise<void> {
  for (let delivery = 0; delivery < deliveries; delivery++) {
    const claim = await claimWork(bench.sql, table, id, 60)
    if (claim.claim !== 'claimed') throw new Error(claim.claim)
    await releaseWork(bench.sql, claim.lease, { error: 'It broke', cause: 'defect' })
  }
}

async function resume(): Promise<string> {
  const [row] = await bench.sql<{ id: string }[]>`
    insert into resumes (candidate_id, filename, content_type, size, object_key, upload_expires_at)
    values (${interview.candidate_id}, 'cv.pdf', 'application/pdf', 1, ${randomUUID()}, now()) returning id`
  return row!.id
}

const rowOf = async (table: 'emails' | 'resumes', id: string) => {
  const [row] = await bench.sql`
    select state, failure, attempts from ${bench.sql(table)} where id = ${id}`
  return row
}

test('an e-mail that cannot be sent is failed with the reason, and queued again by a redrive', async () => {
  const [email] = await bench.sql<{ id: string }[]>`
    insert into emails (team_id, interview_id, kind, recipient, data)
    values (${interview.team_id}, ${interview.id}, 'invite', 'a@example.com', '{}') returning id`
  await failing('emails', email!.id)
  const { verdict } = await bench.die('emails', { email_id: email!.id })
  expect(verdict).toMatchObject({ error: 'It broke', cause: 'defect', owner: { type: 'email' } })
  expect(await rowOf('emails', email!.id)).toMatchObject({
    state: 'failed',
    failure: { code: 'email_failed', message: 'It broke' },
  })
  await bench.redrive('emails')
  expect(await rowOf('emails', email!.id)).toEqual({ state: 'queued', failure: null, attempts: 0 })
  expect(bench.sent).toEqual([{ queue: 'emails', body: { email_id: email!.id } }])
})

test('a résumé is found by the S3 event of its upload', async () => {
  const id = await resume()
  await failing('resumes', id)
  const event = { Records: [{ s3: { object: { key: `resumes/${id}/a+file%2B.pdf` } } }] }
  const { verdict } = await bench.die('resumes', event)
  expect(verdict).toMatchObject({ moot: false, owner: { type: 'resume', id } })
  expect(await rowOf('resumes', id)).toMatchObject({ state: 'failed', failure: { code: 'resume_failed' } })
})

test('a letter of work that is finished, or that a living worker is at, changes nothing', async () => {
  const id = await resume()
  await claimWork(bench.sql, 'resumes', id, 60)
  expect((await bench.die('resumes', { resume_id: id })).verdict).toMatchObject({ moot: true })
  expect(await rowOf('resumes', id)).toMatchObject({ state: 'processing', failure: null })
  await bench.assess(interview.id)
  const done = await bench.die('assessments', { interview_id: interview.id })
  expect(done.verdict).toMatchObject({ moot: true })
  expect((await bench.assessment(interview.id)).state).toBe('completed')
})

test('a message that never reached the database failed for its sake', async () => {
  const { verdict } = await bench.die('assessments', { interview_id: interview.id })
  expect(verdict).toMatchObject({ cause: 'dependency', error: 'The database could not be reached' })
})

test.each(['assessments', 'emails', 'resumes'])(
  'of %s, what belongs to nothing is kept as it came',
  async (queue) => {
    for (const body of ['no JSON', { interview_id: 7 }, { email_id: randomUUID() }]) {
      expect((await bench.die(queue, body)).verdict).toMatchObject({ owner: null, moot: false })
    }
  },
)

const event = (source: string, body: unknown, id: string = randomUUID()) => ({
  source,
  id,
  received_at: new Date().toISOString(),
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

test('an event belongs to the interview that it names, by its id, its session or its room', async () => {
  const owner = { type: 'interview', id: interview.id }
  for (const letter of [
    event('agent', { type: 'turn', data: { interview_id: interview.id } }),
    event('agent', { type: 'turn', data: { interview_id: interview.session_id } }),
    event('livekit', { event: 'room_finished', room: { name: interview.id } }),
  ]) {
    const { verdict } = await bench.die('interview-events', letter)
    expect(verdict).toMatchObject({ cause: 'dependency', moot: false, owner })
  }
  expect(await bench.redrive('interview-events')).toMatchObject({ redriven: 3 })
  expect(bench.sent).toHaveLength(3)
})

test('an event of Resend belongs to the e-mail that it names', async () => {
  const [email] = await bench.sql<{ id: string }[]>`
    insert into emails (team_id, kind, recipient, data, state, provider_id)
    values (${interview.team_id}, 'welcome', 'a@example.com', '{}', 'sent', 'known') returning id`
  const body = { type: 'email.bounced', data: { email_id: 'known', to: ['a@example.com'] } }
  const { verdict } = await bench.die('interview-events', event('resend', body))
  expect(verdict).toMatchObject({ owner: { type: 'email', id: email!.id } })
})

test('a letter belongs to the team of its owner, whatever the owner is', async () => {
  const { sql } = bench
  const { team_id } = interview
  const rows = {
    import: await sql`
      insert into imports (id, team_id, filename, size, object_key, upload_expires_at)
      values (uuidv7(), ${team_id}, 'a.csv', 1, ${randomUUID()}, now()) returning id`,
    export: await sql`
      insert into exports (team_id, filter, sort_by, sort_order, format, request_key, rows_total, dataset_version)
      values (${team_id}, '{}', 'age', 'asc', 'csv', ${randomUUID()}, 0, 1) returning id`,
    interview: [{ id: interview.id }],
    email: await sql`
      insert into emails (team_id, kind, recipient, data)
      values (${team_id}, 'welcome', 'a@example.com', '{}') returning id`,
    resume: [{ id: await resume() }],
  }
  for (const [type, [row]] of Object.entries(rows)) {
    const [letter] = await sql`
      insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
      values ('emails', ${randomUUID()}, '', 5, 'x', 'defect', ${type}, ${row!.id}) returning team_id`
    expect(letter, type).toEqual({ team_id })
  }
  const [unowned] = await sql`
    insert into dead_letters (queue, message_id, body, receive_count, error, cause)
    values ('emails', ${randomUUID()}, '', 5, 'x', 'defect') returning team_id`
  expect(unowned).toEqual({ team_id: null })
})

test('an event that names no interview is a letter too, and one that was applied asks for nobody', async () => {
  for (const letter of [
    event('agent', 'no JSON'),
    event('resend', { type: 'email.sent', data: {} }),
    event('resend', { type: 'email.sent', data: { email_id: 'a\0' } }),
    event('agent', { data: { interview_id: randomUUID() } }),
    { source: 'agent', id: 'large', body_key: 'webhooks/agent/x' },
  ]) {
    expect((await bench.die('interview-events', letter)).verdict).toMatchObject({ owner: null, moot: false })
  }
  await bench.sql`
    insert into webhook_events (source, event_id, type, outcome, received_at)
    values ('agent', 'known', 'turn', 'applied', now())`
  const { verdict } = await bench.die('interview-events', event('agent', {}, 'known'))
  expect(verdict).toMatchObject({ moot: true })
})
