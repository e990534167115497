import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Cloud, startCloud } from './cloud.ts'
import { loopback } from './hosts.ts'

/** npm passes a Ctrl-C on that the terminal has already sent to every process: the two arrive together. */
const sameKeyPressMs = 500
/** Longer than the longest step of a clean stop, a checkpoint of the database. */
const closeWithinMs = 30_000

// What the cloud and its functions write is for its owner alone, to the last file.
process.umask(0o077)
const dataDir = resolve(process.env.INSIGHTA_DATA_DIR || '.insighta')
const startedAt = performance.now()
const stopping = new AbortController()
let cloud: Promise<Cloud> | undefined
let stoppedAt: number | undefined

// A closed terminal or `| head` must not end the cloud before it has stopped what it started.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
process.on('uncaughtException', (error) => fail(error))
process.on('unhandledRejection', (error) => fail(error))

try {
  const port = portFromEnvironment()
  console.log(`Starting Insighta on this machine (data in ${dataDir})`)
  cloud = startCloud({
    dataDir,
    port,
    host: process.env.INSIGHTA_HOST || loopback,
    context: contextFromArguments(),
    say: (line) => console.log(line),
    verbose: process.env.INSIGHTA_VERBOSE === '1',
    signal: stopping.signal,
    onFatal: fail,
  })
  const { url, open, credentials, logDir } = await cloud
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`
Ready after ${seconds} s. Ctrl-C stops everything.
  API            ${url}/api
  API reference  ${url}/api/docs
  dashboards     ${url}/dashboards
  access key     ${credentials.api_key}
  credentials    ${dataDir}/credentials.json
  logs           ${logDir}

Something to look at, in a second terminal: npm run demo`)
  if (open.length > 0) console.warn(`\n${open.join('\n')}`)
} catch (error) {
  if (!stopping.signal.aborted) fail(error)
}

function portFromEnvironment(): number {
  const text = process.env.INSIGHTA_PORT || '4000'
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new Error(`INSIGHTA_PORT must be a port, not "${text}"`)
}

/** Of `-c key=value`, as the CDK has them: `-c stage=prod` runs the templates of prod on this machine. */
function contextFromArguments(): Record<string, string> {
  const { values } = parseArgs({ options: { context: { type: 'string', short: 'c', multiple: true } } })
  return Object.fromEntries(
    (values.context ?? []).map((pair) => {
      const [, key, value] = /^(\w+)=(.*)$/s.exec(pair) ?? []
      if (key === undefined || value === undefined) throw new Error(`-c ${pair} must be -c key=value`)
      return [key, value]
    }),
  )
}

function onSignal(): void {
  if (stoppedAt === undefined) {
    console.log('Stopping')
    void stop(0)
  } else if (performance.now() - stoppedAt > sameKeyPressMs) {
    console.log('Stopping at once')
    process.exit(1)
  }
}

function fail(error: unknown): void {
  const verbose = process.env.INSIGHTA_VERBOSE === '1'
  console.error(error instanceof Error ? (verbose && error.stack) || error.message : String(error))
  void stop(1)
}

/** Ends the process once everything that was started has ended. A later failure still counts as one. */
async function stop(code: number): Promise<void> {
  process.exitCode = Math.max(Number(process.exitCode ?? 0), code)
  if (stoppedAt !== undefined) return
  stoppedAt = performance.now()
  stopping.abort(new Error('stopped'))
  const late = setTimeout(() => {
    console.error('Something did not stop in time and is killed')
    process.exit(1)
  }, closeWithinMs)
  // A start that fails closes by itself what it had started.
  await cloud?.then(
    (running) => running.close(),
    () => {},
  )
  clearTimeout(late)
  process.exit()
}
