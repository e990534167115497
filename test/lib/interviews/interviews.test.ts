import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, test, vi } from 'vitest'
import {
  cancelInterview,
  changeInterview,
  confirmInterview,
  createInterview,
  deleteInterview,
  getInterview,
  type Interview,
  type InterviewState,
  interviewSchema,
  interviewView,
  listInterviews,
  mayJoin,
  type NewInterview,
  newInterviewSchema,
} from '../../../lib/interviews/interviews.ts'
import { ConflictError, NotFoundError } from '../../../lib/platform/errors.ts'
import { freshDatabase } from '../../support/postgres.ts'

type Owner = { teamId: string; keyId: string }

let database: Awaited<ReturnType<typeof freshDatabase>>
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.close())

async function team(): Promise<Owner> {
  const { sql } = database
  const [made] = await sql<{ id: string }[]>`insert into teams (name) values (${randomUUID()}) returning id`
  const [key] = await sql<{ id: string }[]>`
    insert into api_keys (team_id, role, label, hash)
    values (${made!.id}, 'recruiter', 'test', ${randomBytes(32)}) returning id`
  return { teamId: made!.id, keyId: key!.id }
}

async function candidate({ teamId }: Owner, name = 'Ada Obi'): Promise<string> {
  const [row] = await database.sql<{ id: string }[]>`
    insert into candidates (team_id, full_name, email)
    values (${teamId}, ${name}, ${`${randomUUID()}@example.com`}) returning id`
  return row!.id
}

async function make(owner: Owner, given: Partial<NewInterview> = {}): Promise<Interview> {
  const wanted = newInterviewSchema.parse({
    candidate_id: await candidate(owner),
    role_title: 'Engineer',
    ...given,
  })
  return database.sql.begin((tx) => createInterview(tx, owner, wanted))
}

const put = ({ id }: Interview, state: InterviewState) =>
  database.sql`update interviews set state = ${state} where id = ${id}`

test('keeps what was given, and shows it', async () => {
  const owner = await team()
  const given = {
    job_description: 'Builds\nthings',
    rubric: [{ id: 'depth', title: 'Depth', weight: 2 }],
    plan: { intro: 'Hello', questions: [{ question: 'Why?', follow_up_hint: 'And then?' }], closing: 'Bye' },
    scheduled_at: '2077-01-01T10:00:00Z',
    recruiter_email: 'r@example.com',
    duration_minutes: 30,
  }
  const made = await make(owner, given)
  const view = interviewSchema.parse(interviewView(made))
  expect(view).toMatchObject({ ...given, scheduled_at: '2077-01-01T10:00:00.000Z', state: 'draft' })
  expect(await getInterview(database.sql, owner.teamId, made.id)).toEqual(made)
})

test('is not made for a candidate whose deletion commits meanwhile', async () => {
  const { sql } = database
  const owner = await team()
  const candidate_id = await candidate(owner)
  const deleted = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const deletion = sql.begin(async (tx) => {
    await tx`delete from candidates where id = ${candidate_id}`
    deleted.resolve()
    await commit.promise
  })
  await deleted.promise
  const refused = expect(make(owner, { candidate_id })).rejects.toBeInstanceOf(NotFoundError)
  await vi.waitUntil(async () => {
    const waiting = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    return waiting.count > 0
  })
  commit.resolve()
  await deletion
  await refused
})

test.each<Record<string, unknown>>([
  { role_title: '' },
  { role_title: 'a\nb' },
  { job_description: 'a\0b' },
  { custom_question: 'half a pair \ud800' },
  { plan: { intro: 'a\0', questions: [{ question: 'q', follow_up_hint: 'h' }], closing: 'c' } },
  { rubric: [{ id: 'A B', title: 'x' }] },
  {
    rubric: [
      { id: 'a', title: 'x' },
      { id: 'a', title: 'y' },
    ],
  },
  { duration_minutes: 4 },
  { scheduled_at: 'tomorrow' },
  { recruiter_email: 'nobody' },
  { state: 'completed' },
])('%j is refused', (change) => {
  const whole = { candidate_id: randomUUID(), role_title: 'Engineer', ...change }
  expect(newInterviewSchema.safeParse(whole).success).toBe(false)
})

test("another team's candidate and interview are not there", async () => {
  const [owner, other] = [await team(), await team()]
  const made = await make(owner)
  const theirs = newInterviewSchema.parse({ candidate_id: await candidate(owner), role_title: 'x' })
  const { sql } = database
  const attempts = [
    () => sql.begin((tx) => createInterview(tx, other, theirs)),
    () => getInterview(sql, other.teamId, made.id),
    () => sql.begin((tx) => changeInterview(tx, other.teamId, made.id, {})),
    () => sql.begin((tx) => confirmInterview(tx, other.teamId, made.id)),
    () => sql.begin((tx) => cancelInterview(tx, other.teamId, made.id)),
    () => sql.begin((tx) => deleteInterview(tx, other, made.id)),
  ]
  for (const attempt of attempts) await expect(attempt()).rejects.toThrow(NotFoundError)
  expect((await listInterviews(sql, other.teamId, {}, { limit: 10, offset: 0 })).total).toBe(0)
})

