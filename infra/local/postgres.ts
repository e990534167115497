import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chown,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  postgresAccount,
  postgresBinaries,
  refuseClosedFolders,
  serverSettings,
  sharedMemorySettings,
} from './postgres-setup.ts'
import { commandLine, isRunning, killAll, processesIn, processesNaming } from './processes.ts'

const run = promisify(execFile)

export type PostgresOptions = {
  /** The cluster's own folder, made at the first start. */
  folder: string
  port: number
  /** Of the bootstrap superuser; used once, when the cluster is made. */
  superuser: { name: string; password: string }
  logFile: string
  log(line: string): void
  /** Called when the server ended by itself and there is no cluster any more to bring back. */
  onLost(error: Error): void
  /** Before the second attempt to bring it back, in milliseconds; each wait is twice the one before, up to 30 s. */
  firstWaitMs?: number
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
/** Behind the name of a cluster's folder while initdb makes it. */
const attemptMark = '.new-'
const longestWaitMs = 30_000
const logLimit = 10 * 1024 * 1024

/**
 * PostgreSQL on 127.0.0.1:port, ready for connections. It ends with this process, however that ends. What an earlier
 * server left over on the folder is ended first; one that dies is started again until it comes up.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { folder } = options
  await makeCluster(options)
  const binaries = await postgresBinaries()
  const account = await postgresAccount(folder)
  const settings = [...serverSettings(), ...(await sharedMemorySettings())]

  let server: ChildProcess | undefined
  let starting: ChildProcess | undefined
  let stopping = new AbortController()
  let comingBack = Promise.resolve()

  async function start(): Promise<void> {
    stopping = new AbortController()
    for (let attempt = 1; !(await comesUp()); attempt++) {
      if (attempt === 5) throw new Error(`PostgreSQL did not start: ${await lastLines(options.logFile)}`)
      await wait(500)
    }
  }

  /** One attempt: whether the server is ready for connections. */
  async function comesUp(): Promise<boolean> {
    await endLeftovers(folder)
    const child = await launch()
    starting = child
    const isReady = await becomesReady(child, folder)
    starting = undefined
    if (!isReady || hasEnded(child)) return false
    server = child
    return true
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
      child.once('exit', (code, signal) => {
        if (server !== child) return
        server = undefined
        if (!stopping.signal.aborted) comingBack = comeBack(code ?? signal)
      })
      await once(child, 'spawn')
      guard(child)
      return child
    } finally {
      await output.close()
    }
  }

  /** Never gives up while there is a cluster: a full disk, for one, has room again some day. */
  async function comeBack(reason: string | number | null): Promise<void> {
    const { signal } = stopping
    options.log(`PostgreSQL ended by itself (${reason}) and is started again; its log is ${options.logFile}`)
    for (let waitMs = options.firstWaitMs ?? 500; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
      const failure = await comesUp().then(
        async (isUp) => (isUp ? undefined : lastLines(options.logFile)),
        (error: unknown) => String(error),
      )
      if (failure === undefined || signal.aborted) return
      const version = await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => undefined)
      if (version === undefined) return options.onLost(new Error(`${folder} holds no database any more`))
      options.log(`PostgreSQL did not start and is tried again in ${waitMs / 1000} s: ${failure}`)
      await wait(waitMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
    }
  }

  await start()
  return {
    port: options.port,
    pid: () => server?.pid,
    start,
    async stop() {
      stopping.abort()
      if (starting) await end(starting)
      await comingBack
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

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  const timer = setTimeout(() => child.kill('SIGQUIT'), stopTimeoutMs)
  await exited
  clearTimeout(timer)
}

/** The eighth line of the pid file says `ready` once connections are accepted. */
async function becomesReady(child: ChildProcess, folder: string): Promise<boolean> {
  while (!hasEnded(child)) {
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
  // Made under another name, so that an interrupted initdb is never taken for a cluster; and under one of its own,
  // since that of a start which was killed may still be writing.
  await mkdir(dirname(folder), { recursive: true })
  await endAttempts(folder)
  const unfinished = await mkdtemp(`${folder}${attemptMark}`)
  const passwordFile = `${unfinished}.password`
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

/** Ends what killed starts left behind of their initdb, and removes what it had made. */
async function endAttempts(folder: string): Promise<void> {
  await killAll(await processesNaming(`${folder}${attemptMark}`, 'initdb'))
  for (const entry of await readdir(dirname(folder))) {
    if (!entry.startsWith(`${basename(folder)}${attemptMark}`)) continue
    const attempt = join(dirname(folder), entry)
    await killAll(await processesIn(await realpath(attempt), 'postgres'))
    await rm(attempt, { recursive: true, force: true })
  }
}

/**
 * Ends a server that outlived its cloud, found by the folder in its command line, since the number may be anyone's by
 * now; and backends that outlived their server: one that computes does not notice, and holds the shared memory that
 * the next server needs.
 */
async function endLeftovers(folder: string): Promise<void> {
  const file = join(folder, 'postmaster.pid')
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0])
  if (pid && (await isRunning(pid)) && (await commandLine(pid)).includes(folder)) {
    process.kill(pid, 'SIGINT')
    const deadline = performance.now() + stopTimeoutMs
    while (await isRunning(pid)) {
      if (performance.now() > deadline) process.kill(pid, 'SIGQUIT')
      await wait(50)
    }
  }
  await killAll(await processesIn(await realpath(folder), 'postgres'))
  // No server is left, whatever the number says: a new one would take any process for it, even one not yet reaped.
  await rm(file, { force: true })
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
