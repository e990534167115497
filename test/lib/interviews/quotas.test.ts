import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { emailsOf, queueEmail, sendEmail } from '../../../lib/interviews/emails.ts'
import { applyEvent } from '../../../lib/interviews/events.ts'
import type { Mail } from '../../../lib/interviews/model.ts'
import {
  countUsage,
  pruneUsage,
  type QuotaChanges,
  setQuotas,
  usageOf,
} from '../../../lib/platform/quotas.ts'
import type { Storage } from '../../../lib/platform/storage.ts'
import { type AssessmentBench, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
let teamId: string
beforeAll(async () => {
  bench = await startAssessmentBench()
  const [team] = await bench.sql<{ id: string }[]>`select id from teams where name = ${bench.teamName}`
  teamId = team!.id
})
beforeEach(async () => {
  await bench.clear()
  await bench.sql`truncate team_usage, team_quotas`
})
afterAll(() => bench.close())

const limit = (changes: QuotaChanges) => bench.sql.begin((tx) => setQuotas(tx, teamId, changes))
async function used(): Promise<Record<string, number>> {
  const usage = await usageOf(bench.sql, teamId)
  return Object.fromEntries(usage.map(({ kind, used }) => [kind, used]))
}
const apply = (body: object) =>
  applyEvent(
    { sql: bench.sql, storage: {} as Storage, queues: {} },
    { source: 'agent', id: randomUUID(), received_at: new Date().toISOString(), body: JSON.stringify(body) },
  )
const turn = (interview_id: string, sequence_no: number) =>
  apply({ type: 'turn', data: { interview_id, sequence_no, speaker: 'candidate', content: 'I built it.' } })
const end = (interview_id: string) => apply({ type: 'session.completed', data: { interview_id } })

async function ended(): Promise<string> {
  const { id } = await bench.interview()
  await turn(id, 1)
  await end(id)
  return id
}

describe('an assessment that follows the end of an interview', () => {
  it('counts once, with its e-mail, however often its message comes', async () => {
    const id = await ended()
    await bench.assess(id)
    await bench.assess(id)
    expect(await used()).toMatchObject({ model_calls: 1, emails: 1 })
  })

  it('beyond the quota is failed, says so, and loses nothing: a person starts it once there is room', async () => {
    await limit({ model_calls: 0 })
    const id = await ended()
    expect(await bench.assessment(id)).toMatchObject({ state: 'failed', failure: { code: 'quota_exceeded' } })
    expect(await bench.waiting('assessments')).toEqual([])
    expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
    const [interview] = await bench.sql`select state from interviews where id = ${id}`
    expect(interview!.state).toBe('completed')
    await expect(bench.request(id, { byPerson: true })).rejects.toMatchObject({ status: 429 })
    expect(await bench.assessment(id)).toMatchObject({ state: 'failed', generation: 1 })
    await limit({ model_calls: null })
    await bench.request(id, { byPerson: true })
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
    expect(await bench.assessment(id)).toMatchObject({ state: 'completed', failure: null, generation: 2 })
    expect(await used()).toMatchObject({ model_calls: 1 })
  })

  it('beyond the quota after a late turn keeps the one before, outdated', async () => {
    const id = await ended()
    await bench.assess(id)
    await limit({ model_calls: 1 })
    await turn(id, 2)
    expect(await bench.assessment(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'quota_exceeded' },
      outdated: true,
      content: { summary: 'Spoke well.' },
      content_generation: 1,
    })
  })
})

describe('an e-mail that no person waits for', () => {
  const mails: Mail[] = []
  const mailer = {
    async send(mail: Mail) {
      mails.push(mail)
      return { provider_id: mail.id }
    },
  }
  const send = (id: string) =>
    sendEmail(
      {
        sql: bench.sql,
        mailer,
        consoleUrl: 'http://x',
        mailFrom: 'x@x.example',
        remainingMs: () => 10_000,
      },
      id,
    )
  const waiting = { kind: 'assessment_ready', state: 'queued', failure: { code: 'quota_exceeded' } }
  beforeEach(() => void mails.splice(0))

  it('beyond the quota waits, says so, and is sent by the sweep once there is room', async () => {
    await limit({ emails: 0 })
    const id = await ended()
    await bench.assess(id)
    const [email] = await emailsOf(bench.sql, id)
    expect(email).toMatchObject(waiting)
    expect(await bench.waiting('emails')).toEqual([])

    // As long ago as it may be: no wait has grown by midnight.
    const swept = async () => {
      await bench.sql`
        update emails set created_at = now() - interval '1 day', touched_at = now() - interval '16 minutes'
        where id = ${email!.id}`
      bench.sent.length = 0
      await bench.sweep()
      return bench.sent.filter(({ queue }) => queue === 'emails')
    }
    expect(await swept()).toEqual([])
    expect(await send(email!.id)).toMatchObject({ outcome: 'done', result: { state: 'queued' } })
    expect(await emailsOf(bench.sql, id)).toMatchObject([waiting])
    expect(mails).toEqual([])

    await limit({ emails: 1 })
    expect(await swept()).toEqual([{ queue: 'emails', body: { email_id: email!.id } }])
    expect(await send(email!.id)).toMatchObject({ outcome: 'done', result: { state: 'sent' } })
    expect(mails).toHaveLength(1)
    const [sent] = await emailsOf(bench.sql, id)
    expect(sent).toMatchObject({ state: 'sent' })
    expect(sent).not.toHaveProperty('failure')
    expect(await used()).toMatchObject({ emails: 1 })
  })

  it('about a key counts, and one of the same name counts once', async () => {
    const data = { team: 'x', role: 'admin', label: 'y' }
    const recipient = 'ada@example.com'
    const about = {
      teamId,
      interviewId: null,
      kind: 'welcome',
      recipient,
      data,
      dedupeKey: randomUUID(),
    } as const
    expect(await bench.sql.begin((tx) => queueEmail(tx, about))).toBeTypeOf('string')
    expect(await bench.sql.begin((tx) => queueEmail(tx, about))).toBeUndefined()
    expect(await used()).toMatchObject({ emails: 1 })
  })
})

describe('embeddings', () => {
  it('that search a résumé count, and beyond the quota the assessment does without them', async () => {
    const withResume = async () => {
      const interview = await bench.interview()
      const [resume] = await bench.sql<{ id: string }[]>`
        insert into resumes (candidate_id, filename, content_type, size, object_key, state, upload_expires_at)
        values (${interview.candidate_id}, 'cv.txt', 'text/plain', 1, ${randomUUID()}, 'completed', now())
        returning id`
      const embedding = `{1${',0'.repeat(767)}}`
      await bench.sql`
        insert into resume_chunks values (${resume!.id}, 1, 'Six years of Go', ${embedding}::text::real[])`
      await turn(interview.id, 1)
      await end(interview.id)
      await bench.assess(interview.id)
      return bench.scripted.asked.at(-1)!.prompt.text
    }
    expect(await withResume()).toContain('Six years of Go')
    expect(await used()).toMatchObject({ model_calls: 2 })
    await limit({ model_calls: 3 })
    expect(await withResume()).not.toContain('Six years of Go')
    expect(await used()).toMatchObject({ model_calls: 3 })
  })
})

it('usage is kept for 90 days', async () => {
  await countUsage(bench.sql, teamId, 'emails', 5)
  for (const days of [90, 1]) await bench.sql`update team_usage set day = day - ${days}::integer`
  await countUsage(bench.sql, teamId, 'emails', 7)
  expect(await pruneUsage(bench.sql)).toBe(1)
  expect(await bench.sql`select used from team_usage`).toEqual([{ used: 7 }])
})
