import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { applyEvent } from '../../../lib/interviews/events.ts'
import { cancelInterview, createInterview, deleteInterview } from '../../../lib/interviews/interviews.ts'
import { readTranscript } from '../../../lib/interviews/transcript.ts'
import type { WebhookSource } from '../../../lib/interviews/webhook-signatures.ts'
import type { SourceQueue } from '../../../lib/platform/queue.ts'
import { ObjectMissingError } from '../../../lib/platform/storage.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let owner: { teamId: string; keyId: string }
let candidate: string
const objects = new Map<string, string>()
const sent: unknown[] = []
let queueDown: boolean

const assessments: SourceQueue = {
  async sendBodies(bodies) {
    if (queueDown) throw new Error('the queue is down')
    sent.push(...bodies.map((body) => JSON.parse(body)))
  },
  depth: async () => ({ ready: 0, in_flight: 0, delayed: 0 }),
}
const storage = {
  async read(key: string) {
    const object = objects.get(key)
    if (object === undefined) throw new ObjectMissingError()
    return Readable.from(Buffer.from(object))
  },
}

beforeAll(async () => {
  database = await freshDatabase()
  const { sql } = database
  const [team] = await sql`insert into teams (name) values ('acme') returning id`
  const [key] = await sql`
    insert into api_keys (team_id, label, role, hash)
    values (${team!.id}, 'test', 'recruiter', ${Buffer.alloc(32)}) returning id`
  const [person] = await sql`
    insert into candidates (team_id, full_name, email) values (${team!.id}, 'Ada', 'ada@example.com') returning id`
  owner = { teamId: team!.id, keyId: key!.id }
  candidate = person!.id
})
beforeEach(async () => {
  await database.sql`truncate webhook_events, outbox, emails`
  sent.length = 0
  queueDown = false
})
afterAll(() => database.close())

type Interview = { id: string; session_id: string }

const anInterview = (): Promise<Interview> =>
  database.sql.begin((tx) =>
    createInterview(tx, owner, {
      candidate_id: candidate,
      role_title: 'Engineer',
      job_description: 'Builds',
    }),
  )

type Sent = { id?: string; received_at?: string }

/** What became of an event whose body is JSON of a value, or a text as it is. */
async function apply(source: WebhookSource, body: unknown, given: Sent = {}) {
  const { id = randomUUID(), received_at = new Date().toISOString() } = given
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const queues = { assessments }
  return (await applyEvent({ sql: database.sql, storage, queues }, { source, id, received_at, body: text }))
    .outcome
}

/** How often a room is to be closed: not at all, or once. */
const closings = async (id: string) =>
  (await database.sql`select from rooms_to_close where interview_id = ${id}`).count

const turnOf = (interview_id: string, sequence_no: number, fields: object = {}) => ({
  type: 'turn',
  data: { interview_id, sequence_no, speaker: 'candidate', content: `turn ${sequence_no}`, ...fields },
})
const completionOf = (interview_id: string, transcript: unknown = [], report: unknown = { overall: 4 }) => ({
  type: 'session.completed',
  data: { interview_id, transcript, report },
})
const roomOf = (event: string, name: string, at = new Date()) => ({
  event,
  createdAt: String(Math.floor(at.getTime() / 1000)),
  room: { name },
})

async function stateOf({ id }: Interview) {
  const [row] = await database.sql`
    select i.state, i.started_at, i.completed_at, s.state as session, s.transcript_json, s.report_json, s.ended_at,
      (select state from assessments where interview_id = i.id) as assessment,
      (select count(*)::int from turns where interview_id = i.id) as turns,
      (select string_agg(content, '|' order by sequence_no) from turn_texts where interview_id = i.id) as searched
    from interviews i join sessions s on s.interview_id = i.id where i.id = ${id}`
  return row!
}

const noted = async () =>
  (
    await database.sql`select type, outcome, interview_id, body from webhook_events order by processed_at`
  ).map((row) => ({ ...row }))

const wordsOf = async ({ id }: Interview) =>
  (await readTranscript(database.sql, id)).turns.map(({ content }) => content)

