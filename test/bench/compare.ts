import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { barChart } from './chart.ts'
import type { BenchCloud } from './cloud.ts'
import { type Contender, contenders, isOneSession, oursName } from './contenders.ts'
import { watchMemoryReports } from './memory.ts'
import { writePeople } from './people-file.ts'
import { figure, surroundings, table, writeSection } from './report.ts'
import { median } from './statistics.ts'
import { type BaseTable, restore } from './table.ts'

export type CompareOptions = {
  cloud: BenchCloud
  base: BaseTable
  /** Where the files to import are written. */
  folder: string
  rows: number
  rounds: number
  /** Where the figures go. */
  out: string
  say(line: string): void
}

type Result = { contender: Contender; seconds: number[]; uploads: number[] }

/** Every contender imports as many new people into the same table, in turns. Writes table and chart. */
export async function compare(options: CompareOptions): Promise<void> {
  const { cloud, base, rows, rounds, say } = options
  const all = await contenders(cloud, say)
  const results = all.map((contender): Result => ({ contender, seconds: [], uploads: [] }))
  const memory = await watchMemoryReports(cloud.logDir)
  let seed = 1
  // Pages of the indexes that one import has split stay so when its rows are taken out: without this round the
  // first contender would pay for all. It also starts the functions.
  await one(options, all[0]!, seed++)
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another one.
    for (let turn = 0; turn < results.length; turn++) {
      const { contender, seconds, uploads } = results[(round + turn) % results.length]!
      const ran = await one(options, contender, seed++)
      seconds.push(ran.seconds)
      if (ran.uploadSeconds !== undefined) uploads.push(ran.uploadSeconds)
      say(`round ${round + 1}: ${contender.name} ${ran.seconds.toFixed(2)} s`)
    }
  }
  const peaks: string[] = []
  for (const name of ['split', 'insert', 'finish']) {
    peaks.push(`${name} ${(await memory.peak(name)) ?? '?'} MiB`)
  }
  const sessions = results.filter(({ contender }) => isOneSession(contender))
  const reference = Math.min(...sessions.map(({ seconds }) => median(seconds)))
  const sorted = results.toSorted((a, b) => median(a.seconds) - median(b.seconds))
  const lines = sorted.map(({ contender, seconds }) => [
    contender.name,
    figure(median(seconds), 2),
    figure(rows / median(seconds)),
    figure(median(seconds) / reference, 2),
    seconds.map((value) => figure(value, 2)).join(', '),
  ])
  const title = `${figure(rows)} people into a table of ${figure(base.rows)}`
  await writeSection(
    options.out,
    'import',
    `## Import: ${title}

![${title}, seconds](import-bench.svg)

${table(['way', 'median s', 'rows/s', 'ratio', `s of ${rounds} rounds`], lines)}

The ratio is to the quicker of the sessions with COPY. All ran in one go on one database with the same indexes,
in rotating order, each with a file of new names; between two of them the imported rows were taken out, the
table vacuumed, the indexes read once and a checkpoint made. The upload before the accepted PUT is not counted:
${figure(median(results.flatMap(({ uploads }) => uploads)), 2)} s in the median. Memory of our functions at the most, whole process: ${peaks.join(', ')}.

${results.map(({ contender }) => `- **${contender.name}**: ${contender.what}.`).join('\n')}

${await surroundings(cloud.sql)}`,
  )
  const bars = results.map(({ contender, seconds }) => {
    return { name: contender.name, value: median(seconds), ours: contender.name === oursName }
  })
  await writeFile(
    join(options.out, 'import-bench.svg'),
    barChart(title, `Seconds, median of ${rounds} rounds; less is better`, 's', bars),
  )
}

/** One contender from the same table as all; leaves it as it was. Throws where rows were lost. */
async function one({ cloud, base, folder, rows }: CompareOptions, contender: Contender, seed: number) {
  const file = join(folder, `people-${seed}.csv`)
  await writePeople(file, rows, seed)
  try {
    await cloud.sql`checkpoint`
    const ran = await contender.run(file)
    if (ran.inserted !== rows) throw new Error(`${contender.name} inserted ${ran.inserted} of ${rows} rows`)
    return ran
  } finally {
    await rm(file, { force: true })
    await restore(cloud.sql, base)
  }
}
