import { createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { people } from '../../clients/cli/people.ts'
import type { CompareOptions } from './compare.ts'
import { watchMemoryReports } from './memory.ts'
import { figure, surroundings, table, writeSection } from './report.ts'
import { restore } from './table.ts'

export type BigOptions = Omit<CompareOptions, 'rows' | 'rounds'> & { bytes: number }

/** Imports one file of about so many bytes, with three dirty rows in a hundred, and watches the memory. */
export async function bigFile(options: BigOptions): Promise<void> {
  const { cloud, base, folder, bytes, say } = options
  const file = join(folder, 'big.csv')
  const memory = await watchMemoryReports(cloud.logDir)
  try {
    await pipeline(Readable.from(upTo(bytes)), createWriteStream(file))
    const { size } = await stat(file)
    say(`a file of ${figure(size / 2 ** 20)} MiB is written`)
    const uploading = performance.now()
    const id = await cloud.api.upload(file, 'big.csv')
    const started = performance.now()
    let scanned: number | undefined
    let report = await cloud.api.report(id)
    while (!report.finished_at) {
      await wait(500)
      report = await cloud.api.report(id)
      if (report.state !== 'awaiting_upload' && report.state !== 'splitting') scanned ??= performance.now()
    }
    const ended = performance.now()
    if (report.state !== 'completed') throw new Error(`The import ended ${report.state}`)
    const seconds = (from: number, to = ended) => figure((to - from) / 1000, 1)
    const peak = async (name: string) => (await memory.peak(name)) ?? '?'
    await writeSection(
      options.out,
      'import-big',
      `## Import: a file of ${figure(size / 2 ** 20)} MiB

${figure(report.total_rows)} rows into a table of ${figure(base.rows)}: ${figure(report.inserted)} inserted,
${figure(report.skipped)} skipped.

${table(
  ['step', 's', 'peak memory, MiB'],
  [
    ['upload', seconds(uploading, started), ''],
    ['scan into slices (split)', seconds(started, scanned), await peak('split')],
    ['scan to report (insert)', seconds(scanned ?? started), await peak('insert')],
    ['joining the skipped rows (finish)', '', await peak('finish')],
  ],
)}

${await surroundings(cloud.sql)}`,
    )
  } finally {
    await rm(file, { force: true })
    await restore(cloud.sql, base)
  }
}

/** More rows than any file needs are asked for; whoever reads stops in time. */
function* upTo(bytes: number): Generator<Buffer> {
  let written = 0
  for (const chunk of people({ rows: 2 ** 31 - 1, seed: 1, dirtPerThousand: 30 }).chunks) {
    if (written >= bytes) return
    written += chunk.length
    yield chunk
  }
}
