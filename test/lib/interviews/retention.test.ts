import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, it, test } from 'vitest'
import { createInterview, newInterviewSchema } from '../../../lib/interviews/interviews.ts'
import { type Expired, expireContents } from '../../../lib/interviews/retention.ts'
import { ObjectMissingError } from '../../../lib/platform/storage.ts'
import { type ResumeBench, startResumeBench } from './resume-bench.ts'

let bench: ResumeBench
beforeAll(async () => {
  bench = await startResumeBench()
})
beforeEach(
  () => bench.sql`truncate candidates, interviews, emails, dead_letters, deletions, webhook_events cascade`,
)
afterAll(() => bench.close())

const none: Expired = { transcripts: 0, resumes: 0, emails: 0, dead_letters: 0 }
const run = (storage = bench.storage) => expireContents({ sql: bench.sql, storage, days: 30 })
const ago = (days: number) => bench.sql`now() - make_interval(days => ${days})`

/** An interview that ended so many days ago, with everything in it. */
async function held(days: number, state = 'completed'): Promise<string> {
  const { sql } = bench
  const candidate = await bench.candidate()
  const wanted = newInterviewSchema.parse({ candidate_id: candidate.id, role_title: 'Engineer' })
  const { id } = await sql.begin((tx) => createInterview(tx, bench.owner, wanted))
  const completed = state === 'completed' ? ago(days) : sql`null`
  await sql`
    update interviews set state = ${state}, completed_at = ${completed}, updated_at = ${ago(days)} where id = ${id}`
  await sql`update sessions set transcript_json = 'said', report_json = 'said' where interview_id = ${id}`
  await sql`insert into turns (interview_id, sequence_no, speaker, content) values (${id}, 1, 'ai', 'said')`
  await sql`insert into turn_texts values (${id}, ${bench.owner.teamId}, 1, 'said')`
  await sql`
    insert into chat_messages (interview_id, sequence_no, role, content) values (${id}, 1, 'user', 'said')`
  await sql`
    insert into assessments (interview_id, state, content) values (${id}, 'completed', '{"summary":"judged"}')`
  await sql`
    insert into webhook_events (source, event_id, type, outcome, interview_id, body, received_at)
    values ('agent', ${randomUUID()}, 'turn', 'ignored', ${id}, 'said', now())`
  await sql`
    insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
    values ('interview-events', ${randomUUID()}, 'said', 5, 'x', 'defect', 'interview', ${id})`
  return id
}

async function saidIn(id: string): Promise<string[]> {
  const { sql } = bench
  const found: string[] = []
  for (const table of ['turns', 'turn_texts', 'chat_messages', 'sessions', 'webhook_events']) {
    const rows = await sql`
      select from ${sql(table)} t where interview_id = ${id} and strpos(t::text, 'said') > 0`
    if (rows.length > 0) found.push(table)
  }
  const letters = await sql`select from dead_letters where owner_id = ${id} and body = 'said'`
  return letters.length > 0 ? [...found, 'dead_letters'] : found
}

test('what was said is deleted when its time is over, the assessment stays, and it is written down', async () => {
  const id = await held(31)
  const recent = await held(29)
  expect(await saidIn(id)).toHaveLength(6)
  expect(await run()).toEqual({ ...none, transcripts: 1 })
  expect(await saidIn(id)).toEqual([])
  expect(await saidIn(recent)).toHaveLength(6)
  expect(await bench.sql`select content from assessments where interview_id = ${id}`).toEqual([
    { content: { summary: 'judged' } },
  ])
  expect(
    await bench.sql`select subject, subject_id, counts, triggered_by, requested_by from deletions`,
  ).toEqual([
    {
      subject: 'transcript',
      subject_id: id,
      counts: { turns: 1, chat_messages: 1, accounts: 1, webhook_events: 1 },
      triggered_by: 'retention',
      requested_by: null,
    },
  ])
  expect(await run()).toEqual(none)
})

it.each([
  ['cancelled', 1],
  ['needs_attention', 1],
  ['scheduled', 0],
  ['in_progress', 0],
])('counts an interview that is %s as ended: %d', async (state, transcripts) => {
  await held(31, state)
  expect(await run()).toEqual({ ...none, transcripts })
})

