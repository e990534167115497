import { rm } from 'node:fs/promises'
import { InvalidArgumentError } from 'commander'
import { temporaryFolder } from './cloud.ts'

export const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** A whole number above 0, for an option of a command. */
export function whole(text: string): number {
  if (!/^\d{1,12}$/.test(text) || Number(text) === 0) {
    throw new InvalidArgumentError('It must be a whole number above 0.')
  }
  return Number(text)
}

/** One run of a bench: its folder, and how it ends where Ctrl-C ends it. */
export type Run = {
  folder: string
  /** Aborted by Ctrl-C. */
  stopped: AbortSignal
  /** Called at Ctrl-C, the last one first, before the folder goes. It must wait for what writes there. */
  onStop(close: () => Promise<unknown>): void
}

/** Runs in a temporary folder that is removed at the end, also at that by Ctrl-C, unless `keep` is set. */
export async function inRun(keep: boolean, work: (run: Run) => Promise<void>): Promise<void> {
  const folder = await temporaryFolder()
  const closers: (() => Promise<unknown>)[] = []
  const stopping = new AbortController()
  let stop: Promise<never> | undefined
  const leave = async () => {
    if (keep) say(`Kept: ${folder}`)
    else await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
  const end = async (): Promise<never> => {
    // What is cut off in the middle of its work may fail anywhere.
    process.on('uncaughtException', () => {})
    stopping.abort(new Error('stopped'))
    for (const close of closers.reverse()) await close().catch(() => {})
    await leave().catch(() => {})
    process.exit(130)
  }
  const onSignal = () => {
    stop ??= end()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  try {
    await work({ folder, stopped: stopping.signal, onStop: (close) => void closers.push(close) })
  } catch (error) {
    await stop
    throw error
  } finally {
    await stop
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    await leave()
  }
}
