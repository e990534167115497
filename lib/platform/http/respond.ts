import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import { compressedText, negotiate } from './coding.ts'
import { codedTag, isNamed } from './etag.ts'
import type { Answer } from './route.ts'

/** Bytes from which on a body is compressed. */
const compressedFrom = 1024

const defaultHeaders = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'private, no-cache',
}

/** Of the body alone: a 304 has none of them. */
const bodyHeaders = new Set(['content-type', 'content-disposition', 'content-encoding'])

/**
 * An answer in the gateway's format. A text is compressed if the client takes that; one with an ETag is a 304 for a
 * client that has it, under whatever coding. A response to HEAD is that to GET, whose body the gateway leaves out.
 */
export function respond(
  { headers: sent, requestContext }: Pick<APIGatewayProxyEventV2, 'headers' | 'requestContext'>,
  { status, headers, body }: Answer,
): APIGatewayProxyStructuredResultV2 {
  if (body === undefined) return { statusCode: status, headers: { ...headers }, body: '' }
  const all: Record<string, string> = { ...defaultHeaders, ...headers }
  if (body instanceof Uint8Array) {
    return {
      statusCode: status,
      headers: all,
      body: Buffer.from(body).toString('base64'),
      isBase64Encoded: true,
    }
  }
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  all.vary = withVary(all.vary, 'Accept-Encoding')
  const { etag } = all
  const { coding, always } = negotiate(sent['accept-encoding'])
  const coded = coding && (always || Buffer.byteLength(text) >= compressedFrom) ? coding : undefined
  if (etag && coded) all.etag = codedTag(etag, coded)
  const reads = ['GET', 'HEAD'].includes(requestContext.http.method)
  if (etag && reads && status === 200 && isNamed(etag, sent['if-none-match'])) {
    const kept = Object.entries(all).filter(([name]) => !bodyHeaders.has(name))
    return { statusCode: 304, headers: Object.fromEntries(kept), body: '' }
  }
  if (!coded) return { statusCode: status, headers: all, body: text }
  const compressed = compressedText(text, coded, etag !== undefined)
  return {
    statusCode: status,
    headers: { ...all, 'content-encoding': coded },
    body: compressed,
    isBase64Encoded: true,
  }
}

/** The header Vary with one more name in it. */
export function withVary(vary: string | undefined, name: string): string {
  return vary ? `${vary}, ${name}` : name
}
