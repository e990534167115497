import { hash } from 'node:crypto'
import * as z from 'zod'
import { UnprocessableError } from '../platform/errors.ts'
import { type Filter, filterKey } from './filter.ts'
import { maxAge, type ProfileRow } from './profile.ts'

export const defaultLimit = 10
export const maxLimit = 50
/** Rows that page x limit may reach: a page further down reads all before it, a cursor does not. */
export const maxDepth = 50_000

export const sortColumns = ['created_at', 'age', 'gender_probability'] as const
export type SortColumn = (typeof sortColumns)[number]
export type Sort = { by: SortColumn; order: 'asc' | 'desc' }

/** The row that a page begins after: its id and, where the order is not that of creation, its sort value. */
export type Position = { id: string; value: number | null }

export type PageRequest = { sort: Sort; limit: number } & ({ page: number } | { after: Position })

/** Pages as they were asked for. */
export type PageInput = {
  page?: number | undefined
  limit?: number | undefined
  cursor?: string | undefined
  sort_by?: SortColumn | undefined
  order?: 'asc' | 'desc' | undefined
}

const positive = z.string().transform((value, context) => {
  if (/^\d{1,15}$/.test(value) && Number(value) >= 1) return Number(value)
  context.addIssue({ code: 'custom', message: 'must be a whole number from 1' })
  return z.NEVER
})

/** The query parameters of paging and sorting, for the schema of a route. */
export const pageParameters = {
  page: positive.optional().meta({
    description: `counts from 1; page x limit may reach ${maxDepth}; not beside cursor`,
    override: { type: 'integer', minimum: 1, default: 1 },
  }),
  limit: positive.optional().meta({
    description: `more than ${maxLimit} is taken as ${maxLimit}`,
    override: { type: 'integer', minimum: 1, default: defaultLimit },
  }),
  cursor: z.string().max(300).optional().meta({ description: 'next_cursor of the page before' }),
  sort_by: z.enum(sortColumns).optional(),
  order: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['asc', 'desc']))
    .optional()
    .meta({ override: { enum: ['asc', 'desc'], default: 'asc' } }),
}

/**
 * Defaults filled in, limit clamped to 50, cursor read. Throws UnprocessableError: page beside cursor, a
 * page too deep (`use_cursor`), a cursor that is forged or of another list (`invalid_cursor`).
 */
export function pageRequest(input: PageInput, filter: Filter): PageRequest {
  const sort: Sort = { by: input.sort_by ?? 'created_at', order: input.order ?? 'asc' }
  const limit = Math.min(input.limit ?? defaultLimit, maxLimit)
  if (input.cursor !== undefined) {
    if (input.page !== undefined) {
      const message = 'page and cursor exclude each other'
      throw new UnprocessableError(message, [{ field: 'cursor', message }])
    }
    return { sort, limit, after: decodeCursor(input.cursor, filter, sort) }
  }
  const page = input.page ?? 1
  if (page * limit > maxDepth) {
    const message = `page x limit reaches beyond row ${maxDepth}: follow next_cursor instead`
    throw new UnprocessableError(message, [{ field: 'page', message }], 'use_cursor')
  }
  return { sort, limit, page }
}

/** Binds a cursor to its list: 48 bits, against mistakes and guessing, not a signature. */
function listDigest(filter: Filter, sort: Sort): string {
  return hash('sha256', `${filterKey(filter)} ${sort.by} ${sort.order}`, 'base64url').slice(0, 8)
}

/** An opaque text that names the place after `row` in this list. */
export function encodeCursor(row: ProfileRow, filter: Filter, sort: Sort): string {
  const { id, value } = position(row, sort)
  return Buffer.from(JSON.stringify([listDigest(filter, sort), id, value])).toString('base64url')
}

function position(row: ProfileRow, sort: Sort): Position {
  return { id: row.id, value: sort.by === 'created_at' ? null : row[sort.by] }
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const cursorSchemas: Record<SortColumn, z.ZodType<number | null>> = {
  created_at: z.null(),
  age: z.int().min(0).max(maxAge),
  gender_probability: z.number().min(0).max(1).nullable(),
}

function decodeCursor(cursor: string, filter: Filter, sort: Sort): Position {
  const schema = z.tuple([
    z.literal(listDigest(filter, sort)),
    z.string().regex(uuid),
    cursorSchemas[sort.by],
  ])
  const decoded = schema.safeParse(decodeJson(cursor))
  if (!decoded.success) {
    const message = 'The cursor is not one of this list: it belongs to its filters, sort_by and order'
    throw new UnprocessableError(message, [{ field: 'cursor', message }], 'invalid_cursor')
  }
  const [, id, value] = decoded.data
  return { id, value }
}

function decodeJson(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}
