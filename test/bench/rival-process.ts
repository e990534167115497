import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type Rival, startRival } from './rival.ts'

/** Starts the rival in a process of its own, as our functions have theirs; it ends with this one. */
export async function forkRival(databaseUrl: string): Promise<Rival> {
  const child = fork(import.meta.filename, [], { env: { ...process.env, [databaseVariable]: databaseUrl } })
  const url = await told(child)
  return {
    url,
    async drop() {
      child.send('drop')
      await told(child)
    },
    async close() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

const databaseVariable = 'BENCH_RIVAL_DATABASE'

/** What the child says next. Throws where it ends instead. */
async function told(child: ChildProcess): Promise<string> {
  const ended = new AbortController()
  const onExit = () => ended.abort(new Error('The rival ended'))
  child.once('exit', onExit)
  try {
    const [message] = (await once(child, 'message', { signal: ended.signal })) as [string]
    return message
  } finally {
    child.off('exit', onExit)
  }
}

async function serve(databaseUrl: string): Promise<void> {
  const rival = await startRival(databaseUrl)
  process.on('message', () => void rival.drop().then(() => process.send!('dropped')))
  process.on('disconnect', () => process.exit())
  process.send!(rival.url)
}

// Forked by forkRival.
const databaseUrl = process.env[databaseVariable]
if (process.send && databaseUrl !== undefined) await serve(databaseUrl)
