import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { startCloud } from '../../infra/local/cloud.ts'
import { masterPool } from '../bench/cloud.ts'
import { inFolder } from './folder.ts'
import { playHour } from './interview-hour.ts'
import { describeHourFault, planHour } from './interview-plan.ts'
import { randomFrom } from './random.ts'

const say = (line: string) => void process.stdout.write(`${line}\n`)

const between = (least: number, most: number) => (text: string) => {
  const number = Number(text)
  if (!/^\d{1,10}$/.test(text) || number < least || number > most) {
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
  return number
}

/** The command `test:faults interviews`; a violation is exit code 1. Linux only: it finds processes in /proc. */
export function interviewFaults(): Command {
  return new Command('interviews')
    .description('Interviews, while third parties refuse, hang and fail, and workers and PostgreSQL die')
    .option('--interviews <number>', 'how many', between(1, 500), 50)
    .option('--minutes <number>', 'how long things go wrong', between(1, 120), 6)
    .option('--seed <number>', 'the interviews and faults of this seed', between(1, 2 ** 31))
    .option('--keep', 'keep the data folder with its logs, as violations do')
    .action(runInterviewFaults)
}

type Flags = { interviews: number; minutes: number; seed?: number; keep?: true }

async function runInterviewFaults(flags: Flags): Promise<void> {
  const { interviews, minutes, seed = randomInt(1, 2 ** 31), keep } = flags
  const random = randomFrom(seed)
  const hour = planHour(random, interviews, minutes * 60_000)
  say(`seed ${seed}: ${interviews} interviews in ${minutes} minutes`)
  for (const fault of hour.faults) say(`  ${describeHourFault(fault)}`)
  const passed = await inFolder(keep ?? false, async (folder) => {
    const cloud = await startCloud({ dataDir: join(folder, 'data'), port: 0, context: { timeouts: 'short' } })
    const sql = masterPool(cloud.credentials.database_url)
    try {
      const { problems, seconds, retried } = await playHour({ cloud, sql, random, say }, hour)
      const verdict = problems.length === 0 ? 'ok' : `${problems.length} VIOLATIONS`
      say(`  ${seconds.toFixed(0)} s, ${retried} retried by the operator: ${verdict}`)
      for (const problem of problems.slice(0, 20)) say(`    ${problem}`)
      return problems.length === 0
    } finally {
      await sql.end({ timeout: 2 })
      await cloud.close()
    }
  })
  if (!passed) process.exitCode = 1
}
