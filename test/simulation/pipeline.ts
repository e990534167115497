import type { Calibration, Outcome, QueryCost, Work } from './calibration.ts'
import { Cores, Places, type Process, Simulation } from './core.ts'

/** Cores by who runs on them. They may be the same. */
export type Machine = { [part in keyof Work]: Cores } & {
  /** Of the database; what its use is compared with. */
  databaseCores: number
}

/** This machine: everything shares its cores. */
export function oneMachine(sim: Simulation, { parallelism }: Calibration): Machine {
  const cores = new Cores(sim, { count: parallelism })
  return {
    function: cores,
    database: cores,
    services: cores,
    databaseCores: parallelism,
  }
}

/** Shares of cores on AWS. */
export const onAws = {
  /** https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
  mebibytesPerCore: 1769,
  /** Assumed, AWS names none: 16 units have the memory of a db.r6g.xlarge, which has 4 cores. */
  coresPerCapacityUnit: 0.25,
}

export type AwsSizes = {
  /** MiB of the insert function. */
  memory: number
  /** Capacity units of the writer. */
  units: number
}

/** Functions with a share of a core each by their memory, and a database of so many capacity units. */
export function awsMachine(sim: Simulation, { memory, units }: AwsSizes): Machine {
  const { mebibytesPerCore, coresPerCapacityUnit } = onAws
  const databaseCores = units * coresPerCapacityUnit
  const endless = { count: Number.POSITIVE_INFINITY }
  return {
    function: new Cores(sim, { ...endless, share: Math.min(1, memory / mebibytesPerCore) }),
    database: new Cores(sim, { count: databaseCores }),
    // Nobody waits for another there, and a call is taken to last as long as here.
    services: new Cores(sim, endless),
    databaseCores,
  }
}

export type Scenario = {
  machine(sim: Simulation): Machine
  /** Insert workers at once. */
  workers: number
  /** Files that are accepted at these times, in seconds. */
  imports: readonly { at: number; slices: number }[]
  /** Beside them, at fixed times as long as slices are left. */
  queries: { perSecond: number; cost: QueryCost }
}

export type Result = Outcome & {
  /** The longest that a slice waited: the age of the oldest message. */
  oldest: number
  /** Shares of the time, 0 to 1. */
  use: { workers: number; database: number; lock: number }
  /** What is used most, and so ends the growth first. */
  bottleneck: 'workers' | 'database' | 'lock'
  /** Slices that waited, once a second from the first accepted file on. */
  backlog: number[]
}

/** Runs imports from the accepted files to the last report. */
export function simulateImports(calibration: Calibration, scenario: Scenario): Result {
  const sim = new Simulation()
  const machine = scenario.machine(sim)
  const workers = new Places(sim, scenario.workers)
  const lock = new Places(sim, 1)
  const backlog: number[] = []
  let open = scenario.imports.length
  let ended = 0

  const { slice, lock: held, split, finishSeconds } = calibration
  const rest = less(slice, held)
  const used = slice.function + slice.database + slice.services
  // A session reads while its worker still sends: then one slice uses more than one core, and the part beyond it
  // runs beside the rest.
  const beside = Math.max(0, used - slice.seconds)
  const idle = Math.max(0, slice.seconds - used - lockIdle(held))

  function* insert(done: () => void): Process {
    yield workers.take()
    sim.start(work(machine.database, beside))
    yield machine.services.use(rest.services)
    yield machine.function.use(rest.function)
    yield machine.database.use(Math.max(0, rest.database - beside))
    yield sim.wait(idle)
    yield lock.take()
    yield machine.function.use(held.function)
    yield machine.database.use(held.database)
    yield sim.wait(lockIdle(held))
    lock.release()
    workers.release()
    done()
  }
  function* work(cores: Cores, seconds: number): Process {
    yield cores.use(seconds)
  }
  function* file({ at, slices }: Scenario['imports'][number]): Process {
    yield sim.wait(at + split.seconds + split.perSlice * slices)
    let left = slices
    const done = () => {
      if (--left === 0) sim.start(report())
    }
    for (let n = 0; n < slices; n++) sim.start(insert(done))
  }
  function* report(): Process {
    yield sim.wait(finishSeconds)
    ended = sim.now
    open--
  }
  function* query({ cost }: Scenario['queries']): Process {
    yield machine.services.use(cost.services)
    yield machine.function.use(cost.function)
    yield machine.database.use(cost.database)
  }
  function* load(queries: Scenario['queries']): Process {
    for (; open > 0; yield sim.wait(1 / queries.perSecond)) sim.start(query(queries))
  }
  function* clock(): Process {
    for (; open > 0; yield sim.wait(1)) backlog.push(workers.waiting)
  }
  for (const one of scenario.imports) sim.start(file(one))
  if (scenario.queries.perSecond > 0) sim.start(load(scenario.queries))
  sim.start(clock())
  sim.run()

  const { peak, meanWait, longestWait } = workers.queue
  const use = {
    workers: workers.busy / (scenario.workers * ended),
    database: machine.database.busy / (machine.databaseCores * ended),
    lock: lock.busy / ended,
  }
  const [[bottleneck]] = Object.entries(use).toSorted(([, a], [, b]) => b - a) as [
    [Result['bottleneck'], number],
  ]
  return { drainSeconds: ended, peakBacklog: peak, meanWait, oldest: longestWait, use, bottleneck, backlog }
}

const less = (whole: Work, part: Work): Work => ({
  function: Math.max(0, whole.function - part.function),
  database: Math.max(0, whole.database - part.database),
  services: Math.max(0, whole.services - part.services),
})

/** What of the lock's time is no work: the commit waits for the disk. */
const lockIdle = (held: Calibration['lock']) =>
  Math.max(0, held.seconds - held.function - held.database - held.services)
