import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { type Api, createApi } from '../../clients/cli/api.ts'
import { startCloud } from '../../infra/local/cloud.ts'
import { masterPool } from '../bench/cloud.ts'
import { makeFiles } from './files.ts'
import { inFolder } from './folder.ts'
import { createInjector } from './inject.ts'
import { describeFault, planFaults } from './plan.ts'
import { randomFrom } from './random.ts'
import { type Round, runRound } from './round.ts'

const say = (line: string) => void process.stdout.write(`${line}\n`)

/** Slices of a thousand rows: some forty in a round, for faults to fall between. */
const context = { timeouts: 'short', sliceRecords: '1000', insertWorkers: '4' }

function whole(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

/** The command `test:faults import`; a violation is exit code 1. Linux only: it finds processes in /proc. */
export function importFaults(): Command {
  return new Command('import')
    .description(
      'Three imports at once, while workers are killed, messages repeated, and S3 and PostgreSQL fail',
    )
    .option('--seeds <number>', 'rounds, each with a seed of its own', whole, 10)
    .option('--seed <number>', 'the files and faults of this seed, once', whole)
    .option('--deadly <number>', 'faults at the most that let deliveries fail', whole, 2)
    .option('--keep', 'keep the data folder with its logs, as violations do')
    .action(runImportFaults)
}

type Flags = { seeds: number; seed?: number; deadly: number; keep?: true }

async function runImportFaults({ seeds, seed, deadly, keep }: Flags): Promise<void> {
  await inFolder(keep ?? false, async (folder) => {
    const failed = await rounds(folder, seed === undefined ? draw(seeds) : [seed], Math.max(1, deadly))
    if (failed.length === 0) return true
    say(`Violations with seeds ${failed.join(', ')}; --seed repeats one`)
    process.exitCode = 1
    return false
  })
}

const draw = (count: number) => Array.from({ length: count }, () => randomInt(1, 2 ** 31))

/** Answers the seeds that had violations. */
async function rounds(folder: string, seeds: readonly number[], deadly: number): Promise<number[]> {
  const cloud = await startCloud({ dataDir: join(folder, 'data'), port: 0, context })
  const sql = masterPool(cloud.credentials.database_url)
  const injector = createInjector(cloud, sql)
  const api = createApi(cloud.url, cloud.credentials.api_key)
  const failed: number[] = []
  try {
    await warmUp(api, folder)
    for (const seed of seeds) {
      const random = randomFrom(seed)
      const files = makeFiles(seed, random)
      const faults = planFaults(random, deadly)
      say(
        `seed ${seed}: ${files.map(({ rows }) => rows).join(' + ')} rows; ${faults.map(describeFault).join('; ')}`,
      )
      const round: Round = { cloud, sql, api, injector, folder, files, faults, random }
      const { problems, seconds, retries } = await runRound(round)
      const verdict = problems.length === 0 ? 'ok' : `${problems.length} VIOLATIONS`
      say(`  ${seconds.toFixed(1)} s, ${retries} retries: ${verdict}`)
      for (const problem of problems.slice(0, 10)) say(`    ${problem}`)
      if (problems.length > 0) failed.push(seed)
    }
  } finally {
    injector.close()
    await sql.end({ timeout: 2 })
    await cloud.close()
  }
  return failed
}

/** Starts the functions, so that the first faults find somebody at work. */
async function warmUp(api: Api, folder: string): Promise<void> {
  const file = join(folder, 'first.csv')
  await writeFile(file, 'name,gender,age,country_id\nNobody Else,male,30,NG\n')
  const id = await api.upload(file, 'first.csv')
  for (let report = await api.report(id); !report.finished_at; ) report = await api.report(id)
}
