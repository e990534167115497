import { createHash, createHmac } from 'node:crypto'

/** Percent-encoding of SigV4: everything but A-Z a-z 0-9 - . _ ~ */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

export function encodePath(path: string): string {
  return path.split('/').map(uriEncode).join('/')
}

export type CanonicalParts = {
  method: string
  /** With its leading slash: decoded for S3, as it was sent for every other service, which encode it twice. */
  path: string
  query: readonly (readonly [string, string])[]
  headers: Readonly<Record<string, string | undefined>>
  signedHeaders: readonly string[]
  payloadHash: string
}

// Node reads header bytes as latin1, whereas clients sign their UTF-8.
function canonicalValue(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8').trim().replace(/ +/g, ' ')
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
export function canonicalRequest(parts: CanonicalParts): string {
  const query = parts.query
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort((left, right) => compareText(left[0], right[0]) || compareText(left[1], right[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
  const headers = parts.signedHeaders.map((name) => `${name}:${canonicalValue(parts.headers[name] ?? '')}\n`)
  return [
    parts.method,
    encodePath(parts.path),
    query,
    headers.join(''),
    parts.signedHeaders.join(';'),
    parts.payloadHash,
  ].join('\n')
}

export function sha256Hex(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

/** What a signature is made over besides the data: `date` as 20130524T000000Z, `scope` without the key id. */
export type SigningScope = { date: string; scope: string; signingKey: Buffer }

/** Derived keys of the last few days and services. Callers have checked the key id and the date before. */
const signingKeys = new Map<string, Buffer>()
const keptSigningKeys = 64

export function signingScope(secret: string, date: string, region: string, service: string): SigningScope {
  const day = date.slice(0, 8)
  const scope = `${day}/${region}/${service}/aws4_request`
  const id = `${secret} ${scope}`
  let signingKey = signingKeys.get(id)
  if (signingKey === undefined) {
    signingKey = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request')
    if (signingKeys.size >= keptSigningKeys) signingKeys.clear()
    signingKeys.set(id, signingKey)
  }
  return { date, scope, signingKey }
}

/** Signs the lines under the algorithm's own name, as hexadecimal. */
export function signLines(algorithm: string, scope: SigningScope, ...lines: string[]): string {
  return hmac(scope.signingKey, [algorithm, scope.date, scope.scope, ...lines].join('\n')).toString('hex')
}
