import { ConsecutiveBreaker, circuitBreaker, handleWhen, isBrokenCircuitError } from 'cockatiel'
import { RetryLaterError } from './retry.ts'
import { isTransient } from './transient.ts'

/** Failures one after the other that open the circuit: those of two callers with three attempts, nearly. */
const threshold = 5
/** Milliseconds that a circuit stays open before one call is let through to see. */
const openFor = 10_000

export type Circuit = {
  /**
   * Runs the call; while the circuit is open rejects with RetryLaterError instead. Only transient errors count
   * as failures, and none counts once `signal`, by which the caller calls it off, is aborted.
   */
  run<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

/** A circuit breaker for one third party; each execution environment learns by itself who is down. */
export function createCircuit(service: string): Circuit {
  const policy = circuitBreaker(
    handleWhen((error) => !(error instanceof CalledOff) && isTransient(error)),
    { halfOpenAfter: openFor, breaker: new ConsecutiveBreaker(threshold) },
  )
  let openedAt = 0
  policy.onBreak(() => {
    openedAt = Date.now()
  })

  /** What the last failure was, which the policy wraps. */
  function lastError(): unknown {
    const failure = policy.lastFailure
    return failure && 'error' in failure ? failure.error : undefined
  }

  return {
    async run(call, signal) {
      try {
        return await policy.execute(() =>
          call().catch((error: unknown) => {
            throw signal?.aborted ? new CalledOff(error) : error
          }),
        )
      } catch (error) {
        if (error instanceof CalledOff) throw error.cause
        if (!isBrokenCircuitError(error)) throw error
        throw new RetryLaterError(service, (openedAt + openFor - Date.now()) / 1000, lastError())
      }
    },
  }
}

class CalledOff extends Error {
  constructor(cause: unknown) {
    super('Called off', { cause })
  }
}