test('two sweeps at once delete each transcript once', async () => {
  for (let made = 0; made < 5; made++) await held(40)
  const [first, second] = await Promise.all([run(), run()])
  expect(first.transcripts + second.transcripts).toBe(5)
  expect(await bench.sql`select from deletions`).toHaveLength(5)
})

async function resumeOf(days: number): Promise<{ candidate: string; key: string }> {
  const { id } = await bench.candidate()
  const resume = await bench.uploaded(id, 'Ada')
  await bench.sql`update candidates set updated_at = ${ago(days)} where id = ${id}`
  const [row] = await bench.sql<{ object_key: string }[]>`
    update resumes set created_at = ${ago(days)} where id = ${resume} returning object_key`
  return { candidate: id, key: row!.object_key }
}

test('résumés of idle candidates go with their files; those of others stay', async () => {
  const idle = await resumeOf(31)
  const changed = await resumeOf(31)
  await bench.sql`update candidates set updated_at = now() where id = ${changed.candidate}`
  const invited = await resumeOf(31)
  await bench.sql`
    insert into interviews (team_id, candidate_id, role_title, updated_at, scheduled_at, state)
    values (${bench.owner.teamId}, ${invited.candidate}, 'Engineer', ${ago(31)}, now() + interval '1 day', 'scheduled')`
  const renewed = await resumeOf(31)
  await bench.uploaded(renewed.candidate, 'Ada again')
  expect(await run()).toEqual({ ...none, resumes: 1 })
  await expect(bench.storage.head(idle.key)).rejects.toThrow(ObjectMissingError)
  for (const { key } of [changed, invited, renewed]) await bench.storage.head(key)
  expect(await bench.sql`select id from candidates`).toHaveLength(4)
  expect(await bench.sql`select subject, subject_id, counts from deletions`).toEqual([
    { subject: 'resumes', subject_id: idle.candidate, counts: { resumes: 1 } },
  ])
})

test('a résumé whose file S3 keeps is kept, and everything else goes on', async () => {
  const { candidate } = await resumeOf(31)
  const interview = await held(31)
  bench.s3.injectFault(({ method }) => (method === 'DELETE' ? { status: 503 } : undefined))
  await expect(run()).rejects.toMatchObject({ status: 503 })
  bench.s3.injectFault(undefined)
  expect(await bench.latest(candidate)).toMatchObject({ filename: 'cv.txt' })
  expect(await saidIn(interview)).toEqual([])
  expect(await run()).toEqual({ ...none, resumes: 1 })
})

test('of old e-mails that are not under way only kind and state are left', async () => {
  const { sql, owner } = bench
  const insert = (state: string, days: number) => sql`
    insert into emails (team_id, kind, recipient, data, state, updated_at, touched_at)
    values (${owner.teamId}, 'welcome', 'ada@example.com', '{"name":"Ada"}', ${state}, ${ago(days)}, ${ago(days)})`
  await insert('delivered', 31)
  await insert('failed', 31)
  await insert('queued', 31)
  await insert('delivered', 29)
  expect(await run()).toEqual({ ...none, emails: 2 })
  expect(await sql`select state, recipient, data from emails order by id`).toEqual([
    { state: 'delivered', recipient: '', data: {} },
    { state: 'failed', recipient: '', data: {} },
    { state: 'queued', recipient: 'ada@example.com', data: { name: 'Ada' } },
    { state: 'delivered', recipient: 'ada@example.com', data: { name: 'Ada' } },
  ])
  expect(await run()).toEqual(none)
})

test('closed dead letters go after 90 days, open and unsent ones stay', async () => {
  const insert = (state: string, sent: boolean, days: number) => bench.sql`
    insert into dead_letters (queue, message_id, body, receive_count, error, cause, state, sent, last_seen_at)
    values ('emails', ${randomUUID()}, '{}', 5, 'x', 'defect', ${state}, ${sent}, ${ago(days)})`
  await insert('discarded', false, 91)
  await insert('redriven', true, 91)
  await insert('redriven', false, 91)
  await insert('open', false, 91)
  await insert('discarded', false, 89)
  expect(await run()).toEqual({ ...none, dead_letters: 2 })
  expect(await bench.sql`select from dead_letters`).toHaveLength(3)
})
