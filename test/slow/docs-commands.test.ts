import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomFreePort } from '../../infra/local/ports.ts'
import { assemblyFolder, dataFolder } from '../e2e/cloud.ts'
import { pageNames } from '../support/pages.ts'
import { shellBlocks } from '../support/shell-blocks.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const pages = new Map(
  await Promise.all(
    pageNames().map(async (page) => [page, await readFile(join(root, page), 'utf8')] as const),
  ),
)

/** Notes what every call of curl was told, since a page may throw that away: `<status> <url>`. */
const curlScript = (real: string, log: string) => `#!/bin/sh
"${real}" "$@" --write-out '%{stderr}%{http_code} %{url}\n' 2>"${log}.one"
code=$?
tail -n 1 "${log}.one" >>"${log}"
cat "${log}.one" >&2
exit $code
`

const long = process.env.LONG_BLOCKS === '1'

type Shell = { code: number | null; output: string }

let folder: string
let project: string
let port: number
let product: { child: ChildProcess; output(): string }

/** As written, but for what this machine shares with others: the port and the folder for temporary files. */
function here(commands: string): string {
  return commands.replaceAll('127.0.0.1:4000', `127.0.0.1:${port}`).replaceAll('/tmp/', `${folder}/tmp/`)
}

function start(commands: string, variables: Record<string, string> = {}) {
  const child = spawn('bash', ['-c', here(commands)], {
    cwd: project,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${folder}/bin:${process.env.PATH}`,
      TMPDIR: join(folder, 'tmp'),
      ...variables,
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  return { child, output: () => output }
}

async function shell(commands: string, limitMs: number): Promise<Shell> {
  const { child, output } = start(commands)
  const timer = globalThis.setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), limitMs)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  return { code, output: output() }
}

async function ready(started: { child: ChildProcess; output(): string }): Promise<void> {
  while (!started.output().includes('Ready after')) {
    if (started.child.exitCode !== null) throw new Error(started.output())
    await setTimeout(50)
  }
}

async function interrupt({ child }: { child: ChildProcess }): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  const closed = once(child, 'close')
  process.kill(-child.pid!, 'SIGINT')
  return ((await closed) as [number | null])[0]
}

/** Calls that failed, as `<status> <url>`, but for a refusal that a comment of the commands tells of: `# 409 if ...`. */
async function failedCalls(commands: string): Promise<string[]> {
  const told = new Set([...commands.matchAll(/#.*?\b(4\d\d)\b/g)].map(([, status]) => status))
  const log = await readFile(join(folder, 'curl.log'), 'utf8').catch(() => '')
  return log.split('\n').filter((line) => /^(000|[45]\d\d) /.test(line) && !told.has(line.slice(0, 3)))
}

beforeAll(async () => {
  folder = await dataFolder()
  project = join(folder, 'insighta')
  for (const part of ['bin', 'tmp']) await mkdir(join(folder, part))
  const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  })
  for (const file of stdout.split('\0').filter(Boolean)) await cp(join(root, file), join(project, file))
  await run('npm', ['ci', '--prefer-offline'], { cwd: project })
  await cp(assemblyFolder(), join(project, '.insighta/cdk.out'), { recursive: true })
  const curl = (await run('sh', ['-c', 'command -v curl'])).stdout.trim()
  await writeFile(join(folder, 'bin/curl'), curlScript(curl, join(folder, 'curl.log')), { mode: 0o755 })
  port = await randomFreePort()
  product = start('exec npm start', { INSIGHTA_PORT: String(port) })
  await ready(product)
})
afterAll(async () => {
  if (product) await interrupt(product)
  await rm(folder, { recursive: true, force: true })
})

describe.each([...pages.keys()])('the commands of %s', (page) => {
  const blocks = shellBlocks(page, pages.get(page)!)
  const plain = blocks.filter(({ kind }) => kind === '' || (kind === 'minutes' && long))
  const starts = blocks.filter(({ kind }) => kind === 'start')

  test.runIf(plain.length > 0)(
    'run in their order, and every call succeeds',
    { timeout: 1_800_000 },
    async () => {
      await rm(join(folder, 'curl.log'), { force: true })
      const script = plain.map(({ number, text }) => `echo "block ${number}"\n${text}`).join('\n')
      const { code, output } = await shell(`set -eo pipefail\n${script}`, 1_790_000)
      expect(code, output.slice(-4000)).toBe(0)
      expect(await failedCalls(script), output.slice(-4000)).toEqual([])
    },
  )

  const loops = plain.filter(({ text }) => /\b(until|while)\b/.test(text))
  test.runIf(loops.length > 0)('end if the API refuses them', async () => {
    for (const { number, text } of loops) {
      const before = plain.filter((block) => block.number < number).map((block) => block.text)
      const refused = [...before, 'KEY=wrong', text].join('\n')
      // Without -e, as in the reader's own shell.
      const { code, output } = await shell(refused, 60_000)
      expect(code, `block ${number}: ${output.slice(-2000)}`).not.toBeNull()
    }
  })

  test.runIf(starts.length > 0)('that start a cloud do, and Ctrl-C stops it', async () => {
    for (const { text } of starts) {
      // A port of its own, also where the page leaves it at the default.
      const own = {
        INSIGHTA_PORT: String(await randomFreePort()),
        INSIGHTA_DATA_DIR: join(folder, 'tmp/started'),
      }
      const started = start(text.replaceAll(/INSIGHTA_PORT=\d+ /g, ''), own)
      try {
        await ready(started)
      } finally {
        expect(await interrupt(started), started.output()).toBe(0)
      }
    }
  })
})
