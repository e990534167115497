import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { enqueue, sendOutbox, sweepOutbox } from '../../../lib/platform/outbox.ts'
import type { SourceQueue } from '../../../lib/platform/queue.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
})
beforeEach(async () => {
  await database.sql`truncate outbox`
})
afterAll(() => database.close())

/** A queue whose messages the test sees; while it is down it takes none. */
function testQueue(): SourceQueue & { sent: unknown[]; down: boolean } {
  return {
    sent: [],
    down: false,
    async sendBodies(bodies) {
      if (this.down) throw new Error('the queue is down')
      this.sent.push(...bodies.map((body) => JSON.parse(body)))
    },
    depth: async () => ({ ready: 0, in_flight: 0, delayed: 0 }),
  }
}

const put = (queue: string, ...bodies: object[]) =>
  database.sql.begin(async (tx) => {
    const ids: string[] = []
    for (const body of bodies) ids.push(await enqueue(tx, queue, body))
    return ids
  })

const left = async () => (await database.sql`select id from outbox`).length

test('messages are sent in order and are gone from the outbox', async () => {
  const emails = testQueue()
  const ids = await put('emails', { email_id: 'a' }, { email_id: 'b' })
  await put('emails', { email_id: 'of another transaction' })
  await sendOutbox(database.sql, { emails }, ids)
  expect(emails.sent).toEqual([{ email_id: 'a' }, { email_id: 'b' }])
  expect(await left()).toBe(1)
})

test('a transaction that is undone leaves no message', async () => {
  await expect(
    database.sql.begin(async (tx) => {
      await enqueue(tx, 'emails', { email_id: 'a' })
      throw new Error('undone')
    }),
  ).rejects.toThrow('undone')
  expect(await left()).toBe(0)
})

test('what a queue does not take is left to the sweep, and does not hold the others up', async () => {
  const emails = testQueue()
  const assessments = testQueue()
  emails.down = true
  const ids = [...(await put('emails', { email_id: 'a' })), ...(await put('assessments', { n: 1 }))]
  await sendOutbox(database.sql, { emails, assessments }, ids)
  expect(assessments.sent).toEqual([{ n: 1 }])
  emails.down = false
  expect(await sweepOutbox(database.sql, { emails, assessments }, 0)).toBe(0)
  // As after the time that a sender has.
  await database.sql`update outbox set claimed_until = now() - interval '1 second'`
  expect(await sweepOutbox(database.sql, { emails, assessments }, 0)).toBe(1)
  expect(emails.sent).toEqual([{ email_id: 'a' }])
  expect(await left()).toBe(0)
})

test('the sweep leaves young messages to those who wrote them, and takes so many at the most', async () => {
  const emails = testQueue()
  await put('emails', { n: 1 }, { n: 2 }, { n: 3 })
  expect(await sweepOutbox(database.sql, { emails }, 60)).toBe(0)
  expect(await sweepOutbox(database.sql, { emails }, 0, 2)).toBe(2)
  expect(emails.sent).toEqual([{ n: 1 }, { n: 2 }])
})

test('many senders at once send each message once', async () => {
  const emails = testQueue()
  const bodies = Array.from({ length: 50 }, (_, n) => ({ n }))
  const ids = await put('emails', ...bodies)
  const senders = Array.from({ length: 4 }, () => sweepOutbox(database.sql, { emails }, 0, 20))
  await Promise.all([...senders, sendOutbox(database.sql, { emails }, ids)])
  const sent = (emails.sent as { n: number }[]).sort((a, b) => a.n - b.n)
  expect(sent).toEqual(bodies)
  expect(await left()).toBe(0)
})

test('what another sender is about to take is left to it, without waiting for it', async () => {
  const emails = testQueue()
  const ids = await put('emails', { n: 1 })
  await database.sql.begin(async (tx) => {
    await tx`select from outbox for update`
    await sendOutbox(database.sql, { emails }, ids)
    expect(await sweepOutbox(database.sql, { emails }, 0)).toBe(0)
  })
  expect(emails.sent).toEqual([])
})

test('a message for a queue that this sender has not waits for one that has it', async () => {
  const emails = testQueue()
  const ids = await put('resumes', { resume_id: 'a' })
  await sendOutbox(database.sql, { emails }, ids)
  const resumes = testQueue()
  expect(await sweepOutbox(database.sql, { resumes }, 0)).toBe(1)
  expect(resumes.sent).toEqual([{ resume_id: 'a' }])
})

test('a database that does not answer is no failure of what was committed', async () => {
  const gone = await freshDatabase()
  await gone.close()
  await expect(
    sendOutbox(gone.sql, { emails: testQueue() }, ['00000000-0000-7000-8000-000000000000']),
  ).resolves.toBeUndefined()
})
