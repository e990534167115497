import { randomInt } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import type { Report } from '../../lib/imports/report.ts'
import { type Api, createApi } from './api.ts'
import { localCredentials } from './credentials.ts'
import { interviewDemo } from './demo-interviews.ts'
import { type Expected, people } from './people.ts'
import { run } from './run.ts'

const write = (text: string) => void process.stdout.write(text)

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

const program = new Command('demo')
  .description('Upload invented people to the running local cloud, watch them land, and query them')
  .option('--rows <number>', 'rows of the file', whole, 500_000)
  .option('--seed <number>', 'the same people again: other seeds bring others (default: drawn)', whole)
  .option('--out <file>', 'only write the file, upload nothing')
  .action(async ({ rows, seed = randomInt(1, 1_000_000), out }) => {
    if (out) {
      await writeFile(out, rows, seed)
      return
    }
    const folder = await mkdtemp(join(tmpdir(), 'insighta-demo-'))
    try {
      await demo(join(folder, 'people.csv'), rows, seed)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

program
  .command('interviews')
  .description('Play a whole interview against the running local cloud, faults included')
  .action(interviewDemo)

async function writeFile(file: string, rows: number, seed: number): Promise<Expected> {
  const { chunks, expected } = people({ rows, seed, dirtPerThousand: 30 })
  await pipeline(Readable.from(chunks), createWriteStream(file))
  return expected
}

async function demo(file: string, rows: number, seed: number): Promise<void> {
  const { url, api_key } = await localCredentials()
  const api = createApi(url, api_key)
  write(`Writing ${rows.toLocaleString('en')} invented people (--seed ${seed}) ...\n`)
  const expected = await writeFile(file, rows, seed)
  write('Uploading by a presigned URL ...\n')
  const id = await api.upload(file, `people-${seed}.csv`)
  const started = performance.now()
  const report = await watch(api, id)
  const seconds = (performance.now() - started) / 1000
  write(`\n\nReport of import ${id}, ${seconds.toFixed(1)} s after the upload was accepted:\n`)
  write(`${JSON.stringify(report, null, 2)}\n\n`)
  compare(report, expected)
  await queries(api)
}

async function watch(api: Api, id: string): Promise<Report> {
  for (;;) {
    const report = await api.report(id)
    draw(report)
    if (report.finished_at) return report
    await setTimeout(200)
  }
}

function draw({ state, progress, total_rows, inserted, skipped }: Report): void {
  const { slices_done, slices_total } = progress
  const share = slices_total > 0 ? slices_done / slices_total : 0
  const bar = '█'.repeat(Math.round(share * 30)).padEnd(30, '░')
  const counts = `${total_rows} rows, ${inserted} inserted, ${skipped} skipped`
  // A terminal draws over the line; a file or a pipe gets the last state only.
  if (process.stdout.isTTY) write(`\r${bar} ${state}: ${counts}\u001b[K`)
  else if (state.startsWith('completed') || state === 'failed') write(`${bar} ${state}: ${counts}`)
}

/** Holds the report against what the generator wrote. Names that were there before count as duplicates. */
function compare(report: Report, expected: Expected): void {
  const sum = Object.values(report.reasons).reduce((a, b) => a + b, 0)
  const { duplicate_name: found = 0, ...others } = report.reasons
  const { duplicate_name: written = 0, ...wanted } = expected.reasons
  const sorted = (counts: object) => JSON.stringify(Object.entries(counts).sort())
  const problems = [
    report.state !== 'completed' && `the import ended ${report.state}`,
    sum !== report.skipped && 'the reasons do not sum to the skipped rows',
    report.inserted + report.skipped !== report.total_rows && 'inserted and skipped do not sum to the rows',
    report.total_rows !== expected.total_rows && `the file has ${expected.total_rows} rows`,
    sorted(others) !== sorted(wanted) && `the file was written with ${sorted(wanted)}`,
    report.inserted + found !== expected.inserted + written && 'rows were lost or invented',
  ].filter((problem) => problem !== false)
  if (problems.length > 0) throw new Error(`The report is wrong: ${problems.join('; ')}`)
  const fresh = report.inserted === expected.inserted
  write(`The numbers add up${fresh ? ' and are exactly what the file was written with' : ''}.\n\n`)
}

const questions = [
  '/api/profiles?gender=female&country_id=NG&min_age=20&max_age=45',
  '/api/profiles?age_group=senior&sort_by=age&order=desc',
  '/api/profiles?country_id=ke&page=100&limit=50',
  '/api/profiles?gender=male&sort_by=gender_probability&order=desc&min_gender_probability=0.9',
]

async function queries(api: Api): Promise<void> {
  for (const path of questions) {
    const fresh = await api.call<{ total: number }>('GET', path)
    const cached = await api.call<{ total: number }>('GET', path)
    const times = [fresh, cached].map(({ ms, headers }) => `${ms.toFixed(1)} ms (${headers.get('x-cache')})`)
    write(`GET ${path}\n  ${fresh.body.total.toLocaleString('en')} profiles, ${times.join(', then ')}\n`)
  }
}

await run(program)
