import * as z from 'zod'
import { allColumns, type Column } from './header.ts'
import { type Reason, reasons } from './row.ts'

export const states = [
  'awaiting_upload',
  'splitting',
  'inserting',
  'finishing',
  'completed',
  'completed_with_failures',
  'failed',
  'cancelled',
] as const
export type ImportState = (typeof states)[number]

export type ReasonCounts = Partial<Record<Reason, number>>

export type Failure = {
  code: string
  message: string
  details?: string[]
  /** Of a header that lacks a column: what was read as one. */
  header?: { line: number; delimiter: string; encoding: string; names: string[] }
}

/** The first of many, and how many there are. */
export type Bounded<T> = { first: T[]; total: number }

/** A row as it was read: of each column of ours that the file has the text, cut. */
export type SampleRow = { row: number } & Partial<Record<Column, string>>

/** Values of a column that could not be read, the most frequent first. */
export type UnreadValues = Partial<Record<Column, { value: string; count: number }[]>>

/** What a trial had come to before it was committed. */
export type TrialResult = { inserted: number; skipped: number; reasons: ReasonCounts; finished_at: string }

/** Rows of a slice that could not be processed, both ends inclusive. */
export type FailedRange = { first_row: number; last_row: number; error: string }

/** An import with its slices summed up, as the store reads it. */
export type ImportSummary = {
  id: string
  filename: string
  size: number
  state: ImportState
  dry_run: boolean
  removal_state: 'running' | 'done' | null
  removed: number
  kept_edited: number
  failure: Failure | null
  encoding: string | null
  encoding_guessed: boolean
  delimiter: string | null
  /** The first of them. */
  ignored_columns: string[]
  ignored_columns_total: number | null
  sample: SampleRow[]
  hints: string[]
  trial: TrialResult | null
  unread_values: UnreadValues | null
  bytes_scanned: number
  slices_done: number
  slices_total: number
  total_rows: number
  inserted: number
  skipped: number
  reasons: ReasonCounts
  /** The first of them. */
  failed_ranges: FailedRange[]
  failed_ranges_total: number
  rejects_key: string | null
  upload_expires_at: Date
  started_at: Date | null
  finished_at: Date | null
}

const time = z.iso.datetime().nullable()
const column = z.enum(allColumns)
const reasonCounts = z.partialRecord(z.enum(reasons), z.int())
const sampleSchema = z.strictObject({
  row: z.int(),
  ...(Object.fromEntries(column.options.map((name) => [name, z.string().optional()])) as Record<
    Column,
    z.ZodOptional<z.ZodString>
  >),
})

/** The report: reasons sum to skipped, inserted and skipped to total_rows, at every moment. */
export const reportSchema = z
  .strictObject({
    status: z.literal('success'),
    id: z.uuid(),
    filename: z.string(),
    size: z.int(),
    state: z.enum(states),
    progress: z.strictObject({ bytes: z.int(), slices_done: z.int(), slices_total: z.int() }),
    /** Rows of finished slices; failed_ranges names the others. */
    total_rows: z.int(),
    inserted: z.int(),
    skipped: z.int(),
    reasons: reasonCounts,
    encoding: z.string().nullable(),
    encoding_guessed: z.boolean().meta({
      description:
        'Whether the encoding was neither said, marked, nor proved by the bytes: look at the sample',
    }),
    delimiter: z.string().nullable(),
    ignored_columns: z.array(z.string()).meta({ description: 'The first 50, each cut at 80 characters' }),
    ignored_columns_total: z.int(),
    sample: z.array(sampleSchema).meta({ description: 'The first rows as they were read, each value cut' }),
    hints: z
      .array(z.string())
      .meta({ description: 'What may be worth knowing about the file, a sentence each' }),
    started_at: time,
    finished_at: time,
    rows_per_second: z.int().nullable(),
    rejects_url: z.string().nullable(),
    /** True for a trial: inserted is what would have been. */
    dry_run: z.boolean(),
    /** Once the taking out of what was put in was asked for. */
    removal: z
      .strictObject({
        state: z.enum(['running', 'done']),
        removed: z.int(),
        kept_edited: z.int().meta({ description: 'Profiles left alone because they had been edited' }),
      })
      .optional(),
    /** Of a trial that has ended: the most frequent values of each column that could not be read. */
    unread_values: z
      .partialRecord(column, z.array(z.strictObject({ value: z.string(), count: z.int() })))
      .optional(),
    /** Of a trial that was committed: what it had come to. */
    trial: z
      .strictObject({
        inserted: z.int(),
        skipped: z.int(),
        reasons: reasonCounts,
        finished_at: z.iso.datetime(),
      })
      .optional(),
    failure: z
      .strictObject({
        code: z.string(),
        message: z.string(),
        details: z.array(z.string()).optional(),
        header: z
          .strictObject({
            line: z.int(),
            delimiter: z.string(),
            encoding: z.string(),
            names: z.array(z.string()),
          })
          .optional()
          .meta({ description: 'What was read as the header, where it lacks a column' }),
      })
      .optional(),
    failed_ranges: z
      .array(z.strictObject({ first_row: z.int(), last_row: z.int(), error: z.string() }))
      .optional()
      .meta({ description: 'The first 1,000; in a list of imports the first 20' }),
    failed_ranges_total: z
      .int()
      .optional()
      .meta({ description: 'How many slices failed: of many, neighbours that failed alike are one range' }),
  })
  .meta({ id: 'ImportReport', description: 'inserted and skipped sum to total_rows, reasons to skipped.' })
