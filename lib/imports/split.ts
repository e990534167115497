import type { Sql } from '../platform/db.ts'
import { InsightaError, isInsightaError } from '../platform/errors.ts'
import type { Queue } from '../platform/queue.ts'
import { exactly, type Storage } from '../platform/storage.ts'
import { RecordScanner } from './boundaries.ts'
import { type Encoding, headBytes, headEncoding, narrow, Utf8Counter } from './encoding.ts'
import { delimiters, type Header, readHeader, requiredColumns } from './header.ts'
import type { Failure } from './report.ts'
import { type Slice, Slicer, type sliceLimits } from './slices.ts'
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

/** Thrown when a file cannot be imported at all. The import fails with it; nothing has been written. */
class UnusableFileError extends InsightaError {
  readonly failure: Failure
  constructor(failure: Failure) {
    super(failure.message, { code: failure.code, status: 422 })
    this.failure = failure
  }
}

/**
 * Takes up an uploaded file: scans it once, stores its slices and sends them to the workers. Safe to be called
 * twice for the same file, at once or one after the other. `etag` is the uploaded object's, quotes optional;
 * without it a scan that has begun goes on, or the object is looked for.
 */
export async function splitImport(context: SplitContext, id: string, etag?: string): Promise<SplitOutcome> {
  const { sql } = context
  const tag = etag ? `"${etag.replaceAll('"', '')}"` : await lostUpload(context, id)
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
    await failImport(sql, id, failure)
    return 'failed'
  }
}

/** The ETag of an object whose event never came: somebody saw it and sent a word without one. */
async function lostUpload({ sql, storage }: SplitContext, id: string): Promise<string | undefined> {
  const row = await findImport(sql, id)
  return row?.state === 'awaiting_upload' ? (await storage.head(row.object_key)).etag : undefined
}

function failureOf(error: unknown): Failure | undefined {
  if (error instanceof UnusableFileError) return error.failure
  if (!isInsightaError(error)) return undefined
  if (error.code === 'object_missing')
    return { code: error.code, message: 'The uploaded file was deleted before it was read' }
  if (error.code === 'object_changed')
    return { code: error.code, message: 'The uploaded file was replaced before it was read' }
  return undefined
}

async function scan(context: SplitContext, row: ImportRow): Promise<SplitOutcome> {
  const { storage } = context
  const { size } = await storage.head(row.object_key)
  const ifMatch = row.etag ?? ''
  if (size === 0) return settle(context, row.id, null, [], { encoding: 'utf-8' })
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
    progress = openFile(head) ?? null
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
  // A file of blank lines, without even a header.
  if (!slicer || !progress) return settle(context, row.id, stored, [], { encoding: 'utf-8' })
  slicer.finish()
  return settle(context, row.id, stored, slicer.take(), { encoding: slicer.encoding, progress })
}

function resume({ state, encoding, layout }: SplitProgress, { limits }: SplitContext): Slicer {
  return new Slicer(state, encoding, layout, limits)
}

async function settle(
  context: SplitContext,
  id: string,
  stored: number | null,
  slices: Slice[],
  { encoding, progress }: { encoding: Encoding; progress?: SplitProgress },
): Promise<SplitOutcome> {
  const layout = progress?.layout
  const ignored = progress ? ignoredColumns(progress, encoding) : []
  const done = await finishSplitting(context.sql, id, stored, slices, {
    encoding,
    encoding_guessed: encoding === 'windows-1252',
    layout,
    header: null,
    ignored: { first: ignored, total: ignored.length },
    sample: [],
    hints: [],
  })
  return done ? send(context, id) : 'ignored'
}

async function send(context: SplitContext, id: string): Promise<SplitOutcome> {
  const pending = await pendingSlices(context.sql, id)
  if (pending.length === 0) await context.finish.send([{ import_id: id }])
  else await context.slices.send(pending.map((slice_no) => ({ import_id: id, slice_no })))
  return 'sent'
}

/** The names are decoded at the end, since only the whole file tells UTF-8 from windows-1252. */
function ignoredColumns({ header, layout }: SplitProgress, encoding: Encoding): string[] {
  const text = new TextDecoder(encoding).decode(Buffer.from(header, 'base64'))
  return readHeader(text, layout.delimiter).ignored
}

/**
 * Reads a file's beginning: its encoding as far as that can be told, its delimiter and its header. Answers
 * undefined for a file of blank lines; throws UnusableFileError where rows cannot be read.
 */
function openFile(head: Uint8Array): SplitProgress | undefined {
  const found = headEncoding(head)
  if (!found) throw new UnusableFileError({ code: 'not_csv', message: 'The file is not a text file' })
  const { encoding, bomBytes } = found
  const wide = encoding === 'undecided' ? undefined : encoding
  const bytes = head.subarray(bomBytes)
  const scanned = wide ? narrow(bytes, wide) : bytes
  const headers = delimiters.map((delimiter) => {
    const record = firstRecord(scanned, delimiter)
    if (!record) return undefined
    const unit = wide ? 2 : 1
    const raw = bytes.subarray(record.start * unit, record.textEnd * unit)
    // Our columns are ASCII: any encoding that agrees with it tells them apart.
    const text = record.wellFormed ? new TextDecoder(wide ?? 'windows-1252').decode(raw) : ''
    return {
      raw,
      offset: bomBytes + record.end * unit,
      line: record.nextLine,
      ...readHeader(text, delimiter),
    }
  })
  if (headers.every((header) => header === undefined) && head.length < headBytes) return undefined
  const complete = headers.find((header) => header?.missing.length === 0)
  if (!complete) throw missingColumns(headers)
  const utf8 = new Utf8Counter()
  if (!wide) utf8.push(complete.raw)
  return {
    encoding,
    layout: complete.layout,
    header: Buffer.from(complete.raw).toString('base64'),
    state: {
      offset: complete.offset,
      line: complete.line,
      row: 1,
      slice_no: 0,
      utf8: { valid: utf8.valid, invalid: utf8.invalid },
    },
  }
}

function missingColumns(headers: (Header | undefined)[]): UnusableFileError {
  let details: string[] = [...requiredColumns]
  for (const header of headers) if (header && header.missing.length < details.length) details = header.missing
  const message = `The header lacks the required columns: ${details.join(', ')}`
  return new UnusableFileError({ code: 'missing_columns', message, details })
}

type FirstRecord = { start: number; textEnd: number; end: number; nextLine: number; wellFormed: boolean }

/** The first record that is not blank, in scanned units; it must lie within the head. */
function firstRecord(bytes: Uint8Array, delimiter: string): FirstRecord | undefined {
  let first: FirstRecord | undefined
  const scanner = new RecordScanner(
    ({ kind, from, to, start, end }) => {
      if (first || kind === 'blank') return
      const wellFormed = kind === 'row'
      first = { start, textEnd: start + to - from, end, nextLine: scanner.line, wellFormed }
    },
    { delimiter: delimiter.charCodeAt(0) },
  )
  scanner.push(bytes)
  scanner.finish()
  return first
}