describe('a turn', () => {
  it('is stored, begins the interview and its session, and is found by searches', async () => {
    const interview = await anInterview()
    const received_at = '2026-11-20T12:00:00.000Z'
    const turn = turnOf(interview.id, 1, { speaker_name: 'Ada', timestamp_sec: 12.5, is_ai_question: true })
    expect(await apply('agent', turn, { received_at })).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({
      state: 'in_progress',
      session: 'in_progress',
      started_at: new Date(received_at),
      searched: 'turn 1',
    })
    const [row] = await database.sql`select * from turns where interview_id = ${interview.id}`
    expect(row).toMatchObject({
      sequence_no: 1,
      speaker: 'candidate',
      speaker_name: 'Ada',
      content: 'turn 1',
      timestamp_sec: 12.5,
      is_ai_question: true,
      created_at: new Date(received_at),
    })
    expect(await noted()).toEqual([
      { type: 'turn', outcome: 'applied', interview_id: interview.id, body: null },
    ])
  })

  it('may name the session in place of the interview', async () => {
    const interview = await anInterview()
    expect(await apply('agent', turnOf(interview.session_id, 1))).toBe('applied')
    expect(await wordsOf(interview)).toEqual(['turn 1'])
  })

  it('has one effect however often its event comes, also at once', async () => {
    const interview = await anInterview()
    const event = () => apply('agent', turnOf(interview.id, 1), { id: 'msg_1' })
    const outcomes = await Promise.all(Array.from({ length: 6 }, event))
    expect(outcomes.toSorted()).toEqual(['applied', ...Array(5).fill('duplicate')])
    expect(await stateOf(interview)).toMatchObject({ turns: 1 })
  })

  it('keeps its first text where another event has its number, and the other is kept for whoever asks', async () => {
    const interview = await anInterview()
    await apply('agent', turnOf(interview.id, 1))
    const other = turnOf(interview.id, 1, { content: 'another' })
    expect(await apply('agent', other)).toBe('ignored')
    expect(await stateOf(interview)).toMatchObject({ turns: 1, searched: 'turn 1' })
    expect((await noted())[1]).toMatchObject({ interview_id: interview.id, body: JSON.stringify(other) })
  })

  it('has its place whatever the order in which turns come', async () => {
    const interview = await anInterview()
    for (const number of [3, 1, 4, 2]) await apply('agent', turnOf(interview.id, number))
    expect(await wordsOf(interview)).toEqual(['turn 1', 'turn 2', 'turn 3', 'turn 4'])
  })

  it('that comes when the session has ended is stored, and counts more than what the session said', async () => {
    const interview = await anInterview()
    await apply(
      'agent',
      completionOf(interview.id, [{ speaker: 'ai', content: 'of the session', sequence_no: 1 }]),
    )
    expect(await apply('agent', turnOf(interview.id, 1))).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({ state: 'completed', searched: 'turn 1' })
  })

  it('of a cancelled interview is ignored', async () => {
    const interview = await anInterview()
    await database.sql.begin((tx) => cancelInterview(tx, owner.teamId, interview.id))
    expect(await apply('agent', turnOf(interview.id, 1))).toBe('ignored')
    expect(await stateOf(interview)).toMatchObject({ state: 'cancelled', session: 'created', turns: 0 })
  })

  it('may hold what PostgreSQL does not take, and any number of characters', async () => {
    const interview = await anInterview()
    const content = `a\0b\ud800${'x'.repeat(50_000)}`
    expect(await apply('agent', turnOf(interview.id, 1, { content, speaker_name: 'A\0da' }))).toBe('applied')
    const [row] =
      await database.sql`select content, speaker_name from turns where interview_id = ${interview.id}`
    expect(row!.content).toMatch(/^ab\ufffdx+ \[…\]$/)
    expect(row!.content).toHaveLength(20_000)
    expect(row!.speaker_name).toBe('Ada')
  })

  it('is not lost over fields that it can do without', async () => {
    const interview = await anInterview()
    const fields = { speaker_name: 7, timestamp_sec: 'soon', is_ai_question: 'yes' }
    expect(await apply('agent', turnOf(interview.id, 1, fields))).toBe('applied')
    const [row] = await database.sql`select * from turns where interview_id = ${interview.id}`
    expect(row).toMatchObject({ speaker_name: null, timestamp_sec: null, is_ai_question: false })
  })

  it('was spoken when its sender says, unless that clock is plainly wrong', async () => {
    const interview = await anInterview()
    const received_at = '2026-11-20T12:00:00.000Z'
    const times = ['2026-11-20T11:00:00Z', '2026-11-21T00:00:00Z', '1970-01-01T00:00:00Z', 'yesterday']
    for (const [index, timestamp] of times.entries()) {
      await apply('agent', { timestamp, ...turnOf(interview.id, index + 1) }, { received_at })
    }
    const rows = await database.sql`
      select created_at from turns where interview_id = ${interview.id} order by sequence_no`
    expect(rows.map(({ created_at }) => created_at.toISOString().slice(11, 16))).toEqual([
      '11:00',
      '12:00',
      '12:00',
      '12:00',
    ])
  })
})

