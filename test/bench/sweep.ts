import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openCloud, type Settings } from './cloud.ts'
import { finished } from './contenders.ts'
import { watchMemoryReports } from './memory.ts'
import { writePeople } from './people-file.ts'
import { figure, surroundings, table, writeSection } from './report.ts'
import type { Run } from './run.ts'
import { median } from './statistics.ts'
import { prepareTable, restore } from './table.ts'

export type SweepOptions = {
  run: Run
  dataDir: string
  base: number
  rows: number
  rounds: number
  out: string
  say(line: string): void
}

const sliceSizes = [1000, 2500, 5000, 10_000, 20_000, 50_000]
const workerCounts = [1, 2, 3, 4, 6, 8]

type Measured = { seconds: number[]; insertMb: number | undefined; facts: string }

/** The same import with other sizes of a slice, then with other numbers of workers. */
export async function sweep(options: SweepOptions): Promise<void> {
  const { base, rows, rounds, out } = options
  const slices = await measureAll(options, sliceSizes, (sliceRecords) => ({ sliceRecords }))
  const workers = await measureAll(options, workerCounts, (insertWorkers) => ({ insertWorkers }))
  const lines = (measured: Map<number, Measured>) =>
    [...measured].map(([value, { seconds, insertMb }]) => [
      figure(value),
      figure(median(seconds), 2),
      figure(rows / median(seconds)),
      insertMb ?? '?',
    ])
  const head = ['median s', 'rows/s', 'insert, MiB']
  await writeSection(
    out,
    'import-sweep',
    `## Import: size of a slice and number of workers

${figure(rows)} people into a table of ${figure(base)}, ${rounds} rounds each, one local cloud after the other.

${table(['records of a slice', ...head], lines(slices))}

${table(['insert workers', ...head], lines(workers))}

${[...workers.values()][0]!.facts}`,
  )
}

async function measureAll(
  options: SweepOptions,
  values: readonly number[],
  settingsOf: (value: number) => Settings,
): Promise<Map<number, Measured>> {
  const measured = new Map<number, Measured>()
  for (const value of values) {
    const settings = settingsOf(value)
    const result = await measure(options, settings)
    measured.set(value, result)
    options.say(`${JSON.stringify(settings)}: ${result.seconds.map((s) => s.toFixed(2)).join(', ')} s`)
  }
  return measured
}

async function measure(options: SweepOptions, settings: Settings): Promise<Measured> {
  const { run, dataDir, rows, rounds } = options
  const cloud = await openCloud(run, dataDir, settings)
  try {
    const base = await prepareTable(cloud.sql, options.base, () => {})
    const memory = await watchMemoryReports(cloud.logDir)
    const seconds: number[] = []
    // The first starts the functions and is not counted.
    for (let round = 0; round <= rounds; round++) {
      const file = join(run.folder, `sweep-${round}.csv`)
      try {
        await writePeople(file, rows, 201 + round)
        const id = await cloud.api.upload(file, 'people.csv')
        const started = performance.now()
        const { inserted } = await finished(cloud.api, id)
        if (round > 0) seconds.push((performance.now() - started) / 1000)
        if (inserted !== rows) throw new Error(`The import inserted ${inserted} of ${rows} rows`)
      } finally {
        await rm(file, { force: true })
        await restore(cloud.sql, base)
      }
    }
    return { seconds, insertMb: await memory.peak('insert'), facts: await surroundings(cloud.sql) }
  } finally {
    await cloud.close()
  }
}
