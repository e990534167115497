import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  databaseMetrics,
  recordDatabase,
  watchDatabase,
} from '../../../../infra/local/dashboards/database-metrics.ts'
import { drawWidgets } from '../../../../infra/local/dashboards/widgets.ts'
import { createMetrics, type Metrics } from '../../../../infra/local/metrics.ts'
import { freshDatabase, type TestDatabase } from '../../../support/postgres.ts'

let database: TestDatabase
let superuser: postgres.Sql
const role = `caller_${randomBytes(4).toString('hex')}`

beforeAll(async () => {
  database = await freshDatabase()
  superuser = postgres(inject('postgresUrl'), { max: 1 })
  await superuser.unsafe(`create role ${role} login password 'secret'`)
})
afterAll(async () => {
  await superuser.unsafe(`drop role ${role}`)
  await superuser.end({ timeout: 2 })
  await database.close()
})

/** The newest value of each metric of the cluster, as a dashboard draws it. */
function drawn(metrics: Metrics): Record<string, number | null | undefined> {
  const properties = (metric: string) => ({
    title: metric,
    metrics: [['AWS/RDS', metric, 'DBClusterIdentifier', 'main', { stat: 'Maximum', period: 60 }]],
  })
  const place = { type: 'metric', x: 0, y: 0, width: 8, height: 6 }
  const body = { widgets: databaseMetrics.map((name) => ({ ...place, properties: properties(name) })) }
  const widgets = drawWidgets(body, Date.now() - 60_000, Date.now() + 60_000, metrics)
  for (const { withoutSource } of widgets) expect(withoutSource).toEqual([])
  return Object.fromEntries(widgets.map(({ title, series }) => [title, series[0]?.values.at(-1)]))
}

async function deadlock(): Promise<void> {
  await database.sql`create table if not exists locked (n integer)`
  await database.sql`truncate locked`
  await database.sql`insert into locked values (1), (2)`
  const both = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const sessions = [postgres(database.url, { max: 1 }), postgres(database.url, { max: 1 })]
  const take = (own: number) =>
    sessions[own]!.begin(async (tx) => {
      await tx`set local deadlock_timeout = '10ms'`
      await tx`update locked set n = n where n = ${1 + own}`
      both[own]!.resolve()
      await Promise.all(both.map(({ promise }) => promise))
      await tx`update locked set n = n where n = ${2 - own}`
    })
  const ended = await Promise.allSettled([take(0), take(1)])
  expect(ended.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  for (const session of sessions) {
    // Else it may tell of what it counted only after ten idle seconds.
    await session`select pg_stat_force_next_flush()`
    await session.end({ timeout: 2 })
  }
}

test('connections, bytes, deadlocks and cache hits are those of the server', async () => {
  const url = new URL(database.url)
  url.username = role
  url.password = 'secret'
  const caller = postgres(url.href, { max: 1 })
  const metrics = createMetrics()
  let before = await recordDatabase(superuser, 'main', metrics)
  expect(drawn(metrics)).toMatchObject({ Deadlocks: undefined, BufferCacheHitRatio: undefined })
  await caller`select 1`
  await deadlock()
  await expect
    .poll(async () => {
      before = await recordDatabase(superuser, 'main', metrics, before)
      return drawn(metrics).Deadlocks
    })
    .toBeGreaterThanOrEqual(1)
  const values = drawn(metrics)
  expect(values.DatabaseConnections).toBeGreaterThanOrEqual(1)
  const [size] = await superuser<[{ bytes: number }]>`select pg_database_size('template1')::float8 as bytes`
  expect(values.VolumeBytesUsed).toBeGreaterThan(size.bytes)
  expect(values.BufferCacheHitRatio).toBeGreaterThan(0)
  expect(values.BufferCacheHitRatio).toBeLessThanOrEqual(100)
  // There is no standby, and so nothing that one could be behind.
  expect(values.AuroraReplicaLagMaximum).toBeUndefined()
  await caller.end({ timeout: 2 })
})

test('counters that begin again give no point, and no number below zero', async () => {
  const metrics = createMetrics()
  const later = { deadlocks: 1e9, hits: 1e15, reads: 1e15 }
  await recordDatabase(superuser, 'main', metrics, later)
  expect(drawn(metrics)).toMatchObject({ Deadlocks: undefined, BufferCacheHitRatio: undefined })
})

test('a database that is away gives no point, and the watch ends all the same', async () => {
  const metrics = createMetrics()
  const asked = Promise.withResolvers<void>()
  const watch = watchDatabase(
    'main',
    async () => {
      asked.resolve()
      throw new Error('away')
    },
    metrics,
  )
  await asked.promise
  await watch.close()
  expect(metrics.list()).toEqual([])
})
