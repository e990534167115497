import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import * as z from 'zod'
import type { PresignedGet } from '../storage.ts'
import { prefersType } from './accept.ts'
import { type Answer, json } from './route.ts'

const addressSchema = z
  .strictObject({
    status: z.literal('success'),
    url: z.url().meta({ description: 'Needs no key. Whoever has it can fetch the file' }),
    expires_at: z.iso.datetime(),
  })
  .meta({
    id: 'FileAddress',
    description:
      'With Accept: application/json. A browser cannot follow a redirect to another origin with a key; it fetches the URL instead.',
  })

/** The responses of a route that leads to a stored file. */
export const downloadAnswers = { 200: addressSchema, 302: null }

/**
 * Leads to a stored file: by its address in JSON for a client that asks for JSON, else by a redirect.
 * `contentType` is that of the file, which the client may ask for as well.
 */
export function download(
  { headers }: Pick<APIGatewayProxyEventV2, 'headers'>,
  contentType: string,
  { url, expires_at }: PresignedGet,
): Answer {
  const own = { 'cache-control': 'no-store', vary: 'Accept' }
  const type = contentType.split(';')[0]!
  if (prefersType(headers.accept, 'application/json', type)) {
    return json(200, { status: 'success', url, expires_at }, own)
  }
  return { status: 302, headers: { ...own, location: url } }
}
