import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createPool, databaseUnavailable, retryRead, type Sql } from '../../../lib/platform/db.ts'
import { inSnapshot } from '../../../lib/platform/snapshot.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
/** Of one connection: what is not given back is missed at once. */
let pool: Sql

beforeAll(async () => {
  database = await freshDatabase()
  await database.sql`create table numbers (n integer)`
  const url = new URL(database.url)
  pool = createPool({
    host: url.hostname,
    port: Number(url.port),
    database: url.pathname.slice(1),
    user: url.username,
    password: () => url.password,
    tls: false,
    max: 1,
    transactionTimeoutSeconds: 60,
    applicationName: 'test',
  })
})
beforeEach(() => database.sql`truncate numbers`)
afterAll(async () => {
  await pool.end({ timeout: 2 })
  await database.close()
})

async function count(sql: Sql): Promise<number> {
  const [row] = await sql<[{ count: number }]>`select count(*) from numbers`
  return row.count
}

/** The pool is sound, and its connection in no transaction. */
async function expectSound(): Promise<void> {
  await pool`insert into numbers values (1)`
  expect(await count(database.sql)).toBeGreaterThan(0)
  expect(await pool`show transaction_isolation`).toMatchObject([{ transaction_isolation: 'read committed' }])
}

describe('reads in a snapshot', () => {
  it('see what was there at the first of them, whatever is committed meanwhile', async () => {
    const counts = await inSnapshot(pool, async (snapshot) => {
      const before = await count(snapshot)
      await database.sql`insert into numbers values (1)`
      return [before, await count(snapshot)]
    })
    expect(counts).toEqual([0, 0])
    expect(await inSnapshot(pool, count)).toBe(1)
    await expectSound()
  })

  it('may be many at once, each of which waits for a connection', async () => {
    const counts = await Promise.all(Array.from({ length: 20 }, () => inSnapshot(pool, count)))
    expect(counts).toEqual(Array(20).fill(0))
    await expectSound()
  })

  it('may not write', async () => {
    const writing = inSnapshot(pool, (snapshot) => snapshot`insert into numbers values (1)`)
    await expect(writing).rejects.toMatchObject({ code: '25006' })
    await expectSound()
  })

  it('that fail leave the pool as it was, also where others of them go on', async () => {
    const failing = inSnapshot(pool, (snapshot) =>
      Promise.all([snapshot`select pg_sleep(0.1)`, snapshot`select 1 / 0`, snapshot`select pg_sleep(0.1)`]),
    )
    await expect(failing).rejects.toMatchObject({ code: '22012' })
    await expectSound()
    await expect(inSnapshot(pool, () => Promise.reject(new Error('of its own')))).rejects.toThrow(
      'of its own',
    )
    await expectSound()
  })

  it('whose connection is cut fail, and the next have another', async () => {
    const cut = inSnapshot(pool, (snapshot) => snapshot`select pg_sleep(60)`).catch((error) => error)
    const terminate = () => database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep'`
    await expect.poll(terminate).toHaveLength(1)
    expect(databaseUnavailable(await cut)).toBe(true)
    expect(await retryRead(() => inSnapshot(pool, count))).toBe(0)
    await expectSound()
  })

  it('go over a connection that is reserved already, which stays so', async () => {
    const connection = await pool.reserve()
    expect(await inSnapshot(connection, count)).toBe(0)
    await connection`insert into numbers values (1)`
    expect(await inSnapshot(connection, count)).toBe(1)
    connection.release()
    await expectSound()
  })
})
