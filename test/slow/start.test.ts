import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import { ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Credentials } from '../../infra/local/credentials.ts'
import { randomFreePort } from '../../infra/local/ports.ts'
import { queues } from '../../lib/platform/names.ts'

const script = join(import.meta.dirname, '../../infra/local/start.ts')
const linux = process.platform === 'linux'

let folder: string
let dataDir: string
let port: number
const children: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-start-'))
  // Under root the database runs as another user.
  await chmod(folder, 0o711)
  dataDir = join(folder, 'data')
  port = await randomFreePort()
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

type Run = { child: ChildProcess; output(): string; ended: Promise<number | null> }

function run(environment: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [script], {
    cwd: folder,
    env: { ...process.env, INSIGHTA_DATA_DIR: dataDir, INSIGHTA_PORT: String(port), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return { child, output: () => output, ended }
}

async function says(started: Run, text: string): Promise<void> {
  while (!started.output().includes(text)) {
    if (started.child.exitCode !== null) throw new Error(started.output())
    await wait(20)
  }
}

async function ready(started: Run): Promise<Credentials> {
  await says(started, 'Ready')
  return JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8')) as Credentials
}

/** Every process that works in the data folder: the database's and the functions' environments. */
async function processesInDataDir(): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const directory = await readlink(`/proc/${pid}/cwd`).catch(() => '')
    if (directory.startsWith(dataDir)) found.push(pid)
  }
  return found
}

const get = (credentials: Credentials, path: string) =>
  fetch(credentials.url + path, { headers: { authorization: `Bearer ${credentials.api_key}` } })

const listens = (host: string, at: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(at, host, () => resolve(true))
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
  })

/** The status of a request under another name. */
async function statusAs(url: string, host: string): Promise<number | undefined> {
  const [response] = await once(request(url, { headers: { host } }).end(), 'response')
  response.resume()
  return response.statusCode
}

let first: Credentials

// A synthesis is among it, which takes half a minute on a machine that is busy.
test('a first start answers the API and writes credentials that open everything', {
  timeout: 120_000,
}, async () => {
  const started = run()
  first = await ready(started)
  expect(started.output()).toContain(first.url)
  expect(started.output()).toContain(first.api_key)
  for (const line of ['/api/docs', '/dashboards', 'npm run demo']) expect(started.output()).toContain(line)
  // Known ones are told on request, and nothing else differs.
  expect(started.output()).not.toContain('Not as on AWS')
  expect((await stat(join(dataDir, 'credentials.json'))).mode & 0o777).toBe(0o600)
  expect(await (await get(first, '/api/me')).json()).toMatchObject({
    status: 'success',
    key: { role: 'admin', label: 'local administrator' },
    team: { name: 'local' },
  })
  expect((await get(first, '/api/health')).status).toBe(200)

  const { region, access_key_id, secret_access_key, ...endpoints } = first.aws
  const credentials = { accessKeyId: access_key_id, secretAccessKey: secret_access_key }
  const s3 = new S3Client({ region, credentials, endpoint: endpoints.endpoint_s3 })
  const buckets = await s3.send(new ListBucketsCommand({}))
  expect(buckets.Buckets?.map(({ Name }) => Name)).toEqual(['insighta-local-data-uploads'])
  const sqs = new SQSClient({ region, credentials, endpoint: endpoints.endpoint_sqs })
  // Each with its dead-letter queue.
  const { QueueUrls } = await sqs.send(new ListQueuesCommand({}))
  expect(QueueUrls).toHaveLength(2 * Object.keys(queues).length)
  const lambda = new LambdaClient({ region, credentials, endpoint: endpoints.endpoint_lambda })
  const answer = await lambda.send(
    new InvokeCommand({ FunctionName: first.keys_function, Payload: JSON.stringify({ action: 'list' }) }),
  )
  expect(JSON.parse(Buffer.from(answer.Payload ?? []).toString())).toMatchObject({ status: 'success' })
  for (const client of [s3, sqs, lambda]) client.destroy()
  const sql = postgres(first.database_url, { max: 1 })
  await sql`create table survives as select 42 as answer`
  await sql.end({ timeout: 2 })
})

test('a second copy on the folder, or on the port, says so in one line and leaves nothing', {
  timeout: 120_000,
}, async () => {
  const sameFolder = run({ INSIGHTA_PORT: String(await randomFreePort()) })
  const samePort = run({ INSIGHTA_DATA_DIR: join(folder, 'other') })
  expect(await sameFolder.ended).toBe(1)
  expect(sameFolder.output()).toMatch(/\nProcess \d+ already runs the local cloud on .*\n$/)
  expect(await samePort.ended).toBe(1)
  expect(samePort.output()).toMatch(/\nPort \d+ of 127\.0\.0\.1 is taken: .*\n$/)
  expect((await get(first, '/api/health')).status).toBe(200)
})

