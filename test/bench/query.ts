import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { barChart } from './chart.ts'
import { type BenchCloud, openCloud } from './cloud.ts'
import { cachedPages } from './query-cached.ts'
import { deepPages } from './query-deep.ts'
import { firstPages } from './query-first.ts'
import { loadHandler } from './query-handler.ts'
import { type MixOptions, mixOfQuestions } from './query-mix.ts'
import { goalTable, type PartResult } from './query-part.ts'
import { probabilityPages } from './query-probability.ts'
import { figure, surroundings, writeSection } from './report.ts'
import { inRun, type Run, say, whole } from './run.ts'
import { type BaseTable, prepareTable } from './table.ts'

const parts = {
  first: firstPages,
  probability: probabilityPages,
  cached: cachedPages,
  deep: deepPages,
  mix: mixOfQuestions,
} satisfies Record<string, (options: MixOptions) => Promise<PartResult>>
type Part = keyof typeof parts
const partNames = Object.keys(parts) as Part[]

type Flags = {
  rows?: number
  importRows?: number
  rounds?: number
  quick?: true
  dataDir?: string
  keep?: true
  only?: Part
  out: string
}

/** The command `bench query`: needs minutes and a machine that does nothing else. */
export function queryBench(): Command {
  return new Command('query')
    .description('Ask a large table, beside COUNT(*) and OFFSET, and write docs/benchmarks.md')
    .option('--rows <number>', 'rows of the table (10,000,000)', whole)
    .option('--import-rows <number>', 'rows of each import that runs beside the mix (500,000)', whole)
    .option('--rounds <number>', 'how often each question is asked (3)', whole)
    .option('--quick', 'small numbers, to see that it works: 50,000 rows, imports of 20,000, one round')
    .option(
      '--data-dir <folder>',
      'keep the filled table here and use it again (default: a temporary folder)',
    )
    .option('--keep', 'keep the temporary folder')
    .addOption(
      new Option('--only <part>', 'one part alone; its figures are printed and not written').choices(
        partNames,
      ),
    )
    .option('--out <folder>', 'where benchmarks.md and the chart are written', 'docs')
    .action((flags: Flags) => inRun(flags.keep === true, (run) => runQueryBench(run, flags)))
}

async function runQueryBench(run: Run, flags: Flags): Promise<void> {
  const { quick, only } = flags
  const dataDir = flags.dataDir ? resolve(flags.dataDir) : `${run.folder}/data`
  const cloud = await openCloud(run, dataDir)
  try {
    const base = await prepareTable(cloud.sql, flags.rows ?? (quick ? 50_000 : 10_000_000), say)
    const { database_url, api_key } = cloud.credentials
    const handler = await loadHandler(database_url, api_key)
    try {
      const results: PartResult[] = []
      for (const name of only ? [only] : partNames) {
        const started = performance.now()
        const result = await parts[name]({
          run,
          cloud,
          base,
          handler,
          rounds: flags.rounds ?? (quick ? 1 : 3),
          importRows: flags.importRows ?? (quick ? 20_000 : 500_000),
          idleSeconds: quick ? 5 : 20,
          say,
        })
        results.push(result)
        say(`${name} took ${figure((performance.now() - started) / 1000)} s`)
      }
      if (only) say(await textOf(results, cloud, base))
      else await publish(results, cloud, base, flags.out)
    } finally {
      await handler.close()
    }
  } finally {
    await cloud.close()
  }
}

async function textOf(results: readonly PartResult[], cloud: BenchCloud, base: BaseTable): Promise<string> {
  const goals = goalTable(results.flatMap((result) => result.goals))
  const details = results.map(({ text }) => text).join('\n\n')
  return `${goals}\n\nA table of ${figure(base.rows)}, all in one go on one database.\n\n${details}\n\n${await surroundings(cloud.sql)}`
}

/** Prints the figures, and writes them with their chart. */
async function publish(
  results: readonly PartResult[],
  cloud: BenchCloud,
  base: BaseTable,
  out: string,
): Promise<void> {
  const text = await textOf(results, cloud, base)
  say(text)
  const title = `Questions to a table of ${figure(base.rows)}`
  const chart = '![Milliseconds, here and by COUNT and OFFSET](query-bench.svg)'
  await writeSection(out, 'query', `## Queries\n\n${chart}\n\n${text}`)
  const bars = results.flatMap((result) => result.bars)
  await writeFile(join(out, 'query-bench.svg'), barChart(title, 'Milliseconds; less is better', 'ms', bars))
  say(`The figures are in ${out}/benchmarks.md`)
}
