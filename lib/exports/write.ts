import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import * as z from 'zod'
import type { Sql } from '../platform/db.ts'
import { InsightaError } from '../platform/errors.ts'
import { describeFailure } from '../platform/failures.ts'
import { logger } from '../platform/log.ts'
import { exportsPrefix } from '../platform/names.ts'
import { RetryLaterError } from '../platform/retry.ts'
import type { Storage } from '../platform/storage.ts'
import { beating, type Pulse, pulseFromEnvironment } from '../platform/work/heartbeat.ts'
import { giveUp } from '../platform/work/release.ts'
import { contentTypeOf, extensionOf, headOf, serialise } from './format.ts'
import { readSnapshot, type Snapshot } from './snapshot.ts'
import {
  claimExport,
  completeExport,
  type ExportRow,
  failAttempt,
  noteProgress,
  releaseExport,
} from './store.ts'

/** What the queue of exports carries. */
export const exportMessage = z.object({ export_id: z.uuid() })

export type WriteContext = {
  /** Two connections at the least: one reads, the other says how far it is. */
  sql: Sql
  storage: Storage
  remainingMs(): number
  /** Default: that of the environment. */
  pulse?: Pulse
}

export type WriteOutcome =
  | { outcome: 'completed'; rows: number; size: number }
  | { outcome: 'failed' | 'ignored' }

/** Thrown when another delivery has taken an export over. */
class ExportLostError extends InsightaError {
  constructor() {
    super('Another worker has taken the export over', { code: 'export_lost', status: 409 })
  }
}

/** Thrown when an export does not fit into one run of its function; the same would happen again. */
class ExportTimeoutError extends InsightaError {
  constructor() {
    super('The export could not be written in time: narrow its filter', {
      code: 'export_timeout',
      status: 500,
    })
  }
}

/** What of a file is written already. */
type Progress = { rows: number; size: number; version: number; lost: boolean }

/** Seconds between two progress updates, which are signs of life too. */
const updateSeconds = 5

/**
 * Writes the file of a queued export, of one snapshot of the data and in constant memory. One that follows a dead
 * worker begins again. Rejects if another attempt may succeed, and with RetryLaterError for the rest of the lease of
 * a worker that lives.
 */
export async function writeExport(context: WriteContext, id: string): Promise<WriteOutcome> {
  const { sql, pulse = pulseFromEnvironment() } = context
  const token = crypto.randomUUID()
  const claim = await claimExport(sql, id, token, pulse.lease)
  if (claim.claim === 'done') return { outcome: 'ignored' }
  if (claim.claim === 'busy') {
    throw new RetryLaterError('An export that another worker holds', claim.seconds, undefined, {
      exact: true,
    })
  }
  try {
    const written = await writeFile(context, claim.row, token, pulse)
    const completed = await completeExport(sql, id, token, written)
    if (!completed) throw new ExportLostError()
    return { outcome: 'completed', rows: written.rows, size: written.size }
  } catch (error) {
    if (error instanceof ExportLostError) return { outcome: 'ignored' }
    return endAttempt(context, id, token, error)
  }
}

async function endAttempt(
  { sql, remainingMs }: WriteContext,
  id: string,
  token: string,
  error: unknown,
): Promise<WriteOutcome> {
  const failure = describeFailure(error)
  const final = error instanceof ExportTimeoutError
  let again = false
  if (!final) {
    // Also if it cannot be given up: then the end of the lease gives it up.
    again = true
    await giveUp(async () => {
      again = await releaseExport(sql, id, token, failure)
    }, remainingMs)
  }
  if (again) throw error
  const code = final ? 'export_timeout' : 'export_failed'
  logger.error('Export failed', { error: error as Error })
  await failAttempt(sql, id, token, { code, message: failure.error })
  return { outcome: 'failed' }
}

async function writeFile(context: WriteContext, row: ExportRow, token: string, pulse: Pulse) {
  const { sql, storage } = context
  const { filter, sort_by: by, sort_order: order } = row
  // A key of this attempt's own: one that was taken for dead must not write over the file that is named.
  const key = `${exportsPrefix}${row.id}/${token}.${extensionOf(row)}`
  return readSnapshot(sql, { filter, sort: { by, order } }, async (snapshot) => {
    const progress: Progress = { rows: 0, size: 0, version: snapshot.version, lost: false }
    const heart = {
      name: 'A progress update',
      everySeconds: Math.min(updateSeconds, pulse.beat),
      async beat() {
        progress.lost = !(await noteProgress(sql, row.id, token, progress))
      },
    }
    await beating(heart, async () => {
      const text = lines(context, row, snapshot, progress)
      const bytes = row.compression === 'gzip' ? gzipped(text) : text
      await storage.write(key, Readable.from(counted(bytes, progress)), contentTypeOf(row))
    })
    return { key, ...progress }
  })
}

async function* gzipped(text: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gzip = createGzip()
  // An error of the text destroys the stream with itself, so that it is thrown here.
  pipeline(text, gzip, () => {})
  yield* gzip
}

async function* counted(bytes: AsyncIterable<Buffer>, progress: Progress): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    progress.size += chunk.length
    yield chunk
  }
}

async function* lines(
  { remainingMs }: WriteContext,
  { format, bom }: ExportRow,
  { batches }: Snapshot,
  progress: Progress,
): AsyncGenerator<Buffer> {
  // For the end of the upload and the last word about it.
  const reserve = remainingMs() / 20
  yield Buffer.from(headOf({ format, bom }))
  for await (const batch of batches) {
    if (progress.lost) throw new ExportLostError()
    if (remainingMs() < reserve) throw new ExportTimeoutError()
    progress.rows += batch.length
    yield Buffer.from(serialise(batch, format))
  }
}
