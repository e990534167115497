import { describe, expect, it } from 'vitest'
import { randomFrom } from '../faults/random.ts'
import { Cores, Places, Simulation } from './core.ts'

describe('cores', () => {
  it('share themselves among their jobs: two of 1 and 3 s on one core end at 2 and 4 s', () => {
    expect(endsOf({ count: 1 }, [0, 1], [0, 3])).toEqual([2, 4])
  })

  it('give a job that comes later its share from then on', () => {
    // Alone for 1 s, then half a core each until the first has its 2 s at 3 s, then alone again.
    expect(endsOf({ count: 1 }, [0, 2], [1, 2])).toEqual([3, 4])
  })

  it('give no job more than its share, and jobs beyond their number less', () => {
    expect(endsOf({ count: 2 }, [0, 1])).toEqual([1])
    expect(endsOf({ count: 2 }, [0, 1], [0, 1], [0, 1])).toEqual([1.5, 1.5, 1.5])
    expect(endsOf({ count: Number.POSITIVE_INFINITY, share: 0.5 }, [0, 1], [0, 2])).toEqual([2, 4])
    expect(endsOf({ count: 0.25 }, [0, 1])).toEqual([4])
  })

  it('know how long they were busy', () => {
    const sim = new Simulation()
    const cores = new Cores(sim, { count: 2 })
    for (const work of [1, 2, 3]) sim.start(one(cores, work, () => {}))
    sim.run(10)
    expect(cores.busy).toBeCloseTo(6)
  })

  function endsOf(options: { count: number; share?: number }, ...jobs: [from: number, work: number][]) {
    const sim = new Simulation()
    const cores = new Cores(sim, options)
    const ends: number[] = []
    for (const [index, [from, work]] of jobs.entries()) {
      sim.after(from, () => sim.start(one(cores, work, () => (ends[index] = sim.now))))
    }
    sim.run()
    return ends
  }

  function* one(cores: Cores, work: number, done: () => void) {
    yield cores.use(work)
    done()
  }
})

describe('places', () => {
  it('drain equal messages one after the other: n of them in n times their time', () => {
    const { sim, queue } = served(
      1,
      100,
      () => 0,
      () => 0.5,
    )
    expect(sim.now).toBeCloseTo(50)
    expect(queue.peak).toBe(99)
    expect(queue.longestWait).toBeCloseTo(49.5)
    expect(queue.meanWait).toBeCloseTo(24.75)
  })

  it('let nobody wait whose service is shorter than the time between arrivals', () => {
    const { sim, queue } = served(
      1,
      100,
      () => 1,
      () => 0.9,
    )
    expect(sim.now).toBeCloseTo(100.9)
    expect(queue).toEqual({ peak: 0, meanWait: 0, longestWait: 0 })
  })

  it('make the mean wait of M/M/1: the load over what is left of it, times the service', () => {
    const random = randomFrom(7)
    const exponential = (mean: number) => () => -mean * Math.log(1 - random.share())
    const { queue } = served(1, 400_000, exponential(1), exponential(0.7))
    expect(queue.meanWait / ((0.7 / 0.3) * 0.7)).toBeCloseTo(1, 1)
    expect(Math.abs(queue.meanWait / ((0.7 / 0.3) * 0.7) - 1)).toBeLessThan(0.04)
  })

  it('make the mean wait of M/D/1: half of that of M/M/1', () => {
    const random = randomFrom(8)
    const { queue } = served(
      1,
      400_000,
      () => -Math.log(1 - random.share()),
      () => 0.7,
    )
    expect(Math.abs(queue.meanWait / ((0.7 / 0.3) * 0.35) - 1)).toBeLessThan(0.04)
  })

  it('bound as a lock what workers do together: one over the time it is held', () => {
    const sim = new Simulation()
    const [workers, lock] = [new Places(sim, 50), new Places(sim, 1)]
    function* slice() {
      yield workers.take()
      yield sim.wait(0.3)
      yield lock.take()
      yield sim.wait(0.04)
      lock.release()
      workers.release()
    }
    for (let n = 0; n < 1000; n++) sim.start(slice())
    sim.run()
    expect(sim.now).toBeCloseTo(0.3 + 1000 * 0.04)
    expect(lock.busy / sim.now).toBeGreaterThan(0.99)
    expect(workers.busy / (50 * sim.now)).toBeLessThanOrEqual(1)
  })

  function served(count: number, messages: number, gap: () => number, service: () => number) {
    const sim = new Simulation()
    const places = new Places(sim, count)
    function* message() {
      yield places.take()
      yield sim.wait(service())
      places.release()
    }
    function* arrivals() {
      for (let n = 0; n < messages; n++) {
        yield sim.wait(gap())
        sim.start(message())
      }
    }
    sim.start(arrivals())
    sim.run()
    return { sim, queue: places.queue }
  }
})
