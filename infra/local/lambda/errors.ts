const brand = Symbol.for('insighta.local.lambda.error')

/** The names AWS gives these refusals on the wire, in the `x-amzn-errortype` header. */
export type LambdaErrorType =
  | 'TooManyRequestsException'
  | 'ResourceNotFoundException'
  | 'RequestTooLargeException'
  | 'InvalidRequestContentException'
  | 'ServiceException'

const statusOf: Record<LambdaErrorType, number> = {
  TooManyRequestsException: 429,
  ResourceNotFoundException: 404,
  RequestTooLargeException: 413,
  InvalidRequestContentException: 400,
  ServiceException: 500,
}

/** Thrown when Lambda itself refuses an invocation: the function did not run. */
export class LambdaError extends Error {
  readonly [brand] = true
  readonly type: LambdaErrorType
  readonly status: number

  constructor(type: LambdaErrorType, message: string) {
    super(message)
    this.name = type
    this.type = type
    this.status = statusOf[type]
  }
}

export function isLambdaError(error: unknown): error is LambdaError {
  return typeof error === 'object' && error !== null && brand in error
}

/** Whether the invocation found every allowed concurrent execution taken: the same call may succeed later. */
export function isTooManyRequests(error: unknown): error is LambdaError {
  return isLambdaError(error) && error.type === 'TooManyRequestsException'
}

/** Whether the event was over Lambda's 6 MiB. */
export function isRequestTooLarge(error: unknown): error is LambdaError {
  return isLambdaError(error) && error.type === 'RequestTooLargeException'
}
