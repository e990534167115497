import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { claimWork, type LeasedTable } from '../../../lib/interviews/lease.ts'
import { UpstreamUnavailableError } from '../../../lib/platform/errors.ts'
import { type AssessmentBench, deliveries, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
beforeAll(async () => {
  bench = await startAssessmentBench()
})
beforeEach(async () => {
  await bench.clear()
  await bench.sql`truncate candidates, interviews cascade`
})
afterAll(() => bench.close())

const nothing = {
  assessments: 0,
  emails: 0,
  resumes: 0,
  embeddings: 0,
  uploaded: 0,
  expired: 0,
  abandoned: 0,
  forgotten: 0,
}

/** Lets time pass for the rows of a table. */
const age = (table: LeasedTable, seconds: number) => {
  const asked = table === 'assessments' ? 'requested_at' : 'created_at'
  const passed = bench.sql`make_interval(secs => ${seconds})`
  return bench.sql`
    update ${bench.sql(table)} set touched_at = touched_at - ${passed}, lease_until = lease_until - ${passed},
      ${bench.sql(asked)} = ${bench.sql(asked)} - ${passed}`
}

async function resume(candidateId: string, state: string, expiresInSeconds = 0): Promise<string> {
  const [row] = await bench.sql<{ id: string }[]>`
    insert into resumes (candidate_id, filename, content_type, size, object_key, state, upload_expires_at)
    values (${candidateId}, 'cv.pdf', 'application/pdf', 1, ${`resumes/${randomUUID()}/x`}, ${state},
      now() + make_interval(secs => ${expiresInSeconds}))
    returning id`
  return row!.id
}

async function email(interviewId: string, teamId: string): Promise<string> {
  const [row] = await bench.sql<{ id: string }[]>`
    insert into emails (team_id, interview_id, kind, recipient, data)
    values (${teamId}, ${interviewId}, 'invite', 'a@example.com', '{}') returning id`
  return row!.id
}

test('sends a lost message again after a minute and a half, later each time', async () => {
  const { id } = await bench.requested()
  await bench.sql`truncate outbox`
  await age('assessments', 89)
  expect(await bench.sweep()).toEqual(nothing)
  await age('assessments', 2)
  expect(await bench.sweep()).toEqual({ ...nothing, assessments: 1 })
  expect(bench.sent).toEqual([{ queue: 'assessments', body: { interview_id: id } }])
  expect(await bench.sweep()).toEqual(nothing)
  await age('assessments', 89)
  expect(await bench.sweep()).toEqual(nothing)
  await age('assessments', 10)
  expect(await bench.sweep()).toEqual({ ...nothing, assessments: 1 })
  await age('assessments', 150)
  expect(await bench.sweep()).toEqual(nothing)
})

test('leaves what failed to its message, which may stay away for a quarter of an hour', async () => {
  const { id } = await bench.requested()
  bench.scripted.script.push(() => {
    throw new UpstreamUnavailableError('Gemini is out')
  })
  await expect(bench.assess(id)).rejects.toThrow('Gemini is out')
  await age('assessments', 899)
  expect(await bench.sweep()).toEqual(nothing)
  await age('assessments', 2)
  expect(await bench.sweep()).toEqual({ ...nothing, assessments: 1 })
})

test('leaves an assessment that waits for late turns alone until a while after it is due', async () => {
  const { id } = await bench.requested()
  await bench.sql`update assessments set due_at = now() + interval '100 seconds' where interview_id = ${id}`
  await age('assessments', 120)
  expect(await bench.sweep()).toEqual(nothing)
  await bench.sql`update assessments set due_at = now() - interval '91 seconds' where interview_id = ${id}`
  expect(await bench.sweep()).toEqual({ ...nothing, assessments: 1 })
})

test('takes work up soon after its lease has ended, and never while its worker lives', async () => {
  const { id } = await bench.requested()
  await claimWork(bench.sql, 'assessments', id, 2000)
  await age('assessments', 1999)
  expect(await bench.sweep()).toEqual(nothing)
  // SQS comes first.
  await age('assessments', 24)
  expect(await bench.sweep()).toEqual(nothing)
  await age('assessments', 3)
  expect(await bench.sweep()).toMatchObject({ assessments: 1 })
  const [row] = await bench.sql`select state, attempts, lease from assessments where interview_id = ${id}`
  expect(row).toEqual({ state: 'pending', attempts: 1, lease: null })
})

test('is in no hurry with work that has killed five workers', async () => {
  const { id } = await bench.requested()
  for (let death = 1; death <= 5; death++) {
    await claimWork(bench.sql, 'assessments', id, 60)
    await age('assessments', 90)
    expect(await bench.sweep()).toMatchObject({ assessments: death < 5 ? 1 : 0 })
  }
  await age('assessments', 820)
  expect(await bench.sweep()).toMatchObject({ assessments: 1 })
})

test('a dead letter of a message from before counts for nothing', async () => {
  const { id } = await bench.requested()
  await age('assessments', 901)
  await bench.sweep()
  const { verdict } = await bench.die(
    'assessments',
    { interview_id: id },
    { sentAt: new Date(Date.now() - 60_000) },
  )
  expect(verdict).toMatchObject({ moot: true })
  expect((await bench.assessment(id)).state).toBe('pending')
})

test('a worker that dies each time ends as failed, however often the sweep helps', async () => {
  const { id } = await bench.requested()
  for (let round = 0; round < 2; round++) {
    for (let delivery = 0; delivery < deliveries; delivery++) {
      await claimWork(bench.sql, 'assessments', id, 60)
      await bench.expireLease(id)
    }
    if (round === 0) {
      await age('assessments', 901)
      expect(await bench.sweep()).toMatchObject({ assessments: 1 })
    }
  }
  const { verdict } = await bench.die('assessments', { interview_id: id })
  expect(verdict).toMatchObject({ cause: 'unknown', moot: false })
  expect(await bench.assessment(id)).toMatchObject({
    state: 'failed',
    failure: { code: 'assessment_failed' },
  })
  await age('assessments', 100_000)
  expect(await bench.sweep()).toEqual(nothing)
})

test('takes up e-mails and résumés too', async () => {
  const interview = await bench.interview()
  const sending = await email(interview.id, interview.team_id)
  await claimWork(bench.sql, 'emails', sending, 60)
  const reading = await resume(interview.candidate_id, 'pending')
  await age('emails', 901)
  await age('resumes', 901)
  expect(await bench.sweep()).toEqual({ ...nothing, emails: 1, resumes: 1 })
  expect(bench.sent).toEqual([
    { queue: 'emails', body: { email_id: sending } },
    { queue: 'resumes', body: { resume_id: reading } },
  ])
})

test('has the passages of a résumé made that it lacks, later each time', async () => {
  const { candidate_id } = await bench.interview()
  const id = await resume(candidate_id, 'completed')
  const due = (seconds: number) => bench.sql`
    update resumes set embedding_due_at = embedding_due_at - make_interval(secs => ${seconds})`
  await bench.sql`update resumes set embedding_attempts = 1, embedding_due_at = now() + interval '60 seconds'`
  expect(await bench.sweep()).toEqual(nothing)
  const waits: number[] = []
  for (let attempt = 2; attempt <= 7; attempt++) {
    await due(3600)
    expect(await bench.sweep()).toEqual({ ...nothing, embeddings: 1 })
    expect(await bench.sweep()).toEqual(nothing)
    const [row] = await bench.sql<[{ wait: number }]>`
      select extract(epoch from embedding_due_at - now())::float8 as wait from resumes`
    waits.push(Math.ceil(row.wait / 60))
  }
  expect(waits).toEqual([2, 4, 8, 16, 16, 16])
  expect(bench.sent).toEqual(Array(6).fill({ queue: 'resumes', body: { resume_id: id } }))
})

test('has passages made again that another model embedded, once', async () => {
  const { candidate_id } = await bench.interview()
  const id = await resume(candidate_id, 'completed')
  await bench.sql`
    insert into resume_chunks (resume_id, chunk_no, content, embedding) values (${id}, 1, 'Go', '{1}'), (${id}, 2, 'SQL', '{1}')`
  expect(await bench.sweep()).toEqual(nothing)
  const other = { model: 'gemini-embedding-002', dimensions: 768 }
  expect(await bench.sweep({}, other)).toEqual({ ...nothing, embeddings: 1 })
  expect(await bench.sweep({}, other)).toEqual(nothing)
  expect(bench.sent).toEqual([{ queue: 'resumes', body: { resume_id: id } }])
})

test('finds an upload whose event was lost, and expires one that never came', async () => {
  const { candidate_id } = await bench.interview()
  const here = await resume(candidate_id, 'awaiting_upload', 900)
  const late = await resume(candidate_id, 'awaiting_upload', -7000)
  const never = await resume(candidate_id, 'awaiting_upload', -7300)
  const [there] = await bench.sql`select object_key from resumes where id = ${here}`
  const storage = { exists: async (key: string) => key === there!.object_key }
  expect(await bench.sweep(storage)).toEqual(nothing)
  await age('resumes', 301)
  expect(await bench.sweep(storage)).toEqual({ ...nothing, uploaded: 1, expired: 1 })
  expect(bench.sent).toEqual([{ queue: 'resumes', body: { resume_id: here } }])
  const states = await bench.sql`select id, state, failure->>'code' as code from resumes order by id`
  expect(states).toEqual([
    { id: here, state: 'awaiting_upload', code: null },
    { id: late, state: 'awaiting_upload', code: null },
    { id: never, state: 'failed', code: 'upload_expired' },
  ])
})

test('a room left behind needs attention, and what was said in it is assessed', async () => {
  const spoken = await bench.interview()
  await bench.say(spoken.id, [['candidate', 'I have to go.']])
  const silent = await bench.interview()
  await bench.say(silent.id, [['ai', 'Are you there?']])
  const fresh = await bench.interview()
  for (const [{ id }, ago] of [
    [spoken, 601],
    [silent, 601],
    [fresh, 590],
  ] as const) {
    await bench.sql`update interviews set state = 'in_progress' where id = ${id}`
    await bench.sql`
      update sessions set state = 'in_progress', ended_at = now() - make_interval(secs => ${ago})
      where interview_id = ${id}`
  }
  expect(await bench.sweep()).toEqual({ ...nothing, abandoned: 2 })
  expect(bench.sent).toEqual([{ queue: 'assessments', body: { interview_id: spoken.id } }])
  const states = await bench.sql`select id, state from interviews order by id`
  expect(states).toEqual([
    { id: spoken.id, state: 'needs_attention' },
    { id: silent.id, state: 'needs_attention' },
    { id: fresh.id, state: 'in_progress' },
  ])
  const rooms = await bench.sql`select interview_id as id from rooms_to_close order by 1`
  expect(rooms).toEqual([{ id: spoken.id }, { id: silent.id }])
  expect(await bench.sweep()).toEqual(nothing)
})

test('an interview of a day ago is over, also where nobody told that its room was closed', async () => {
  const { id } = await bench.interview()
  await bench.say(id, [['candidate', 'Hello?']])
  await bench.sql`update interviews set state = 'in_progress' where id = ${id}`
  const start = (hours: number) => bench.sql`
    update sessions set state = 'in_progress', started_at = now() - make_interval(hours => ${hours})
    where interview_id = ${id}`
  await start(23)
  expect(await bench.sweep()).toEqual(nothing)
  await start(25)
  expect(await bench.sweep()).toEqual({ ...nothing, abandoned: 1 })
  expect(bench.sent).toEqual([{ queue: 'assessments', body: { interview_id: id } }])
})

test('what an event said that was not applied is kept for a month', async () => {
  const { id } = await bench.interview()
  const event = (name: string, days: number) => bench.sql`
    insert into webhook_events (source, event_id, type, outcome, interview_id, body, received_at)
    values ('agent', ${name}, 'turn', 'ignored', ${id}, '{}', now() - make_interval(days => ${days}))`
  await event('young', 29)
  await event('old', 31)
  expect(await bench.sweep()).toEqual({ ...nothing, forgotten: 1 })
  expect(await bench.sql`select event_id from webhook_events where body is not null`).toEqual([
    { event_id: 'young' },
  ])
})
