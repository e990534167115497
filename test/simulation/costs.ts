import type { Calibration, QueryCost } from './calibration.ts'
import { onAws } from './pipeline.ts'
import type { Usage } from './prices.ts'

/** What no run here can tell. */
export const assumed = {
  /** Share of its cores to which Aurora lets a capacity unit be used before it adds one. */
  databaseUse: 0.7,
  /** Bytes of the write-ahead log that Aurora counts as one write. */
  bytesPerWrite: 4096,
  /** A slice's lines in the log and its share of the platform's, bytes. */
  logBytesPerInvocation: 1500,
  interview: { turns: 40, otherEvents: 5, emails: 3, modelCalls: 3, inputTokens: 30_000, outputTokens: 6000 },
  /** Seconds in which the model answers. */
  modelSeconds: 20,
  /** Of a turn as a webhook, its stored copy, the row and its indexes. */
  bytesPerTurn: 3000,
} as const

const gigabyte = 1e9

/** Seconds of a function on AWS: its work at its share of a core, and what it waits for as here. */
export function secondsOnAws(work: { function: number; seconds: number }, memory: number): number {
  const share = Math.min(1, memory / onAws.mebibytesPerCore)
  return work.function / share + Math.max(0, work.seconds - work.function)
}

/** Hours of capacity units that so many core-seconds of the database take, where they come on top of its minimum. */
export function capacityHours(coreSeconds: number): number {
  return coreSeconds / onAws.coresPerCapacityUnit / assumed.databaseUse / 3600
}

/** So many queries; with `edge` they come through CloudFront and its firewall. */
export function queryUsage(cost: QueryCost, queries: number, memory: number, edge = false): Usage {
  const seconds = secondsOnAws(cost, memory)
  const gigabytesOut = (queries * cost.responseBytes) / gigabyte
  return {
    gatewayRequest: queries,
    lambdaRequest: queries,
    lambdaSecond: (queries * seconds * memory) / 1024,
    capacityHour: capacityHours(queries * cost.database),
    logBytes: (queries * cost.logBytes) / gigabyte,
    ...(edge
      ? { cdnRequest: queries, firewallRequest: queries, cdnTransfer: gigabytesOut }
      : { transferOut: gigabytesOut }),
  }
}

/** One import, its file kept for so many days and its rows for a month. */
export function importUsage(calibration: Calibration, rows: number, memory: number, days: number): Usage {
  const { slice, split, bytesPerRow, rowsPerSlice } = calibration
  const slices = Math.ceil(rows / rowsPerSlice)
  const seconds = secondsOnAws({ ...slice, seconds: slice.workerSeconds }, memory)
  const others = split.seconds + split.perSlice * slices + calibration.finishSeconds
  return {
    lambdaRequest: slices + 2,
    lambdaSecond: ((slices * seconds + others) * memory) / 1024,
    // Sent in tens, received, hidden and deleted one by one, the words to split and finish beside them.
    queueRequest: slices * 3 + Math.ceil(slices / 10) + 8,
    // Upload, the parts with skipped rows and their whole; each is read once.
    storagePut: slices + 2,
    storageGet: 2 * slices + 2,
    storage: (((slices * slice.fileBytes) / gigabyte) * days) / 30,
    capacityHour: capacityHours(slices * slice.database),
    auroraRequest: (slices * slice.walBytes) / assumed.bytesPerWrite,
    auroraStorage: (rows * bytesPerRow) / gigabyte,
    logBytes: ((slices + 2) * assumed.logBytesPerInvocation) / gigabyte,
  }
}

/** Interviews with their webhooks, assessments and e-mails; their rows kept for a month. */
export function interviewUsage(interviews: number, memory: number, eventSeconds: number): Usage {
  const { turns, otherEvents, emails, inputTokens, outputTokens } = assumed.interview
  const events = interviews * (turns + otherEvents)
  // The assessment and the function that calls the model wait for it both.
  const waiting = interviews * 2 * assumed.modelSeconds
  return {
    gatewayRequest: events,
    // Received, and applied by tens at the most: one by one where they come alone.
    lambdaRequest: 2 * events + interviews * (2 + 2 * emails),
    lambdaSecond: ((2 * events * eventSeconds + waiting) * memory) / 1024,
    queueRequest: 4 * (events + interviews * (1 + emails)),
    storagePut: events,
    storage: (events * assumed.bytesPerTurn) / gigabyte,
    auroraStorage: (events * assumed.bytesPerTurn) / gigabyte,
    capacityHour: capacityHours((events * eventSeconds) / 2),
    logBytes: (2 * events * assumed.logBytesPerInvocation) / gigabyte,
    modelInput: interviews * inputTokens,
    modelOutput: interviews * outputTokens,
    email: interviews * emails,
  }
}
