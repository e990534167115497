import { metadataHeaders } from './attributes.ts'
import { checksumHeaders } from './checksum.ts'
import { readCondition } from './conditions.ts'
import { existingObject, type Operation } from './context.ts'
import { parseRange } from './range.ts'
import { headerValue } from './target.ts'
import type { S3Request, StoredObject } from './types.ts'

const overrides = [
  'content-type',
  'content-disposition',
  'cache-control',
  'content-encoding',
  'content-language',
  'expires',
]

/** Query parameters of a GET that replace stored headers in its answer. */
export const responseOverrides = overrides.map((name) => `response-${name}`)

function objectHeaders(object: StoredObject, query: ReadonlyMap<string, string>): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'binary/octet-stream',
    ...object.headers,
    ...metadataHeaders(object.metadata),
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modified).toUTCString(),
    'accept-ranges': 'bytes',
  }
  const { tags = [] } = object
  if (tags.length > 0) headers['x-amz-tagging-count'] = String(tags.length)
  for (const name of overrides) {
    const value = query.get(`response-${name}`)
    if (value !== undefined) headers[name] = headerValue(`response-${name}`, value)
  }
  return headers
}

// RFC 9110, 13.1.5: a range of a version the client does not have is no use to it.
function rangeHeader({ headers }: S3Request, object: StoredObject): string | undefined {
  const ifRange = headers['if-range']
  if (ifRange === undefined || ifRange === `"${object.etag}"`) return headers.range
  const unchanged = Math.floor(Date.parse(object.modified) / 1000) * 1000 === Date.parse(ifRange)
  return unchanged ? headers.range : undefined
}

/** GET and HEAD of an object: 200, 206 or 304. The answer reads the bytes of the version found now. */
export const readObject: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  const object = existingObject(bucket, request.key)
  const proceed = readCondition(request.headers, object)
  const headers = objectHeaders(object, request.query)
  if (!proceed) return { status: 304, headers }
  const range = parseRange(rangeHeader(request, object), object.size)
  const { start, end } = range ?? { start: 0, end: object.size - 1 }
  headers['content-length'] = String(end - start + 1)
  if (range !== undefined) headers['content-range'] = `bytes ${start}-${end}/${object.size}`
  // Clients hold a checksum against what they received, so a part of the object must not carry it.
  else if (request.headers['x-amz-checksum-mode'] === 'ENABLED') {
    Object.assign(headers, checksumHeaders(object.checksum))
  }
  const status = range === undefined ? 200 : 206
  if (request.method === 'HEAD') return { status, headers }
  const release = bucket.blobs.pin(object.segments)
  return { status, headers, stream: bucket.blobs.read(object.segments, start, end), release }
}
