import { readdir, readFile } from 'node:fs/promises'

/**
 * The processes of a function's execution environments on a local cloud of this process: children of it, told
 * by their variables. `nameEnd` is how the function's name ends, in lower case. Needs Linux.
 */
export async function environmentsOf(nameEnd: string): Promise<number[]> {
  const found: number[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    if (!new RegExp(`^PPid:\\s+${process.pid}$`, 'm').test(status)) continue
    const variables = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    const name = /(?:^|\0)AWS_LAMBDA_FUNCTION_NAME=([^\0]*)/.exec(variables)?.[1] ?? ''
    if (name.toLowerCase().endsWith(nameEnd)) found.push(Number(pid))
  }
  return found
}

export function killEnvironment(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It ended by itself in the meantime.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
