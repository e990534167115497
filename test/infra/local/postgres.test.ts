import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { randomFreePort } from '../../../infra/local/ports.ts'
import {
  makeCluster,
  type Postgres,
  type PostgresOptions,
  startPostgres,
} from '../../../infra/local/postgres.ts'
import {
  prepareDatabase,
  setApplicationPasswords,
  superuserName,
} from '../../../infra/local/postgres-roles.ts'
import { refuseClosedFolders } from '../../../infra/local/postgres-setup.ts'
import { isRunning } from '../../../infra/local/processes.ts'

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

test.runIf(process.platform === 'linux')(
  'a server that is killed while a backend computes comes back, and the backend is ended',
  async () => {
    const server = await start()
    const before = server.pid()!
    const sql = postgres({
      host: '127.0.0.1',
      port: options.port,
      user: master.user,
      password: master.password,
      database: 'shop',
      max: 1,
      onnotice: () => {},
    })
    const [backend] = await sql`select pg_backend_pid() as pid`
    const computing = sql`select count(*) from generate_series(1, 1000000000000)`.catch(
      (error: Error) => error,
    )
    await asMaster(async (watching) => {
      const states = () => watching`select state from pg_stat_activity where pid = ${backend!.pid}`
      while ((await states())[0]?.state !== 'active') await wait(20)
    })
    process.kill(before, 'SIGKILL')
    while (server.pid() === undefined || server.pid() === before) await wait(20)
    expect(await isRunning(backend!.pid)).toBe(false)
    expect(await computing).toBeInstanceOf(Error)
    await sql.end({ timeout: 2 })
    expect(await asMaster((sql) => sql`select id from kept`)).toHaveLength(1)
  },
)

test('a server that cannot start is tried again for as long as there is a cluster', async () => {
  const lines: string[] = []
  const lost = vi.fn()
  const server = await startPostgres({
    ...options,
    firstWaitMs: 1,
    log: (line) => lines.push(line),
    onLost: lost,
  })
  started.push(server)
  const settings = join(options.folder, 'postgresql.auto.conf')
  const good = await readFile(settings, 'utf8')
  await writeFile(settings, 'no_such_setting = 1\n')
  process.kill(server.pid()!, 'SIGKILL')
  // More often than a first start is tried.
  while (lines.filter((line) => line.includes('did not start')).length < 7) await wait(20)
  expect(lines.at(-1)).toMatch(/^PostgreSQL did not start and is tried again in [\d.]+ s: .*no_such_setting/)
  await writeFile(settings, good)
  while (server.pid() === undefined) await wait(20)
  expect(await asMaster((sql) => sql`select id from kept`)).toHaveLength(1)
  expect(lost).not.toHaveBeenCalled()

  const [version, aside] = ['PG_VERSION', 'aside'].map((name) => join(options.folder, name))
  await rename(version!, aside!)
  process.kill(server.pid()!, 'SIGKILL')
  await vi.waitFor(() => expect(lost).toHaveBeenCalledOnce(), 10_000)
  expect(lost.mock.calls[0]![0].message).toContain('holds no database any more')
  await rename(aside!, version!)
})

test('a server that is told to stop while it cannot start is tried no more', async () => {
  const lines: string[] = []
  const server = await startPostgres({ ...options, firstWaitMs: 60_000, log: (line) => lines.push(line) })
  const settings = join(options.folder, 'postgresql.auto.conf')
  const good = await readFile(settings, 'utf8')
  await writeFile(settings, 'no_such_setting = 1\n')
  process.kill(server.pid()!, 'SIGKILL')
  while (!lines.some((line) => line.includes('did not start'))) await wait(20)
  await server.stop()
  await writeFile(settings, good)
  expect(server.pid()).toBeUndefined()
})

test('a first start after one that was killed makes its cluster in a folder of its own', async () => {
  const data = join(folder, 'killed')
  await mkdir(data)
  await chmod(data, 0o755)
  const settings = { ...options, folder: join(data, 'postgres') }
  const code = `
    import { makeCluster } from ${JSON.stringify(join(import.meta.dirname, '../../../infra/local/postgres.ts'))}
    await makeCluster(JSON.parse(process.argv[1]))
  `
  const starter = spawn(process.execPath, ['--input-type=module', '-e', code, JSON.stringify(settings)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const attempts = async () => (await readdir(data)).filter((name) => /^postgres\.new-\w+$/.test(name))
  const written = async () => {
    const [attempt] = await attempts()
    return attempt === undefined ? [] : readdir(join(data, attempt))
  }
  while ((await written()).length < 5) await wait(5)
  starter.kill('SIGKILL')
  await once(starter, 'exit')
  const [first] = await attempts()
  expect(first).toBeDefined()
  expect(await makeCluster(settings)).toBe(true)
  expect(await readdir(data)).toEqual(['postgres'])
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
