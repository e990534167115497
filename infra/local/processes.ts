import { execFile } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What `/proc/<pid>/stat` says behind the name, from the state on; undefined without such a process, or /proc. */
async function statOf(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The name of the program, in parentheses, may itself hold blanks and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** When a process began, in ticks since boot: with its number it names one process. `-` without /proc. */
export async function startOf(pid: number): Promise<string> {
  return (await statOf(pid))?.[19] ?? '-'
}

/**
 * Whether a process runs. One that has ended and waits for its parent to ask does not: if that is the first process
 * of a container, it may wait for ever.
 */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is another user's.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
  }
  const state = (await statOf(pid))?.[0] ?? (await psOf(pid, 'stat'))
  return !/^[ZX]/.test(state)
}

/** The words of a process's command line, by blanks; empty without such a process. */
export async function commandLine(pid: number): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
  } catch {
    return psOf(pid, 'command')
  }
}

function psOf(pid: number, column: string): Promise<string> {
  return run('ps', ['-o', `${column}=`, '-p', String(pid)]).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  )
}

/** Processes of a program whose working directory is the folder, or below it. */
export async function processesIn(folder: string, program: string): Promise<number[]> {
  const isInside = (path: string) => path === folder || path.startsWith(`${folder}/`)
  const pids = await readdir('/proc').catch(() => undefined)
  if (!pids) return processesInByLsof(isInside, program)
  const found: number[] = []
  for (const pid of pids.filter((name) => /^\d+$/.test(name)).map(Number)) {
    // Those of other users cannot be read, and are not ours.
    const directory = await readlink(`/proc/${pid}/cwd`).catch(() => '')
    if (!isInside(directory)) continue
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
    if (name.trim() === program) found.push(pid)
  }
  return found
}

/** Without /proc, as on macOS. https://lsof.readthedocs.io */
async function processesInByLsof(isInside: (path: string) => boolean, program: string): Promise<number[]> {
  // It ends with 1 if it finds nothing.
  const { stdout } = await run('lsof', ['-a', '-d', 'cwd', '-c', program, '-F', 'pn']).catch(() => ({
    stdout: '',
  }))
  const found: number[] = []
  let pid = 0
  for (const line of stdout.split('\n')) {
    if (line.startsWith('p')) pid = Number(line.slice(1))
    if (line.startsWith('n') && isInside(line.slice(1))) found.push(pid)
  }
  return found
}

/** Processes of a program whose command line holds a text. */
export async function processesNaming(text: string, program: string): Promise<number[]> {
  const pids = await readdir('/proc').catch(() => undefined)
  const isMeant = (line: string) => basename(line.split(' ', 1)[0]!) === program && line.includes(text)
  if (pids) {
    const found: number[] = []
    for (const pid of pids.filter((name) => /^\d+$/.test(name)).map(Number)) {
      if (isMeant(await commandLine(pid))) found.push(pid)
    }
    return found
  }
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,command='])
  return stdout
    .split('\n')
    .map((line) => /^ *(\d+) (.*)$/.exec(line))
    .filter((parts) => parts !== null && isMeant(parts[2]!))
    .map((parts) => Number(parts![1]))
}

/** Ends processes at once and waits until they have ended. */
export async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
  }
  for (const pid of pids) while (await isRunning(pid)) await wait(10)
}
