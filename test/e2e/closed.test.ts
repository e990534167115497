import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Credentials } from '../../infra/local/credentials.ts'
import { randomFreePort } from '../../infra/local/ports.ts'
import { redisBinary } from '../support/redis.ts'
import { assemblyFolder, dataFolder, until } from './cloud.ts'
import type { Got, Wanted } from './stranger.ts'

const root = resolve(import.meta.dirname, '../..')
const linux = process.platform === 'linux'
const mayBecomeAnother = linux && process.getuid?.() === 0
/** Of no account: `nobody` may be the one that the database runs under. */
const anotherId = 65_533

let folder: string
let dataDir: string
let cloud: ChildProcess
let credentials: Credentials

beforeAll(async () => {
  folder = await dataFolder()
  dataDir = join(folder, 'data')
  await mkdir(dataDir)
  await cp(assemblyFolder(), join(dataDir, 'cdk.out'), { recursive: true })
  cloud = spawn(process.execPath, ['infra/local/start.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      INSIGHTA_DATA_DIR: dataDir,
      INSIGHTA_PORT: String(await randomFreePort()),
    },
  })
  let output = ''
  for (const stream of [cloud.stdout!, cloud.stderr!]) stream.on('data', (chunk: Buffer) => (output += chunk))
  await until(() => {
    if (cloud.exitCode !== null) throw new Error(output)
    return output.includes('Ready')
  })
  credentials = JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8'))
  // Something in every store, and an environment of a function that has the cache's address.
  const answer = await fetch(`${credentials.url}/api/profiles`, {
    headers: { authorization: `Bearer ${credentials.api_key}` },
  })
  expect(answer.status).toBe(200)
})
afterAll(async () => {
  if (cloud?.exitCode === null) {
    const ended = once(cloud, 'exit')
    cloud.kill('SIGINT')
    await ended
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** The cloud and every process below it. */
async function processes(): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    parents.set(Number(pid), Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]))
  }
  const found = [cloud.pid!]
  // The list grows while it is walked.
  for (const pid of found) for (const [child, parent] of parents) if (parent === pid) found.push(child)
  return found
}

/** The addresses that these processes listen on, `0100007F:0FA0` for 127.0.0.1:4000. */
async function listeners(pids: readonly number[]): Promise<string[]> {
  const inodes = new Set<string>()
  for (const pid of pids) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
      const [, inode] = /^socket:\[(\d+)\]$/.exec(target) ?? []
      if (inode) inodes.add(inode)
    }
  }
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')))
  return tables
    .flatMap((table) => table.split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode ?? ''))
    .map(([, local]) => local!)
}

async function everyPath(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return [folder, ...entries.map((entry) => join(entry.parentPath, entry.name))]
}

/** What a process of another user gets from all that was found. */
async function strangerGot(wanted: Wanted): Promise<Got> {
  const stranger = spawn(process.execPath, [join(root, 'test/e2e/stranger.ts')], {
    cwd: '/',
    uid: anotherId,
    gid: anotherId,
    env: { PATH: process.env.PATH },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  stranger.stdin!.end(`${JSON.stringify(wanted)}\n`)
  for await (const line of createInterface({ input: stranger.stdout! })) return JSON.parse(line) as Got
  throw new Error('The process of another user could not look')
}

describe.runIf(linux)('a local cloud that was started by its command', () => {
  it('listens on 127.0.0.1 alone', async () => {
    const addresses = await listeners(await processes())
    expect(addresses.length).toBeGreaterThan(6)
    expect(addresses.filter((address) => !address.startsWith('0100007F:'))).toEqual([])
  })

  it('keeps each file for its owner alone, also one that was copied into its folder', async () => {
    const open: string[] = []
    for (const path of await everyPath(dataDir)) {
      if (path !== dataDir && ((await stat(path)).mode & 0o077) !== 0) open.push(path)
    }
    const inside = (path: string) => path.startsWith(join(dataDir, 'cdk.out/'))
    // What was copied stands in a folder that is closed.
    expect(open.filter((path) => !inside(path))).toEqual([])
    expect((await stat(dataDir)).mode & 0o066).toBe(0)
  })

  it.skipIf(!mayBecomeAnother)(
    'gives another user of the machine nothing, on no port and in no file (root alone can become one)',
    async () => {
      const pids = await processes()
      const ports = (await listeners(pids)).map((address) => Number.parseInt(address.slice(9), 16))
      const paths = await everyPath(dataDir)
      const environments = await Promise.all(
        pids.map((pid) => readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')),
      )
      const got = await strangerGot({ ports, paths, pids })

      const named = new Map(
        [credentials.url, credentials.simulators, ...Object.values(credentials.aws)]
          .filter((value) => value.startsWith('http'))
          .map((value) => [new URL(value).port, value]),
      )
      expect([...named.keys()].filter((port) => !ports.includes(Number(port)))).toEqual([])
      const taken = Object.entries(got.http).flatMap(([port, statuses]) =>
        Object.entries(statuses)
          .filter(([, status]) => Number(status) < 400)
          .map(([what]) => `${named.get(port) ?? port}: ${what}`),
      )
      expect(taken).toEqual([])

      // PostgreSQL asks for a password, by SASL, which is 10.
      const said = Object.values(got.raw)
      const postgres = said.filter((answers) => answers['postgres superuser']!.startsWith('R'))
      expect(postgres).toHaveLength(1)
      for (const name of ['postgres superuser', 'postgres application']) {
        const answer = postgres[0]![name]!
        expect([answer[0], answer.charCodeAt(8), answer.slice(9, 22)]).toEqual(['R', 10, 'SCRAM-SHA-256'])
      }
      const redis = said.filter(({ redis }) => redis!.startsWith('-'))
      expect(redis.map((answers) => answers.redis)).toEqual(
        redisBinary ? [expect.stringMatching(/^-NOAUTH [^\r]*\r\n-NOAUTH [^\r]*\r\n\+OK\r\n$/)] : [],
      )

      expect(got.opened).toEqual([])
      expect(got.environments).toEqual([])
      const secrets = [
        ...Object.values(JSON.parse(await readFile(join(dataDir, 'platform.json'), 'utf8'))),
        credentials.api_key,
        decodeURIComponent(new URL(credentials.database_url).password),
        ...environments.flatMap((text) => /CACHE_URL=redis:\/\/:(\w+)@/.exec(text)?.[1] ?? []),
        ...environments.flatMap((text) => /AWS_LAMBDA_RUNTIME_API=[^/]+\/(\w+)/.exec(text)?.[1] ?? []),
      ] as string[]
      expect(secrets.length).toBeGreaterThan(8)
      const lines = Object.values(got.commandLines)
      expect(lines.every((line) => line !== '')).toBe(true)
      expect(secrets.filter((secret) => lines.some((line) => line.includes(secret)))).toEqual([])
    },
  )
})