describe('the end of a session', () => {
  const transcript = [
    { speaker: 'ai', content: 'Hello', sequence_no: 1, timestamp_sec: 0 },
    { speaker: 'candidate', content: 'Hi', sequence_no: 2, timestamp_sec: 4 },
  ]

  it('completes the interview, keeps what was sent and asks for the assessment', async () => {
    const interview = await anInterview()
    await apply('agent', turnOf(interview.id, 2, { content: 'Hi, of the row' }))
    expect(await apply('agent', completionOf(interview.id, transcript))).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({
      state: 'completed',
      session: 'completed',
      completed_at: expect.any(Date),
      transcript_json: JSON.stringify(transcript),
      report_json: '{"overall":4}',
      assessment: 'pending',
      searched: 'Hello|Hi, of the row',
    })
    expect(sent).toEqual([{ interview_id: interview.id }])
    expect(await database.sql`select id from outbox`).toHaveLength(0)
  })

  it('leaves the message of its assessment to the sweep where the queue is down', async () => {
    const interview = await anInterview()
    queueDown = true
    expect(await apply('agent', completionOf(interview.id, transcript))).toBe('applied')
    const outbox = await database.sql`select queue, body from outbox`
    expect(outbox).toEqual([{ queue: 'assessments', body: { interview_id: interview.id } }])
  })

  it('counts once: another one changes nothing and asks for nothing', async () => {
    const interview = await anInterview()
    await apply('agent', completionOf(interview.id, transcript))
    expect(await apply('agent', completionOf(interview.id, [{ content: 'other' }], 'other'))).toBe('ignored')
    expect(await stateOf(interview)).toMatchObject({
      transcript_json: JSON.stringify(transcript),
      report_json: '{"overall":4}',
    })
    expect(sent).toHaveLength(1)
  })

  it.each([
    ['none', null],
    ['an empty one', []],
    ['one that cannot be read', '[{"content":'],
  ])('brings a transcript the second time where the first time it brought %s', async (_, first) => {
    const interview = await anInterview()
    await apply('agent', completionOf(interview.id, first))
    await database.sql`
      update assessments set state = 'failed', failure = '{"code":"no_transcript","message":""}'
      where interview_id = ${interview.id}`
    expect(await apply('agent', completionOf(interview.id, transcript))).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({
      transcript_json: JSON.stringify(transcript),
      assessment: 'pending',
      searched: 'Hello|Hi',
    })
    expect(sent).toHaveLength(2)
  })

  it('overtakes an assessment of what an abandoned session had left', async () => {
    const interview = await anInterview()
    await apply('agent', turnOf(interview.id, 1))
    await database.sql`update interviews set state = 'needs_attention' where id = ${interview.id}`
    await database.sql`
      insert into assessments (interview_id, state, lease, lease_until)
      values (${interview.id}, 'generating', ${randomUUID()}, now() + interval '1 minute')`
    expect(await apply('agent', completionOf(interview.id, transcript))).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({ state: 'completed', assessment: 'pending' })
    expect(sent).toEqual([{ interview_id: interview.id }])
  })

  it('needs neither transcript nor report: the turns are there', async () => {
    const interview = await anInterview()
    await apply('agent', turnOf(interview.id, 1))
    const data = { interview_id: interview.id }
    expect(await apply('agent', { type: 'session.completed', data })).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({
      state: 'completed',
      transcript_json: null,
      report_json: null,
      assessment: 'pending',
    })
  })

  it('of a cancelled interview is ignored', async () => {
    const interview = await anInterview()
    await database.sql.begin((tx) => cancelInterview(tx, owner.teamId, interview.id))
    expect(await apply('agent', completionOf(interview.id, transcript))).toBe('ignored')
    expect(await stateOf(interview)).toMatchObject({
      state: 'cancelled',
      transcript_json: null,
      assessment: null,
    })
    expect(sent).toEqual([])
  })

  it('keeps a transcript that is text as it is, and takes what PostgreSQL does not', async () => {
    const interview = await anInterview()
    const event = completionOf(interview.id, 'once\0 upon a time', { note: 'a\0b' })
    expect(await apply('agent', event)).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({
      transcript_json: 'once upon a time',
      report_json: String.raw`{"note":"a\u0000b"}`,
    })
    const other = await anInterview()
    const turns = [{ speaker: 'ai', content: 'a\0b', sequence_no: 1 }]
    expect(await apply('agent', completionOf(other.id, turns))).toBe('applied')
    expect(await stateOf(other)).toMatchObject({ searched: 'ab' })
  })

  it('has the room closed', async () => {
    const interview = await anInterview()
    await apply('agent', completionOf(interview.id, transcript))
    expect(await closings(interview.id)).toBe(1)
  })

  it('is one event whichever of many comes first', async () => {
    const interview = await anInterview()
    const events = [
      ...[1, 2, 3, 4].map((number) => turnOf(interview.id, number)),
      completionOf(interview.id, transcript),
      completionOf(interview.id, transcript),
    ]
    const outcomes = await Promise.all(events.map((event) => apply('agent', event)))
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(5)
    expect(await stateOf(interview)).toMatchObject({ state: 'completed', session: 'completed', turns: 4 })
    expect(sent).toHaveLength(1)
  })
})

