import { hash } from 'node:crypto'
import * as z from 'zod'
import { UnprocessableError } from '../platform/errors.ts'
import { wordInAnyCase } from '../platform/http/shapes.ts'
import { type Filter, filterKey } from './filter.ts'
import { maxAge, type ProfileRow } from './profile.ts'

export const defaultLimit = 10
export const maxLimit = 50
/** The same under a cursor, for clients that walk over everything: some 300 KB of JSON. */
export const maxWalkLimit = 1000
/** The cursor that a walk begins with. */
export const startOfWalk = '*'
/** Rows that page x limit may reach: a page further down reads all before it, a cursor does not. */
export const maxDepth = 50_000

export const sortColumns = ['created_at', 'age', 'gender_probability'] as const
export type SortColumn = (typeof sortColumns)[number]
export type Sort = { by: SortColumn; order: 'asc' | 'desc' }

/** The row that a page stands after or before: its id and, where the order is not that of creation, its sort value. */
export type Position = { id: string; value: number | null }

export type PageRequest = { sort: Sort; limit: number } & (
  | { page: number }
  | { after: Position }
  | { before: Position }
)

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
    description: `more than ${maxLimit} is taken as ${maxLimit}, under a cursor more than ${maxWalkLimit} as ${maxWalkLimit}`,
    override: { type: 'integer', minimum: 1, default: defaultLimit },
  }),
  cursor: z
    .string()
    .max(300)
    .optional()
    .meta({
      description: `${startOfWalk} begins a walk; then next_cursor of the page before, or prev_cursor of the page after`,
      examples: [startOfWalk],
    }),
  sort_by: wordInAnyCase(sortColumns).optional(),
  order: wordInAnyCase(['asc', 'desc'])
    .optional()
    .meta({ override: { enum: ['asc', 'desc'], default: 'asc' } }),
}

/**
 * Defaults filled in, limit clamped to 50, or 1,000 under a cursor, and the cursor read: the start of a walk is
 * page 1. Throws UnprocessableError: page beside cursor, a page too deep (`use_cursor`), a cursor that is forged
 * or of another list (`invalid_cursor`).
 */
export function pageRequest(input: PageInput, filter: Filter): PageRequest {
  const sort: Sort = { by: input.sort_by ?? 'created_at', order: input.order ?? 'asc' }
  const most = input.cursor === undefined ? maxLimit : maxWalkLimit
  const limit = Math.min(input.limit ?? defaultLimit, most)
  if (input.cursor !== undefined) {
    if (input.page !== undefined) {
      const message = 'page and cursor exclude each other'
      throw new UnprocessableError(message, [{ field: 'cursor', message }])
    }
    if (input.cursor === startOfWalk) return { sort, limit, page: 1 }
    return { sort, limit, ...decodeCursor(input.cursor, filter, sort) }
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

/** An opaque text that names the place after (or before) `row` in this list. */
export function encodeCursor(
  row: ProfileRow,
  filter: Filter,
  sort: Sort,
  side: 'after' | 'before' = 'after',
): string {
  const { id, value } = position(row, sort)
  const parts = [listDigest(filter, sort), id, value, ...(side === 'before' ? [side] : [])]
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/**
 * The rows of a page with the cursors around it, of up to `limit + 1` rows in their order. The surplus row is
 * at the end that was read towards, and says that the list goes on there; at the other end the cursor's own
 * row stands, or earlier pages.
 */
export function pageOf(
  found: readonly ProfileRow[],
  request: PageRequest,
  filter: Filter,
): { rows: ProfileRow[]; next_cursor: string | null; prev_cursor: string | null } {
  const { limit, sort } = request
  const backwards = 'before' in request
  const goesOn = found.length > limit
  const rows = backwards ? found.slice(-limit) : found.slice(0, limit)
  const [first, last] = [rows[0], rows.at(-1)]
  const begins = backwards ? !goesOn : 'page' in request && request.page === 1
  const ends = !backwards && !goesOn
  return {
    rows,
    next_cursor: last && !ends ? encodeCursor(last, filter, sort) : null,
    prev_cursor: first && !begins ? encodeCursor(first, filter, sort, 'before') : null,
  }
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

function decodeCursor(
  cursor: string,
  filter: Filter,
  sort: Sort,
): { after: Position } | { before: Position } {
  const after = [z.literal(listDigest(filter, sort)), z.string().regex(uuid), cursorSchemas[sort.by]] as const
  const decoded = z
    .union([z.tuple(after), z.tuple([...after, z.literal('before')])])
    .safeParse(decodeJson(cursor))
  if (!decoded.success) {
    const message = 'The cursor is not one of this list: it belongs to its filters, sort_by and order'
    throw new UnprocessableError(message, [{ field: 'cursor', message }], 'invalid_cursor')
  }
  const [, id, value, side] = decoded.data
  return side === 'before' ? { before: { id, value } } : { after: { id, value } }
}

function decodeJson(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}
