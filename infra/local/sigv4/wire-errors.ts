import type { RefusalReason, SignatureRefusal } from './refusal.ts'

/** The names of an error in AWS's JSON protocols, and in the older query protocol. */
type ErrorNames = { type: string; queryCode: string }

const incomplete = { type: 'IncompleteSignatureException', queryCode: 'IncompleteSignature' }
const unknown = { type: 'UnrecognizedClientException', queryCode: 'InvalidClientTokenId' }
const wrong = { type: 'InvalidSignatureException', queryCode: 'SignatureDoesNotMatch' }

const names: Record<RefusalReason, ErrorNames> = {
  missing: { type: 'MissingAuthenticationTokenException', queryCode: 'MissingAuthenticationToken' },
  algorithm: incomplete,
  malformed: incomplete,
  date: incomplete,
  scope: wrong,
  key: unknown,
  token: unknown,
  skew: wrong,
  unsigned: wrong,
  unsent: wrong,
  mismatch: wrong,
}

/**
 * What the services but S3 call a refused signature.
 * https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
 */
export function errorNames({ reason }: SignatureRefusal): ErrorNames {
  return names[reason]
}
