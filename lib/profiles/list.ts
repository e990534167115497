import * as z from 'zod'
import { sparseProfileSchema } from './fields.ts'
import { interpretationSchema, optionalInterpretation } from './interpretation.ts'
import { maxDepth, type PageRequest } from './page.ts'
import { type Profile, profileSchema } from './profile.ts'
import type { ProfilePage } from './query.ts'

/** A list answer. `page` is null under a cursor; links are relative and keep what was asked for. */
export const listSchema = z
  .strictObject({
    status: z.literal('success'),
    page: z.int().nullable(),
    limit: z.int(),
    total: z.int(),
    total_pages: z.int(),
    links: z.strictObject({ self: z.string(), next: z.string().nullable(), prev: z.string().nullable() }),
    next_cursor: z.string().nullable(),
    prev_cursor: z.string().nullable(),
    data: z.union([z.array(profileSchema), z.array(sparseProfileSchema)]),
    ...optionalInterpretation,
  })
  .meta({
    id: 'ProfileList',
    description:
      'page is null under a cursor; from either end of a page a cursor leads on. interpreted is there if q was given.',
  })
/** The response to a question in plain English: a list, and the filter that it was taken for. */
export const searchSchema = listSchema
  .extend(interpretationSchema)
  .meta({ id: 'ProfileSearch', description: 'interpreted is the filter that the question was taken for.' })
/** A list with its profiles whole. */
export type ListBody = Omit<z.output<typeof listSchema>, 'data' | keyof typeof interpretationSchema> & {
  data: Profile[]
}

/**
 * The answer for one page. `query` is the query string as it was sent: its own parameters stay in the
 * links, whatever their spelling.
 */
export function listBody(path: string, query: string, request: PageRequest, result: ProfilePage): ListBody {
  const { limit } = request
  const { total, data, next_cursor, prev_cursor } = result
  const kept = new URLSearchParams(query)
  for (const name of ['page', 'limit', 'cursor']) kept.delete(name)
  const link = (place: 'page' | 'cursor', value: string | number) => {
    const parameters = new URLSearchParams(kept)
    parameters.set(place, String(value))
    parameters.set('limit', String(limit))
    return `${path}?${parameters}`
  }
  const byCursor = (cursor: string | null) => (cursor === null ? null : link('cursor', cursor))
  const common = { total, total_pages: Math.ceil(total / limit) }
  const cursors = { next_cursor, prev_cursor }
  const cursor = new URLSearchParams(query).get('cursor')
  // The start of a walk is page 1 to all but its links.
  if (cursor !== null || !('page' in request)) {
    const self = link('cursor', cursor ?? '*')
    const links = { self, next: byCursor(next_cursor), prev: byCursor(prev_cursor) }
    return { status: 'success', page: null, limit, ...common, links, ...cursors, data }
  }
  const { page } = request
  // Past the deepest page only a cursor leads on.
  const next = (page + 1) * limit > maxDepth ? byCursor(next_cursor) : link('page', page + 1)
  const links = {
    self: link('page', page),
    next: next_cursor === null ? null : next,
    // Before a page beyond the end is the last.
    prev: page > 1 ? link('page', Math.max(1, Math.min(page - 1, common.total_pages))) : null,
  }
  return { status: 'success', page, limit, ...common, links, ...cursors, data }
}
