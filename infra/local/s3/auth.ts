import { timingSafeEqual } from 'node:crypto'
import { canonicalRequest, type SigningScope, sha256Hex, signingScope, signLines } from './canonical.ts'
import { S3Error } from './errors.ts'
import type { S3Credentials } from './types.ts'

/** The part of a request that a signature covers. `path` is decoded; header names are lower case. */
export type SignedTarget = {
  method: string
  path: string
  query: readonly (readonly [string, string])[]
  headers: Readonly<Record<string, string | undefined>>
}

/** `payloadHash` is hexadecimal, UNSIGNED-PAYLOAD or STREAMING-...; chunk signatures start from `signature`. */
export type Authorization = {
  presigned: boolean
  payloadHash: string
  signature: string
  scope: SigningScope
}

type Claim = {
  presigned: boolean
  credential: string
  signedHeaders: string[]
  signature: string
  date: string
  payloadHash: string
}

const algorithm = 'AWS4-HMAC-SHA256'
const maxSkewMs = 15 * 60 * 1000
const maxExpiresSeconds = 7 * 24 * 3600
const payloadForms = new Set([
  'UNSIGNED-PAYLOAD',
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
])

/**
 * Checks a SigV4 header or presigned query against the one key pair, as of `now` (ms).
 * Throws the S3Error that S3 gives for each defect.
 */
export function authenticate(
  target: SignedTarget,
  credentials: S3Credentials,
  region: string,
  now: number,
): Authorization {
  const query = new Map(target.query)
  if (query.has('AWSAccessKeyId')) {
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    )
  }
  const claim = query.has('X-Amz-Algorithm') ? queryClaim(target, query) : headerClaim(target)
  const [accessKeyId, day, claimedRegion, service, terminator, ...rest] = claim.credential.split('/')
  const malformed = claim.presigned ? 'AuthorizationQueryParametersError' : 'AuthorizationHeaderMalformed'
  if (
    service !== 's3' ||
    terminator !== 'aws4_request' ||
    rest.length > 0 ||
    day !== claim.date.slice(0, 8)
  ) {
    throw new S3Error(malformed, 'The credential must be <key>/<date>/<region>/s3/aws4_request')
  }
  if (accessKeyId !== credentials.accessKeyId) throw new S3Error('InvalidAccessKeyId')
  if (target.headers['x-amz-security-token'] !== undefined || query.has('X-Amz-Security-Token')) {
    throw new S3Error('InvalidToken')
  }
  if (claimedRegion !== region) {
    throw new S3Error(malformed, `The region '${claimedRegion}' is wrong; expecting '${region}'`, {
      Region: region,
    })
  }
  checkTime(claim, query, now)
  checkSignedHeaders(claim, target)

  const scope = signingScope(credentials.secretAccessKey, claim.date, region)
  const canonical = canonicalRequest({
    ...target,
    query: target.query.filter(([name]) => name !== 'X-Amz-Signature'),
    signedHeaders: claim.signedHeaders,
    payloadHash: claim.payloadHash,
  })
  const expected = signLines(algorithm, scope, sha256Hex(canonical))
  if (!equalSignatures(claim.signature, expected)) throw new S3Error('SignatureDoesNotMatch')
  return { presigned: claim.presigned, payloadHash: claim.payloadHash, signature: expected, scope }
}

/** Compares in constant time; anything that is not 64 hexadecimal digits is unequal. */
export function equalSignatures(given: string, expected: string): boolean {
  if (!/^[0-9a-f]{64}$/.test(given)) return false
  return timingSafeEqual(Buffer.from(given, 'hex'), Buffer.from(expected, 'hex'))
}

