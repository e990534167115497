import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inBatches } from '../../../lib/platform/batches.ts'
import {
  createPool,
  databaseUnavailable,
  retryRead,
  type Sql,
  type Transaction,
} from '../../../lib/platform/db.ts'
import { type Line, lineTo } from '../../support/line.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

// A cut that postgres.js does not bear is a TypeError that nothing catches: vitest fails the run for it.

let database: TestDatabase
let line: Line
/** Of one connection, unless a test says otherwise: what is not given back is missed at once. */
let sql: Sql
/** Called with the first thing that each statement sends. */
let onStatement: () => void
/** The pools' own ends of their connections, the newest last. */
const sockets: Socket[] = []
const openTo = (port: number) => sockets.filter((socket) => socket.remotePort === port && !socket.destroyed)
const noteSocket = (message: unknown) => {
  const { socket } = message as { socket: Socket }
  socket.once('connect', () => void sockets.push(socket))
}

beforeAll(async () => {
  database = await freshDatabase()
  await database.sql`create table numbers (n integer)`
  subscribe('net.client.socket', noteSocket)
})
beforeEach(async () => {
  onStatement = () => {}
  await database.sql`truncate numbers`
  line = await lineTo(database.url, 1, async () => onStatement())
  sql = line.sql
})
afterEach(() => line.close())
afterAll(async () => {
  unsubscribe('net.client.socket', noteSocket)
  await database.close()
})

const stored = async () =>
  (await database.sql<{ n: number }[]>`select n from numbers order by n`).map(({ n }) => n)
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))
const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

/** Rejects as a database that is away does. */
async function expectCut(work: Promise<unknown>): Promise<void> {
  const error = await errorOf(work)
  expect(error).toBeInstanceOf(Error)
  expect(databaseUnavailable(error), String(error)).toBe(true)
}

/** The pool's own end of its one connection is gone before this ends. */
async function cutIdle(): Promise<void> {
  const socket = openTo(line.port).at(-1)!
  const closed = once(socket, 'close')
  socket.destroy()
  await closed
}

describe('a connection cut in the tick of a statement', () => {
  // In the phase of setImmediate: what postgres.js puts off until the next such phase comes after the end of the socket.
  async function cutWith<T>(send: () => Promise<T>): Promise<T> {
    await nextTurn()
    const sent = send()
    openTo(line.port).at(-1)!.destroy()
    return sent
  }

  test('rejects the statement, and the next has another connection at once', async () => {
    for (let n = 0; n < 30; n++) {
      await sql`select 1`
      await expectCut(cutWith(() => sql`insert into numbers values (${n})`))
    }
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
    expect(await stored()).toEqual([])
  })

  test('rejects the transaction, however many statements follow', async () => {
    for (let n = 0; n < 30; n++) {
      const transaction = sql.begin(async (tx) => {
        await tx`insert into numbers values (${n})`
        await expectCut(cutWith(() => tx`select 1`))
        await expectCut(tx`select ${n}::integer`)
        await expectCut(tx.unsafe('select 1'))
      })
      await expectCut(transaction)
    }
    expect(await stored()).toEqual([])
  })

  test('is no matter to a read that is made again', async () => {
    for (let n = 0; n < 30; n++) {
      await sql`select 1`
      let isFirst = true
      const read = () => {
        if (!isFirst) return sql`select 1 as one`
        isFirst = false
        return cutWith(() => sql`select 1 as one`)
      }
      expect(await retryRead(read)).toEqual([{ one: 1 }])
    }
  })
})

describe('a connection cut while the server has a statement', () => {
  test.each(['begin', 'first', 'second', 'commit'])('at the %s of a transaction rejects it', async (name) => {
    const at = ['begin', 'first', 'second', 'commit'].indexOf(name) + 1
    for (let n = 0; n < 10; n++) {
      await sql`select 1`
      // Each with parameters and simple, so that each goes out as one.
      let statements = 0
      onStatement = () => {
        if (++statements === at) line.cut()
      }
      await expectCut(
        sql.begin(async (tx) => {
          await tx.unsafe('insert into numbers values (1)')
          await tx.unsafe('insert into numbers values (2)')
        }),
      )
      onStatement = () => {}
    }
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
    expect(await stored()).toEqual([])
  })
})

