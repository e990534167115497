import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import * as z from 'zod'
import { BadRequestError } from '../errors.ts'

const key = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')

/** The header of a route that makes something once, for its description. */
export const idempotencyHeaders = z.object({
  'Idempotency-Key': key.optional().meta({
    description: 'Any text that you choose. A second call with the same key returns what the first one made',
  }),
})

/** The key of a call; null without one. Throws BadRequestError for one that cannot be stored. */
export function idempotencyKey({ headers }: Pick<APIGatewayProxyEventV2, 'headers'>): string | null {
  const sent = headers['idempotency-key']
  if (sent === undefined) return null
  const { success, data, error } = key.safeParse(sent)
  if (success) return data
  const { message } = error.issues[0]!
  throw new BadRequestError('Invalid Idempotency-Key', [{ field: 'Idempotency-Key', message }])
}
