import { rm } from 'node:fs/promises'
import { temporaryFolder } from '../bench/cloud.ts'

/**
 * Runs with a folder of its own for a cloud's data. It is kept, and named, where that is asked for or `run` answers
 * false or throws; an interrupt removes it and ends the process.
 */
export async function inFolder(keep: boolean, run: (folder: string) => Promise<boolean>): Promise<boolean> {
  const folder = await temporaryFolder()
  const onSignal = () => {
    // What the cloud started ends with this process.
    void rm(folder, { recursive: true, force: true }).finally(() => process.exit(130))
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  let passed = false
  try {
    passed = await run(folder)
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    if (keep || !passed) process.stdout.write(`Kept: ${folder}\n`)
    else await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return passed
}