describe('a room', () => {
  it('that was opened begins the interview; that was closed, it is for the sweep to see what is missing', async () => {
    const interview = await anInterview()
    expect(await apply('livekit', roomOf('room_started', interview.id))).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({
      state: 'in_progress',
      session: 'in_progress',
      ended_at: null,
    })
    expect(await apply('livekit', roomOf('room_finished', interview.id))).toBe('applied')
    expect(await stateOf(interview)).toMatchObject({ state: 'in_progress', ended_at: expect.any(Date) })
  })

  it('was opened where we hear only of its end, and is closed whichever is heard first', async () => {
    const interview = await anInterview()
    const [early, late] = [new Date(Date.now() - 60_000), new Date(Date.now() - 30_000)]
    await apply('livekit', roomOf('room_finished', interview.id, late))
    await apply('livekit', roomOf('room_started', interview.id, early))
    expect(await stateOf(interview)).toMatchObject({ session: 'in_progress', ended_at: expect.any(Date) })
  })

  it('was closed at the last of its ends, whichever is heard first', async () => {
    const interview = await anInterview()
    const [early, late] = [new Date(Date.now() - 60_000), new Date(Date.now() - 30_000)]
    await apply('livekit', roomOf('room_finished', interview.id, late))
    const { ended_at } = await stateOf(interview)
    await apply('livekit', roomOf('room_finished', interview.id, early))
    expect(await stateOf(interview)).toMatchObject({ ended_at })
  })

  it('that was opened again is open', async () => {
    const interview = await anInterview()
    const [early, late] = [new Date(Date.now() - 60_000), new Date(Date.now() - 30_000)]
    await apply('livekit', roomOf('room_finished', interview.id, early))
    await apply('livekit', roomOf('room_started', interview.id, late))
    expect(await stateOf(interview)).toMatchObject({ session: 'in_progress', ended_at: null })
  })

  it.each(['participant_joined', 'track_published'])('tells nothing by %s', async (event) => {
    const interview = await anInterview()
    expect(await apply('livekit', roomOf(event, interview.id))).toBe('ignored')
    expect(await stateOf(interview)).toMatchObject({ state: 'draft' })
  })
})

