import { setTimeout } from 'node:timers/promises'
import { InsightaError } from './errors.ts'
import { logger } from './log.ts'
import { MetricUnit, metrics } from './metrics.ts'
import { retryAfterOf } from './retry-after.ts'
import { isTransient, neverRetried } from './transient.ts'

/** What waits and draws lots: a test gives its own. */
export type RetryClock = {
  /** Resolves after so many milliseconds; rejects with the signal's reason. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<unknown>
  /** From 0 to 1, 1 excluded. */
  random(): number
}

export type RetryOptions = {
  /** What is done, as the log says it: `Generate assessment`. No ids: it is a metric's dimension, too. */
  name: string
  /** Default 3. */
  attempts?: number
  /** Milliseconds before the second attempt. Default 2,000. */
  initialDelay?: number
  /** Each wait is so many times the one before. Default 2. */
  factor?: number
  /** Milliseconds that a wait is at the most. Default 30,000. */
  maxDelay?: number
  /** `full` waits anything up to the delay, so that callers who failed together do not return together. */
  jitter?: 'none' | 'full'
  /** Default: isTransient. Validation and programming errors are not asked about: they are never retried. */
  retryOn?(error: unknown): boolean
  signal?: AbortSignal | undefined
  /** Milliseconds until Lambda ends the invocation. */
  remainingMs?(): number
  clock?: RetryClock
}

export type Attempt = { attempt: number; signal: AbortSignal | undefined }

const brand = Symbol.for('insighta.retry-later')

/** Thrown in place of a wait that is too long for this invocation: the work is to come back after it. */
export class RetryLaterError extends InsightaError {
  readonly [brand] = true
  readonly waitSeconds: number
  /** Whether the time is known, so that no queue makes the wait longer. */
  readonly exact: boolean

  constructor(name: string, waitSeconds: number, cause: unknown, { exact = false } = {}) {
    const whole = Math.max(1, Math.ceil(waitSeconds))
    super(`${name} is to be tried again in ${whole} s`, {
      code: 'unavailable',
      status: 503,
      retryable: true,
      headers: { 'Retry-After': String(whole) },
      cause,
    })
    this.waitSeconds = whole
    this.exact = exact
  }
}

export function isRetryLater(error: unknown): error is RetryLaterError {
  return typeof error === 'object' && error !== null && brand in error
}

/** Milliseconds that must be left after a wait: an attempt that starts with less only runs into the deadline. */
export const leastForAnAttempt = 1000

const realClock: RetryClock = {
  sleep: (ms, signal) => setTimeout(ms, undefined, signal && { signal }),
  random: Math.random,
}

/**
 * Runs `operation` until it succeeds, at most `attempts` times, and rejects with its last error. An error that
 * carries how long to wait (Retry-After) is obeyed. Where that is longer than `maxDelay`, or a wait would not
 * end in time before the deadline, rejects with RetryLaterError at once.
 */
export async function retry<T>(
  options: RetryOptions,
  operation: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const { name, attempts = 3, signal, clock = realClock } = options
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    try {
      const result = await operation({ attempt, signal })
      if (attempt > 1) count('RetryRecoveries', name)
      return result
    } catch (error) {
      if (signal?.aborted || isRetryLater(error) || !isRetried(error, options)) throw error
      if (attempt >= attempts) {
        logger.error(`All ${attempts} attempts failed for ${name}`, { error: error as Error })
        count('RetryExhaustions', name)
        throw error
      }
      const asked = retryAfterOf(error) ?? 0
      const wait = Math.max(asked, delayBefore(attempt + 1, options, clock))
      const seconds = (wait / 1000).toFixed(2)
      const message = error instanceof Error ? error.message : String(error)
      logger.warn(`Attempt ${attempt}/${attempts} failed for ${name}: ${message}. Retrying in ${seconds}s...`)
      if (isTooLong(wait, options)) throw new RetryLaterError(name, wait / 1000, error)
      count('RetryAttempts', name)
      await sleep(clock, wait, signal)
    }
  }
}

function isRetried(error: unknown, { retryOn = isTransient }: RetryOptions): boolean {
  return !neverRetried(error) && retryOn(error)
}

function delayBefore(attempt: number, options: RetryOptions, clock: RetryClock): number {
  const { initialDelay = 2000, factor = 2, maxDelay = 30_000, jitter = 'none' } = options
  const delay = Math.min(maxDelay, initialDelay * factor ** (attempt - 2))
  return jitter === 'full' ? clock.random() * delay : delay
}

function isTooLong(wait: number, { maxDelay = 30_000, remainingMs }: RetryOptions): boolean {
  if (wait > maxDelay) return true
  return remainingMs !== undefined && wait + leastForAnAttempt > remainingMs()
}

async function sleep(clock: RetryClock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await clock.sleep(ms, signal)
  } catch (error) {
    // Node's timer rejects with an error of its own and keeps the reason to itself.
    signal?.throwIfAborted()
    throw error
  }
}

type RetryMetric = 'RetryAttempts' | 'RetryRecoveries' | 'RetryExhaustions'

function count(metric: RetryMetric, call: string): void {
  const single = metrics.singleMetric()
  single.addDimension('Call', call)
  single.addMetric(metric, MetricUnit.Count, 1)
}
