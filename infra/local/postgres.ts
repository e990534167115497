import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  postgresAccount,
  postgresBinaries,
  refuseClosedFolders,
  serverSettings,
  sharedMemorySettings,
} from './postgres-setup.ts'

const run = promisify(execFile)

export type PostgresOptions = {
  /** The cluster's own folder, made at the first start. */
  folder: string
  port: number
  /** Of the bootstrap superuser; used once, when the cluster is made. */
  superuser: { name: string; password: string }
  logFile: string
  log(line: string): void
  /** Called when the server cannot be brought back after it ended by itself. */
  onLost(error: Error): void
}

export type Postgres = {
  port: number
  pid(): number | undefined
  /** Ends the server as an administrator would; what was committed stays. */
  stop(): Promise<void>
  /** Starts it again after stop(), with the same data and port. */
  start(): Promise<void>
}

const majorVersion = '18'
/** A fast shutdown writes a checkpoint first: up to shared_buffers of dirty pages. */
const stopTimeoutMs = 20_000
const logLimit = 10 * 1024 * 1024

/**
 * PostgreSQL on 127.0.0.1:port, ready for connections. It ends with this process, however that ends. A server
 * left over on the folder is stopped first; one that dies is started again.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { folder } = options
  await makeCluster(options)
  const binaries = await postgresBinaries()
  const account = await postgresAccount(folder)
  await stopLeftover(folder)
  const settings = [...serverSettings(), ...(await sharedMemorySettings())]

  let server: ChildProcess | undefined
  let stopping = false

  async function start(): Promise<void> {
    stopping = false
    for (let attempt = 1; ; attempt++) {
      const child = await launch()
      if (await becomesReady(child, folder)) {
        server = child
        child.once('exit', (code, signal) => void restart(code ?? signal))
        return
      }
      // Backends of a killed server take a moment to notice, and hold its shared memory until then.
      if (attempt === 5) throw new Error(`PostgreSQL did not start: ${await lastLines(options.logFile)}`)
      await wait(500)
    }
  }

  async function launch(): Promise<ChildProcess> {
    const output = await openLog(options.logFile)
    try {
      const child = spawn(binaries.postgres, ['-D', folder, '-p', String(options.port), ...settings], {
        // A session of its own: Ctrl-C in the terminal must not end it before the functions that use it.
        detached: true,
        stdio: ['ignore', output.fd, output.fd],
        env: { LC_MESSAGES: 'C', PATH: process.env.PATH },
        ...account,
      })
      await once(child, 'spawn')
      guard(child)
      return child
    } finally {
      await output.close()
    }
  }

  async function restart(reason: string | number | null) {
    server = undefined
    if (stopping) return
    options.log(`PostgreSQL ended by itself (${reason}) and is started again; its log is ${options.logFile}`)
    await start().catch((error: unknown) =>
      options.onLost(error instanceof Error ? error : new Error(String(error))),
    )
  }

  await start()
  return {
    port: options.port,
    pid: () => server?.pid,
    start,
    async stop() {
      stopping = true
      if (server) await end(server)
    },
  }
}

/** Stops the server as soon as the pipe from this process closes, which a SIGKILL does too. */
function guard(child: ChildProcess): void {
  const script = 'read -r word; [ "$word" = ended ] || kill -INT "$1"'
  const watcher = spawn('/bin/sh', ['-c', script, 'insighta-postgres-guard', String(child.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.on('error', () => child.kill('SIGINT'))
  watcher.stdin?.on('error', () => {})
  watcher.unref()
  child.once('exit', () => watcher.stdin?.end('ended\n'))
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  const timer = setTimeout(() => child.kill('SIGQUIT'), stopTimeoutMs)
  await exited
  clearTimeout(timer)
}

/** The eighth line of the pid file says `ready` once connections are accepted. */
async function becomesReady(child: ChildProcess, folder: string): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    const lines = (await readFile(join(folder, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
    if (lines[0] === String(child.pid) && lines[7]?.trim() === 'ready') return true
    await wait(20)
  }
  return false
}

/** Makes the folder of a cluster where there is none, which no server is needed for. Answers whether it did. */
export async function makeCluster({
  folder,
  superuser,
}: Pick<PostgresOptions, 'folder' | 'superuser'>): Promise<boolean> {
  const { initdb, postgres } = await postgresBinaries()
  const account = await postgresAccount(folder)
  if (account) {
    // The programs first: who moves the data for this must not find out afterwards that it does not suffice.
    const programs = {
      folder: dirname(postgres),
      instead: 'move the project to a folder that others may enter',
    }
    const data = { folder: dirname(folder), instead: 'keep the data elsewhere with INSIGHTA_DATA_DIR' }
    await refuseClosedFolders([programs, data], account)
  }
  const version = await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version !== undefined) {
    if (version.trim() === majorVersion) return false
    throw new Error(`${folder} was made by PostgreSQL ${version.trim()}; this is ${majorVersion}`)
  }
  // Made under another name, so that an interrupted initdb is never taken for a cluster.
  const unfinished = `${folder}.new`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true, mode: 0o700 })
  const passwordFile = join(tmpdir(), `insighta-${randomBytes(8).toString('hex')}`)
  try {
    await writeFile(passwordFile, superuser.password, { mode: 0o600, flag: 'wx' })
    if (account) {
      await chown(unfinished, account.uid, account.gid)
      await chown(passwordFile, account.uid, account.gid)
    }
    const flags = [
      `--pgdata=${unfinished}`,
      `--username=${superuser.name}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // PostgreSQL's own locale: every machine sorts alike, whatever it has installed.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
    ]
    await run(initdb, flags, { cwd: '/', env: { PATH: process.env.PATH }, ...account })
  } finally {
    await rm(passwordFile, { force: true })
  }
  await rename(unfinished, folder)
  return true
}

/** A server that outlived its cloud, found by the folder in its command line: the number may be anyone's by now. */
async function stopLeftover(folder: string): Promise<void> {
  const file = join(folder, 'postmaster.pid')
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
  if (!pid || !isAlive(pid)) return
  if (!(await commandLine(pid)).includes(folder)) {
    await rm(file, { force: true })
    return
  }
  process.kill(pid, 'SIGINT')
  const deadline = performance.now() + stopTimeoutMs
  while (isAlive(pid)) {
    if (performance.now() > deadline) process.kill(pid, 'SIGQUIT')
    await wait(50)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function commandLine(pid: number): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
  } catch {
    return run('ps', ['-o', 'command=', '-p', String(pid)]).then(
      ({ stdout }) => stdout,
      () => '',
    )
  }
}

async function openLog(file: string) {
  const size = await stat(file).then(
    (stats) => stats.size,
    () => 0,
  )
  if (size > logLimit) await rename(file, `${file}.1`)
  return open(file, 'a', 0o600)
}

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trim().split('\n').slice(-5).join(' | ')
}
