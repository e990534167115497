import { describe, expect, it } from 'vitest'
import type { Calibration, QueryCost } from './calibration.ts'
import { simulateQueue } from './interviewing.ts'
import { awsMachine, oneMachine, type Scenario, simulateImports } from './pipeline.ts'

const query: QueryCost = {
  function: 0.01,
  database: 0.01,
  services: 0,
  seconds: 0.02,
  responseBytes: 3000,
  logBytes: 1000,
}
/** A slice of 0.5 s: 0.2 of the function, 0.25 of the database, 0.04 of which is under the lock, 0.05 of services. */
const calibration: Calibration = {
  measured: 'by nobody',
  rowsPerSlice: 10_000,
  tableRows: 1_000_000,
  bytesPerRow: 400,
  indexBytesPerRow: 250,
  slice: {
    function: 0.2,
    database: 0.25,
    services: 0.05,
    seconds: 0.5,
    workerSeconds: 0.5,
    fileBytes: 500_000,
    walBytes: 8_000_000,
  },
  lock: { function: 0, database: 0.04, services: 0, seconds: 0.04 },
  split: { seconds: 0.1, perSlice: 0.01 },
  finishSeconds: 0.2,
  parallelism: 2,
  others: 0,
  pace: 1,
  fresh: query,
  cached: query,
}
const idle = { perSecond: 0, cost: query }

function run(scenario: Partial<Scenario> & { slices?: number }) {
  const { slices = 20, ...given } = scenario
  return simulateImports(calibration, {
    machine: (sim) => oneMachine(sim, calibration),
    workers: 1,
    imports: [{ at: 0, slices }],
    queries: idle,
    ...given,
  })
}

describe('the imports', () => {
  it('drain one slice after the other with one worker, after the split and before the report', () => {
    const { drainSeconds, peakBacklog, meanWait, oldest, backlog } = run({})
    expect(drainSeconds).toBeCloseTo(0.1 + 20 * 0.01 + 20 * 0.5 + 0.2)
    expect(peakBacklog).toBe(19)
    // The first waits for nobody, the last for the 19 before it.
    expect(oldest).toBeCloseTo(19 * 0.5)
    expect(meanWait).toBeCloseTo((19 * 0.5) / 2)
    expect(backlog.slice(0, 3)).toEqual([0, 18, 16])
  })

  it('take half as long with two workers on two cores, and no less with four', () => {
    const [one, two, four] = [1, 2, 4].map((workers) => run({ workers }).drainSeconds - 0.5)
    expect(two! / one!).toBeCloseTo(0.5, 1)
    expect(four! / two!).toBeCloseTo(1, 1)
  })

  it('are bound by the lock where there is plenty of all else: one slice for each time that it is held', () => {
    const { drainSeconds, use, bottleneck } = run({
      slices: 1000,
      workers: 500,
      machine: (sim) => awsMachine(sim, { memory: 1769, units: 4000 }),
    })
    expect(drainSeconds).toBeCloseTo(0.1 + 1000 * 0.01 + 0.46 + 1000 * 0.04 + 0.2, 1)
    expect(bottleneck).toBe('lock')
    expect(use.lock).toBeGreaterThan(0.75)
  })

  it('are bound by the cores of a small database: its work over their number', () => {
    const { drainSeconds, bottleneck, use } = run({
      slices: 200,
      workers: 50,
      machine: (sim) => awsMachine(sim, { memory: 1769, units: 4 }),
    })
    expect(drainSeconds / ((200 * 0.25) / 1)).toBeGreaterThan(1)
    expect(drainSeconds / ((200 * 0.25) / 1)).toBeLessThan(1.15)
    expect(use.database).toBeGreaterThan(0.85)
    expect(bottleneck).not.toBe('lock')
  })

  it('have the cores that queries leave: half of them makes it twice as long', () => {
    const busy = run({ workers: 8, slices: 40, queries: { perSecond: 50, cost: query } }).drainSeconds
    const alone = run({ workers: 8, slices: 40 }).drainSeconds
    expect(busy / alone).toBeGreaterThan(1.75)
    expect(busy / alone).toBeLessThan(2.1)
  })

  it('wait for those that came before', () => {
    const imports = [
      { at: 0, slices: 20 },
      { at: 5, slices: 20 },
    ]
    expect(run({ imports }).drainSeconds).toBeCloseTo(0.3 + 40 * 0.5 + 0.2)
  })
})

describe('the queue of assessments', () => {
  it('grows by what comes beyond what its workers can do, and stays short below that', () => {
    // Five workers of 20 s each do 900 in an hour.
    expect(simulateQueue(1800 / 3600, 5, 20, 3600).left).toBeGreaterThan(800)
    expect(simulateQueue(1800 / 3600, 5, 20, 3600).left).toBeLessThan(1000)
    const few = simulateQueue(450 / 3600, 5, 20, 36_000)
    expect(few.use).toBeCloseTo(0.5, 1)
    expect(few.left).toBeLessThan(10)
  })
})
