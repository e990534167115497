import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { queriesBeside } from './beside.ts'
import { bigFile } from './big.ts'
import { openCloud } from './cloud.ts'
import { compare } from './compare.ts'
import { inRun, type Run, say, whole } from './run.ts'
import { sweep } from './sweep.ts'
import { prepareTable } from './table.ts'

type Part = 'compare' | 'queries' | 'sweep' | 'big'

type Flags = {
  rows?: number
  base?: number
  rounds?: number
  quick?: true
  dataDir?: string
  keep?: true
  sweep?: true
  sweepRows?: number
  big?: number
  only?: Part
  out: string
}

/** The command `bench import`: needs minutes and a machine that does nothing else. */
export function importBench(): Command {
  return new Command('import')
    .description('Import people into a large table, beside other ways to do so, and write docs/benchmarks.md')
    .option('--rows <number>', 'rows of each import (500,000)', whole)
    .option('--base <number>', 'rows that are in the table before (10,000,000)', whole)
    .option('--rounds <number>', 'how often each way runs (3)', whole)
    .option('--quick', 'small numbers, to see that it works: 20,000 rows into 50,000, one round')
    .option(
      '--data-dir <folder>',
      'keep the filled table here and use it again (default: a temporary folder)',
    )
    .option('--keep', 'keep the temporary folder')
    .option('--sweep', 'also vary the size of a slice and the number of workers')
    .option('--sweep-rows <number>', 'rows of each import of the sweep (100,000)', whole)
    .option('--big <bytes>', 'also import one file of so many bytes, 1073741824 say', whole)
    .addOption(new Option('--only <part>', 'one part alone').choices(['compare', 'queries', 'sweep', 'big']))
    .option('--out <folder>', 'where benchmarks.md and the chart are written', 'docs')
    .action((flags: Flags) => inRun(flags.keep === true, (run) => runImportBench(run, flags)))
}

async function runImportBench(run: Run, flags: Flags): Promise<void> {
  const { quick, only } = flags
  const base = flags.base ?? (quick ? 50_000 : 10_000_000)
  const rows = flags.rows ?? (quick ? 20_000 : 500_000)
  const rounds = flags.rounds ?? (quick ? 1 : 3)
  const bytes = flags.big ?? (only === 'big' ? 2 ** 30 : undefined)
  const wanted = (part: Part, asked: boolean) => (only === undefined ? asked : only === part)

  const { folder } = run
  const dataDir = flags.dataDir ? resolve(flags.dataDir) : `${folder}/data`
  const cloud = await openCloud(run, dataDir)
  try {
    const table = await prepareTable(cloud.sql, base, say)
    const common = { cloud, base: table, folder, out: flags.out, say }
    if (wanted('compare', true)) await compare({ ...common, rows, rounds })
    if (wanted('queries', true)) await queriesBeside({ ...common, rows, idleSeconds: quick ? 5 : 20 })
    if (wanted('big', bytes !== undefined)) await bigFile({ ...common, bytes: bytes ?? 2 ** 30 })
  } finally {
    await cloud.close()
  }
  if (wanted('sweep', flags.sweep === true)) {
    const sweepRows = flags.sweepRows ?? (quick ? 10_000 : 100_000)
    await sweep({ run, dataDir, base, rows: sweepRows, rounds, out: flags.out, say })
  }
  say(`The figures are in ${flags.out}/benchmarks.md`)
}
