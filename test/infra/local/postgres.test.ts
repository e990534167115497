import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { randomFreePort } from '../../../infra/local/ports.ts'
import { type Postgres, type PostgresOptions, startPostgres } from '../../../infra/local/postgres.ts'
import {
  prepareDatabase,
  setApplicationPasswords,
  superuserName,
} from '../../../infra/local/postgres-roles.ts'
import { refuseClosedFolders } from '../../../infra/local/postgres-setup.ts'

let folder: string
let options: PostgresOptions
const started: Postgres[] = []
const master = { user: 'test_admin', password: `p'a"s s%\\` }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-postgres-'))
  await chmod(folder, 0o755)
  options = {
    folder: join(folder, 'postgres'),
    port: await randomFreePort(),
    superuser: { name: superuserName, password: 'platform' },
    logFile: join(folder, 'postgres.log'),
    log: () => {},
    onLost: (error) => {
      throw error
    },
  }
})
afterEach(() => Promise.all(started.splice(0).map((server) => server.stop())))
afterAll(() => rm(folder, { recursive: true, force: true }))

async function start(): Promise<Postgres> {
  const server = await startPostgres(options)
  started.push(server)
  return server
}

async function query<T>(
  user: string,
  password: string,
  work: (sql: postgres.Sql) => Promise<T>,
  database = 'shop',
): Promise<T> {
  const sql = postgres({
    host: '127.0.0.1',
    port: options.port,
    user,
    password,
    database,
    max: 1,
    onnotice: () => {},
  })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 2 })
  }
}

const asMaster = <T>(work: (sql: postgres.Sql) => Promise<T>) => query(master.user, master.password, work)
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a first start makes a database whose owner is not a superuser', async () => {
  const server = await start()
  await prepareDatabase(server.port, 'platform', master, 'shop')
  await prepareDatabase(server.port, 'platform', master, 'shop')
  await asMaster(async (sql) => {
    await sql`create table kept (id int primary key)`
    await sql`insert into kept values (1)`
    expect((await sql`show is_superuser`)[0]).toEqual({ is_superuser: 'off' })
    expect((await sql`show synchronous_commit`)[0]).toEqual({ synchronous_commit: 'on' })
    await expect(sql`create role bad superuser`).rejects.toThrow(/permission denied/)
  })
})

test('roles that the master puts into rds_iam get the application password', async () => {
  await start()
  await asMaster(async (sql) => {
    await sql`create role shop_app login`
    await sql`grant rds_iam to shop_app`
    await sql`create role shop_other login`
    await sql`grant select on kept to shop_app`
  })
  expect(await setApplicationPasswords(options.port, 'platform', 'application')).toEqual(['shop_app'])
  const rows = await query('shop_app', 'application', (sql) => sql`select id from kept`)
  expect(rows.map((row) => row.id)).toEqual([1])
  await expect(query('shop_app', 'wrong', (sql) => sql`select 1`)).rejects.toThrow(/password/)
})

test('a server that is killed comes back by itself with its data', async () => {
  const server = await start()
  const before = server.pid()!
  process.kill(before, 'SIGKILL')
  while (server.pid() === undefined || server.pid() === before) await wait(20)
  expect(await asMaster((sql) => sql`select id from kept`)).toHaveLength(1)
})

test('a server that outlived its starter is stopped and replaced', async () => {
  const first = await start()
  await first.stop()
  const { postgresBinaries, postgresAccount } = await import('../../../infra/local/postgres-setup.ts')
  const { postgres: program } = await postgresBinaries()
  const flags = ['-D', options.folder, '-p', String(options.port), '-c', 'unix_socket_directories=']
  const leftover = spawn(program, flags, {
    stdio: 'ignore',
    detached: true,
    ...(await postgresAccount(options.folder)),
  })
  const exited = once(leftover, 'exit')
  const connects = () =>
    asMaster((sql) => sql`select 1`).then(
      () => true,
      () => false,
    )
  while (!(await connects())) await wait(20)
  await start()
  await exited
  expect(await asMaster((sql) => sql`select id from kept`)).toHaveLength(1)
})

test('it ends when the process that started it is killed', async () => {
  const code = `
    import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, '../../../infra/local/postgres.ts'))}
    const server = await startPostgres({ ...JSON.parse(process.argv[1]), log() {}, onLost() {} })
    console.log(server.pid())
  `
  const starter = spawn(process.execPath, ['--input-type=module', '-e', code, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(starter.stdout, 'data')) as [Buffer]
  const pid = Number(String(line))
  expect(isAlive(pid)).toBe(true)
  starter.kill('SIGKILL')
  while (isAlive(pid)) await wait(20)
})

test('a folder that the server cannot enter is named with what to do', async () => {
  const closed = await mkdtemp(join(tmpdir(), 'insighta-closed-'))
  const stranger = { uid: 54_321, gid: 54_321 }
  const needed = [{ folder: closed, instead: 'move it' }]
  await expect(refuseClosedFolders(needed, stranger)).rejects.toThrow(
    `Run "chmod o+x ${closed}", which lets no one list it, or move it`,
  )
  await chmod(closed, 0o711)
  await refuseClosedFolders(needed, stranger)
  await rm(closed, { recursive: true })
})
