import { numberEnv } from '../config.ts'
import { describeFailure } from '../failures.ts'
import { logger } from '../log.ts'
import { env } from '../names.ts'
import { within } from '../within.ts'

/** By what a worker that lives is told from one that died. All in seconds. */
export type Pulse = {
  /** Between two signs of life. */
  beat: number
  /** After a sign of life, before the work counts as abandoned. */
  lease: number
  /** After a sign of life, before SQS delivers the message again: the lease has ended by then. */
  visibility: number
  /** After the end of a lease, before the sweep takes the work up: SQS comes first. */
  grace: number
}

/** Three beats fit into a lease, so that one or two may be lost. */
export function pulseOf(leaseSeconds: number): Pulse {
  const beat = leaseSeconds / 3
  // A lease may be renewed up to a beat after its message was; the rest is for slow calls.
  const grace = Math.ceil(beat + leaseSeconds / 12)
  return { beat, lease: leaseSeconds, visibility: leaseSeconds + grace, grace }
}

/** The pulse of the lease that the environment names, a minute unless it does. */
export function pulseFromEnvironment(): Pulse {
  return pulseOf(numberEnv(env.leaseSeconds, 60))
}

/** Milliseconds after which a beat is given up: work that is done waits for the last one. */
const longestBeat = 5000

export type Heart = {
  /** What is told, as the log says it. */
  name: string
  everySeconds: number
  /** Tells it once more. A failure is logged and does no harm: the next beat comes soon. */
  beat(signal: AbortSignal): Promise<unknown>
  /** Whether the first beat is due at once (default: after the first interval). */
  atOnce?: boolean
}

/**
 * Runs `work`, and beats for as long as it runs. Beats do not overlap, and none is on its way any more once this
 * settles, or once `settled` has, which resolves when the beat under way is over.
 */
export async function beating<T>(
  { name, everySeconds, beat, atOnce = false }: Heart,
  work: (settled: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const milliseconds = everySeconds * 1000
  const patience = Math.min(milliseconds, longestBeat)
  let current: Promise<void> | undefined
  const once = async () => {
    try {
      await within(patience, beat(AbortSignal.timeout(patience)))
    } catch (error) {
      logger.warn(`${name} failed`, { code: describeFailure(error).error })
    }
    current = undefined
  }
  const next = () => {
    current ??= once()
  }
  if (atOnce) next()
  const timer = setInterval(next, milliseconds).unref()
  try {
    return await work(async () => current)
  } finally {
    clearInterval(timer)
    await current
  }
}