export type Report = z.output<typeof reportSchema>

/** The report of an import in a list of them, which leaves out what is for looking at one file. */
export const listedReportSchema = reportSchema
  .omit({ status: true, sample: true, unread_values: true })
  .meta({ id: 'ListedImport', description: 'The report without sample and unread_values.' })

/** The report of an import as it stands at `now`. */
export function reportOf(row: ImportSummary, now: Date): Report {
  const until = row.finished_at ?? now
  const seconds = row.started_at ? (until.getTime() - row.started_at.getTime()) / 1000 : 0
  return {
    status: 'success',
    id: row.id,
    filename: row.filename,
    size: row.size,
    state: row.state,
    progress: {
      bytes: row.bytes_scanned,
      slices_done: row.slices_done,
      slices_total: row.slices_total,
    },
    total_rows: row.total_rows,
    inserted: row.inserted,
    skipped: row.skipped,
    reasons: row.reasons,
    encoding: row.encoding,
    encoding_guessed: row.encoding_guessed,
    delimiter: row.delimiter,
    ignored_columns: row.ignored_columns,
    ignored_columns_total: row.ignored_columns_total ?? row.ignored_columns.length,
    sample: row.sample,
    hints: row.hints,
    started_at: row.started_at?.toISOString() ?? null,
    finished_at: row.finished_at?.toISOString() ?? null,
    rows_per_second: seconds > 0 ? Math.round(row.total_rows / seconds) : null,
    rejects_url: row.finished_at === null ? null : `/api/imports/${row.id}/rejects`,
    dry_run: row.dry_run,
    ...(row.removal_state && {
      removal: { state: row.removal_state, removed: row.removed, kept_edited: row.kept_edited },
    }),
    ...(row.unread_values && { unread_values: row.unread_values }),
    ...(row.trial && { trial: row.trial }),
    ...(row.failure && { failure: row.failure }),
    ...(row.failed_ranges.length > 0 && {
      failed_ranges: joined(row.failed_ranges),
      failed_ranges_total: row.failed_ranges_total,
    }),
  }
}

/** The same in a list of imports. */
export function listedReportOf(row: ImportSummary, now: Date): z.output<typeof listedReportSchema> {
  const { status: _, sample: __, unread_values: ___, ...listed } = reportOf(row, now)
  return listed
}

/** Above this many ranges, neighbours that failed alike are one: an upload that is gone fails a thousand slices. */
const manyRanges = 100

function joined(ranges: readonly FailedRange[]): FailedRange[] {
  const result: FailedRange[] = []
  for (const range of ranges) {
    const last = result.at(-1)
    const alike = last?.error === range.error && last.last_row + 1 === range.first_row
    if (last && alike && ranges.length > manyRanges) last.last_row = range.last_row
    else result.push({ ...range })
  }
  return result
}
