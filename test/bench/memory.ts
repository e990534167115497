import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

const report = /^REPORT .*?Max Memory Used: (\d+) MB/gm

/**
 * Watches the logs of the functions. `peak(name)` answers the most memory (MiB, resident) that an environment
 * of the function has reported since; undefined where it has not run.
 */
export async function watchMemoryReports(logDir: string): Promise<{
  peak(functionName: string): Promise<number | undefined>
}> {
  const sizes = new Map<string, number>()
  for (const file of await readdir(logDir)) sizes.set(file, (await stat(join(logDir, file))).size)
  return {
    async peak(functionName) {
      let peak: number | undefined
      for (const file of await readdir(logDir)) {
        if (!file.toLowerCase().includes(`imports-${functionName}`)) continue
        const content = await readFile(join(logDir, file))
        const known = sizes.get(file) ?? 0
        // A log that shrank has begun anew.
        const text = content.subarray(known <= content.length ? known : 0).toString()
        for (const [, megabytes] of text.matchAll(report)) peak = Math.max(peak ?? 0, Number(megabytes))
      }
      return peak
    },
  }
}
