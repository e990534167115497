import type { Random } from './random.ts'

export const workers = ['split', 'insert', 'finish'] as const
export type Worker = (typeof workers)[number]

/** When a fault strikes: so many ms after the uploads, at a share of all slices, or ms after the last slice of a file. */
export type Moment = { after: 'upload' | 'last slice'; ms: number } | { share: number }

export type Fault = { when: Moment } & (
  | { kind: 'kill'; worker: Worker }
  | { kind: 'end sessions'; worker: Worker }
  | { kind: 'database outage'; ms: number }
  | { kind: 'S3 errors'; status: 500 | 503; requests: number }
  | { kind: 'S3 cut'; bytes: number }
  | { kind: 'S3 answers lost'; requests: number }
  | { kind: 'slice again'; file: number; share: number; delaySeconds: number }
  | { kind: 'event again'; file: number; delaySeconds: number }
  | { kind: 'finish again'; file: number; delaySeconds: number }
  | { kind: 'late messages'; queue: 'import-slices' | 'import-finish'; seconds: number; ms: number }
)

/**
 * Draws the faults of one round. `deadly` ones make deliveries fail: a message has three with short timeouts,
 * and one that has used them up is a dead letter, which the recovery then has to bring back.
 */
export function planFaults(random: Random, deadly: number): Fault[] {
  const faults = [
    ...Array.from({ length: random.whole(1, deadly) }, () => deadlyFault(random)),
    ...Array.from({ length: random.whole(3, 8) }, () => mildFault(random)),
  ]
  return faults
}

function deadlyFault(random: Random): Fault {
  const worker = random.pick(['split', 'insert', 'insert', 'insert', 'finish'] as const)
  const when = momentOf(worker, random)
  const kind = random.pick(['kill', 'kill', 'end sessions', 'database outage', 'S3 cut'] as const)
  if (kind === 'database outage') return { kind, when, ms: random.whole(100, 2500) }
  if (kind === 'S3 cut') return { kind, when, bytes: random.whole(0, 60_000) }
  return { kind, worker, when }
}

function mildFault(random: Random): Fault {
  const when = momentOf(random.pick(['insert', 'insert', 'finish']), random)
  const file = random.whole(0, 2)
  const delaySeconds = random.pick([0, 0, 1, 5])
  switch (random.whole(0, 6)) {
    case 0:
      return { kind: 'S3 errors', when, status: random.pick([500, 503]), requests: random.whole(1, 3) }
    case 1:
      return { kind: 'S3 answers lost', when, requests: 1 }
    case 2:
      return { kind: 'event again', when, file, delaySeconds }
    case 3:
      return { kind: 'finish again', when, file, delaySeconds }
    case 4: {
      const queue = random.pick(['import-slices', 'import-finish'] as const)
      const early: Moment = { after: 'upload', ms: random.whole(0, 100) }
      return {
        kind: 'late messages',
        when: early,
        queue,
        seconds: random.whole(1, 3),
        ms: random.whole(50, 1000),
      }
    }
    default:
      return { kind: 'slice again', when, file, share: random.share(), delaySeconds }
  }
}

function momentOf(worker: Worker, random: Random): Moment {
  if (worker === 'split') return { after: 'upload', ms: random.whole(0, 400) }
  if (worker === 'insert') return { share: Math.round(random.share() * 100) / 100 }
  return { after: 'last slice', ms: random.whole(0, 150) }
}

/** A fault in a few words. */
export function describeFault({ when, kind, ...details }: Fault): string {
  const moment =
    'share' in when
      ? `at ${Math.round(when.share * 100)} % of the slices`
      : `${when.ms} ms after the ${when.after}`
  const words = Object.entries(details).map(([name, value]) =>
    typeof value === 'number' && name === 'share' ? `share ${value.toFixed(2)}` : `${name} ${value}`,
  )
  return `${[kind, ...words].join(' ')} ${moment}`
}