function headerClaim({ headers }: SignedTarget): Claim {
  const header = headers.authorization
  if (header === undefined) throw new S3Error('AccessDenied')
  const match = /^AWS4-HMAC-SHA256\s(.*)$/.exec(header)
  if (match?.[1] === undefined) throw new S3Error('InvalidRequest', 'Please use AWS4-HMAC-SHA256.')
  const fields = new Map<string, string>()
  for (const field of match[1].split(',')) {
    const at = field.indexOf('=')
    fields.set(field.slice(0, at).trim(), field.slice(at + 1).trim())
  }
  const credential = fields.get('Credential')
  const signedHeaders = fields.get('SignedHeaders')
  const signature = fields.get('Signature')
  if (credential === undefined || signedHeaders === undefined || signature === undefined) {
    throw new S3Error('AuthorizationHeaderMalformed')
  }
  const date = headers['x-amz-date']
  if (date === undefined)
    throw new S3Error('AccessDenied', 'AWS authentication requires an x-amz-date header')
  const payloadHash = headers['x-amz-content-sha256']
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  }
  checkPayloadForm(payloadHash)
  return {
    presigned: false,
    credential,
    signedHeaders: signedHeaders.split(';'),
    signature,
    date,
    payloadHash,
  }
}

function queryClaim({ headers }: SignedTarget, query: ReadonlyMap<string, string>): Claim {
  const required = (name: string): string => {
    const value = query.get(name)
    if (value === undefined || value === '') {
      throw new S3Error('AuthorizationQueryParametersError', `The query parameter ${name} is required`)
    }
    return value
  }
  if (required('X-Amz-Algorithm') !== algorithm) {
    throw new S3Error('AuthorizationQueryParametersError', `X-Amz-Algorithm only supports "${algorithm}"`)
  }
  if (headers.authorization !== undefined) {
    throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed')
  }
  const payloadHash =
    headers['x-amz-content-sha256'] ?? query.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD'
  checkPayloadForm(payloadHash)
  return {
    presigned: true,
    credential: required('X-Amz-Credential'),
    signedHeaders: required('X-Amz-SignedHeaders').split(';'),
    signature: required('X-Amz-Signature'),
    date: required('X-Amz-Date'),
    payloadHash,
  }
}

function checkPayloadForm(payloadHash: string): void {
  if (payloadForms.has(payloadHash) || /^[0-9a-f]{64}$/.test(payloadHash)) return
  throw new S3Error(
    'InvalidArgument',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.',
  )
}

function checkTime(claim: Claim, query: ReadonlyMap<string, string>, now: number): void {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.date)
  const signedAt =
    parts === null
      ? Number.NaN
      : Date.parse(`${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}Z`)
  if (Number.isNaN(signedAt))
    throw new S3Error('AccessDenied', 'The date of the signature is not ISO 8601 basic')
  if (!claim.presigned) {
    if (Math.abs(now - signedAt) > maxSkewMs) throw new S3Error('RequestTimeTooSkewed')
    return
  }
  const expires = query.get('X-Amz-Expires') ?? ''
  const seconds = Number(expires)
  if (!/^\d+$/.test(expires) || seconds < 1 || seconds > maxExpiresSeconds) {
    throw new S3Error(
      'AuthorizationQueryParametersError',
      `X-Amz-Expires must be a number of seconds from 1 to ${maxExpiresSeconds}`,
    )
  }
  if (signedAt - now > maxSkewMs) throw new S3Error('AccessDenied', 'Request is not yet valid')
  if (now > signedAt + seconds * 1000) {
    throw new S3Error('AccessDenied', 'Request has expired', {
      'X-Amz-Expires': expires,
      Expires: new Date(signedAt + seconds * 1000).toISOString(),
      ServerTime: new Date(now).toISOString(),
    })
  }
}

/** Every signed header must be sent, and every x-amz-* header that is sent must be signed. */
function checkSignedHeaders(claim: Claim, target: SignedTarget): void {
  const signed = new Set(claim.signedHeaders)
  if (!signed.has('host')) throw new S3Error('AccessDenied', "The 'host' header must be signed")
  for (const name of signed) {
    if (target.headers[name] === undefined) {
      throw new S3Error('SignatureDoesNotMatch', `The signed header '${name}' was not sent`)
    }
  }
  const unsigned = Object.keys(target.headers).filter(
    (name) => name.startsWith('x-amz-') && !signed.has(name),
  )
  if (unsigned.length > 0) {
    throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
      HeadersNotSigned: unsigned.join(', '),
    })
  }
}
