import { writeFile } from 'node:fs/promises'
import type { BenchCloud } from '../bench/cloud.ts'
import { median } from '../bench/statistics.ts'
import type { Calibration, QueryCost, Work } from './calibration.ts'
import { measureImport } from './measure.ts'

const files = 7

/**
 * Seconds that a slice takes of its worker with nothing beside it now: the middle of some files of one slice each.
 * A machine is not equally quick at all times, least of all one that shares its caches with others' machines.
 */
export async function measurePace(cloud: BenchCloud, folder: string, seed: number): Promise<number> {
  const times: number[] = []
  for (let n = 0; n < files; n++) {
    const { workerSeconds } = await measureImport(cloud, folder, { rows: 10_000, seed: seed + n, write })
    times.push(workerSeconds)
  }
  return median(times)
}

/** Those of the people and of the questions. */
export const countries = ['NG', 'KE', 'ET', 'GH', 'ZA', 'EG', 'US', 'GB', 'FR', 'DE', 'IN', 'BR']

/** People whom no other file of a run has: those of the bench are the same again after some thirty files. */
async function write(file: string, rows: number, seed: number): Promise<number> {
  const lines = Array.from(
    { length: rows },
    (_, n) => `Pace ${seed} ${n},${n % 2 ? 'male' : 'female'},${n % 95},${countries[n % 12]}`,
  )
  const text = `name,gender,age,country_id\n${lines.join('\n')}\n`
  await writeFile(file, text)
  return Buffer.byteLength(text)
}

/** The calibration as it would be on a machine that takes so many times as long for everything. */
export function slowed(calibration: Calibration, by: number): Calibration {
  const { slice, lock, split, fresh, cached } = calibration
  const work = (of: Work): Work => ({
    function: of.function * by,
    database: of.database * by,
    services: of.services * by,
  })
  const query = (of: QueryCost): QueryCost => ({ ...of, ...work(of), seconds: of.seconds * by })
  return {
    ...calibration,
    slice: {
      ...slice,
      ...work(slice),
      seconds: slice.seconds * by,
      workerSeconds: slice.workerSeconds * by,
    },
    lock: { ...work(lock), seconds: lock.seconds * by },
    split: { seconds: split.seconds * by, perSlice: split.perSlice * by },
    finishSeconds: calibration.finishSeconds * by,
    fresh: query(fresh),
    cached: query(cached),
  }
}
