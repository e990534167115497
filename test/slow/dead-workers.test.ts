import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type QueueName, queues } from '../../lib/platform/names.ts'
import { startTestCloud, type TestCloud, until } from '../e2e/cloud.ts'
import { interviewsOf, modelPath, outsideOf, turnEvent, turnsOf } from '../e2e/recruiting.ts'
import { environmentsOf, killEnvironment } from '../support/environments.ts'

/*
 * Every kind of worker is stopped half way through a piece of work, by a lock in the database or a third party that
 * hangs. With short timeouts a lease is 6 seconds and a message is hidden for 9, where the queues would hide it for
 * 25 to 85.
 */

/** How the name of each queue's function ends. */
const workers: Record<QueueName, string> = {
  'import-objects': '-imports-split',
  'import-slices': '-imports-insert',
  'import-finish': '-imports-finish',
  'import-removals': '-imports-remove',
  exports: '-exports-export',
  'interview-events': '-interviews-applyevent',
  assessments: '-interviews-assess',
  emails: '-interviews-sendemail',
  resumes: '-interviews-readresume',
}
const longestHidden = 9

let cloud: TestCloud
let sql: postgres.Sql
let interviews: ReturnType<typeof interviewsOf>
let outside: ReturnType<typeof outsideOf>
beforeAll(async () => {
  cloud = await startTestCloud(undefined, { timeouts: 'short' })
  interviews = interviewsOf(cloud.call)
  outside = outsideOf(cloud.credentials)
  sql = postgres(cloud.credentials.database_url, { max: 4, onnotice: () => {} })
})
afterEach(async () => {
  await Promise.all([...holds].map((letGo) => letGo()))
  await outside.calm()
})
afterAll(async () => {
  await sql?.end({ timeout: 2 })
  await cloud?.close()
})

const holds = new Set<() => Promise<void>>()

/** Holds a lock until it is let go, or the database ends. */
async function hold(lock: (tx: postgres.TransactionSql) => Promise<unknown>): Promise<() => Promise<void>> {
  const locked = Promise.withResolvers<void>()
  const free = Promise.withResolvers<void>()
  const over = sql
    .begin(async (tx) => {
      await lock(tx)
      locked.resolve()
      await free.promise
    })
    // A database that ended has let go, too.
    .catch((error: unknown) => locked.reject(error))
  await locked.promise
  const letGo = async () => {
    free.resolve()
    await over
    holds.delete(letGo)
  }
  holds.add(letGo)
  return letGo
}

const csv = (name: string, people: number) =>
  ['name,gender,age,country_id', ...Array.from({ length: people }, (_, n) => `${name} ${n},female,${n},NG`)]
    .map((line) => `${line}\n`)
    .join('')

const turns = turnsOf([
  ['What have you built?', 'A queue that forgets nothing.'],
  ['What went wrong?', 'The pool ran out of connections.'],
])

let round = 0

/**
 * One piece of work in each queue, with a worker that does not get on: what lets them, and for each kind what
 * resolves once its work is done.
 */
