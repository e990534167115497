import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { metricsNamespace } from '../../infra/stage.ts'
import { queues } from '../../lib/platform/names.ts'
import type { BenchCloud } from '../bench/cloud.ts'
import { writePeople } from '../bench/people-file.ts'
import { type ProcessorTime, readProcessorTime, usedSince } from './processor-time.ts'

/** What one import on a local cloud came to. Seconds, each from the one before: accepted, sent, worked off, reported. */
export type MeasuredImport = {
  slices: number
  /** From the accepted PUT to the finished report: the sum of the next three. */
  seconds: number
  splitSeconds: number
  insertSeconds: number
  finishSeconds: number
  /** Slices that waited at once, and the mean seconds that one waited. */
  peakBacklog: number
  meanWait: number
  /** Mean of the worker's own measure, its metric SliceDuration. */
  workerSeconds: number
  used: ProcessorTime
  /** Cores that other programs used meanwhile. */
  others: number
  fileBytes: number
  walBytes: number
}

const queueName = `insighta-local-${queues.importSlices}`

/** Imports so many invented people, and leaves them in the table. Throws where a row was not inserted. */
export async function measureImport(
  cloud: BenchCloud,
  folder: string,
  { rows, seed, write = writePeople }: { rows: number; seed: number; write?: typeof writePeople },
): Promise<MeasuredImport> {
  const file = join(folder, `simulation-${seed}.csv`)
  const fileBytes = await write(file, rows, seed)
  try {
    const before = await counters(cloud)
    const reading = await readProcessorTime()
    const id = await cloud.api.upload(file, 'people.csv')
    const accepted = Date.now()
    const backlog = watchBacklog(cloud)
    const reported = await finishedAt(cloud, id, rows).finally(() => backlog.stop())
    const { sentAt, emptyAt, peak, messageSeconds } = await backlog.stop()
    const used = await usedSince(reading)
    const after = await counters(cloud)
    const slices = after.slices - before.slices
    return {
      slices,
      seconds: (reported - accepted) / 1000,
      splitSeconds: (sentAt - accepted) / 1000,
      insertSeconds: (emptyAt - sentAt) / 1000,
      finishSeconds: (reported - emptyAt) / 1000,
      peakBacklog: peak,
      // Little's law: all the time that messages waited, over the messages.
      meanWait: messageSeconds / slices,
      workerSeconds: (after.sliceMs - before.sliceMs) / 1000 / slices,
      used,
      others: (after.machine - before.machine - sum(used.values())) / ((after.at - before.at) / 1000),
      fileBytes,
      walBytes: after.wal - before.wal,
    }
  } finally {
    await rm(file, { force: true })
  }
}

/** Waits until other programs leave the machine alone, and says so where they do not within half a minute. */
export async function waitForQuiet(say: (line: string) => void): Promise<void> {
  let others = 0
  for (const until = performance.now() + 30_000; performance.now() < until; ) {
    const [before, reading] = [await machineTime(), await readProcessorTime()]
    await wait(2000)
    others = (await machineTime()) - before - sum((await usedSince(reading)).values())
    if (others / 2 < 0.1) return
  }
  say(`Other programs use ${(others / 2).toFixed(1)} cores: what is measured now says little`)
}

/** Measures until no run was disturbed by more than `most`, thrice at the most; the run that was disturbed least. */
export async function leastDisturbed<Run>(
  measure: (nth: number) => Promise<Run>,
  disturbance: (run: Run) => number,
  most: number,
): Promise<Run> {
  const runs: Run[] = []
  do {
    runs.push(await measure(runs.length))
  } while (disturbance(runs.at(-1)!) > most && runs.length < 3)
  return runs.toSorted((a, b) => disturbance(a) - disturbance(b))[0]!
}

/** Unix milliseconds at which the import was reported. It asks the database, which costs less than the API. */
async function finishedAt({ sql }: BenchCloud, id: string, rows: number): Promise<number> {
  for (;;) {
    const [row] = await sql<{ state: string; finished_at: Date | null; inserted: number }[]>`
      select state, finished_at, (select sum(inserted)::float8 from import_slices where import_id = id) as inserted
      from imports where id = ${id}`
    if (row?.finished_at) {
      if (row.state === 'completed' && row.inserted === rows) return new Date(row.finished_at).getTime()
      throw new Error(`The import ended ${row.state} with ${row.inserted} of ${rows} rows`)
    }
    await wait(200)
  }
}

/** Core-seconds of all programs of the machine since it started, and what its host gave to others meanwhile. */
async function machineTime(): Promise<number> {
  const [user, nice, system, , , irq, softirq, stolen] = (await readFile('/proc/stat', 'utf8'))
    .split('\n')[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user! + nice! + system! + irq! + softirq! + stolen!) / 100
}

async function counters({ metrics, sql }: BenchCloud) {
  const total = (statistic: 'Sum' | 'SampleCount') =>
    sum(
      metrics
        .query({
          namespace: metricsNamespace('local'),
          metric: 'SliceDuration',
          dimensions: { service: 'insert' },
          statistic,
        })
        .map(({ value }) => value),
    )
  const [wal] = await sql<{ bytes: number }[]>`
    select (pg_current_wal_insert_lsn() - '0/0')::float8 as bytes`
  return {
    at: performance.now(),
    slices: total('SampleCount'),
    sliceMs: total('Sum'),
    wal: wal!.bytes,
    machine: await machineTime(),
  }
}

/** Looks into the queue of slices every few milliseconds until it is stopped. */
function watchBacklog({ sqs }: BenchCloud) {
  let stopped = false
  let [peak, messageSeconds, sentAt, emptyAt] = [0, 0, 0, 0]
  const watching = (async () => {
    for (let last = performance.now(); !stopped; await wait(10)) {
      const { ready, inFlight } = sqs.inspect(queueName) ?? { ready: [], inFlight: [] }
      const now = performance.now()
      messageSeconds += (ready.length * (now - last)) / 1000
      last = now
      peak = Math.max(peak, ready.length)
      if (ready.length + inFlight.length === 0) continue
      sentAt ||= Math.min(...[...ready, ...inFlight].map(({ sentTimestamp }) => sentTimestamp))
      emptyAt = Date.now()
    }
  })()
  return {
    async stop() {
      stopped = true
      await watching
      return { peak, messageSeconds, sentAt, emptyAt }
    },
  }
}

export function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
