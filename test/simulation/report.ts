import { figure, table } from '../bench/report.ts'
import { limitsOf } from './breaking.ts'
import { type Kept, missed, tolerance } from './calibration.ts'
import { costSection, type Facts, monthly, networkSection, priceSection } from './cost-report.ts'
import { simulateInterviews } from './interviewing.ts'
import { base, demand, interviewsPerHour, simulateFiles } from './loads.ts'
import { onAws } from './pipeline.ts'

const factors = [1, 10, 100, 1000] as const

/** The sections of docs/scaling.md by their names, each a text in Markdown. */
export function sections(facts: Facts): Map<string, string> {
  return new Map([
    ['checks', checks(facts.kept)],
    ['costs', costSection(facts)],
    ['network', networkSection(facts.standing)],
    ['loads', loads(facts)],
    ['limits', breaks(facts)],
    ['prices', priceSection()],
  ])
}

function checks({ calibration, checks }: Kept): string {
  const { slice, lock, fresh, cached, parallelism } = calibration
  const ms = (seconds: number) => figure(seconds * 1000, 1)
  const lines = checks.map((check) => {
    const { rows, workers, queriesPerSecond, predicted, measured, others, slower } = check
    return [
      `${figure(rows)} rows, ${workers} workers${queriesPerSecond ? `, ${queriesPerSecond} queries/s` : ''}`,
      `${figure(predicted.drainSeconds, 1)} / ${figure(measured.drainSeconds, 1)}`,
      percent(missed(check)),
      Math.abs(missed(check)) <= tolerance ? 'yes' : 'no',
      `${predicted.peakBacklog} / ${measured.peakBacklog}`,
      `${figure(predicted.meanWait, 1)} / ${figure(measured.meanWait, 1)}`,
      figure(others, 1),
      percent(slower - 1),
    ]
  })
  const costOf = (name: string, { seconds, ...work }: { seconds: number } & typeof lock) => [
    name,
    ms(work.function),
    ms(work.database),
    ms(work.services),
    ms(seconds),
  ]
  return `${table(
    ['measured alone, ms of a core', 'function', 'database', 'services', 'ms in all'],
    [
      costOf('a slice of 10,000 rows', slice),
      costOf("of it under the lock of the dataset's row", lock),
      costOf('a query that nobody asked before', fresh),
      costOf('a query from the cache', cached),
    ],
  )}

Two busy processes at once got ${figure(parallelism, 2)} times as much done as one; other programs used ${figure(calibration.others, 1)} cores while slices were measured.

${table(
  [
    'predicted / measured',
    'drain, s',
    'off by',
    `within ${tolerance * 100} %`,
    'peak backlog',
    'mean wait of a slice, s',
    'cores of others',
    'a slice alone',
  ],
  lines,
)}

${calibration.measured}`
}

const percent = (share: number) => `${share > 0 ? '+' : ''}${figure(share * 100)} %`
/** As many as show whether the next one finds the last one gone. */
const simulatedFiles = 10

function loads(facts: Facts): string {
  const { kept, stage } = facts
  const { calibration } = kept
  const share = (value: number) => `${figure(value * 100)} %`
  const lines = factors.map((times) => {
    const asked = base.queriesPerSecond * times
    const admitted = Math.min(asked, stage.throttle.rate)
    const files = simulateFiles(calibration, stage, simulatedFiles, base.importsPerHour * times)
    const { events, assessments } = simulateInterviews(interviewsPerHour * times, stage.workerConcurrency)
    return [
      `${figure(times)} x`,
      admitted < asked ? `${figure(admitted)} of ${figure(asked)}` : figure(asked),
      figure(base.importsPerHour * times),
      `${figure(files.lastSeconds, 1)} s`,
      `${figure(files.oldest, 1)} s`,
      share(files.use.workers),
      figure(interviewsPerHour * times),
      share(events.use),
      assessments.left > 0 ? `${figure(assessments.left)} wait` : `${figure(assessments.longestWait, 1)} s`,
      `$${figure(monthly(facts, times))}`,
    ]
  })
  const one = simulateFiles(calibration, stage, 1, 1)
  const { use } = one
  const { lock, slice, rowsPerSlice } = calibration
  const rows = (perSecond: number) => figure(Math.round((perSecond * rowsPerSlice) / 1000) * 1000)
  const cores = stage.aurora.maxCapacity * onAws.coresPerCapacityUnit
  return `${table(
    [
      'load',
      'queries/s',
      'imports/h',
      `drain of the ${simulatedFiles}th`,
      'oldest slice',
      'insert workers in use',
      'interviews/h',
      'apply-event in use',
      'assessments, after an hour',
      'a month, all served',
    ],
    lines,
  )}

One file alone drains in ${figure(one.drainSeconds, 1)} s; meanwhile the workers are used ${share(use.workers)}, the writer ${share(use.database)}, the lock ${share(use.lock)}.
Ceilings, rows a second: ${rows(1 / lock.seconds)} by the lock (1 / ${figure(lock.seconds * 1000)} ms a slice), ${rows(cores / slice.database)} by the writer's ${figure(cores)} cores,
${rows(stage.workerConcurrency.insert / demand(calibration).insertSeconds)} by ${stage.workerConcurrency.insert} workers that wait for nobody.`
}

function breaks({ kept: { calibration }, stage }: Facts): string {
  const found = limitsOf(calibration, stage)
  const lines = found.map(({ what, unit, used, limit, answer, takes }) => {
    const at = limit / used
    const first = factors.find((times) => times > at)
    return [
      first === undefined ? 'beyond' : `${figure(first)} x`,
      what,
      `${figure(at, at < 10 ? 1 : 0)} x`,
      `${figure(used, used < 10 ? 3 : 0)} of ${figure(limit, limit < 10 ? 1 : 0)} ${unit}`,
      answer,
      takes(first ?? 1000),
    ]
  })
  const order = (label: string) => ['1 x', '10 x', '100 x', '1,000 x', 'beyond'].indexOf(label)
  const sorted = lines.toSorted(([a], [b]) => order(a!) - order(b!))
  return table(['over at', 'what happens', 'from', 'the base uses', 'what answers it', 'takes there'], sorted)
}