async function halfWay() {
  const word = `Round${++round}`
  const { imports, call } = cloud
  const removed = await imports.run(csv(`${word} Removed`, 5))
  expect(removed).toMatchObject({ state: 'completed', inserted: 5 })

  await outside.fault({ path: modelPath, delay_ms: 30_000 })
  await outside.fault({ path: '/resend/emails', delay_ms: 30_000 })
  await outside.fault({ path: '/gemini/v1beta/models/gemini-flash-lite-latest', delay_ms: 30_000 })
  const candidate = await interviews.meet('Ada Example', `${word}@people.example`)
  const invited = await interviews.draft(candidate)
  await call(`POST /api/interviews/${invited}/invite`, { body: {} })
  const assessed = await interviews.draft(candidate, { recruiter_email: `${word}@recruiters.example` })
  await outside.agent({ type: 'session.completed', data: { interview_id: assessed, transcript: turns } })
  const text = 'Ada Example builds queues in Go.'
  const file = { filename: 'resume.txt', size: Buffer.byteLength(text) }
  const { body: upload } = await call(`POST /api/candidates/${candidate}/resume`, { body: file })
  await fetch(upload.upload.url, { method: upload.upload.method, headers: upload.upload.headers, body: text })
  await until(outside.metAll)

  const split = Buffer.from(csv(`${word} Split`, 7))
  const scanned = await imports.create(split.length)
  const letRow = await hold((tx) => tx`select from imports where id = ${scanned.id} for update`)
  const letTables = await hold(
    (tx) => tx`lock table profiles, import_conflicts, webhook_events in access exclusive mode`,
  )
  await imports.put(scanned.upload, split)
  const inserted = await imports.upload(csv(`${word} Inserted`, 6))
  const finished = await imports.upload('name,gender,age,country_id\n')
  expect((await call(`DELETE /api/imports/${removed.id}/profiles`)).status).toBe(202)
  const asked = await call('POST /api/exports', { body: { format: 'csv', country_id: 'NG' } })
  expect(asked.status).toBe(202)
  const heard = await interviews.draft(candidate)
  await outside.agent(turnEvent(heard, turns[1]!))
  await until(async () => {
    const waiting = await sql<{ name: string }[]>`
      select distinct lower(application_name) as name from pg_stat_activity where wait_event_type = 'Lock'`
    return ['split', 'insert', 'finish', 'remove', 'export', 'applyevent'].every((end) =>
      waiting.some(({ name }) => name.endsWith(`-${end}`)),
    )
  })

  const done: Record<QueueName, () => Promise<boolean>> = {
    'import-objects': async () => (await imports.report(scanned.id)).state === 'completed',
    'import-slices': async () => (await imports.report(inserted)).state === 'completed',
    'import-finish': async () => (await imports.report(finished)).state === 'completed',
    'import-removals': async () => {
      const [row] = await sql`select removal_state from imports where id = ${removed.id}`
      return row?.removal_state === 'done'
    },
    exports: async () => (await call(`GET /api/exports/${asked.body.id}`)).body.state === 'completed',
    'interview-events': async () => (await interviews.transcript(heard)).total_turns === 1,
    assessments: async () => (await interviews.assessment(assessed)).state === 'completed',
    emails: async () => (await outside.mails(`${word}@people.example`)).length > 0,
    resumes: async () => (await call(`GET /api/candidates/${candidate}/resume`)).body.state === 'completed',
  }
  return {
    word,
    done,
    ids: { scanned: scanned.id, inserted, removed: removed.id, assessed, invited, candidate },
    async letGo() {
      await Promise.all([letRow(), letTables(), outside.calm()])
    },
  }
}

/** Seconds for which the messages of a queue are hidden yet. */
const hiddenIn = (queue: QueueName) =>
  cloud.sqs
    .inspect(`insighta-local-${queue}`)!
    .inFlight.map(({ visibleAt }) => (visibleAt! - Date.now()) / 1000)

/** What is in the table and the outbox is there once, whoever did it in the end. */
async function expectOnce({ word, ids }: Awaited<ReturnType<typeof halfWay>>): Promise<void> {
  const [counts] = await sql`
    select count(*) filter (where name like ${`${word} Split %`})::int as split,
      count(*) filter (where name like ${`${word} Inserted %`})::int as inserted,
      count(*) filter (where name like ${`${word} Removed %`})::int as removed
    from profiles`
  expect(counts).toEqual({ split: 7, inserted: 6, removed: 0 })
  expect(await cloud.imports.report(ids.scanned)).toMatchObject({ inserted: 7, skipped: 0 })
  expect(await cloud.imports.report(ids.inserted)).toMatchObject({ inserted: 6, skipped: 0 })
  expect(await interviews.assessment(ids.assessed)).toMatchObject({ generation: 1 })
  for (const address of [`${word}@people.example`, `${word}@recruiters.example`]) {
    await until(async () => (await outside.mails(address)).length > 0)
    expect(await outside.mails(address)).toHaveLength(1)
  }
}

