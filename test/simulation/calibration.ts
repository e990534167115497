import { readFile, writeFile } from 'node:fs/promises'

/** Core-seconds by what uses them. */
export type Work = {
  /** The function's own process. */
  function: number
  /** The session of the database, and its share of the upkeep. */
  database: number
  /** What AWS does for us, and here the local cloud: S3, SQS, the gateway, the invocations. */
  services: number
}

/** One kind of request, measured alone. */
export type QueryCost = Work & { seconds: number; responseBytes: number; logBytes: number }

/** What one slice, one query and the rest of an import cost, measured one at a time. Seconds unless it says otherwise. */
export type Calibration = {
  /** The line that says when and on what. */
  measured: string
  rowsPerSlice: number
  tableRows: number
  /** Of the profiles with their indexes. */
  bytesPerRow: number
  indexBytesPerRow: number
  slice: Work & {
    /** From one slice to the next of the same worker. */
    seconds: number
    /** The worker's own measure. */
    workerSeconds: number
    fileBytes: number
    walBytes: number
  }
  /** The end of a slice's transaction, in which it holds the lock of the dataset; a part of the slice. */
  lock: Work & { seconds: number }
  /** A part for each import and one for each slice. */
  split: { seconds: number; perSlice: number }
  finishSeconds: number
  /** How much more two busy processes get done at once than one alone; for as many as there are cores. */
  parallelism: number
  /** Cores that other programs used while slices were measured. */
  others: number
  /** Seconds that a slice of a file of its own took then, before and after: how quick the machine was. */
  pace: number
  /** Filters that nobody asked before, and one that was. */
  fresh: QueryCost
  cached: QueryCost
}

/** What a run came to. Seconds; slices. */
export type Outcome = { drainSeconds: number; peakBacklog: number; meanWait: number }
/** A run that was predicted from the calibration and then measured. */
export type Check = {
  rows: number
  workers: number
  queriesPerSecond: number
  predicted: Outcome
  measured: Outcome
  /** Cores that other programs of the machine used meanwhile. */
  others: number
  /** Times as long as at the calibration that a slice of a file of its own took, before and after. */
  slower: number
}
export type Kept = { calibration: Calibration; checks: Check[] }

/** The share of the measured time by which the predicted drain may miss it. */
export const tolerance = 0.2

/** How far the predicted drain is from the measured one, as a share of that; below 0 where it is too short. */
export function missed({ predicted, measured }: Check): number {
  return predicted.drainSeconds / measured.drainSeconds - 1
}

const file = new URL('calibration.json', import.meta.url)

/** The calibration of the last run that was saved. */
export async function readCalibration(): Promise<Kept> {
  return JSON.parse(await readFile(file, 'utf8'))
}

export async function saveCalibration(kept: Kept): Promise<void> {
  await writeFile(file, `${JSON.stringify(kept, null, 2)}\n`)
}
