import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest'
import { logger } from '../../../lib/platform/log.ts'
import { beating, pulseFromEnvironment, pulseOf } from '../../../lib/platform/work/heartbeat.ts'
import { giveUp } from '../../../lib/platform/work/release.ts'

let warn: MockInstance
beforeEach(() => {
  warn = vi.spyOn(logger, 'warn').mockImplementation(() => {})
  vi.spyOn(logger, 'error').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

const heart = { name: 'Telling', everySeconds: 0.01 }

describe('a pulse', () => {
  it.each([6, 15, 60, 90])(
    'of a lease of %i s brings a message back after the lease, within 90 s',
    (lease) => {
      const pulse = pulseOf(lease)
      // The message was hidden a whole beat before the lease was renewed last.
      expect(pulse.visibility - pulse.beat).toBeGreaterThan(pulse.lease)
      expect(pulse.visibility).toBeLessThanOrEqual(pulse.lease + 90)
      expect(Number.isInteger(pulse.visibility)).toBe(true)
    },
  )

  it('lets the sweep, which runs every minute, take over within 90 s after the lease, and after SQS', () => {
    expect(pulseFromEnvironment()).toEqual({ beat: 20, lease: 60, visibility: 85, grace: 25 })
    expect(pulseFromEnvironment().grace + 60).toBeLessThan(90)
    vi.stubEnv('LEASE_SECONDS', '6')
    expect(pulseFromEnvironment()).toEqual({ beat: 2, lease: 6, visibility: 9, grace: 3 })
  })
})

describe('a heart', () => {
  it('beats while the work goes on, and not after', async () => {
    let beats = 0
    const beat = async () => void beats++
    const result = await beating({ ...heart, beat }, async () => {
      await vi.waitFor(() => expect(beats).toBeGreaterThan(3))
      return 'made'
    })
    expect(result).toBe('made')
    const then = beats
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(beats).toBe(then)
  })

  it('rejects as its work does, once its last beat is over', async () => {
    let under = 0
    const beat = async () => {
      under++
      await new Promise((resolve) => setTimeout(resolve, 5))
      under--
    }
    const work = async () => {
      await vi.waitFor(() => expect(under).toBe(1))
      throw new Error('of the work')
    }
    await expect(beating({ ...heart, beat }, work)).rejects.toThrow('of the work')
    expect(under).toBe(0)
  })

  it('has one beat at a time, and gives up one that hangs', async () => {
    let begun = 0
    const signals: AbortSignal[] = []
    const beat = (signal: AbortSignal) => {
      begun++
      signals.push(signal)
      return new Promise<void>(() => {})
    }
    await beating({ ...heart, beat, atOnce: true }, async () => {
      expect(begun).toBe(1)
      await vi.waitFor(() => expect(begun).toBeGreaterThan(2))
      expect(signals.slice(0, -1).every(({ aborted }) => aborted)).toBe(true)
    })
    expect(warn).toHaveBeenCalledWith('Telling failed', expect.anything())
  })

  it('tells its work when no beat is under way', async () => {
    let under = false
    const beat = async () => {
      under = true
      await new Promise((resolve) => setTimeout(resolve, 5))
      under = false
    }
    await beating({ ...heart, everySeconds: 60, beat, atOnce: true }, async (settled) => {
      expect(under).toBe(true)
      await settled()
      expect(under).toBe(false)
    })
  })
})

describe('work that is given up', () => {
  const cut = Object.assign(new Error('cut'), { code: 'CONNECTION_CLOSED' })

  it('is given up when the database is back within seconds', async () => {
    const release = vi.fn().mockRejectedValueOnce(cut).mockResolvedValueOnce(undefined)
    await giveUp(release, () => 60_000)
    expect(release).toHaveBeenCalledTimes(2)
  })

  it('is held if the time of its worker is up, or if the database refuses', async () => {
    const release = vi.fn().mockRejectedValue(cut)
    await giveUp(release, () => 1000)
    expect(release).toHaveBeenCalledTimes(1)
    const refused = vi.fn().mockRejectedValue(new Error('no such column'))
    await giveUp(refused, () => 60_000)
    expect(refused).toHaveBeenCalledTimes(1)
    expect(warn).toHaveBeenCalledWith('Work is held until its lease ends', expect.anything())
  })
})
