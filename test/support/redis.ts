import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomFreePort } from '../../infra/local/ports.ts'
import { findRedis, startRedis as startServer } from '../../infra/local/redis.ts'

/** The Redis or Valkey server of this machine; undefined where there is none, and tests of it skip. */
export const redisBinary = await findRedis()

export type TestRedis = AsyncDisposable & {
  url: string
  /** Ends the server; what it held is gone. */
  kill(): Promise<void>
  /** Starts it again, empty, on the same port. */
  start(): Promise<void>
  /** Answers nothing from now on, with its connections open. */
  freeze(): void
  thaw(): void
  close(): Promise<void>
}

/** A real Redis server of its own on a free port. */
export async function startRedis(): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-test-redis-'))
  const port = await randomFreePort()
  const password = 'test'
  const options = { binary: redisBinary!, port, password, logFile: join(folder, 'redis.log'), log: () => {} }
  let server = await startServer(options)
  const signal = (name: NodeJS.Signals) => process.kill(server.pid()!, name)
  const close = async () => {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  }
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    kill: () => server.close(),
    async start() {
      server = await startServer(options)
    },
    freeze: () => void signal('SIGSTOP'),
    thaw: () => void signal('SIGCONT'),
    close,
    [Symbol.asyncDispose]: close,
  }
}
