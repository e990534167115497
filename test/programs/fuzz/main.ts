import { randomInt } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { startCloud } from '../../../infra/local/cloud.ts'
import type { Credentials } from '../../../infra/local/credentials.ts'
import { temporaryFolder } from '../../bench/cloud.ts'
import { fuzz, neverSucceeded, table } from './run.ts'
import { targetOf } from './target.ts'

const say = (line: string) => void process.stdout.write(`${line}\n`)

function whole(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

type Flags = { requests: number; seed?: number; credentials?: string; keep?: true }

const program = new Command('test:fuzz')
  .description(
    "Send requests made from the API's own description, and hold each response to it; a violation is exit code 1",
  )
  .option('--requests <number>', 'how many', whole, 20_000)
  .option('--seed <number>', 'the same requests again', whole)
  .option(
    '--credentials <file>',
    'of a local cloud that runs; without it one is started, and removed at the end',
  )
  .option('--keep', 'keep the data folder with its logs, as violations do')
  .action(run)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 2
}

async function run({ requests, seed = randomInt(1, 2 ** 31), credentials, keep }: Flags): Promise<void> {
  if (credentials !== undefined) {
    await report(JSON.parse(await readFile(credentials, 'utf8')), requests, seed)
    return
  }
  const folder = await temporaryFolder()
  let clean = false
  try {
    const cloud = await startCloud({ dataDir: join(folder, 'data'), port: 0 })
    try {
      clean = await report(cloud.credentials, requests, seed)
    } finally {
      await cloud.close()
    }
  } finally {
    if (keep || !clean) say(`Kept: ${folder}`)
    else await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Whether nothing was wrong. */
async function report(credentials: Credentials, requests: number, seed: number): Promise<boolean> {
  // Nothing but this machine is fuzzed, whatever file is named.
  if (new URL(credentials.url).hostname !== '127.0.0.1')
    throw new Error(`${credentials.url} is not on this machine`)
  say(`seed ${seed}, ${requests} requests`)
  const started = performance.now()
  const result = await fuzz(await targetOf(credentials), { requests, seed, say })
  say(table(result))
  say(`${requests} requests in ${Math.round((performance.now() - started) / 1000)} s, seed ${seed}`)
  const never = neverSucceeded(result)
  if (never.length > 0) say(`Never successful: ${never.join(', ')}`)
  const { violations } = result
  for (const { operation, problem, curl, times } of violations) {
    say(`\n${operation}, ${times} ${times === 1 ? 'time' : 'times'}: ${problem}\n  ${curl}`)
  }
  say(violations.length === 0 ? 'No violation' : `\n${violations.length} VIOLATIONS`)
  if (violations.length > 0) process.exitCode = 1
  return violations.length === 0
}
