import { afterEach, beforeEach, vi } from 'vitest'
import { logger } from '../../lib/platform/log.ts'
import { metrics } from '../../lib/platform/metrics.ts'
import type { RetryClock } from '../../lib/platform/retry.ts'

export type Retries = {
  /** The lines of the log, by level. */
  warned: string[]
  failed: string[]
  /** Metrics, as `RetryRecoveries Call=Generate assessment`. */
  counted: string[]
  /** Milliseconds that were waited, by a clock that does not wait. */
  waits: number[]
  clock: RetryClock
}

/** What retries of each test of the file say, count and wait. */
export function watchRetries(): Retries {
  const watched: Retries = {
    warned: [],
    failed: [],
    counted: [],
    waits: [],
    clock: {
      async sleep(ms) {
        watched.waits.push(ms)
      },
      random: () => 0.5,
    },
  }
  beforeEach(() => {
    for (const list of [watched.warned, watched.failed, watched.counted, watched.waits]) list.length = 0
    vi.spyOn(logger, 'warn').mockImplementation((...[line]) => void watched.warned.push(String(line)))
    vi.spyOn(logger, 'error').mockImplementation((...[line]) => void watched.failed.push(String(line)))
    const real = metrics.singleMetric.bind(metrics)
    vi.spyOn(metrics, 'singleMetric').mockImplementation(() => {
      const single = real()
      let call = ''
      single.addDimension = (name, value) => {
        call = `${name}=${value}`
        return single
      }
      single.addMetric = (name) => {
        watched.counted.push(`${name} ${call}`)
        return single
      }
      return single
    })
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })
  return watched
}
