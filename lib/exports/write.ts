import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import * as z from 'zod'
import { databaseUnavailable, type Sql } from '../platform/db.ts'
import { InsightaError } from '../platform/errors.ts'
import { describeFailure } from '../platform/failures.ts'
import { logger } from '../platform/log.ts'
import { exportsPrefix } from '../platform/names.ts'
import type { Storage } from '../platform/storage.ts'
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
  /** Milliseconds between two words about the progress (default 5,000). */
  beatEvery?: number
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

/**
 * Writes the file of a queued export, of one snapshot of the data and in constant memory. A delivery beside one
 * that lives does nothing; one that follows a dead one begins anew. Rejects where another attempt may succeed.
 */
export async function writeExport(context: WriteContext, id: string): Promise<WriteOutcome> {
  const token = crypto.randomUUID()
  const row = await claimExport(context.sql, id, token)
  if (!row) return { outcome: 'ignored' }
  try {
    const written = await writeFile(context, row, token)
    const completed = await completeExport(context.sql, id, token, written)
    if (!completed) throw new ExportLostError()
    return { outcome: 'completed', rows: written.rows, size: written.size }
  } catch (error) {
    if (error instanceof ExportLostError) return { outcome: 'ignored' }
    // Its pool is of no more use. The silence of this attempt tells the sweep as much.
    if (databaseUnavailable(error)) throw error
    return endAttempt(context.sql, id, token, error)
  }
}

async function endAttempt(sql: Sql, id: string, token: string, error: unknown): Promise<WriteOutcome> {
  const failure = describeFailure(error)
  const final = error instanceof ExportTimeoutError
  if (!final && (await releaseExport(sql, id, token, failure))) throw error
  const code = final ? 'export_timeout' : 'export_failed'
  logger.error('Export failed', { error: error as Error })
  await failAttempt(sql, id, token, { code, message: failure.error })
  return { outcome: 'failed' }
}

async function writeFile(context: WriteContext, row: ExportRow, token: string) {
  const { sql, storage, beatEvery = 5000 } = context
  const { filter, sort_by: by, sort_order: order } = row
  // A key of this attempt's own: one that was taken for dead must not write over the file that is named.
  const key = `${exportsPrefix}${row.id}/${token}.${extensionOf(row)}`
  return readSnapshot(sql, { filter, sort: { by, order } }, async (snapshot) => {
    const progress: Progress = { rows: 0, size: 0, version: snapshot.version, lost: false }
    const beat = setInterval(() => void sayProgress(sql, row.id, token, progress), beatEvery)
    try {
      const text = lines(context, row, snapshot, progress)
      const bytes = row.compression === 'gzip' ? gzipped(text) : text
      await storage.write(key, Readable.from(counted(bytes, progress)), contentTypeOf(row))
    } finally {
      clearInterval(beat)
    }
    return { key, ...progress }
  })
}

/** A word that cannot be said is left out: the next one comes soon. */
async function sayProgress(sql: Sql, id: string, token: string, progress: Progress): Promise<void> {
  try {
    progress.lost = !(await noteProgress(sql, id, token, progress))
  } catch (error) {
    logger.warn('Progress could not be noted', { code: describeFailure(error).error })
  }
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
