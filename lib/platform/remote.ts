import middy, { type MiddyfiedHandler } from '@middy/core'
import type { Context } from 'aws-lambda'
import * as z from 'zod'
import {
  ConfigurationError,
  InvalidAnswerError,
  isInsightaError,
  refusalSubjects,
  retryAfterSeconds,
  UnavailableError,
  UpstreamInvalidError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from './errors.ts'
import { invokeFunction } from './invoke.ts'
import { beginLog, correlate, correlationId, logger } from './log.ts'
import type { CallOptions } from './outside.ts'
import { isRetryLater, RetryLaterError } from './retry.ts'

/*
 * Functions in the VPC have no way out to the internet, so those outside it call the third parties for them.
 * A failure of a third party is an answer of theirs, too: an error of Lambda would lose what it means.
 */

const service = z.string()
const seconds = z.number()

const failureSchema = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('invalid'), service }),
  z.strictObject({ status: z.literal('invalid_answer'), service, reason: z.string() }),
  z.strictObject({
    status: z.literal('refused'),
    service,
    reason: z.string(),
    // The release before says nothing of it.
    about: z.enum(refusalSubjects).default('request'),
  }),
  z.strictObject({ status: z.literal('unavailable'), message: z.string(), retry_after: seconds }),
  z.strictObject({ status: z.literal('later'), wait: seconds, reason: z.string().optional() }),
  z.strictObject({ status: z.literal('configuration'), message: z.string() }),
])
type Failure = z.output<typeof failureSchema>

const answerSchema = z.union([
  z.strictObject({ status: z.literal('done'), result: z.unknown() }),
  failureSchema,
])

export type RemoteAnswer<Result> = { status: 'done'; result: Result } | Failure

/** Milliseconds before the deadline by which the answer is on its way. */
const reserve = 250
/** Milliseconds before its own deadline at which a caller stops waiting, for what it has to do then. */
const callerReserve = 250

/** What a caller may say beside its request. */
const callerSchema = z.looseObject({
  remaining_ms: z.number().optional(),
  correlation_id: z.string().optional(),
})

/**
 * A Lambda handler that other functions call by callRemote. Its work has until the deadline, or the caller's
 * where that is sooner. The request is nowhere logged.
 */
export function remoteFunction<Schema extends z.ZodType, Result>(
  requestSchema: Schema,
  handle: (request: z.output<Schema>, options: Required<Pick<CallOptions, 'remainingMs'>>) => Promise<Result>,
): MiddyfiedHandler<unknown, RemoteAnswer<Result>> {
  return middy<unknown, RemoteAnswer<Result>>().handler(async (event: unknown, context: Context) => {
    beginLog(context)
    const { remaining_ms, correlation_id, ...body } = callerSchema.parse(event)
    if (correlation_id !== undefined) correlate(correlation_id)
    const request = requestSchema.parse(body)
    const callerEnds = remaining_ms === undefined ? Number.POSITIVE_INFINITY : Date.now() + remaining_ms
    const remainingMs = () => Math.min(context.getRemainingTimeInMillis(), callerEnds - Date.now()) - reserve
    try {
      return { status: 'done', result: await handle(request, { remainingMs }) }
    } catch (error) {
      const failure = failureOf(error)
      if (!failure) throw error
      logger.warn('A call to a third party failed', { error: error as Error })
      return failure
    }
  })
}

export type RemoteCall<Schema extends z.ZodType> = {
  functionName: string
  /** What is done, as log lines say it. */
  name: string
  request: object
  result: Schema
}

/**
 * What a remoteFunction answers to the request. Rejects as its work did, as invokeFunction does, and with
 * UpstreamUnavailableError if there is no answer shortly before the caller's own deadline.
 */
export async function callRemote<Schema extends z.ZodType>(
  { functionName, name, request, result }: RemoteCall<Schema>,
  { signal, remainingMs }: CallOptions = {},
): Promise<z.output<Schema>> {
  const remaining_ms = remainingMs && Math.max(1, Math.floor(remainingMs() - callerReserve))
  const payload = {
    ...request,
    ...(remaining_ms !== undefined && { remaining_ms }),
    correlation_id: correlationId(),
  }
  const late = remaining_ms === undefined ? undefined : AbortSignal.timeout(remaining_ms)
  const answer = answerSchema.parse(
    await inTime(late, signal, (any) => invokeFunction(functionName, payload, any)),
  )
  if (answer.status !== 'done') throw errorOf(answer, name)
  return result.parse(answer.result)
}

async function inTime<T>(
  late: AbortSignal | undefined,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await call(late && signal ? AbortSignal.any([late, signal]) : (late ?? signal))
  } catch (error) {
    if (late?.aborted && error === late.reason) {
      throw new UpstreamUnavailableError('A function did not answer in time; try again', { cause: error })
    }
    throw error
  }
}

/** A failure as an answer; undefined for what is no third party's. */
function failureOf(error: unknown): Failure | undefined {
  if (isRetryLater(error)) {
    const reason = isInsightaError(error.cause) ? error.cause.message : undefined
    return { status: 'later', wait: error.waitSeconds, ...(reason !== undefined && { reason }) }
  }
  if (error instanceof UpstreamInvalidError) return { status: 'invalid', service: error.service }
  if (error instanceof InvalidAnswerError) {
    return { status: 'invalid_answer', service: error.service, reason: error.reason }
  }
  if (error instanceof UpstreamRefusedError) {
    const { service, reason, about } = error
    return { status: 'refused', service, reason, about }
  }
  if (error instanceof UnavailableError) {
    return { status: 'unavailable', message: error.message, retry_after: retryAfterSeconds(error) ?? 5 }
  }
  if (error instanceof ConfigurationError) return { status: 'configuration', message: error.message }
  return undefined
}

function errorOf(failure: Failure, name: string): Error {
  switch (failure.status) {
    case 'invalid':
      return new UpstreamInvalidError(failure.service)
    case 'invalid_answer':
      return new InvalidAnswerError(failure.service, failure.reason)
    case 'refused':
      return new UpstreamRefusedError(failure.service, failure.reason, failure.about)
    case 'unavailable':
      return new UpstreamUnavailableError(failure.message, { retryAfterMs: failure.retry_after * 1000 })
    case 'later': {
      const { wait, reason } = failure
      return new RetryLaterError(
        name,
        wait,
        reason === undefined ? undefined : new UpstreamUnavailableError(reason),
      )
    }
    case 'configuration':
      return new ConfigurationError(failure.message)
  }
}