describe('states', () => {
  const confirm = ({ team_id, id }: Interview) =>
    database.sql.begin((tx) => confirmInterview(tx, team_id, id))
  const cancel = ({ team_id, id }: Interview) => database.sql.begin((tx) => cancelInterview(tx, team_id, id))

  it('a draft is confirmed once it says what the job is', async () => {
    const owner = await team()
    const draft = await make(owner)
    await expect(confirm(draft)).rejects.toMatchObject({ code: 'incomplete_context', status: 400 })
    await database.sql.begin((tx) =>
      changeInterview(tx, owner.teamId, draft.id, { job_description: 'Builds things' }),
    )
    expect(await confirm(draft)).toMatchObject({ state: 'scheduled', job_description: 'Builds things' })
    expect((await confirm(draft)).state).toBe('scheduled')
  })

  it.each<[InterviewState, boolean, boolean, boolean, boolean]>([
    // state, may be changed, confirmed, cancelled, joined
    ['draft', true, true, true, true],
    ['scheduled', true, true, true, true],
    ['in_progress', false, true, true, true],
    ['completed', false, false, false, false],
    ['cancelled', false, false, true, false],
    ['needs_attention', false, true, true, false],
  ])('%s allows what it should', async (state, changed, confirmed, cancelled, joined) => {
    const owner = await team()
    const allowed = async (attempt: (made: Interview) => unknown): Promise<boolean> => {
      const made = await make(owner, { job_description: 'Builds things' })
      await put(made, state)
      try {
        await attempt({ ...made, state })
        return true
      } catch (error) {
        if (error instanceof ConflictError) return false
        throw error
      }
    }
    const change = ({ team_id, id }: Interview) =>
      database.sql.begin((tx) => changeInterview(tx, team_id, id, { role_title: 'New' }))
    expect(await allowed(change)).toBe(changed)
    expect(await allowed(confirm)).toBe(confirmed)
    expect(await allowed(cancel)).toBe(cancelled)
    expect(await allowed(mayJoin)).toBe(joined)
  })
})

test('a list is filtered by state, by text and by candidate, newest first', async () => {
  const owner = await team()
  const first = await make(owner, { role_title: 'Pilot 100%' })
  const second = await make(owner, { role_title: 'Cook' })
  await put(second, 'completed')
  const list = async (query: Parameters<typeof listInterviews>[2]) => {
    const { rows, total } = await listInterviews(database.sql, owner.teamId, query, { limit: 10, offset: 0 })
    expect(total).toBe(rows.length)
    return rows.map(({ id }) => id)
  }
  expect(await list({})).toEqual([second.id, first.id])
  expect(await list({ states: ['completed', 'cancelled'] })).toEqual([second.id])
  expect(await list({ q: '100%' })).toEqual([first.id])
  expect(await list({ q: '1_0' })).toEqual([])
  expect(await list({ q: 'ada' })).toEqual([second.id, first.id])
  expect(await list({ candidateId: first.candidate_id })).toEqual([first.id])
})

test('a deleted interview leaves who deleted it and how much, and nothing that was said', async () => {
  const { sql } = database
  const owner = await team()
  const { id, candidate_id } = await make(owner)
  await sql`
    insert into turns (interview_id, sequence_no, speaker, content) values (${id}, 1, 'candidate', 'Secret')`
  await sql`
    insert into turn_texts (interview_id, team_id, sequence_no, content)
    values (${id}, ${owner.teamId}, 1, 'Secret')`
  await sql`
    insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
    values ('interview-events', ${id}, 'Secret', 5, 'x', 'unknown', 'interview', ${id})`
  await sql.begin((tx) => deleteInterview(tx, owner, id))
  const counts = { turns: 1, chat_messages: 0, emails: 0, webhook_events: 0, assessments: 0, verdicts: 0 }
  expect(await sql`select subject, counts, requested_by from deletions where subject_id = ${id}`).toEqual([
    { subject: 'interview', counts, requested_by: owner.keyId },
  ])
  expect(await sql`select body, state from dead_letters where owner_id = ${id}`).toEqual([
    { body: '', state: 'discarded' },
  ])
  for (const table of ['interviews', 'sessions', 'turns', 'turn_texts']) {
    const key = table === 'interviews' ? 'id' : 'interview_id'
    expect(await sql`select from ${sql(table)} where ${sql(key)} = ${id}`).toHaveLength(0)
  }
  expect(await sql`select from candidates where id = ${candidate_id}`).toHaveLength(1)
})
