import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { inject } from 'vitest'
import { createPool, planning, type Sql } from '../../lib/platform/db.ts'

export type TestDatabase = {
  sql: Sql
  url: string
  /** What a function's environment holds to reach this database. */
  env: Record<string, string>
  close(): Promise<void>
}

function poolFor(url: URL, max: number): Sql {
  return createPool({
    host: url.hostname,
    port: Number(url.port),
    database: url.pathname.slice(1),
    user: url.username,
    password: () => url.password,
    tls: false,
    max,
    transactionTimeoutSeconds: 120,
    applicationName: 'test',
  })
}

/** A pool of one connection that tells each statement it sends. */
export function watchedPool(url: string, sent: (statement: string) => void): Sql {
  return postgres(url, {
    max: 1,
    fetch_types: false,
    types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
    connection: planning,
    onnotice: () => {},
    debug: (_connection, statement) => sent(statement),
  })
}

/** A database of its own for one test file: a copy of the migrated template, dropped by close(). */
export async function freshDatabase(): Promise<TestDatabase> {
  const server = new URL(inject('postgresUrl'))
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = poolFor(server, 1)
  await admin`create database ${admin(name)} template insighta_template`
  const url = new URL(server)
  url.pathname = `/${name}`
  const sql = poolFor(url, 8)
  return {
    sql,
    url: url.href,
    env: {
      PGHOST: url.hostname,
      PGPORT: url.port,
      PGDATABASE: name,
      PGUSER: url.username,
      PGPASSWORD: url.password,
      PGSSLMODE: 'disable',
    },
    async close() {
      await sql.end({ timeout: 2 })
      await admin`drop database ${admin(name)} with (force)`
      await admin.end({ timeout: 2 })
    },
  }
}
