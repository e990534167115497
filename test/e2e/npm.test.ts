import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Credentials } from '../../infra/local/credentials.ts'
import { randomFreePort } from '../../infra/local/ports.ts'
import { apiOf, assemblyFolder, dataFolder, until } from './cloud.ts'

const root = resolve(import.meta.dirname, '../..')
const linux = process.platform === 'linux'

type End = [code: number | null, signal: string | null]
type Started = { child: ChildProcess; output(): string; ended: Promise<End> }
type Copy = Started & { dataDir: string; credentials: Credentials }

/** `npm start` in a process group of its own, as a shell has it. */
function npmStart(dataDir: string, port: number): Started {
  const child = spawn('npm', ['start'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, INSIGHTA_DATA_DIR: dataDir, INSIGHTA_PORT: String(port) },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  return { child, output: () => output, ended: once(child, 'close') as Promise<End> }
}

/** What Ctrl-C in a terminal does: every process of the group gets the signal. Nothing once it has ended. */
function interrupt({ child }: Started): void {
  if (child.pid && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGINT')
}

/** Every process whose folder, command line or environment names the data folder. */
async function processesOf(dataDir: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue
    const texts = await Promise.all([
      readlink(`/proc/${pid}/cwd`).catch(() => ''),
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
      readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
    ])
    if (texts.some((text) => text.includes(dataDir))) found.push(pid)
  }
  return found
}

describe('the commands of the first page of the documentation', () => {
  let folder: string
  const copies: Copy[] = []

  async function startCopy(name: string): Promise<Copy> {
    const dataDir = join(folder, name)
    await mkdir(dataDir)
    // Synthesised from the same sources, it saves each copy the 4 s of a first start.
    await cp(assemblyFolder(), join(dataDir, 'cdk.out'), { recursive: true })
    const started = npmStart(dataDir, await randomFreePort())
    try {
      await until(() => {
        if (started.child.exitCode !== null) throw new Error(started.output())
        return started.output().includes('Ready')
      })
      const credentials = JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8'))
      return { ...started, dataDir, credentials }
    } catch (error) {
      interrupt(started)
      throw error
    }
  }

  beforeAll(async () => {
    folder = await dataFolder()
    copies.push(...(await Promise.all(['one', 'two'].map(startCopy))))
  })
  afterAll(async () => {
    for (const copy of copies) interrupt(copy)
    await Promise.all(copies.map(({ ended }) => ended))
    await rm(folder, { recursive: true, force: true })
  })

  const [one, two] = [() => copies[0]!, () => copies[1]!]

  /** Standard output of `npm run ...` against a copy. */
  async function npmRun({ dataDir }: Copy, ...words: string[]): Promise<string> {
    const env = { ...process.env, INSIGHTA_DATA_DIR: dataDir }
    return (await promisify(execFile)('npm', ['run', ...words], { cwd: root, env })).stdout
  }
  const keys = async (copy: Copy, ...words: string[]) => {
    const output = await npmRun(copy, 'keys', '--', ...words)
    return JSON.parse(output.slice(output.indexOf('{')))
  }
  const statusOf = async ({ credentials }: Copy, key = credentials.api_key) =>
    (await apiOf(credentials.url, key)('GET /api/me')).status

  test('npm start runs two copies side by side, each with keys of its own', async () => {
    expect([await statusOf(one()), await statusOf(two())]).toEqual([200, 200])
    expect(await statusOf(two(), one().credentials.api_key)).toBe(401)
    for (const copy of copies) {
      expect(copy.output()).toContain(copy.credentials.url)
      expect(copy.output()).toContain(copy.credentials.api_key)
    }
  })

  test('npm run keys makes, lists and revokes a key', async () => {
    const options = ['--role', 'analyst', '--team', 'reading', '--label', 'e2e']
    const { id, key } = await keys(one(), 'create', ...options)
    const { keys: listed } = await keys(one(), 'list', '--team', 'reading')
    expect(listed).toMatchObject([{ id, role: 'analyst', label: 'e2e', revoked_at: null }])
    expect(JSON.stringify(listed)).not.toContain(key)
    expect(await statusOf(two(), key)).toBe(401)
    expect((await keys(one(), 'revoke', id)).revoked_at).not.toBeNull()
    expect(await statusOf(one(), key)).toBe(401)
  })

  test('npm run demo finds in each copy the numbers that its file was written with', async () => {
    const outputs = await Promise.all(copies.map((copy) => npmRun(copy, 'demo', '--', '--rows', '3000')))
    for (const output of outputs) {
      expect(output).toContain('The numbers add up and are exactly what the file was written with')
    }
  })

  test('npm run demo brings other people each time, and the same ones by their seed', async () => {
    const again = await npmRun(one(), 'demo', '--', '--rows', '3000')
    expect(again).toMatch(/"inserted": [1-9]/)
    const [, seed = ''] = /--seed (\d+)/.exec(again) ?? []
    const same = await npmRun(one(), 'demo', '--', '--rows', '3000', '--seed', seed)
    expect(same).toMatch(/"inserted": 0,/)
    expect(same).toContain('The numbers add up.')
  })

  test('npm start on a port that is taken says so in one line and ends with 1', async () => {
    const dataDir = join(folder, 'three')
    const started = npmStart(dataDir, Number(new URL(one().credentials.url).port))
    expect(await started.ended).toEqual([1, null])
    const lines = started.output().split('\n')
    expect(lines.filter((line) => line.includes('is taken'))).toEqual([
      expect.stringMatching(/^Port \d+ of 127\.0\.0\.1 is taken: .*INSIGHTA_PORT/),
    ])
    expect(started.output()).not.toMatch(/\bat \S+ \(/)
  })

  test.runIf(linux)('Ctrl-C ends a copy with all of its processes, and no other', async () => {
    expect((await processesOf(one().dataDir)).length).toBeGreaterThan(5)
    interrupt(one())
    expect(await one().ended).toEqual([0, null])
    expect(one().output()).toMatch(/\nStopping\n$/)
    expect(await processesOf(one().dataDir)).toEqual([])
    expect(await statusOf(two())).toBe(200)
  })
})
