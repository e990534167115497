import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPool, type Sql } from '../../../lib/platform/db.ts'
import { metrics } from '../../../lib/platform/metrics.ts'
import { TotalTimeoutError } from '../../../lib/profiles/counts.ts'
import { datasetState, holdsState } from '../../../lib/profiles/facets.ts'
import { type ReaderPool, readingByReader } from '../../../lib/profiles/reader.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

/** Two databases with one history; the reader's comes to a state when a test takes it there. */
let writer: TestDatabase
let reader: TestDatabase
const added = vi.spyOn(metrics, 'addMetric')

beforeAll(async () => {
  ;[writer, reader] = await Promise.all([freshDatabase(), freshDatabase()])
})
afterAll(() => Promise.all([writer.close(), reader.close()]))
beforeEach(async () => {
  added.mockClear()
  await catchUp()
})

async function commit(): Promise<void> {
  await writer.sql`update dataset set version = version + 1, epoch = uuidv4()`
}

async function catchUp(): Promise<void> {
  const [{ version, epoch }] = await writer.sql<[{ version: number; epoch: string }]>`select * from dataset`
  await reader.sql`update dataset set version = ${version}, epoch = ${epoch}`
}

const counted = () => added.mock.calls.map(([name]) => name)

function readsBy(pool: Sql | undefined) {
  /** Goes on by a step each time that somebody looks. */
  const clock = { now: 1000, step: 0 }
  const replaced = vi.fn()
  const readers: ReaderPool = { connect: vi.fn(() => pool), replace: replaced }
  const readAt = readingByReader(writer.sql, readers, () => (clock.now += clock.step))
  const where = async (sql: Sql) => {
    const [row] = await sql<[{ name: string }]>`select current_database() as name`
    return row.name === new URL(reader.url).pathname.slice(1) ? 'reader' : 'writer'
  }
  return { clock, readers, replaced, readAt, read: (state: string) => readAt(state, where) }
}

/** A pool of whatever listens on a port. */
async function poolAt(port: number): Promise<Sql> {
  return createPool({
    host: '127.0.0.1',
    port,
    database: 'insighta',
    user: 'nobody',
    password: () => '',
    tls: false,
    max: 2,
    transactionTimeoutSeconds: 5,
    applicationName: 'test',
  })
}

/** The reader's pool, on whose connections `then` is done once, after the first answer of how far it is. */
function afterFirstCheck(then: () => Promise<void>): Sql {
  let done = false
  const watched = <Connection extends Sql>(connection: Connection) =>
    new Proxy(connection, {
      apply(target, self, args) {
        const answer = Reflect.apply(target, self, args)
        if (done || !String(args[0]?.[0]).includes('select version >')) return answer
        done = true
        return Promise.resolve(answer).then(async (rows: unknown) => {
          await then()
          return rows
        })
      },
    })
  return new Proxy(reader.sql, {
    get: (target, name) =>
      name === 'reserve' ? async () => watched(await target.reserve()) : Reflect.get(target, name),
  })
}

describe('whether a server holds a state', () => {
  it('says yes of the same and of a later one, no of an earlier one and of another with the same number', async () => {
    const before = await datasetState(writer.sql)
    expect(await holdsState(writer.sql, before)).toBe(true)
    await commit()
    expect(await holdsState(writer.sql, before)).toBe(true)
    const after = await datasetState(writer.sql)
    expect(await holdsState(reader.sql, after)).toBe(false)
    await reader.sql`update dataset set version = version + 1, epoch = uuidv4()`
    expect(await holdsState(reader.sql, after)).toBe(false)
  })
})

describe('a read at a state', () => {
  it("is the reader's where that has caught up, a hundred times over its two connections", async () => {
    const { read } = readsBy(reader.sql)
    const state = await datasetState(writer.sql)
    for (let at = 0; at < 100; at++) expect(await read(state)).toBe('reader')
    expect(new Set(counted())).toEqual(new Set(['ReaderReads']))
  })

  it('waits for a reader that is a moment behind', async () => {
    await commit()
    const asked = vi.fn(catchUp)
    const { read } = readsBy(afterFirstCheck(asked))
    expect(await read(await datasetState(writer.sql))).toBe('reader')
    expect(asked).toHaveBeenCalledOnce()
  })

  it("is the writer's where the reader stays behind, which is asked again the next time", async () => {
    await commit()
    const { clock, read, replaced } = readsBy(reader.sql)
    const state = await datasetState(writer.sql)
    clock.step = 60
    expect(await read(state)).toBe('writer')
    expect(counted()).toEqual(['ReaderBehind'])
    await catchUp()
    expect(await read(state)).toBe('reader')
    expect(replaced).not.toHaveBeenCalled()
  })

  it("is the writer's where there is no reader", async () => {
    expect(await readsBy(undefined).read(await datasetState(writer.sql))).toBe('writer')
    expect(counted()).toEqual([])
  })

  it("is the writer's where nothing listens, and the reader is left alone for ten seconds", async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    const { clock, read, readers, replaced } = readsBy(await poolAt(port))
    const state = await datasetState(writer.sql)
    expect(await read(state)).toBe('writer')
    expect(counted()).toEqual(['ReaderFailures'])
    expect(replaced).toHaveBeenCalledOnce()
    clock.now += 9999
    expect(await read(state)).toBe('writer')
    expect(readers.connect).toHaveBeenCalledOnce()
    clock.now += 1
    await read(state)
    expect(readers.connect).toHaveBeenCalledTimes(2)
  })

  it("is the writer's where the reader takes the connection and says nothing", async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const pool = await poolAt((server.address() as AddressInfo).port)
    const { read } = readsBy(pool)
    expect(await read(await datasetState(writer.sql))).toBe('writer')
    expect(counted()).toEqual(['ReaderFailures'])
    await pool.end({ timeout: 0 })
    server.close()
  })

  it("is the writer's where its rows were cleaned up under the reader", async () => {
    const { readAt } = readsBy(reader.sql)
    const work = async (sql: Sql) => {
      if (sql === writer.sql) return 'writer'
      await sql`do $$ begin raise exception 'conflict with recovery' using errcode = '40001'; end $$`
      return 'reader'
    }
    expect(await readAt(await datasetState(writer.sql), work)).toBe('writer')
  })

  it('fails as the read does, which the writer is not asked again', async () => {
    const { readAt } = readsBy(reader.sql)
    const work = vi.fn(async () => {
      throw new TotalTimeoutError(undefined)
    })
    await expect(readAt(await datasetState(writer.sql), work)).rejects.toThrow(TotalTimeoutError)
    expect(work).toHaveBeenCalledOnce()
    expect(counted()).toEqual([])
  })
})