test.runIf(linux)('a stop ends every process and answers 0', async () => {
  expect((await processesInDataDir()).length).toBeGreaterThan(0)
  const [started] = children
  const closed = once(started!, 'close')
  started?.kill('SIGTERM')
  // npm passes a Ctrl-C on that the terminal has sent already: the second must not force anything.
  started?.kill('SIGINT')
  expect(await closed).toEqual([0, null])
  expect(await processesInDataDir()).toEqual([])
})

test.runIf(linux)(
  'after a restart key and data are there, and a SIGKILL leaves no process behind',
  async () => {
    const squatter = createServer().listen(Number(new URL(first.aws.endpoint_sqs).port), '127.0.0.1')
    await once(squatter, 'listening')
    const started = run()
    const second = await ready(started)
    squatter.close()
    expect(second.api_key).toBe(first.api_key)
    expect(second.aws.endpoint_s3).toBe(first.aws.endpoint_s3)
    expect(second.aws.endpoint_sqs).not.toBe(first.aws.endpoint_sqs)
    expect((await get(second, '/api/me')).status).toBe(200)
    const sql = postgres(second.database_url, { max: 1 })
    expect(await sql`select answer from survives`).toEqual([{ answer: 42 }])
    await sql.end({ timeout: 2 })
    started.child.kill('SIGKILL')
    await started.ended
    while ((await processesInDataDir()).length > 0) await wait(20)
  },
)

test.runIf(linux)(
  'INSIGHTA_HOST opens the API and S3 alone, and the terminal says so',
  {
    timeout: 120_000,
  },
  async () => {
    const host = '127.0.0.2'
    const started = run({ INSIGHTA_HOST: host })
    const opened = await ready(started)
    await says(started, 'All else listens on 127.0.0.1 alone.')
    expect(started.output()).toContain(`WARNING: INSIGHTA_HOST=${host} lets other machines in, without TLS`)
    expect(opened.url).toBe(`http://${host}:${port}`)
    for (const line of [
      `API ${opened.url}/api:`,
      `${opened.url}/dashboards,`,
      `S3  ${opened.aws.endpoint_s3}:`,
    ])
      expect(started.output()).toContain(line)

    const { s3, ...others } = JSON.parse(await readFile(join(dataDir, 'ports.json'), 'utf8'))
    expect(opened.aws.endpoint_s3).toBe(`http://${host}:${s3}`)
    for (const other of Object.values(others)) expect(await listens(host, Number(other))).toBe(false)
    for (const closed of [opened.aws.endpoint_sqs, opened.aws.endpoint_lambda, opened.simulators])
      expect(new URL(closed).hostname).toBe('127.0.0.1')

    expect((await get(opened, '/api/me')).status).toBe(200)
    const { region, access_key_id: accessKeyId, secret_access_key: secretAccessKey } = opened.aws
    const credentials = { accessKeyId, secretAccessKey }
    const client = new S3Client({
      endpoint: opened.aws.endpoint_s3,
      region,
      credentials,
      forcePathStyle: true,
    })
    expect((await client.send(new ListBucketsCommand({}))).Buckets).toHaveLength(1)
    client.destroy()
    for (const open of [opened.url, opened.aws.endpoint_s3])
      expect(await statusAs(open, 'rebound.example')).toBe(403)

    started.child.kill('SIGINT')
    expect(await started.ended).toBe(0)
  },
)

test.runIf(linux)('stopped in the middle of a start it ends at once and leaves nothing', async () => {
  const started = run({ INSIGHTA_VERBOSE: '1' })
  await says(started, 'AWS API')
  started.child.kill('SIGINT')
  expect(await started.ended).toBe(0)
  expect(started.output()).not.toContain('Ready')
  expect(await processesInDataDir()).toEqual([])
})

test('a port that is none is refused', async () => {
  const started = run({ INSIGHTA_PORT: 'http' })
  expect(await started.ended).toBe(1)
  expect(started.output()).toContain('INSIGHTA_PORT must be a port, not "http"')
})

test.each(['192.0.2.1', 'localhost:4000', 'http://localhost'])(
  'the host %s, on which this machine cannot listen, is refused',
  async (host) => {
    const started = run({ INSIGHTA_HOST: host })
    expect(await started.ended).toBe(1)
    expect(started.output()).toContain(`INSIGHTA_HOST must be an address or a name of this machine`)
  },
)
