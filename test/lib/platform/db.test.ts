import type { SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  connect,
  databaseUnavailable,
  disconnect,
  ping,
  replacePool,
  retryRead,
} from '../../../lib/platform/db.ts'
import { httpFunction, json, openRoute } from '../../../lib/platform/http/index.ts'
import { queueFunction } from '../../../lib/platform/queue-function.ts'
import { httpEvent, lambdaContext } from '../../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
  Object.assign(process.env, database.env)
})
afterAll(async () => {
  await disconnect()
  await database.close()
})

const cut = Object.assign(new Error('write CONNECTION_CLOSED'), { code: 'CONNECTION_CLOSED' })
let next: () => Promise<unknown>
const api = httpFunction({
  'GET /api/health': openRoute({
    summary: 'test',
    answers: { 200: null },
    errors: [503],
    handler: async () => json(200, (await next()) as object),
  }),
})
const worker = queueFunction(async () => void (await next()))
const delivery = { Records: [{ messageId: '1', body: '{}', attributes: { ApproximateReceiveCount: '1' } }] }

async function ask(milliseconds = 15_000) {
  return (await api(httpEvent('GET /api/health'), lambdaContext(milliseconds))) as { statusCode: number }
}

describe('the pool of an environment', () => {
  beforeEach(() => ping(connect()))

  test('stays the same from call to call, and is made anew when it was let go of', async () => {
    const before = connect()
    expect(connect()).toBe(before)
    replacePool()
    expect(connect()).not.toBe(before)
    await ping(connect())
  })

  test('is replaced after a request whose connection was cut', async () => {
    const before = connect()
    next = () => Promise.reject(cut)
    expect(await ask()).toMatchObject({ statusCode: 503 })
    expect(connect()).not.toBe(before)
  })

  test('is replaced after a request that hung until its deadline', async () => {
    const before = connect()
    next = () => new Promise(() => {})
    expect(await ask(300)).toMatchObject({ statusCode: 503 })
    expect(connect()).not.toBe(before)
  })

  test('is replaced after a message whose connection was cut', async () => {
    const before = connect()
    next = () => Promise.reject(cut)
    const answer = await worker(delivery as unknown as SQSEvent, lambdaContext(15_000))
    expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: '1' }] })
    expect(connect()).not.toBe(before)
  })

  test('is kept after an error that is none of the connection', async () => {
    const before = connect()
    next = () => connect()`select 1 / 0`
    expect(await ask()).toMatchObject({ statusCode: 500 })
    expect(connect()).toBe(before)
  })
})

test('a read whose session is ended is made again on another', async () => {
  const sql = connect()
  const [session] = await sql`select pg_backend_pid() as pid`
  await database.sql`select pg_terminate_backend(${session!.pid})`
  await expect(retryRead(() => sql`select 1 as one`)).resolves.toEqual([{ one: 1 }])
})

test('a refusal of the query is none of the connection', async () => {
  const refused = await connect()`select nothing`.catch((error: unknown) => error)
  expect(databaseUnavailable(refused)).toBe(false)
  expect(databaseUnavailable(cut)).toBe(true)
})
