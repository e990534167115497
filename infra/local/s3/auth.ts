import type { SigningScope } from '../sigv4/canonical.ts'
import { isSignatureRefusal, type RefusalReason, type SignatureRefusal } from '../sigv4/refusal.ts'
import {
  type AwsCredentials,
  algorithm,
  checkCredential,
  checkSignature,
  checkSignedHeaders,
  checkSkew,
  headerClaim,
  maxSkewMs,
  type SignatureClaim,
  type SignedTarget,
  signedAt,
} from '../sigv4/verify.ts'
import { S3Error, type S3ErrorCode } from './errors.ts'

/** `payloadHash` is hexadecimal, UNSIGNED-PAYLOAD or STREAMING-...; chunk signatures start from `signature`. */
export type Authorization = {
  presigned: boolean
  payloadHash: string
  signature: string
  scope: SigningScope
}

const maxExpiresSeconds = 7 * 24 * 3600
const payloadForms = new Set([
  'UNSIGNED-PAYLOAD',
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
])

/** S3's error for each reason, with its own message for those of inOwnWords. */
const codes: Record<RefusalReason, S3ErrorCode> = {
  missing: 'AccessDenied',
  algorithm: 'InvalidRequest',
  malformed: 'AuthorizationHeaderMalformed',
  date: 'AccessDenied',
  scope: 'AuthorizationHeaderMalformed',
  key: 'InvalidAccessKeyId',
  token: 'InvalidToken',
  skew: 'RequestTimeTooSkewed',
  unsigned: 'AccessDenied',
  unsent: 'SignatureDoesNotMatch',
  mismatch: 'SignatureDoesNotMatch',
}
const inOwnWords: ReadonlySet<RefusalReason> = new Set([
  'missing',
  'malformed',
  'key',
  'token',
  'skew',
  'mismatch',
])

/**
 * Checks a SigV4 header or presigned query against the one key pair, as of `now` (ms).
 * Throws the S3Error that S3 gives for each defect.
 */
export function authenticate(
  target: SignedTarget,
  credentials: AwsCredentials,
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
  const presigned = query.has('X-Amz-Algorithm')
  const party = { credentials, region, service: 's3' }
  try {
    const claim = presigned ? queryClaim(target, query) : headerClaim(target)
    const payloadHash = presigned ? queryPayloadHash(target, query) : headerPayloadHash(target)
    checkCredential(claim, target, party)
    if (presigned) checkExpiry(claim, query, now)
    else checkSkew(claim, now)
    checkSignedHeaders(claim, target)
    const unsigned = target.query.filter(([name]) => name !== 'X-Amz-Signature')
    const scope = checkSignature(claim, { ...target, query: unsigned }, payloadHash, party)
    return { presigned, payloadHash, signature: claim.signature, scope }
  } catch (error) {
    throw isSignatureRefusal(error) ? s3Refusal(error, presigned) : error
  }
}

function s3Refusal({ reason, message, details }: SignatureRefusal, presigned: boolean): S3Error {
  const code = codes[reason]
  const malformed = code === 'AuthorizationHeaderMalformed' && presigned
  return new S3Error(
    malformed ? 'AuthorizationQueryParametersError' : code,
    inOwnWords.has(reason) ? undefined : message,
    details,
  )
}

function headerPayloadHash({ headers }: SignedTarget): string {
  const payloadHash = headers['x-amz-content-sha256']
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  }
  return checkedPayloadForm(payloadHash)
}

function queryClaim({ headers }: SignedTarget, query: ReadonlyMap<string, string>): SignatureClaim {
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
  return {
    credential: required('X-Amz-Credential'),
    signedHeaders: required('X-Amz-SignedHeaders').split(';'),
    signature: required('X-Amz-Signature'),
    date: required('X-Amz-Date'),
  }
}

function queryPayloadHash({ headers }: SignedTarget, query: ReadonlyMap<string, string>): string {
  return checkedPayloadForm(
    headers['x-amz-content-sha256'] ?? query.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD',
  )
}

function checkedPayloadForm(payloadHash: string): string {
  if (payloadForms.has(payloadHash) || /^[0-9a-f]{64}$/.test(payloadHash)) return payloadHash
  throw new S3Error(
    'InvalidArgument',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.',
  )
}

function checkExpiry(claim: SignatureClaim, query: ReadonlyMap<string, string>, now: number): void {
  const from = signedAt(claim)
  const expires = query.get('X-Amz-Expires') ?? ''
  const seconds = Number(expires)
  if (!/^\d+$/.test(expires) || seconds < 1 || seconds > maxExpiresSeconds) {
    throw new S3Error(
      'AuthorizationQueryParametersError',
      `X-Amz-Expires must be a number of seconds from 1 to ${maxExpiresSeconds}`,
    )
  }
  if (from - now > maxSkewMs) throw new S3Error('AccessDenied', 'Request is not yet valid')
  if (now > from + seconds * 1000) {
    throw new S3Error('AccessDenied', 'Request has expired', {
      'X-Amz-Expires': expires,
      Expires: new Date(from + seconds * 1000).toISOString(),
      ServerTime: new Date(now).toISOString(),
    })
  }
}
