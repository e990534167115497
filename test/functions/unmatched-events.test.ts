import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { applyEvent } from '../../lib/interviews/events.ts'
import { sweepInterviews } from '../../lib/interviews/sweep.ts'
import type { WebhookSource } from '../../lib/interviews/webhook-signatures.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { logger } from '../../lib/platform/log.ts'
import { queueVariables } from '../../lib/platform/names.ts'
import type { Storage } from '../../lib/platform/storage.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let operations: typeof import('../../functions/operations.ts').handler
const keys = { operator: '', admin: '' }

beforeAll(async () => {
  database = await freshDatabase()
  const unused = Object.values(queueVariables).flatMap(({ source, deadLetters }) => [source, deadLetters])
  const environment = Object.fromEntries(unused.map((name) => [name, 'http://127.0.0.1:1/none']))
  for (const [name, value] of Object.entries({ ...database.env, ...environment })) vi.stubEnv(name, value)
  for (const role of ['operator', 'admin'] as const) {
    keys[role] = (await createKey(database.sql, { role, team: 'acme', label: 'x' })).key
  }
  operations = (await import('../../functions/operations.ts')).handler
})
beforeEach(() => database.sql`truncate webhook_events, unmatched_events`)
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

/** What a webhook leaves behind that was received so long ago. */
async function tell(source: WebhookSource, body: unknown, { daysAgo = 0, id = String(randomUUID()) } = {}) {
  const received_at = new Date(Date.now() - daysAgo * 24 * 60 * 60 * 1000).toISOString()
  const message = { source, id, received_at, body: JSON.stringify(body) }
  await applyEvent({ sql: database.sql, storage: {} as Storage, queues: {} }, message)
  return id
}
const turn = (interview_id: string) => ({
  type: 'turn',
  data: { interview_id, sequence_no: 1, speaker: 'candidate', content: 'zqxsecret of Ada' },
})
const list = async (query = '', key = keys.operator) =>
  call(operations, `GET /api/ops/unmatched-events${query}`, { key })

it('events that fit nothing here are listed for operators, newest first, without what they say', async () => {
  const [interview, email] = [randomUUID(), randomUUID()]
  const ids = [
    await tell('agent', turn(interview), { daysAgo: 3 }),
    await tell('livekit', { event: 'room_started', room: { name: 'zqxsecret lobby' } }, { daysAgo: 2 }),
    await tell(
      'resend',
      { type: 'email.sent', data: { email_id: email, to: ['zqxsecret@example.com'] } },
      { daysAgo: 1 },
    ),
    await tell('agent', { type: 'session.completed', data: {}, note: 'zqxsecret' }),
  ]
  // Known, and of no consequence: neither is unmatched.
  await tell('resend', { type: 'email.opened' })
  const { status, body, text } = await list()
  expect(status).toBe(200)
  expect(text).not.toContain('zqxsecret')
  expect(body).toMatchObject({
    next_cursor: null,
    data: [
      { source: 'agent', id: ids[3], type: 'session.completed', reason: 'unreadable', about: null },
      { source: 'resend', id: ids[2], reason: 'not_found', about: email },
      { source: 'livekit', id: ids[1], type: 'room_started', reason: 'not_found', about: null },
      { source: 'agent', id: ids[0], type: 'turn', reason: 'not_found', about: interview },
    ],
  })
  const [{ received_at, kept_until, bytes }] = body.data
  expect(Date.parse(kept_until) - Date.parse(received_at)).toBe(30 * 24 * 60 * 60 * 1000)
  expect(bytes).toBeGreaterThan(0)
})

it('the list has pages that never overlap, also where many came in one moment, and one sender alone', async () => {
  const at = { daysAgo: 1 }
  vi.useFakeTimers({ toFake: ['Date'] })
  const ids = new Set<string>()
  for (let index = 0; index < 5; index++) ids.add(await tell('agent', turn(randomUUID()), at))
  ids.add(await tell('agent', turn(randomUUID()), { ...at, id: 'a.b c&d=%' }))
  vi.useRealTimers()
  await tell('livekit', { event: 'room_started', room: { name: 'x' } })
  const seen: string[] = []
  for (let query: string | undefined = '?source=agent&limit=2'; query !== undefined; ) {
    const { body, headers } = await list(query)
    seen.push(...body.data.map(({ id }: { id: string }) => id))
    const next: string | null = body.next_cursor
    if (next !== null) expect(headers.link).toContain('rel="next"')
    query = next === null ? undefined : `?source=agent&limit=2&cursor=${encodeURIComponent(next)}`
  }
  expect(seen).toHaveLength(6)
  expect(new Set(seen)).toEqual(ids)
})

it('an event is listed for as long as it is kept, and the sweep then forgets what it said', async () => {
  await tell('agent', turn(randomUUID()), { daysAgo: 31 })
  const kept = await tell('agent', turn(randomUUID()), { daysAgo: 29 })
  const { sql } = database
  const stalledAfter = { stalled: 900, untried: 90, grace: 25 }
  const waits = { stalledAfter, uploadCheck: 300, uploadGrace: 7200, abandoned: 600 }
  const embedding = { model: 'gemini-embedding-001', dimensions: 768 }
  await sweepInterviews({ sql, storage: {} as Storage, queues: {}, waits, embedding })
  expect((await list()).body.data.map(({ id }: { id: string }) => id)).toEqual([kept])
  expect(await sql`select event_id from unmatched_events`).toEqual([{ event_id: kept }])
  expect(await sql`select event_id from webhook_events where body is not null`).toEqual([{ event_id: kept }])
})

it('an admin of a team does not see them, and nothing that they say is logged', async () => {
  const said = vi.spyOn(logger, 'info')
  await tell('agent', turn(randomUUID()))
  expect((await list('', keys.admin)).status).toBe(403)
  await list()
  expect(JSON.stringify(said.mock.calls)).not.toContain('zqxsecret')
})

it.each(['cursor=x', 'cursor=1.agent.', 'cursor=1.weather.x', 'cursor=1.agent.a%00', 'source=weather'])(
  '%s is 422 with the field',
  async (query) => {
    const { status, body } = await list(`?${query}`)
    expect(status).toBe(422)
    expect(body.details[0].field).toBe(query.split('=')[0])
  },
)
