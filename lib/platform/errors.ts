const brand = Symbol.for('insighta.error')

/** One problem with one input, as the `details` of an error answer lists it. */
export type ErrorDetail = { field?: string; message: string }

export type InsightaErrorOptions = {
  /** snake_case, stable: clients branch on it. */
  code: string
  /** HTTP status of the answer when it reaches the API. */
  status: number
  /** Whether the same call may succeed later without anybody changing anything. */
  retryable?: boolean
  details?: ErrorDetail[]
  headers?: Record<string, string>
  cause?: unknown
}

/** The base of every error this product throws on purpose. Its message may be shown to the caller. */
export class InsightaError extends Error {
  readonly [brand] = true
  readonly code: string
  readonly status: number
  readonly retryable: boolean
  readonly details: ErrorDetail[] | undefined
  readonly headers: Record<string, string> | undefined

  constructor(message: string, options: InsightaErrorOptions) {
    super(message, { cause: options.cause })
    this.name = new.target.name
    this.code = options.code
    this.status = options.status
    this.retryable = options.retryable ?? false
    this.details = options.details
    this.headers = options.headers
  }
}

export function isInsightaError(error: unknown): error is InsightaError {
  return typeof error === 'object' && error !== null && brand in error
}

/** Thrown when input is missing, unknown or cannot be understood: 400. */
export class BadRequestError extends InsightaError {
  constructor(message: string, details?: ErrorDetail[], code = 'bad_request') {
    super(message, { code, status: 400, ...(details && { details }) })
  }
}

/** Thrown when no key, or no valid key, came with a call that needs one: 401. */
export class UnauthorizedError extends InsightaError {
  /** Of a key that is revoked or has expired, for the log. */
  readonly keyId: string | undefined

  constructor(message: string, keyId?: string) {
    super(message, { code: 'unauthorized', status: 401, headers: { 'WWW-Authenticate': 'Bearer' } })
    this.keyId = keyId
  }
}

/** Thrown when the key's role does not allow the route: 403. */
export class ForbiddenError extends InsightaError {
  constructor(message: string) {
    super(message, { code: 'forbidden', status: 403 })
  }
}

/** Thrown when the thing asked for is not there, or is another team's: 404. */
export class NotFoundError extends InsightaError {
  constructor(message: string) {
    super(message, { code: 'not_found', status: 404 })
  }
}

/** Thrown when the state of a thing does not allow the call: 409. */
export class ConflictError extends InsightaError {
  constructor(message: string, code = 'conflict', details?: ErrorDetail[]) {
    super(message, { code, status: 409, ...(details && { details }) })
  }
}

/** Thrown when a thing is not in the state that the call was made for: 412. */
export class PreconditionFailedError extends InsightaError {
  constructor(message: string) {
    super(message, { code: 'precondition_failed', status: 412 })
  }
}

/** Thrown when something is larger than its limit: 413. */
export class TooLargeError extends InsightaError {
  constructor(message: string) {
    super(message, { code: 'too_large', status: 413 })
  }
}

/** Thrown when values have the wrong type or contradict each other: 422. */
export class UnprocessableError extends InsightaError {
  constructor(message: string, details?: ErrorDetail[], code = 'invalid_value') {
    super(message, { code, status: 422, ...(details && { details }) })
  }
}

/** Thrown when a key has made all requests of its window: 429 with Retry-After in seconds. */
export class RateLimitedError extends InsightaError {
  constructor(limit: number, retryAfterSeconds: number) {
    const message = `This key may make ${limit} requests a minute: come back in ${retryAfterSeconds} s`
    super(message, {
      code: 'rate_limited',
      status: 429,
      retryable: true,
      headers: { 'Retry-After': String(retryAfterSeconds) },
    })
  }
}

/** Thrown when a team has spent what it may in a day of something that costs money: 429 until the day ends. */
export class QuotaExceededError extends InsightaError {
  constructor(what: string, dailyLimit: number, retryAfterSeconds: number) {
    const message = `The team may use ${dailyLimit} ${what} a day, and this would be more: come back in ${retryAfterSeconds} s`
    super(message, {
      code: 'quota_exceeded',
      status: 429,
      retryable: true,
      headers: { 'Retry-After': String(retryAfterSeconds) },
    })
  }
}

/** Thrown when something that this product stands on does not answer: 503 with Retry-After in seconds. */
export class UnavailableError extends InsightaError {
  constructor(message: string, cause?: unknown, retryAfterSeconds = 5) {
    super(message, {
      code: 'unavailable',
      status: 503,
      retryable: true,
      cause,
      headers: { 'Retry-After': String(retryAfterSeconds) },
    })
  }
}

/** Thrown when a third party answered what cannot be used: 502. */
export class UpstreamInvalidError extends InsightaError {
  readonly service: string

  constructor(service: string, cause?: unknown) {
    super(`${service} returned an invalid response`, { code: 'upstream_invalid', status: 502, cause })
    this.service = service
  }
}

/** Thrown when a third party does not answer, or says that it cannot now: 503. */
export class UpstreamUnavailableError extends UnavailableError {
  /** What the service asked for by Retry-After. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number | undefined } = {}) {
    const { cause, retryAfterMs } = options
    super(message, cause, retryAfterMs === undefined ? 5 : Math.max(1, Math.ceil(retryAfterMs / 1000)))
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * What a refusal is about: `account` is our key, its rights, billing, the model or the sender, which an operator
 * can mend; `request` is what was sent, which would be refused again.
 */
export const refusalSubjects = ['account', 'request'] as const
export type RefusalSubject = (typeof refusalSubjects)[number]

/** The code of a refusal that is about the account. */
export const refusedByProvider = 'refused_by_provider'

/** Thrown when a third party refuses a call that it would refuse again as things are: 502. */
export class UpstreamRefusedError extends InsightaError {
  readonly service: string
  readonly reason: string
  readonly about: RefusalSubject

  /** @param reason The status and the service's own code: its message may quote what was sent. */
  constructor(service: string, reason: string, about: RefusalSubject = 'request') {
    const code = about === 'account' ? refusedByProvider : 'refused'
    super(`${service} refused the call: ${reason}`, { code, status: 502 })
    this.service = service
    this.reason = reason
    this.about = about
  }
}

/** Thrown when a model, asked more than once, does not answer in the form that it was asked for: 502. */
export class InvalidAnswerError extends InsightaError {
  readonly service: string
  readonly reason: string

  /** @param reason What is wrong, without a word of the answer. */
  constructor(service: string, reason: string) {
    super(`The answer of ${service} cannot be used: ${reason}`, { code: 'invalid_answer', status: 502 })
    this.service = service
    this.reason = reason
  }
}

/** The seconds of the Retry-After that an error brings; undefined where it brings none. */
export function retryAfterSeconds(error: InsightaError): number | undefined {
  const seconds = Number(error.headers?.['Retry-After'])
  return Number.isNaN(seconds) ? undefined : seconds
}

/** Thrown at start-up when the environment lacks a value that the code needs. */
export class ConfigurationError extends InsightaError {
  constructor(message: string) {
    super(message, { code: 'configuration', status: 500 })
  }
}
