import { readdir, readFile } from 'node:fs/promises'

/** Core-seconds by who used them: `database` is its sessions, `upkeep` its other processes, `cloud` this process. */
export type ProcessorTime = ReadonlyMap<string, number>
/** What each process has used until now, by its id. */
export type ProcessorReading = ReadonlyMap<number, { owner: string; seconds: number }>

/** Of `getconf CLK_TCK`, which is 100 wherever Linux runs Node. */
const ticksPerSecond = 100

/** What this process and those that it started have used until now; a function has its own name. Needs Linux. */
export async function readProcessorTime(): Promise<ProcessorReading> {
  const processes = new Map<number, { parent: number; seconds: number }>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readGone(`/proc/${name}/stat`)
    // The name of the program stands in brackets and may hold blanks.
    const [, parent, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (parent === undefined) continue
    const ticks = Number(fields[9]) + Number(fields[10])
    processes.set(Number(name), { parent: Number(parent), seconds: ticks / ticksPerSecond })
  }
  const readings = new Map<number, { owner: string; seconds: number }>()
  for (const [id, { seconds }] of processes) {
    if (descends(processes, id)) readings.set(id, { owner: await ownerOf(id), seconds })
  }
  return readings
}

/** What was used since the reading, less what processes used that have ended since. */
export async function usedSince(from: ProcessorReading): Promise<ProcessorTime> {
  const used = new Map<string, number>()
  for (const [id, { owner, seconds }] of await readProcessorTime()) {
    used.set(owner, (used.get(owner) ?? 0) + seconds - (from.get(id)?.seconds ?? 0))
  }
  return used
}

function descends(processes: ReadonlyMap<number, { parent: number }>, id: number): boolean {
  for (let at: number | undefined = id; at !== undefined; at = processes.get(at)?.parent) {
    if (at === process.pid) return true
  }
  return false
}

async function ownerOf(id: number): Promise<string> {
  if (id === process.pid) return 'cloud'
  const command = await readGone(`/proc/${id}/cmdline`)
  // A session says whose it is and where it came from: "postgres: insighta_app insighta 127.0.0.1(41234) idle".
  if (/^postgres: \S+ \S+ [\d.]+\(\d+\)/.test(command)) return 'database'
  if (/postgres/.test(command) && !/aws-lambda-ric/.test(command)) return 'upkeep'
  const environment = await readGone(`/proc/${id}/environ`)
  return /(?:^|\0)POWERTOOLS_SERVICE_NAME=([^\0]+)/.exec(environment)?.[1] ?? 'other'
}

/** The file's text; empty where the process has just ended. */
async function readGone(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return ''
    throw error
  })
}
