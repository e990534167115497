import type { Sql } from '../platform/db.ts'
import type { Queue } from '../platform/queue.ts'
import { exactly, ObjectChangedError, type Storage } from '../platform/storage.ts'
import { headBytes } from '../platform/text/encoding.ts'
import { learntOf } from './learnt.ts'
import { lostUpload } from './lost-upload.ts'
import { openFile } from './open-file.ts'
import { failAwaited } from './recovery-store.ts'
import type { Failure } from './report.ts'
import { type Slice, Slicer, type sliceLimits, type Verdict } from './slices.ts'
import {
  failImport,
  findImport,
  finishSplitting,
  type ImportRow,
  pendingSlices,
  type SplitProgress,
  startSplitting,
  storeSlices,
} from './store.ts'
import { UnusableFileError } from './unusable-file.ts'

export type SplitContext = {
  sql: Sql
  storage: Storage
  slices: Queue
  finish: Queue
  /** This function's own queue: a scan that runs out of time sends itself a word to go on. */
  self: Queue
  remainingMs(): number
  limits?: typeof sliceLimits
}

export type SplitOutcome = 'sent' | 'continues' | 'failed' | 'ignored'

/**
 * Takes up an uploaded file: scans it once, stores its slices and sends them to the workers. Safe to be called
 * twice for the same file, at once or one after the other. `etag` is the uploaded object's, quotes optional;
 * without it a scan that has begun goes on, or the object is looked for.
 */
export async function splitImport(context: SplitContext, id: string, etag?: string): Promise<SplitOutcome> {
  const { sql } = context
  const tag = etag ? `"${etag.replaceAll('"', '')}"` : await unannouncedUpload(context, id)
  if (tag === 'failed') return 'failed'
  if (tag) await startSplitting(sql, id, tag)
  const row = await findImport(sql, id)
  if (!row) return 'ignored'
  if (row.state === 'inserting') return send(context, id)
  if (row.state !== 'splitting') return 'ignored'
  try {
    return await scan(context, row)
  } catch (error) {
    const failure = failureOf(error)
    if (!failure) throw error
    await failImport(sql, id, failure, error instanceof UnusableFileError ? error.learnt : undefined)
    return 'failed'
  }
}

/**
 * The ETag of an object whose event never came: the sweep saw it and sent a message without one. If it is gone since,
 * the import goes on waiting while its address takes another upload, and fails after that.
 */
async function unannouncedUpload(
  { sql, storage }: SplitContext,
  id: string,
): Promise<string | 'failed' | undefined> {
  const row = await findImport(sql, id)
  if (row?.state !== 'awaiting_upload') return undefined
  try {
    return (await storage.head(row.object_key)).etag
  } catch (error) {
    const failure = lostUpload(error)
    if (!failure) throw error
    return (await failAwaited(sql, id, failure)) ? 'failed' : undefined
  }
}

function failureOf(error: unknown): Failure | undefined {
  return error instanceof UnusableFileError ? error.failure : lostUpload(error)
}

async function scan(context: SplitContext, row: ImportRow): Promise<SplitOutcome> {
  const { storage } = context
  const { size, etag } = await storage.head(row.object_key)
  const ifMatch = row.etag ?? ''
  // An empty object is never read, and so never compared by S3.
  if (etag !== ifMatch) throw new ObjectChangedError()
  if (size === 0) return settle(context, row, null, [], nothing)
  const start = row.scan?.state.offset ?? 0
  const body = await storage.read(row.object_key, {
    ifMatch,
    // A scan that stopped exactly at the end has nothing left to ask for: an empty range is an error.
    ...(start > 0 && start < size && { range: { start } }),
  })
  try {
    return await scanChunks(context, row, start < size ? exactly(body, size - start) : [])
  } finally {
    body.destroy()
  }
}

/** What is learnt of a file without even a header: it is empty, or of blank lines. */
const nothing: { verdict: Verdict; progress?: SplitProgress } = {
  verdict: { encoding: 'utf-8', guessed: false, plausible: true },
}

async function scanChunks(
  context: SplitContext,
  row: ImportRow,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<SplitOutcome> {
  const { sql } = context
  // A fifth of the time is kept for storing what was found.
  const reserve = context.remainingMs() / 5
  let progress = row.scan
  const stored = progress?.state.offset ?? null
  let slicer = progress ? resume(progress, context) : undefined
  let head: Uint8Array = new Uint8Array(0)
  const begin = (): void => {
    progress = openFile(head, row.options) ?? null
    if (!progress) return
    slicer = resume(progress, context)
    slicer.push(head.subarray(progress.state.offset))
  }
  for await (const chunk of chunks) {
    if (!slicer) {
      head = Buffer.concat([head, chunk])
      if (head.length < headBytes) continue
      begin()
    } else slicer.push(chunk)
    if (!slicer || !progress || context.remainingMs() > reserve) continue
    const state = slicer.pause()
    if (!state) continue
    const now = { ...progress, state }
    if (await storeSlices(sql, row.id, stored, slicer.take(), now)) {
      await context.self.send([{ continue_import_id: row.id }])
      return 'continues'
    }
    return 'ignored'
  }
  if (!slicer) begin()
  if (!slicer || !progress) return settle(context, row, stored, [], nothing)
  slicer.finish()
  return settle(context, row, stored, slicer.take(), { verdict: slicer.verdict, progress })
}

function resume({ state, encoding, layout }: SplitProgress, { limits }: SplitContext): Slicer {
  return new Slicer(state, encoding, layout, limits)
}

async function settle(
  context: SplitContext,
  { id, options }: ImportRow,
  stored: number | null,
  slices: Slice[],
  { verdict, progress }: { verdict: Verdict; progress?: SplitProgress },
): Promise<SplitOutcome> {
  const learnt = learntOf(verdict, progress, options)
  const done = await finishSplitting(context.sql, id, stored, slices, learnt)
  return done ? send(context, id) : 'ignored'
}

async function send(context: SplitContext, id: string): Promise<SplitOutcome> {
  const pending = await pendingSlices(context.sql, id)
  if (pending.length === 0) await context.finish.send([{ import_id: id }])
  else await context.slices.send(pending.map((slice_no) => ({ import_id: id, slice_no })))
  return 'sent'
}