describe('news of an e-mail', () => {
  it.each([
    ['a list', (value: string) => [{ name: 'email_id', value }]],
    ['an object', (value: string) => ({ email_id: value })],
  ])('finds it by our own id, in %s of tags', async (_, tagged) => {
    const id = randomUUID()
    await database.sql`
      insert into emails (id, team_id, kind, recipient, data, state)
      values (${id}, ${owner.teamId}, 'invite', 'ada@example.com', '{}', 'sent')`
    const event = {
      type: 'email.delivered',
      created_at: new Date().toISOString(),
      data: { email_id: randomUUID(), to: ['ada@example.com'], tags: tagged(id) },
    }
    expect(await apply('resend', event)).toBe('applied')
    expect(await database.sql`select state from emails where id = ${id}`).toEqual([{ state: 'delivered' }])
  })

  it('about none of ours is noted without the address in it', async () => {
    const data = { email_id: randomUUID(), to: ['ada@example.com'], bounce: { type: 'Permanent' } }
    expect(await apply('resend', { type: 'email.bounced', data })).toBe('unmatched')
    expect(await noted()).toMatchObject([{ type: 'email.bounced', outcome: 'unmatched', body: null }])
  })

  it('without its id is noted', async () => {
    expect(await apply('resend', { type: 'email.sent', data: {} })).toBe('unmatched')
    expect(await apply('resend', { type: 'email.sent', data: { email_id: 'a\0' } })).toBe('unmatched')
  })

  it('says why it did not arrive, and that Resend lifted an address, whose body is not kept', async () => {
    const id = randomUUID()
    const address = `${id}@example.com`
    await database.sql`
      insert into emails (id, team_id, kind, recipient, data, state)
      select ${id}, id, 'welcome', ${address}, '{}', 'sent' from teams limit 1`
    const suppressed = { type: 'OnAccountSuppressionList', message: 'It is on the list' }
    const data = { email_id: randomUUID(), tags: { email_id: id }, suppressed }
    expect(await apply('resend', { type: 'email.suppressed', data })).toBe('applied')
    const [email] = await database.sql`select failure->>'message' as message from emails where id = ${id}`
    expect(email!.message).toContain('It is on the list')
    const held = () => database.sql`select from suppressed_addresses where address = ${address}`
    expect(await held()).toHaveLength(1)
    const removal = { type: 'suppression.removed', data: { id: randomUUID(), email: address.toUpperCase() } }
    expect(await apply('resend', removal)).toBe('applied')
    expect(await held()).toHaveLength(0)
    expect(await apply('resend', removal)).toBe('ignored')
    expect(await database.sql`select from webhook_events where body like '%@%'`).toHaveLength(0)
  })

  it('that it was opened is ignored', async () => {
    expect(await apply('resend', { type: 'email.opened', data: { email_id: randomUUID() } })).toBe('ignored')
  })
})

