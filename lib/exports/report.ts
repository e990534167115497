import * as z from 'zod'
import { filterSchema } from '../profiles/filter.ts'
import { sortColumns } from '../profiles/page.ts'
import { compressions, formats } from './format.ts'
import type { ExportRow } from './store.ts'

/** `expired` is a completed one whose file is gone. */
export const exportStates = ['queued', 'running', 'completed', 'failed', 'expired'] as const
export type ExportState = (typeof exportStates)[number]

const time = z.iso.datetime().nullable()

export const exportSchema = z
  .strictObject({
    status: z.literal('success'),
    id: z.uuid(),
    state: z.enum(exportStates),
    format: z.enum(formats),
    compression: z.enum(compressions),
    bom: z.boolean(),
    filter: filterSchema,
    sort_by: z.enum(sortColumns),
    order: z.enum(['asc', 'desc']),
    rows_done: z.int(),
    rows_total: z.int(),
    /** Bytes. */
    size: z.int().nullable(),
    created_at: z.iso.datetime(),
    started_at: time,
    finished_at: time,
    expires_at: time,
    file_url: z.string().nullable(),
    failure: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  })
  .meta({
    id: 'Export',
    description:
      'rows_total was counted when it was asked for; of a completed one both counts are what the file holds.',
  })
export type ExportReport = z.output<typeof exportSchema>

/** The state of an export at `now`. */
export function stateOf(
  { state, expires_at }: Pick<ExportRow, 'state' | 'expires_at'>,
  now: Date,
): ExportState {
  return state === 'completed' && expires_at !== null && expires_at <= now ? 'expired' : state
}

/** An export as it stands at `now`. */
export function exportReport(row: ExportRow, now: Date): ExportReport {
  const state = stateOf(row, now)
  return {
    status: 'success',
    id: row.id,
    state,
    format: row.format,
    compression: row.compression,
    bom: row.bom,
    filter: row.filter,
    sort_by: row.sort_by,
    order: row.sort_order,
    rows_done: row.rows_done,
    rows_total: row.rows_total,
    size: row.size,
    created_at: row.created_at.toISOString(),
    started_at: row.started_at?.toISOString() ?? null,
    finished_at: row.finished_at?.toISOString() ?? null,
    expires_at: row.expires_at?.toISOString() ?? null,
    file_url: state === 'completed' ? `/api/exports/${row.id}/file` : null,
    ...(row.failure && { failure: row.failure }),
  }
}
