import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, open } from 'node:fs/promises'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

export type RedisOptions = {
  /** As found by findRedis(). */
  binary: string
  port: number
  /** That every client must give: letters and digits. */
  password: string
  logFile: string
  log(line: string): void
}

export type LocalRedis = {
  port: number
  pid(): number | undefined
  close(): Promise<void>
}

const binaries = ['valkey-server', 'redis-server']
const memory = '64mb'
const startTimeoutMs = 10_000
const stopTimeoutMs = 5000

/** The Valkey or Redis server on the PATH; undefined where there is none. */
export async function findRedis(path = process.env.PATH ?? ''): Promise<string | undefined> {
  for (const name of binaries) {
    for (const folder of path.split(delimiter).filter((part) => part !== '')) {
      const file = join(folder, name)
      const runs = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
      if (runs) return file
    }
  }
  return undefined
}

/**
 * A cache on 127.0.0.1:port that keeps nothing on disk, ready for connections. It ends with this process,
 * however that ends. One that dies is not started again: nothing but time is lost with a cache.
 */
export async function startRedis({
  binary,
  port,
  password,
  logFile,
  log,
}: RedisOptions): Promise<LocalRedis> {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    requirepass: password,
    save: '""',
    appendonly: 'no',
    maxmemory: memory,
    'maxmemory-policy': 'allkeys-lru',
  }
  const output = await open(logFile, 'a', 0o600)
  let server: ChildProcess
  try {
    // A session of its own: Ctrl-C in the terminal must not end it before the functions that use it.
    server = spawn(binary, ['-'], { cwd: '/', detached: true, stdio: ['pipe', output.fd, output.fd] })
    await once(server, 'spawn')
    // By its input, since every user of the machine may read the command line of a process.
    server.stdin?.on('error', () => {})
    server.stdin?.end(
      Object.entries(settings)
        .map(([name, value]) => `${name} ${value}\n`)
        .join(''),
    )
  } finally {
    await output.close()
  }
  guard(server)
  await becomesReady(server, { port, password, logFile })
  let closing = false
  server.once('exit', (code, signal) => {
    if (!closing) log(`The shared cache ended by itself (${code ?? signal}); its log is ${logFile}`)
  })
  return {
    port,
    pid: () => (ended(server) ? undefined : server.pid),
    async close() {
      closing = true
      await end(server)
    },
  }
}

/** Stops the server as soon as the pipe from this process closes, which a SIGKILL does too. */
function guard(server: ChildProcess): void {
  const script = 'read -r word; [ "$word" = ended ] || kill -KILL "$1"'
  const watcher = spawn('/bin/sh', ['-c', script, 'insighta-redis-guard', String(server.pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.on('error', () => server.kill('SIGKILL'))
  watcher.stdin?.on('error', () => {})
  watcher.unref()
  server.once('exit', () => watcher.stdin?.end('ended\n'))
}

async function becomesReady(
  server: ChildProcess,
  { port, password, logFile }: Pick<RedisOptions, 'port' | 'password' | 'logFile'>,
): Promise<void> {
  const deadline = performance.now() + startTimeoutMs
  while (!(await answers(server, port, password))) {
    if (ended(server)) throw new Error(`The shared cache did not start; its log is ${logFile}`)
    if (performance.now() > deadline) {
      await end(server)
      throw new Error(`The shared cache did not answer in time; its log is ${logFile}`)
    }
    await wait(10)
  }
}

/** Whether this server, and not another one that has the port, is ready for commands. */
function answers({ pid }: ChildProcess, port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(`AUTH ${password}\r\nINFO server\r\n`))
    socket.setTimeout(1000, () => socket.destroy())
    socket.on('data', (data) => {
      answer += data.toString('latin1')
      if (/process_id:\d+\r/.test(answer)) socket.destroy()
    })
    socket.once('error', () => {})
    socket.once('close', () => resolve(answer.includes(`process_id:${pid}\r`)))
  })
}

async function end(server: ChildProcess): Promise<void> {
  if (ended(server)) return
  const exited = once(server, 'exit')
  server.kill('SIGTERM')
  const timer = setTimeout(() => server.kill('SIGKILL'), stopTimeoutMs)
  await exited
  clearTimeout(timer)
}

function ended(server: ChildProcess): boolean {
  return server.exitCode !== null || server.signalCode !== null
}
