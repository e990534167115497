import { setTimeout as wait } from 'node:timers/promises'
import type { BenchCloud } from '../bench/cloud.ts'
import { openCloud } from '../bench/cloud.ts'
import { startQueryLoad } from '../bench/query-load.ts'
import { figure } from '../bench/report.ts'
import type { Run } from '../bench/run.ts'
import { prepareTable, restore } from '../bench/table.ts'
import { calibrate, freshQueries } from './calibrate.ts'
import { type Calibration, type Check, type Kept, missed } from './calibration.ts'
import { leastDisturbed, measureImport, waitForQuiet } from './measure.ts'
import { measurePace, slowed } from './pace.ts'
import { oneMachine, type Result, simulateImports } from './pipeline.ts'

const tableRows = 1_000_000

/** Other sizes, numbers of workers and loads than those of the calibration. */
const runs = [
  { rows: 300_000, workers: 2, queriesPerSecond: 0 },
  { rows: 200_000, workers: 2, queriesPerSecond: 40 },
  { rows: 300_000, workers: 4, queriesPerSecond: 0 },
]

/** Calibrates on one local cloud, then predicts imports on others and measures them. Takes minutes. */
export async function calibrateAndCheck(run: Run, say: (line: string) => void): Promise<Kept> {
  const calibration = await onCloud(run, 1, say, (cloud) => calibrate(cloud, run.folder), true)
  const checks: Check[] = []
  for (const workers of new Set(runs.map(({ workers }) => workers))) {
    await onCloud(run, workers, say, async (cloud) => {
      for (const one of runs.filter((other) => other.workers === workers)) {
        const seed = 601 + 10 * checks.length
        const { measured, others, pace } = await leastDisturbed(
          (nth) => measureOne(run, cloud, one, seed + nth),
          ({ disturbance }) => disturbance,
          0.15,
        )
        const slower = pace / calibration.pace
        const { backlog, use, bottleneck, ...predicted } = predict(slowed(calibration, slower), one)
        const { drainSeconds, peakBacklog, meanWait } = predicted
        const check = { ...one, predicted: { drainSeconds, peakBacklog, meanWait }, measured, others, slower }
        checks.push(check)
        const shares = Object.entries(use).map(([what, share]) => `${what} ${figure(100 * share)} %`)
        say(`${figure(one.rows)} rows: ${figure(drainSeconds, 1)} s predicted, ${bottleneck} used most`)
        say(`  in use ${shares.join(', ')}; waiting each second ${backlog.join(' ')}`)
        say(`  ${figure(measured.drainSeconds, 1)} s measured: ${figure(100 * missed(check))} %`)
      }
    })
  }
  return { calibration, checks }
}

type Asked = (typeof runs)[number]

function predict(calibration: Calibration, { rows, workers, queriesPerSecond }: Asked): Result {
  return simulateImports(calibration, {
    machine: (sim) => oneMachine(sim, calibration),
    workers,
    imports: [{ at: 0, slices: Math.ceil(rows / calibration.rowsPerSlice) }],
    queries: { perSecond: queriesPerSecond, cost: calibration.fresh },
  })
}

type Measured = Pick<Check, 'measured' | 'others'> & {
  /** Seconds of a slice alone, the mean of before and after. */
  pace: number
  /** What others used, and by which share the pace changed meanwhile. */
  disturbance: number
}

async function measureOne(
  run: Run,
  cloud: BenchCloud,
  { rows, queriesPerSecond }: Asked,
  seed: number,
): Promise<Measured> {
  const { url, credentials } = cloud
  const before = await measurePace(cloud, run.folder, 100 * seed)
  const load =
    queriesPerSecond > 0
      ? startQueryLoad({
          url,
          key: credentials.api_key,
          perSecond: queriesPerSecond,
          queries: freshQueries(),
        })
      : undefined
  // The function of the queries starts before the import does.
  if (load) await wait(2000)
  const importing = measureImport(cloud, run.folder, { rows, seed })
  const { seconds, peakBacklog, meanWait, others } = await importing.finally(() => load?.stop())
  const after = await measurePace(cloud, run.folder, 100 * seed + 50)
  return {
    measured: { drainSeconds: seconds, peakBacklog, meanWait },
    others,
    pace: (before + after) / 2,
    disturbance: Math.max(0, others) + Math.abs(after / before - 1),
  }
}

/**
 * Works on a cloud whose functions are warm and whose database is in the middle of its work: with `loosen` also
 * where the table was just filled.
 */
async function onCloud<T>(
  run: Run,
  workers: number,
  say: (line: string) => void,
  work: (cloud: BenchCloud) => Promise<T>,
  loosen = false,
): Promise<T> {
  say(`A local cloud with ${workers} insert worker${workers === 1 ? '' : 's'}`)
  const cloud = await openCloud(run, `${run.folder}/data`, { insertWorkers: workers })
  try {
    const table = await prepareTable(cloud.sql, tableRows, () => {})
    if (loosen) {
      // Indexes that were just built have full pages: the first rows split them, and would pay for all later ones.
      await measureImport(cloud, run.folder, { rows: 400_000, seed: 799 })
      await restore(cloud.sql, table)
    }
    // After a checkpoint PostgreSQL writes every page whole once, which costs a slice up to double; Aurora has no
    // such pages. It also starts as many workers as there are.
    await measureImport(cloud, run.folder, { rows: 120_000, seed: 700 + workers })
    await waitForQuiet(say)
    return await work(cloud)
  } finally {
    await cloud.close()
  }
}