describe('a transaction whose connection is gone', () => {
  test('rejects at once though it waits for something else, and stores nothing that it still sends', async () => {
    const other = Promise.withResolvers<void>()
    const afterwards = Promise.withResolvers<unknown>()
    const started = Promise.withResolvers<void>()
    const transaction = sql.begin(async (tx) => {
      await tx`insert into numbers values (1)`
      started.resolve()
      await other.promise
      afterwards.resolve(await errorOf(tx`insert into numbers values (2)`))
    })
    await started.promise
    await Promise.all([cutIdle(), expectCut(transaction)])
    // The one connection is made again, and runs what is no part of the transaction.
    await sql`insert into numbers values (3)`
    other.resolve()
    expect(databaseUnavailable(await afterwards.promise)).toBe(true)
    await sql`select 1`
    expect(await stored()).toEqual([3])
  })

  test('never rolls back another that has its connection now', async () => {
    const other = Promise.withResolvers<void>()
    const started = Promise.withResolvers<void>()
    const first = sql.begin(async (tx) => {
      await tx`select 1`
      started.resolve()
      await other.promise
      throw new Error('of its own')
    })
    await started.promise
    await Promise.all([cutIdle(), expectCut(first)])
    await sql.begin(async (tx) => {
      await tx`insert into numbers values (1)`
      other.resolve()
      await nextTurn()
      await tx`insert into numbers values (2)`
    })
    expect(await stored()).toEqual([1, 2])
  })

  test('leaves others of its pool alone, which then ends without it', async () => {
    const wide = await lineTo(database.url, 2)
    try {
      const pids = Promise.withResolvers<number>()
      const end = Promise.withResolvers<void>()
      const healthy = wide.sql.begin(async (tx) => {
        await tx`insert into numbers values (1)`
        await end.promise
        await tx`insert into numbers values (2)`
      })
      const cut = wide.sql.begin(async (tx) => {
        const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`
        pids.resolve(row!.pid)
        await tx`select pg_sleep(60)`
      })
      const pid = await pids.promise
      await Promise.all([expectCut(cut), database.sql`select pg_terminate_backend(${pid})`])
      // From here on another pool of postgres.js serves.
      expect(await wide.sql`select 1 as one`).toEqual([{ one: 1 }])
      end.resolve()
      await healthy
      expect(await stored()).toEqual([1, 2])
      await expect.poll(() => openTo(wide.port)).toHaveLength(1)
    } finally {
      await wide.close()
    }
  })

  test('that throws an error of a socket of its own is rolled back, and keeps its connection', async () => {
    const before = openTo(line.port).length
    const ofS3 = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', errno: -104 })
    const transaction = sql.begin(async (tx) => {
      await tx`insert into numbers values (1)`
      throw ofS3
    })
    expect(await errorOf(transaction)).toBe(ofS3)
    await sql`insert into numbers values (2)`
    expect(await stored()).toEqual([2])
    expect(openTo(line.port).length - before).toBe(1)
  })
})

describe('a reserved connection that is cut', () => {
  test('refuses what follows, and its pool goes on', async () => {
    for (let n = 0; n < 20; n++) {
      const reserved = await sql.reserve()
      if (n % 2 === 0) await reserved`select 1`
      await cutIdle()
      await expectCut(reserved`insert into numbers values (1)`)
      reserved.release()
      expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
    }
    expect(await stored()).toEqual([])
  })

  test('rejects another that waits for the connection', async () => {
    const [first, second] = [sql.reserve(), sql.reserve()]
    const reserved = await first
    await Promise.all([cutIdle(), expectCut(second)])
    reserved.release()
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  })
})

test('a connection cut while its password is fetched costs no more than itself', async () => {
  const url = new URL(database.url)
  let fetched = 0
  const pool = createPool({
    host: '127.0.0.1',
    port: line.port,
    database: url.pathname.slice(1),
    user: url.username,
    // While the server waits for it, if the server is asked first.
    password: async () => {
      fetched++
      const open = openTo(line.port).at(-1)
      if (open) {
        open.destroy()
        await once(open, 'close')
      }
      await nextTurn()
      return decodeURIComponent(url.password)
    },
    tls: false,
    max: 1,
    transactionTimeoutSeconds: 60,
    applicationName: 'test',
  })
  expect(await retryRead(() => pool`select 1 as one`)).toEqual([{ one: 1 }])
  expect(fetched).toBeGreaterThan(0)
  await pool.end({ timeout: 2 })
})

test('a password that cannot be had is a database that is away, and asked for again by the next', async () => {
  const url = new URL(database.url)
  const failure = new Error('no credentials')
  let fails = true
  const pool = createPool({
    host: url.hostname,
    port: Number(url.port),
    database: url.pathname.slice(1),
    user: url.username,
    password: async () => {
      if (fails) throw failure
      return decodeURIComponent(url.password)
    },
    tls: false,
    max: 1,
    transactionTimeoutSeconds: 60,
    applicationName: 'test',
  })
  const error = await errorOf(pool`select 1`)
  expect(error).toMatchObject({ code: 'NO_PASSWORD', cause: failure })
  expect(databaseUnavailable(error)).toBe(true)
  fails = false
  expect(await pool`select 1 as one`).toEqual([{ one: 1 }])
  await pool.end({ timeout: 2 })
})

describe('rows read in batches', () => {
  const all = (tx: Transaction) => tx<{ n: number }[]>`select n from generate_series(1, ${7}::integer) n`

  test('are all rows of the query, in batches of the size, also of two queries in turns', async () => {
    const read = await sql.begin(async (tx) => {
      const [first, second] = [inBatches(tx, 3, all(tx)), inBatches(tx, 4, all(tx))]
      const batches: (number[] | undefined)[] = []
      for (const next of [first, second, first, second, first, second, first]) {
        const { value } = await next.next()
        batches.push((value as { n: number }[] | undefined)?.map(({ n }) => n))
      }
      return batches
    })
    expect(read).toEqual([[1, 2, 3], [1, 2, 3, 4], [4, 5, 6], [5, 6, 7], [7], undefined, undefined])
  })

  test('whose connection is cut between two batches are an error, and no end of the rows', async () => {
    const read: number[] = []
    const reading = sql.begin(async (tx) => {
      for await (const rows of inBatches(tx, 3, all(tx))) {
        read.push(...rows.map(({ n }) => n))
        await cutIdle()
      }
    })
    await expectCut(reading)
    expect(read).toEqual([1, 2, 3])
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
  })
})