describe('what cannot be applied', () => {
  it.each<[string, WebhookSource, unknown, string, string]>([
    ['no JSON', 'agent', 'hello', 'unreadable', 'unmatched'],
    ['nothing', 'agent', '', 'unreadable', 'unmatched'],
    ['null', 'agent', 'null', 'unreadable', 'unmatched'],
    ['a list', 'livekit', [], 'unreadable', 'unmatched'],
    ['a type that is no text', 'agent', { type: {} }, 'unreadable', 'unmatched'],
    ['a type that nobody knows', 'agent', { type: 'weather.changed' }, 'weather.changed', 'ignored'],
    ['a type that objects have', 'agent', { type: 'constructor' }, 'constructor', 'ignored'],
    ['a type with U+0000', 'agent', { type: 'a\0b' }, 'ab', 'ignored'],
    ['a turn without data', 'agent', { type: 'turn' }, 'turn', 'unmatched'],
    ['a turn of nobody', 'agent', turnOf(randomUUID(), 1), 'turn', 'unmatched'],
    ['a turn of an interview that is no id', 'agent', turnOf('test-room', 1), 'turn', 'unmatched'],
    ['a turn without text', 'agent', turnOf(randomUUID(), 1, { content: '\0' }), 'turn', 'unmatched'],
    ['a turn numbered 0', 'agent', turnOf(randomUUID(), 0), 'turn', 'unmatched'],
    ['a turn with a number too large', 'agent', turnOf(randomUUID(), 2 ** 40), 'turn', 'unmatched'],
    ['a room of nobody', 'livekit', roomOf('room_started', 'lobby'), 'room_started', 'unmatched'],
  ])('is noted with its body: %s', async (_, source, body, type, outcome) => {
    expect(await apply(source, body)).toBe(outcome)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    expect(await noted()).toEqual([{ type, outcome, interview_id: null, body: text }])
  })

  it('a transcript nested more deeply than it can be written is noted', async () => {
    const interview = await anInterview()
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const body = JSON.stringify(completionOf(interview.id, 'deep')).replace('"deep"', deep)
    expect(await apply('agent', body)).toBe('unmatched')
    expect(await stateOf(interview)).toMatchObject({ state: 'draft' })
  })

  it('nothing is kept of what comes for an interview that was deleted', async () => {
    const interview = await anInterview()
    await database.sql.begin((tx) => deleteInterview(tx, owner, interview.id))
    expect(await apply('agent', turnOf(interview.id, 1))).toBe('ignored')
    expect(await noted()).toMatchObject([{ body: null }])
  })
})

describe('a large body', () => {
  const read = (body_key: string) => {
    const message = { source: 'agent', id: 'msg_1', received_at: new Date().toISOString(), body_key } as const
    return applyEvent({ sql: database.sql, storage, queues: { assessments } }, message)
  }

  it('is read from S3', async () => {
    const interview = await anInterview()
    const transcript = [{ speaker: 'candidate', content: 'x'.repeat(1024 * 1024), sequence_no: 1 }]
    objects.set('webhooks/agent/large', JSON.stringify(completionOf(interview.id, transcript)))
    expect(await read('webhooks/agent/large')).toMatchObject({
      outcome: 'applied',
      interviewId: interview.id,
    })
    expect((await stateOf(interview)).transcript_json).toHaveLength(JSON.stringify(transcript).length)
  })

  it('that is gone is a failure, and no event', async () => {
    await expect(read('webhooks/agent/gone')).rejects.toMatchObject({ code: 'object_missing' })
    expect(await noted()).toEqual([])
  })
})

describe('a room that is opened', () => {
  const opened = (id: string) =>
    apply('livekit', { event: 'room_started', id: randomUUID(), room: { name: id }, createdAt: '1' })

  it('is left open while its interview goes on', async () => {
    const { id } = await anInterview()
    await opened(id)
    expect(await closings(id)).toBe(0)
  })

  it.each(['cancelled', 'completed', 'needs_attention'])('is closed again after it was %s', async (state) => {
    const { id } = await anInterview()
    await database.sql`update interviews set state = ${state} where id = ${id}`
    await opened(id)
    expect(await closings(id)).toBe(1)
    expect(await database.sql`select state from interviews where id = ${id}`).toEqual([{ state }])
  })

  it('is closed again after its interview was deleted, and one of nobody is left alone', async () => {
    const { id } = await anInterview()
    await database.sql.begin((tx) => deleteInterview(tx, owner, id))
    await database.sql`truncate rooms_to_close`
    await opened(id)
    expect(await closings(id)).toBe(1)
    const unknown = randomUUID()
    await opened(unknown)
    expect(await closings(unknown)).toBe(0)
  })
})
