import type { Random } from './random.ts'

/** The functions that may be killed, as their names end. */
const workers = ['assess', 'send-email', 'read-resume', 'gemini', 'mailer', 'apply-event'] as const
type Worker = (typeof workers)[number]
export type Service = 'gemini' | 'resend'

/** A refusal that only an operator can mend. */
const refusals = [401, 403, 404, 400] as const

/** What goes wrong, `at` so many ms after the beginning. */
export type HourFault = { at: number } & (
  | { kind: 'status'; service: Service; status: number; times: number; retryAfter?: number }
  | { kind: 'refused'; service: Service; status: (typeof refusals)[number]; ms: number }
  | { kind: 'hang'; service: Service; ms: number; times: number }
  | { kind: 'poor answer'; form: 'part' | 'foreign' | 'cut' | 'nonsense'; times: number }
  | { kind: 'kill'; worker: Worker }
  | { kind: 'end sessions' }
  | { kind: 'database outage'; ms: number }
)

/** One interview, from `at` ms on: what is lost, doubled and late of what the agent tells. */
export type HourInterview = {
  at: number
  resume: boolean
  exchanges: number
  /** Sequence numbers of turns whose webhook never comes, or comes twice. */
  lost: number[]
  doubled: number[]
  /** Whether one more turn comes after the end of the session. */
  late: boolean
}

export type Hour = { interviews: HourInterview[]; faults: HourFault[] }

/**
 * Draws an hour of so many ms. Interviews begin in its first three quarters; something goes wrong every ten seconds or
 * so, and twice, for a tenth of the hour, a third party refuses everything.
 */
export function planHour(random: Random, interviews: number, ms: number): Hour {
  const count = Math.max(7, Math.round(ms / 10_000))
  const once = <Kind>(at: number, kind: Kind) => ({ at, ...kind })
  const kinds: HourFault[] = [
    once(ms * 0.3, { kind: 'refused', service: 'gemini', status: random.pick(refusals), ms: ms / 10 }),
    once(ms * 0.6, { kind: 'refused', service: 'resend', status: 403, ms: ms / 10 }),
    ...Array.from({ length: count }, (_, n) =>
      faultOf(random, n % kindsOfFaults, Math.round(random.share() * ms)),
    ),
  ]
  return {
    interviews: Array.from({ length: interviews }, () => interviewOf(random, ms * 0.75)).sort(byTime),
    faults: kinds.sort(byTime),
  }
}

const byTime = (a: { at: number }, b: { at: number }) => a.at - b.at

const kindsOfFaults = 7

/** Each kind in its turn, so that none is missing from a short hour. */
function faultOf(random: Random, kind: number, at: number): HourFault {
  const service = random.pick(['gemini', 'gemini', 'resend'] as const)
  switch (kind) {
    case 0:
      return {
        at,
        kind: 'status',
        service,
        status: 429,
        times: random.whole(1, 6),
        retryAfter: random.whole(1, 3),
      }
    case 1:
      return { at, kind: 'status', service, status: random.pick([500, 503]), times: random.whole(1, 8) }
    case 2:
      return { at, kind: 'hang', service, ms: random.whole(5000, 20_000), times: random.whole(1, 2) }
    case 3:
      return {
        at,
        kind: 'poor answer',
        form: random.pick(['part', 'foreign', 'cut', 'nonsense'] as const),
        times: random.whole(1, 4),
      }
    case 4:
      return { at, kind: 'end sessions' }
    case 5:
      return { at, kind: 'database outage', ms: random.whole(200, 4000) }
    default:
      return { at, kind: 'kill', worker: random.pick(workers) }
  }
}

function interviewOf(random: Random, ms: number): HourInterview {
  const exchanges = random.whole(2, 6)
  const numbers = Array.from({ length: 2 * exchanges }, (_, n) => n + 1)
  return {
    at: Math.round(random.share() * ms),
    resume: random.chance(0.4),
    exchanges,
    lost: numbers.filter(() => random.chance(0.15)),
    doubled: numbers.filter(() => random.chance(0.15)),
    late: random.chance(0.2),
  }
}

/** A fault in a few words. */
export function describeHourFault({ at, kind, ...details }: HourFault): string {
  const words = Object.entries(details).map(
    ([name, value]) => `${name} ${Math.round(Number(value)) || value}`,
  )
  return `${(at / 1000).toFixed(0)} s: ${[kind, ...words].join(' ')}`
}
