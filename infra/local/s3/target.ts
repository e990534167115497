import { type IncomingMessage, validateHeaderValue } from 'node:http'
import { S3Error } from './errors.ts'

/** What a request aims at, decoded. Header values of the same name are joined by commas. */
export type Target = {
  path: string
  bucket: string
  key: string
  query: [string, string][]
  headers: Record<string, string | undefined>
}

const maxKeyBytes = 1024

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI')
  }
}

/** Reads a path-style target. Throws InvalidURI or KeyTooLongError. */
export function readTarget(incoming: IncomingMessage): Target {
  const url = incoming.url ?? '/'
  const mark = url.indexOf('?')
  const rawPath = mark < 0 ? url : url.slice(0, mark)
  if (!rawPath.startsWith('/')) throw new S3Error('InvalidURI')
  const path = decode(rawPath)
  const slash = path.indexOf('/', 1)
  const bucket = slash < 0 ? path.slice(1) : path.slice(1, slash)
  const key = slash < 0 ? '' : path.slice(slash + 1)
  const keyBytes = Buffer.byteLength(key, 'utf8')
  if (keyBytes > maxKeyBytes) {
    throw new S3Error('KeyTooLongError', undefined, {
      Size: String(keyBytes),
      MaxSizeAllowed: String(maxKeyBytes),
    })
  }
  const query = (mark < 0 ? '' : url.slice(mark + 1))
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const equals = pair.indexOf('=')
      const name = equals < 0 ? pair : pair.slice(0, equals)
      const value = equals < 0 ? '' : pair.slice(equals + 1)
      return [decode(name.replaceAll('+', ' ')), decode(value.replaceAll('+', ' '))]
    })
  const headers: Record<string, string | undefined> = {}
  for (const [name, values] of Object.entries(incoming.headersDistinct)) headers[name] = values?.join(',')
  return { path, bucket, key, query, headers }
}

/** Text of a query as the value of a header, in the bytes of its UTF-8. Throws InvalidArgument for line ends. */
export function headerValue(name: string, text: string): string {
  const value = Buffer.from(text, 'utf8').toString('latin1')
  try {
    validateHeaderValue(name, value)
  } catch {
    throw new S3Error('InvalidArgument', undefined, { ArgumentName: name })
  }
  return value
}

/** The headers of a request with those that a presigned URL carries in its query. */
export function withQueryHeaders({ headers, query }: Target): Record<string, string | undefined> {
  const merged = { ...headers }
  for (const [name, value] of query) {
    // The parameters of the signature itself are written X-Amz-; hoisted headers are in lower case.
    if (name.startsWith('x-amz-') && merged[name] === undefined) merged[name] = headerValue(name, value)
  }
  return merged
}