describe.runIf(process.platform === 'linux')('the function that asks a third party, killed in a call', () => {
  const killed = async (path: string, nameEnd: string) => {
    await outside.fault({ path, delay_ms: 30_000 })
    return async () => {
      await until(outside.metAll)
      for (const pid of await environmentsOf(nameEnd)) killEnvironment(pid)
      await outside.calm()
    }
  }

  test('is 503 with Retry-After for whoever waits for it, and works the next time', async () => {
    const candidate = await interviews.meet('Ben Example', 'ben@people.example')
    const id = await interviews.draft(candidate, { job_description: 'Builds queues.' })
    const kill = await killed(modelPath, '-interviews-gemini')
    const questions = () => cloud.call(`POST /api/interviews/${id}/questions`, { body: { kind: 'plan' } })
    const [answer] = await Promise.all([questions(), kill()])
    expect([answer.status, answer.body.code]).toEqual([503, 'unavailable'])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await questions()).status).toBe(200)
  })

  test.each([['/genderize', 'Chidi Example']])('is 503 for a name at %s too', async (path, name) => {
    const kill = await killed(path, '-enrich')
    const create = () => cloud.call('POST /api/profiles', { body: { name } })
    const [answer] = await Promise.all([create(), kill()])
    expect([answer.status, answer.body.code]).toEqual([503, 'unavailable'])
    expect((await create()).status).toBe(201)
  })

  test('fails neither an assessment nor an e-mail: both are done after a wait', async () => {
    const candidate = await interviews.meet('Eve Example', 'eve@people.example')
    const id = await interviews.draft(candidate)
    const killModel = await killed(modelPath, '-interviews-gemini')
    await outside.agent({ type: 'session.completed', data: { interview_id: id, transcript: turns } })
    await killModel()
    await interviews.assessed(id, 'completed', 'failed')
    expect(await interviews.assessment(id)).toMatchObject({ state: 'completed', generation: 1 })

    const next = await interviews.draft(candidate)
    const killMailer = await killed('/resend/emails', '-interviews-mailer')
    expect((await cloud.call(`POST /api/interviews/${next}/invite`, { body: {} })).status).toBe(202)
    await killMailer()
    await until(async () => (await outside.mails('eve@people.example')).length > 0)
    const [row] = await sql`select failure, attempts from emails where interview_id = ${next}`
    expect(row).toEqual({ failure: null, attempts: 2 })
  })
})

describe.runIf(process.platform === 'linux')('a worker that is killed', () => {
  test('is replaced by SQS soon after, whatever it was at', async () => {
    const work = await halfWay()
    // A worker has at once told SQS that it lives.
    await until(() =>
      Object.values(queues).every((queue) => hiddenIn(queue).some((left) => left <= longestHidden)),
    )
    for (const end of Object.values(workers)) {
      const pids = await environmentsOf(end)
      expect(pids, end).not.toEqual([])
      for (const pid of pids) killEnvironment(pid)
    }
    await work.letGo()
    for (const queue of Object.values(queues)) {
      for (const left of hiddenIn(queue)) expect(left, queue).toBeLessThanOrEqual(longestHidden)
    }
    await Promise.all(Object.values(work.done).map(until))
    await expectOnce(work)
    // The sweep had no part in it.
    const again = await sql`
      select attempts, resent_at from assessments where interview_id = ${work.ids.assessed}
      union all select attempts, resent_at from emails where interview_id = ${work.ids.invited}
      union all select attempts, resent_at from resumes where candidate_id = ${work.ids.candidate}`
    expect(again).toEqual(Array(3).fill({ attempts: 2, resent_at: null }))
    const letters = await sql`select queue, error from dead_letters`
    expect(letters).toEqual([])
  }, 90_000)
})

test('a database that is away for a second while each queue has work costs none of it', async () => {
  const work = await halfWay()
  await outside.calm()
  await cloud.database.stop()
  // Its locks are gone with it; a transaction that went on would end this process (postgres.js).
  holds.clear()
  await cloud.database.start()
  await Promise.all(
    Object.values(work.done).map((done) =>
      until(async () => {
        await cloud.lambda.invoke('Insighta-local-recovery-Sweep', '{}')
        return done()
      }),
    ),
  )
  await expectOnce(work)
}, 90_000)
