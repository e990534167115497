import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { randomFreePort } from '../../../infra/local/ports.ts'
import { plainUser, type Workshop } from './workshop.ts'

/** Versions as npm understands them: `20` is the newest of its line. */
export type Combination = {
  node: string
  npm: string
  /** `ignore-scripts=true` in the user's own settings. */
  noScripts?: boolean
  /** Default: as a user who is not, where this process may change to one. */
  asRoot?: boolean
}

export type Result = {
  combination: Combination
  node: string
  npm: string
  /** What was not as it should be, with the end of the output. */
  faults: string[]
  engineWarnings: number
  /** The version that the product itself ran on. */
  runs?: string | undefined
  /** Milliseconds. */
  installMs?: number
  /** Milliseconds from `npm start` to its word that it is ready, of the first start: nothing is synthesised yet. */
  readyMs?: number
  /** Checks that passed, such as `5 of 5`. */
  smoke?: string
  tests?: string
}

export function describeCombination({ node, npm, noScripts, asRoot }: Combination): string {
  return `${node} / ${npm}${noScripts ? ', `ignore-scripts=true`' : ''}${asRoot ? ', as root' : ''}`
}

const minutes = 60_000

/** `npm ci`, `npm start`, `npm run smoke` and Ctrl-C, and `npm test` if asked, in a clean copy of the project. */
export async function runCombination(
  workshop: Workshop,
  combination: Combination,
  { tests }: { tests: boolean },
): Promise<Result> {
  const programs = await workshop.programs(combination.node, combination.npm)
  const owner = process.getuid?.() === 0 && !combination.asRoot ? plainUser : undefined
  const name = `${programs.node}-${programs.npm}`
  const { project, home } = await workshop.copy(name, owner)
  if (combination.noScripts) await writeFile(join(home, '.npmrc'), 'ignore-scripts=true\n')
  const result: Result = {
    combination,
    node: programs.node,
    npm: programs.npm,
    faults: [],
    engineWarnings: 0,
  }
  const env = environment(workshop.path(programs.bin), home)
  const npm = (...words: string[]) => start(words, { cwd: project, env, ...owner })
  try {
    const begun = performance.now()
    const installed = await ended(npm('ci'), 10 * minutes)
    if (installed.code !== 0)
      throw new Error(`npm ci ended with ${installed.code}:\n${end(installed.output)}`)
    result.installMs = performance.now() - begun
    result.engineWarnings = installed.output.match(/EBADENGINE Unsupported engine/g)?.length ?? 0
    checkWarnings(installed.output, result)
    await tryProduct(npm, project, result)
    if (tests) {
      const run = await ended(npm('test'), 30 * minutes)
      result.tests = /Tests\s+(.*)/.exec(plain(run.output))?.[1]?.trim() ?? `exit ${run.code}`
      if (run.code !== 0) result.faults.push(`npm test ended with ${run.code}:\n${end(run.output, 60)}`)
    }
  } catch (error) {
    result.faults.push(error instanceof Error ? error.message : String(error))
  } finally {
    await rm(join(workshop.folder, name), { recursive: true, force: true })
  }
  return result
}

/** Only what the registry and its certificates need is taken over. */
function environment(path: string, home: string): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(npm_config_(registry|cafile|.*proxy)|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|LANG)$/i.test(
      name,
    ),
  )
  return {
    ...(Object.fromEntries(kept) as Record<string, string>),
    PATH: path,
    HOME: home,
    TMPDIR: home,
    CI: '1',
  }
}

/** Nothing may ask a newcomer to do something, and from Node 22 on every package must fit. */
function checkWarnings(output: string, result: Result): void {
  const warnings = plain(output)
    .split('\n')
    .filter((line) => /^npm (warn|notice)/i.test(line))
    .filter((line) => !/EBADENGINE/.test(line) || Number.parseInt(result.node, 10) >= 22)
  if (warnings.length > 0) result.faults.push(`npm ci said:\n${warnings.join('\n')}`)
}

async function tryProduct(
  npm: (...words: string[]) => Started,
  project: string,
  result: Result,
): Promise<void> {
  const dataDir = join(project, '.insighta')
  const begun = performance.now()
  const port = await randomFreePort()
  const product = npm('start', `INSIGHTA_PORT=${port}`)
  try {
    while (!product.output().includes('Ready after')) {
      if (product.child.exitCode !== null || performance.now() - begun > 3 * minutes) {
        throw new Error(`npm start did not become ready:\n${end(product.output())}`)
      }
      await setTimeout(20)
    }
    result.readyMs = performance.now() - begun
    result.runs = await nodeOf(product.child.pid!)
    const smoke = await ended(npm('run', 'smoke'), 2 * minutes)
    const passed = smoke.output.match(/^ok /gm)?.length ?? 0
    result.smoke = `${passed} of ${smoke.output.match(/^(ok|FAILED|failed) /gm)?.length ?? 0}`
    if (smoke.code !== 0) throw new Error(`npm run smoke ended with ${smoke.code}:\n${end(smoke.output)}`)
  } finally {
    if (product.child.exitCode === null) process.kill(-product.child.pid!, 'SIGINT')
    await product.ended
  }
  if (product.child.exitCode !== 0) result.faults.push(`npm start ended with ${product.child.exitCode}`)
  const left = await processesIn(dataDir)
  if (left.length > 0) result.faults.push(`Ctrl-C left processes: ${left.join(', ')}`)
}

type Started = { child: ChildProcess; output(): string; ended: Promise<unknown> }

function start(
  words: string[],
  { env, ...options }: { cwd: string; env: Record<string, string>; uid?: number; gid?: number },
): Started {
  // A word like A=b is a variable, as a shell has it in front of the command.
  const variables = Object.fromEntries(
    words.filter((word) => /^[A-Z_]+=/.test(word)).map((word) => word.split('=')),
  )
  const child = spawn(
    'npm',
    words.filter((word) => !/^[A-Z_]+=/.test(word)),
    {
      ...options,
      env: { ...env, ...variables },
      // A group of its own, as a shell has it, so that Ctrl-C can be sent to all of it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  return { child, output: () => output, ended: once(child, 'close') }
}

async function ended(started: Started, limitMs: number): Promise<{ code: number | null; output: string }> {
  const timer = AbortSignal.timeout(limitMs)
  const kill = () => process.kill(-started.child.pid!, 'SIGKILL')
  timer.addEventListener('abort', kill)
  await started.ended
  timer.removeEventListener('abort', kill)
  return { code: started.child.exitCode, output: started.output() }
}

/** The Node that runs the product below npm, by the program file of its process. */
async function nodeOf(npmPid: number): Promise<string | undefined> {
  for (const pid of await readdir('/proc')) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    // The fifth field is the process group; the second, in brackets, may hold blanks.
    const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2])
    if (group !== npmPid || !command.includes('infra/local/start.ts')) continue
    const program = await readlink(`/proc/${pid}/exe`).catch(() => undefined)
    if (program?.endsWith('/node')) {
      return program.includes('/node_modules/node-') ? 'the locked Node 24' : 'the machine’s own'
    }
  }
  return undefined
}

async function processesIn(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (pid !== String(process.pid) && `${command}${environ}`.includes(folder)) found.push(pid)
  }
  return found
}

function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape that begins a colour
  return text.replaceAll(/\u001b\[[0-9;]*m/g, '')
}

function end(text: string, lines = 15): string {
  return plain(text).trimEnd().split('\n').slice(-lines).join('\n')
}
