import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import * as z from 'zod'
import { linkHeader, linkTo } from './links.ts'
import { type Answer, json } from './route.ts'

const whole = (fallback: number, max: number) =>
  z
    .string()
    .regex(/^[1-9]\d{0,8}$/, 'must be a whole number from 1')
    .transform((value) => Math.min(Number(value), max))
    .default(fallback)
    .meta({
      description: `more than ${max} is taken as ${max}`,
      override: { type: 'integer', minimum: 1, default: fallback },
    })

/** Pages of a list that is short enough to be numbered. */
export const pageQuery = z.strictObject({ page: whole(1, 1_000_000), limit: whole(10, 50) })
export type NumberedPage = z.output<typeof pageQuery>

/** The answer of such a list. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    status: z.literal('success'),
    page: z.int(),
    limit: z.int(),
    total: z.int(),
    total_pages: z.int(),
    data: z.array(item),
  })
}

export function rangeOf({ page, limit }: NumberedPage): { limit: number; offset: number } {
  return { limit, offset: (page - 1) * limit }
}

/** A page of such a list; before one beyond the end is the last. */
export function pageAnswer<Item>(
  event: Pick<APIGatewayProxyEventV2, 'rawPath' | 'rawQueryString'>,
  { page, limit }: NumberedPage,
  total: number,
  data: readonly Item[],
): Answer {
  const total_pages = Math.ceil(total / limit)
  const links = linkHeader({
    next: page < total_pages ? linkTo(event, 'page', page + 1) : null,
    prev: page > 1 ? linkTo(event, 'page', Math.max(1, Math.min(page - 1, total_pages))) : null,
  })
  return json(200, { status: 'success', page, limit, total, total_pages, data }, links)
}
