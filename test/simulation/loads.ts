import type { Stage } from '../../infra/stage.ts'
import type { Calibration } from './calibration.ts'
import { assumed, secondsOnAws } from './costs.ts'
import { measuredInterviews } from './interviewing.ts'
import { awsMachine, onAws, simulateImports } from './pipeline.ts'

/** What is called once the base: its busiest hour, and what comes together in a month. */
export const base = {
  queriesPerSecond: 20,
  /** Measured over HTTP with a thousand questions: docs/benchmarks.md. */
  cachedShare: 0.69,
  importsPerHour: 1,
  rowsPerImport: 500_000,
  interviewsPerDay: 1000,
  hoursPerDay: 8,
  daysPerMonth: 22,
  importsPerMonth: 44,
} as const

/** MiB of the functions, as infra/functions.ts has them. */
export const memory = { profiles: 512, insert: 1024, interviews: 512 } as const

/** Of an AWS account, of third parties, and what no setting holds. */
export const limits = {
  /** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
  accountConcurrency: 1000,
  /** Assumed of the paid tier that follows the free one; Google shows them to the account only. */
  modelCallsPerMinute: 1000,
  /** https://resend.com/docs/api-reference/rate-limit */
  emailsPerSecond: 5,
  /** Assumed share of all requests that the busiest address sends. */
  busiestAddress: 0.1,
  /** Assumed share of Aurora's memory that holds pages. */
  pagesInMemory: 0.75,
  gibibytesPerUnit: 2,
} as const

export const interviewsPerHour = base.interviewsPerDay / base.hoursPerDay
const slicesPerImport = (calibration: Calibration) => base.rowsPerImport / calibration.rowsPerSlice

/** What the base load uses, in the units of its limit. */
export function demand(calibration: Calibration) {
  const { slice, lock, fresh, cached } = calibration
  const slices = (base.importsPerHour * slicesPerImport(calibration)) / 3600
  const interviews = interviewsPerHour / 3600
  const { turns, otherEvents, emails, modelCalls } = assumed.interview
  const events = interviews * (turns + otherEvents)
  const { queriesPerSecond, cachedShare } = base
  const mixed = (of: (cost: Calibration['fresh']) => number) =>
    queriesPerSecond * (of(cached) * cachedShare + of(fresh) * (1 - cachedShare))
  const assessing = measuredInterviews.assessmentSeconds + assumed.modelSeconds
  const insertSeconds = secondsOnAws({ ...slice, seconds: slice.workerSeconds }, memory.insert)
  const queryEnvironments = mixed((cost) => secondsOnAws(cost, memory.profiles))
  const inserting = slices * insertSeconds
  const applying = events * measuredInterviews.eventSeconds
  return {
    requestsPerSecond: queriesPerSecond + events,
    eventsPerSecond: events,
    queryEnvironments,
    inserting,
    insertSeconds,
    applying,
    assessing: interviews * assessing,
    environments: queryEnvironments + inserting + 2 * applying + 2 * interviews * assessing,
    emailsPerSecond: interviews * emails,
    modelCallsPerMinute: interviews * modelCalls * 60,
    /** Cores of the writer; of an event half of its time is taken for the database's. */
    writer: slices * slice.database + applying / 2,
    reader: mixed(({ database }) => database),
    lock: slices * lock.seconds,
    rowsPerMonth: base.importsPerMonth * base.rowsPerImport,
  }
}

/**
 * Files of the base's size at so many an hour, on the stage as large as it is. Its queries are not among them: a
 * stage with a reader asks that.
 */
export function simulateFiles(calibration: Calibration, stage: Stage, files: number, perHour: number) {
  const gap = 3600 / perHour
  const result = simulateImports(calibration, {
    machine: (sim) => awsMachine(sim, { memory: memory.insert, units: stage.aurora.maxCapacity }),
    workers: stage.workerConcurrency.insert,
    imports: Array.from({ length: files }, (_, n) => ({ at: n * gap, slices: slicesPerImport(calibration) })),
    queries: { perSecond: 0, cost: calibration.fresh },
  })
  return { ...result, lastSeconds: result.drainSeconds - (files - 1) * gap }
}

/** Capacity units whose cores bear so much work at the use that Aurora allows. */
export const unitsFor = (cores: number): number =>
  Math.ceil((cores / onAws.coresPerCapacityUnit / assumed.databaseUse) * 2) / 2
