import { open, readdir, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

// A program that runs as another user of the machine. It is told ports, paths and processes on its standard input and
// says on its standard output what it got from each.

export type Wanted = { ports: number[]; paths: string[]; pids: number[] }
export type Got = {
  /** Of each port: the HTTP status of each request, and what came back for each line of another protocol. */
  http: Record<string, Record<string, number | string>>
  raw: Record<string, Record<string, string>>
  /** Paths that could be listed, read or written. */
  opened: string[]
  /** Command lines by process, and processes whose environment could be read. */
  commandLines: Record<string, string>
  environments: number[]
}

const junk =
  'AWS4-HMAC-SHA256 Credential=AKIAAAAAAAAAAAAAAAAA/20261101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00'
const json = { 'content-type': 'application/x-amz-json-1.0' }
const requests: [method: string, path: string, headers: Record<string, string>, body?: string][] = [
  ['GET', '/api/profiles', {}],
  ['GET', '/api/ops/overview', { authorization: 'Bearer ins_guess' }],
  ['POST', '/', { ...json, 'x-amz-target': 'AmazonSQS.ListQueues' }, '{}'],
  ['POST', '/', { ...json, 'x-amz-target': 'AmazonSQS.ListQueues', authorization: junk }, '{}'],
  ['POST', '/', { 'content-type': 'application/x-www-form-urlencoded' }, 'Action=ListQueues'],
  ['GET', '/000000000000/insighta-local-import-slices?Action=ReceiveMessage', { authorization: junk }],
  ['POST', '/', { ...json, 'x-amz-target': 'secretsmanager.ListSecrets' }, '{}'],
  [
    'POST',
    '/',
    { ...json, 'x-amz-target': 'secretsmanager.GetSecretValue', authorization: junk },
    '{"SecretId":"insighta-local-agent"}',
  ],
  ['POST', '/2015-03-31/functions/insighta-local-keys/invocations', {}, '{"action":"list"}'],
  [
    'POST',
    '/2015-03-31/functions/insighta-local-keys/invocations',
    { authorization: junk },
    '{"action":"list"}',
  ],
  ['GET', '/2018-06-01/runtime/invocation/next', {}],
  ['POST', '/2018-06-01/runtime/init/error', {}, '{}'],
  ['POST', '/2018-06-01/runtime/invocation/1/response', {}, '{}'],
  ['GET', '/insighta-local-data-uploads?list-type=2', {}],
  ['PUT', '/insighta-local-data-uploads/planted', {}, 'x'],
  ['GET', '/faults', {}],
  ['DELETE', '/faults', { authorization: 'Bearer guess' }],
  ['GET', '/resend/outbox', {}],
  ['POST', '/livekit/agent', { 'content-type': 'application/json' }, '{"type":"turn","data":{}}'],
]

function statusOf(
  port: number,
  [method, path, headers, body]: (typeof requests)[number],
): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    asked.end(body)
  })
}

/** All that a server says until it ends the connection. */
function said(port: number, bytes: Buffer | string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}

/** PostgreSQL's first message: protocol 3.0, and who wants what. */
function startup(user: string, database: string): Buffer {
  const facts = Buffer.from(`user\0${user}\0database\0${database}\0\0`)
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + facts.length)
  head.writeInt32BE(196_608, 4)
  return Buffer.concat([head, facts])
}

const protocols: [name: string, bytes: Buffer | string][] = [
  ['redis', 'CONFIG GET requirepass\r\nKEYS *\r\nQUIT\r\n'],
  ['postgres superuser', startup('rdsadmin', 'postgres')],
  ['postgres application', startup('insighta_api', 'insighta')],
]

async function opens(path: string): Promise<boolean> {
  const ways = [() => readFile(path), () => readdir(path), async () => (await open(path, 'a')).close()]
  for (const way of ways) {
    const worked = await way().then(
      () => true,
      () => false,
    )
    if (worked) return true
  }
  return false
}

async function look({ ports, paths, pids }: Wanted): Promise<Got> {
  const got: Got = { http: {}, raw: {}, opened: [], commandLines: {}, environments: [] }
  for (const port of ports) {
    const statuses: Record<string, number | string> = {}
    for (const each of requests) {
      const [method, path, headers] = each
      statuses[
        `${method} ${path} ${headers['x-amz-target'] ?? ''}${headers.authorization ? ' signed' : ''}`
      ] = await statusOf(port, each)
    }
    got.http[port] = statuses
    got.raw[port] = {}
    for (const [name, bytes] of protocols) got.raw[port][name] = await said(port, bytes)
  }
  for (const path of paths) if (await opens(path)) got.opened.push(path)
  for (const pid of pids) {
    got.commandLines[pid] = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if ((await readFile(`/proc/${pid}/environ`).catch(() => undefined)) !== undefined)
      got.environments.push(pid)
  }
  return got
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await look(JSON.parse(line) as Wanted)))
}
