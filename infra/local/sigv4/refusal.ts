/** What is wrong with a signature. Each service has its own error for it. */
export type RefusalReason =
  | 'missing'
  | 'algorithm'
  | 'malformed'
  | 'date'
  | 'scope'
  | 'key'
  | 'token'
  | 'skew'
  | 'unsigned'
  | 'unsent'
  | 'mismatch'

/** Thrown when a request is not signed as it must be. */
export class SignatureRefusal extends Error {
  readonly isSignatureRefusal = true
  readonly reason: RefusalReason
  readonly details: Readonly<Record<string, string>>

  constructor(reason: RefusalReason, message: string, details: Readonly<Record<string, string>> = {}) {
    super(message)
    this.name = 'SignatureRefusal'
    this.reason = reason
    this.details = details
  }
}

export function isSignatureRefusal(error: unknown): error is SignatureRefusal {
  return error instanceof Error && 'isSignatureRefusal' in error
}
