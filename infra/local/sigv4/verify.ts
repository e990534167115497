import { timingSafeEqual } from 'node:crypto'
import { canonicalRequest, type SigningScope, sha256Hex, signingScope, signLines } from './canonical.ts'
import { SignatureRefusal } from './refusal.ts'

export type AwsCredentials = { accessKeyId: string; secretAccessKey: string }

/** Whose requests are let in, and where their signatures must say that they go. */
export type SigningParty = { credentials: AwsCredentials; region: string; service: string }

/** The part of a request that a signature covers. `path` as in CanonicalParts; header names are lower case. */
export type SignedTarget = {
  method: string
  path: string
  query: readonly (readonly [string, string])[]
  headers: Readonly<Record<string, string | undefined>>
}

/** What a request says of its own signature. `date` is as it was sent, 20130524T000000Z. */
export type SignatureClaim = {
  credential: string
  signedHeaders: string[]
  signature: string
  date: string
}

export const algorithm = 'AWS4-HMAC-SHA256'
export const maxSkewMs = 15 * 60 * 1000

/** The claim of an Authorization header. Throws a SignatureRefusal if there is none or it is malformed. */
export function headerClaim({ headers }: SignedTarget): SignatureClaim {
  const header = headers.authorization
  if (header === undefined) throw new SignatureRefusal('missing', 'Missing Authentication Token')
  const match = /^AWS4-HMAC-SHA256\s(.*)$/.exec(header)
  if (match?.[1] === undefined) throw new SignatureRefusal('algorithm', `Please use ${algorithm}.`)
  const fields = new Map<string, string>()
  for (const field of match[1].split(',')) {
    const at = field.indexOf('=')
    fields.set(field.slice(0, at).trim(), field.slice(at + 1).trim())
  }
  const credential = fields.get('Credential')
  const signedHeaders = fields.get('SignedHeaders')
  const signature = fields.get('Signature')
  if (credential === undefined || signedHeaders === undefined || signature === undefined) {
    throw new SignatureRefusal('malformed', 'The authorization header is malformed')
  }
  const date = headers['x-amz-date']
  if (date === undefined) {
    throw new SignatureRefusal('date', 'AWS authentication requires an x-amz-date header')
  }
  return { credential, signedHeaders: signedHeaders.split(';'), signature, date }
}

/** Checks for whom and for which region and service a claim was signed. Throws a SignatureRefusal. */
export function checkCredential(claim: SignatureClaim, target: SignedTarget, party: SigningParty): void {
  const { credentials, region, service } = party
  const [accessKeyId, day, claimedRegion, claimedService, terminator, ...rest] = claim.credential.split('/')
  if (
    claimedService !== service ||
    terminator !== 'aws4_request' ||
    rest.length > 0 ||
    day !== claim.date.slice(0, 8)
  ) {
    throw new SignatureRefusal(
      'scope',
      `The credential must be <key>/<date>/<region>/${service}/aws4_request`,
    )
  }
  if (accessKeyId !== credentials.accessKeyId) {
    throw new SignatureRefusal('key', 'The security token included in the request is invalid.')
  }
  const inQuery = target.query.some(([name]) => name === 'X-Amz-Security-Token')
  if (inQuery || target.headers['x-amz-security-token'] !== undefined) {
    throw new SignatureRefusal('token', 'The security token included in the request is invalid.')
  }
  if (claimedRegion !== region) {
    const message = `The region '${claimedRegion}' is wrong; expecting '${region}'`
    throw new SignatureRefusal('scope', message, { Region: region })
  }
}

/** When a claim was signed, in Unix milliseconds. Throws a SignatureRefusal if its date is none. */
export function signedAt({ date }: SignatureClaim): number {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date)
  const at =
    parts === null
      ? Number.NaN
      : Date.parse(`${parts[1]}-${parts[2]}-${parts[3]}T${parts[4]}:${parts[5]}:${parts[6]}Z`)
  if (Number.isNaN(at)) throw new SignatureRefusal('date', 'The date of the signature is not ISO 8601 basic')
  return at
}

/** Throws a SignatureRefusal for a claim signed more than 15 minutes before or after `now` (ms). */
export function checkSkew(claim: SignatureClaim, now: number): void {
  if (Math.abs(now - signedAt(claim)) <= maxSkewMs) return
  const current = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '')
  throw new SignatureRefusal('skew', `Signature expired or not yet valid: ${claim.date}, now ${current}`)
}

/**
 * Every signed header must be sent, and every x-amz-* header that is sent must be signed. Throws a
 * SignatureRefusal.
 */
export function checkSignedHeaders(claim: SignatureClaim, target: SignedTarget): void {
  const signed = new Set(claim.signedHeaders)
  if (!signed.has('host')) throw new SignatureRefusal('unsigned', "The 'host' header must be signed")
  for (const name of signed) {
    if (target.headers[name] === undefined) {
      throw new SignatureRefusal('unsent', `The signed header '${name}' was not sent`)
    }
  }
  const unsigned = Object.keys(target.headers).filter(
    (name) => name.startsWith('x-amz-') && !signed.has(name),
  )
  if (unsigned.length > 0) {
    throw new SignatureRefusal(
      'unsigned',
      'There were headers present in the request which were not signed',
      { HeadersNotSigned: unsigned.join(', ') },
    )
  }
}

/** Checks the signature itself over the target and its payload. Throws a SignatureRefusal. */
export function checkSignature(
  claim: SignatureClaim,
  target: SignedTarget,
  payloadHash: string,
  { credentials, region, service }: SigningParty,
): SigningScope {
  const scope = signingScope(credentials.secretAccessKey, claim.date, region, service)
  const { signedHeaders } = claim
  const canonical = canonicalRequest({ ...target, signedHeaders, payloadHash })
  if (!equalSignatures(claim.signature, signLines(algorithm, scope, sha256Hex(canonical)))) {
    throw new SignatureRefusal(
      'mismatch',
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    )
  }
  return scope
}

/** Compares in constant time; anything that is not 64 hexadecimal digits is unequal. */
export function equalSignatures(given: string, expected: string): boolean {
  if (!/^[0-9a-f]{64}$/.test(given)) return false
  return timingSafeEqual(Buffer.from(given, 'hex'), Buffer.from(expected, 'hex'))
}
