import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { readMark } from '../../lib/interviews/transcript-page.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { type CallOptions, type CallResult, call, httpEvent, lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase, watchedPool } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'

/** Bytes of a response that Lambda takes. */
const lambdaLimit = 6_291_556

let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let handler: typeof import('../../functions/interviews.ts').handler
let key: string
let team: string

beforeAll(async () => {
  database = await freshDatabase()
  bucket = await startStorage()
  const unused = {
    ASSESSMENTS_QUEUE_URL: 'http://127.0.0.1:1/none',
    EMAILS_QUEUE_URL: 'http://127.0.0.1:1/none',
    GEMINI_FUNCTION_NAME: 'none',
    LIVEKIT_FUNCTION_NAME: 'none',
    UPLOAD_BUCKET: 'uploads',
    ...bucket.env,
  }
  for (const [name, value] of Object.entries({ ...database.env, ...unused })) vi.stubEnv(name, value)
  key = (await createKey(database.sql, { role: 'recruiter', team: 'acme', label: 'desk' })).key
  const [row] = await database.sql<{ id: string }[]>`select id from teams where name = 'acme'`
  team = row!.id
  handler = (await import('../../functions/interviews.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await database.close()
  await bucket.close()
  vi.unstubAllEnvs()
})

async function makeInterview(transcriptJson: string | null = null): Promise<string> {
  const [interview] = await database.sql<{ id: string }[]>`
    with candidate as (
      insert into candidates (team_id, full_name, email)
      values (${team}, 'Ada Lovelace', uuidv7() || '@example.com') returning id
    )
    insert into interviews (team_id, candidate_id, role_title, state)
    select ${team}, id, 'Engineer', 'in_progress' from candidate returning id`
  await database.sql`
    insert into sessions (interview_id, transcript_json) values (${interview!.id}, ${transcriptJson})`
  return interview!.id
}

/** Turns 1 to `count`, a second apart, each of which says `content`. */
async function storeTurns(interview: string, count: number, content: string): Promise<void> {
  await database.sql`
    insert into turns (interview_id, sequence_no, speaker, content, timestamp_sec)
    select ${interview}, n, 'candidate', ${content}, 100 + n from generate_series(1, ${count}::int) n`
}

const get = (target: string, options: CallOptions = {}): Promise<CallResult> =>
  call(handler, `GET /api/interviews/${target}`, { key, ...options })

/** Bytes of what Lambda is given for a request. */
async function payload(target: string, headers: Record<string, string>): Promise<number> {
  const event = httpEvent(`GET /api/interviews/${target}`, { key, headers })
  return Buffer.byteLength(JSON.stringify(await handler(event, lambdaContext())))
}

/** All pages by the links that lead from one to the next. */
async function walk(target: string): Promise<CallResult['body'][]> {
  const pages: CallResult['body'][] = []
  let next: string | undefined = `/api/interviews/${target}`
  while (next) {
    const { status, body, headers }: CallResult = await call(handler, `GET ${next}`, { key })
    expect(status).toBe(200)
    pages.push(body)
    next = /^<(.*)>; rel="next"$/.exec(headers.link ?? '')?.[1]
    expect(next === undefined).toBe(body.next_after_sequence_no === null)
  }
  return pages
}

describe('a transcript of 20,000 turns', () => {
  let id: string
  beforeAll(async () => {
    id = await makeInterview()
    await storeTurns(id, 20_000, 'word "and" '.repeat(30))
  })

  it('comes in pages that hold each turn once, with the clock and the total of the whole', async () => {
    const pages = await walk(`${id}/transcript`)
    expect(pages.length).toBeGreaterThan(3)
    for (const { total_turns } of pages) expect(total_turns).toBe(20_000)
    const turns = pages.flatMap((page) => page.turns)
    expect(turns.map(({ sequence_no }) => sequence_no)).toEqual(
      Array.from({ length: 20_000 }, (_, index) => index + 1),
    )
    expect(turns.every(({ content }) => content === 'word "and" '.repeat(30))).toBe(true)
    expect(turns.at(-1)).toMatchObject({ timestamp: '05:33:19', offset_seconds: 19_999 })
  })

  it('is messages in pages, too', async () => {
    const pages = await walk(`${id}/history?limit=4000`)
    expect(pages.map(({ messages }) => messages.length).every((length) => length <= 4000)).toBe(true)
    expect(pages.flatMap(({ messages }) => messages)).toHaveLength(20_000)
    expect(pages[0]).toMatchObject({ total_messages: 20_000 })
  })

  it('is the same page where the account of the session is there', async () => {
    const { body: before } = await get(`${id}/transcript?after_sequence_no=19000`)
    await database.sql`
      update sessions set transcript_json = '[{"sequence_no":1,"content":"x"}]' where interview_id = ${id}`
    const { body: after } = await get(`${id}/transcript?after_sequence_no=19000`)
    expect(after.turns).toEqual(before.turns)
    expect(after.total_turns).toBe(20_000)
  })
})

describe('a response', () => {
  it.each([
    ['quotes', '"'.repeat(20_000)],
    ['control characters', '\u0001'.repeat(20_000)],
    ['emoji', '😀'.repeat(10_000)],
  ])('stays within what Lambda takes where turns are full of %s', async (_, content) => {
    const id = await makeInterview()
    await storeTurns(id, 300, content)
    for (const headers of [{}, { 'accept-encoding': 'gzip' }]) {
      for (const route of ['transcript', 'history']) {
        expect(await payload(`${id}/${route}`, headers)).toBeLessThan(lambdaLimit)
      }
    }
    const pages = await walk(`${id}/transcript`)
    expect(pages.length).toBeGreaterThan(1)
    expect(pages.flatMap(({ turns }) => turns)).toHaveLength(300)
  })

  it('cuts a turn that fills one by itself, and goes on with the next', async () => {
    const texts = [5_000_000, 100_000, 10].map((length) => '"'.repeat(length))
    const account = texts.map((content, index) => ({ sequence_no: index + 1, speaker: 'user', content }))
    const id = await makeInterview(JSON.stringify(account))
    expect(await payload(`${id}/transcript`, {})).toBeLessThan(lambdaLimit)
    const turns = (await walk(`${id}/transcript`)).flatMap((page) => page.turns)
    expect(turns.map(({ content }) => content.length)).toEqual([150_000, 100_000, 10])
    expect(turns[0].content.endsWith('" […]')).toBe(true)
  })

  it('has as many turns as asked for, and none after the last', async () => {
    const id = await makeInterview()
    await storeTurns(id, 5, 'x')
    const { body } = await get(`${id}/transcript?limit=2&after_sequence_no=1`)
    expect(body).toMatchObject({ total_turns: 5, next_after_sequence_no: 3 })
    expect(body.turns.map(({ timestamp }: { timestamp: string }) => timestamp)).toEqual([
      '00:00:01',
      '00:00:02',
    ])
    expect((await get(`${id}/transcript?after_sequence_no=5`)).body).toMatchObject({
      total_turns: 5,
      next_after_sequence_no: null,
      turns: [],
    })
    expect((await get(`${id}/transcript?after_sequence_no=9999999999`)).body.turns).toEqual([])
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=x', 'limit'],
    ['after_sequence_no=-1', 'after_sequence_no'],
    ['after_sequence_no=99999999999', 'after_sequence_no'],
  ])('refuses %s', async (query, field) => {
    const id = await makeInterview()
    for (const route of ['transcript', 'history']) {
      const { status, body } = await get(`${id}/${route}?${query}`)
      expect(status).toBe(422)
      expect(body.details[0].field).toBe(field)
    }
  })
})

describe('an export', () => {
  it.each(['txt', 'json', 'csv', 'md', 'vtt'])(
    'of %s that no response can hold is a file',
    async (format) => {
      const id = await makeInterview()
      await storeTurns(id, 300, `${'"'.repeat(19_990)} the end`)
      const target = `${id}/transcript/export?format=${format}`
      const head = await handler(httpEvent(`HEAD /api/interviews/${target}`, { key }), lambdaContext())
      expect(head).toMatchObject({ statusCode: 200, body: '' })
      const { status, headers } = await get(target)
      expect(status).toBe(302)
      const file = await fetch(headers.location!)
      expect(file.status).toBe(200)
      expect(file.headers.get('content-disposition')).toBe(
        `attachment; filename="transcript_${id}.${format}"`,
      )
      const text = await file.text()
      expect(text.length).toBeGreaterThan(5_900_000)
      expect(text.split('the end')).toHaveLength(301)
      const asked = await get(target, { headers: { accept: 'application/json' } })
      expect(asked.body).toMatchObject({
        status: 'success',
        url: expect.stringContaining(`transcripts/${id}/`),
      })
    },
  )

  it('is a response while Lambda takes it, whatever is escaped in it', async () => {
    const id = await makeInterview()
    await storeTurns(id, 130, '"'.repeat(20_000))
    const target = `${id}/transcript/export`
    expect((await get(target)).status).toBe(200)
    expect(await payload(target, {})).toBeLessThan(lambdaLimit)
  })
})

describe('following an interview', () => {
  it('is told that nothing was said by one query that reads no turn', async () => {
    const id = await makeInterview()
    await storeTurns(id, 3, 'x')
    const first = await get(`${id}/transcript`)
    expect(first.headers).toMatchObject({ 'cache-control': 'private, no-cache' })
    const etag = first.headers.etag!
    const reader = await database.sql.reserve()
    try {
      // Whoever looks at a turn waits for this lock.
      await reader`begin`
      await reader`lock table turns, turn_texts in access exclusive mode`
      for (const tag of [etag, `W/${etag}`, etag.replace(/"$/, '-gzip"')]) {
        const polled = await get(`${id}/transcript`, { headers: { 'if-none-match': tag } })
        expect(polled).toMatchObject({ status: 304, text: '', headers: { etag } })
      }
    } finally {
      await reader`rollback`
      reader.release()
    }
    const statements: string[] = []
    const watched = watchedPool(database.url, (statement) => statements.push(statement))
    await readMark(watched, team, id)
    await watched.end()
    expect(statements).toHaveLength(1)
    expect(statements[0]).not.toMatch(/\bturns\b/)
  })

  const changes: [string, (id: string) => Promise<unknown>][] = [
    [
      'a turn, whatever its number',
      (id) => database.sql`
        insert into turns (interview_id, sequence_no, speaker, content) values (${id}, 2, 'ai', 'Late')`,
    ],
    [
      'the account of the session',
      (id) => database.sql`update sessions set transcript_json = '[]' where interview_id = ${id}`,
    ],
    [
      'the state of the interview',
      (id) => database.sql`update interviews set state = 'completed' where id = ${id}`,
    ],
    [
      'the end of its time',
      (id) => database.sql`update interviews set transcript_expired_at = now() where id = ${id}`,
    ],
  ]
  it.each(changes)('is told of %s', async (_, change) => {
    const id = await makeInterview()
    await database.sql`
      insert into turns (interview_id, sequence_no, speaker, content) values (${id}, 1, 'ai', 'a'), (${id}, 3, 'ai', 'c')`
    for (const route of ['transcript', 'history']) {
      const target = `${id}/${route}`
      const { etag = '' } = (await get(target)).headers
      expect((await get(target, { headers: { 'if-none-match': etag } })).status).toBe(304)
      expect((await get(`${target}?limit=1`, { headers: { 'if-none-match': etag } })).status).toBe(200)
    }
    const { etag = '' } = (await get(`${id}/transcript`)).headers
    await change(id)
    const told = await get(`${id}/transcript`, { headers: { 'if-none-match': etag } })
    expect(told.status).toBe(200)
    expect(told.headers.etag).not.toBe(etag)
  })

  it('of another interview is not told by its tag', async () => {
    const [one, other] = [await makeInterview(), await makeInterview()]
    const { etag = '' } = (await get(`${one}/transcript`)).headers
    expect((await get(`${other}/transcript`, { headers: { 'if-none-match': etag } })).status).toBe(200)
    const foreign = (await createKey(database.sql, { role: 'recruiter', team: 'other', label: 'x' })).key
    const asked = await get(`${one}/transcript`, { key: foreign, headers: { 'if-none-match': etag } })
    expect(asked.status).toBe(404)
  })
})
