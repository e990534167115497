/** When a turn was spoken, as far as its sources tell. */
export type TurnTimes = {
  /** Unix seconds or milliseconds, or seconds since any start: which of them, its size tells. */
  stamp: number | null
  /** The same moment from a second source. */
  otherStamp: number | null
  /** When its row was written: the clock of interviews without any stamp. */
  writtenAt: Date | null
}

export type TurnTime = {
  /** Since the first turn, to the millisecond; never negative. */
  offsetSeconds: number
  /** Null where no source tells the time of day. */
  unixSeconds: number | null
}

type Moment = { unix: boolean; seconds: number }

/** Seconds from which a number is a time of day rather than an offset: March 1973, or three years. */
const unixFrom = 1e8
const millisecondsFrom = 1e11
/** The end of the year 9999 in milliseconds. */
const lastMillisecond = 253_402_300_799_999

function momentOf(stamp: number | null): Moment | undefined {
  if (stamp === null || !(Math.abs(stamp) <= lastMillisecond)) return undefined
  if (stamp >= millisecondsFrom) return { unix: true, seconds: stamp / 1000 }
  if (stamp >= unixFrom) return { unix: true, seconds: stamp }
  return stamp > -unixFrom ? { unix: false, seconds: stamp } : undefined
}

/**
 * One clock for all turns of an interview, given in their order, from its first turn on. Times of day and
 * offsets may be mixed. A turn without a time has that of the turn before it.
 */
export function turnClock(turns: readonly TurnTimes[]): TurnTime[] {
  let moments = turns.map(({ stamp, otherStamp }) => momentOf(stamp) ?? momentOf(otherStamp))
  if (moments.every((moment) => moment === undefined)) {
    moments = turns.map(({ writtenAt }) => momentOf(writtenAt?.getTime() ?? null))
  }
  const zero = timeOfZero(turns, moments)
  let first: number | undefined
  let offset = 0
  return moments.map((moment) => {
    if (!moment) return { offsetSeconds: offset, unixSeconds: null }
    const unixSeconds = moment.unix ? moment.seconds : zero === undefined ? null : zero + moment.seconds
    const seconds = moment.unix ? moment.seconds - (zero ?? 0) : moment.seconds
    first ??= seconds
    offset = Math.max(0, Math.round((seconds - first) * 1000) / 1000)
    return { offsetSeconds: offset, unixSeconds }
  })
}

/** The time of day at which the offsets are 0; undefined unless both kinds are there. */
function timeOfZero(
  turns: readonly TurnTimes[],
  moments: readonly (Moment | undefined)[],
): number | undefined {
  const first = moments.find((moment) => moment !== undefined)
  if (!first || moments.every((moment) => !moment || moment.unix === first.unix)) return undefined
  return toldTwice(turns) ?? fitting(first, moments)
}

/** Exact, from the first turn of which one source tells the time of day and the other the offset. */
function toldTwice(turns: readonly TurnTimes[]): number | undefined {
  for (const { stamp, otherStamp } of turns) {
    const [one, other] = [momentOf(stamp), momentOf(otherStamp)]
    if (one && other && one.unix !== other.unix) {
      return one.unix ? one.seconds - other.seconds : other.seconds - one.seconds
    }
  }
  return undefined
}

/**
 * Such that no turn comes before those it follows. Within these bounds the first turn is taken for the zero of
 * the offsets; where its own time is an offset, times of day are as early as they can be.
 */
function fitting(first: Moment, moments: readonly (Moment | undefined)[]): number {
  let [earliest, latest] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  let [mostUnix, mostOffset] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const moment of moments) {
    if (!moment) continue
    if (moment.unix) {
      mostUnix = Math.max(mostUnix, moment.seconds)
      latest = Math.min(latest, moment.seconds - mostOffset)
    } else {
      mostOffset = Math.max(mostOffset, moment.seconds)
      earliest = Math.max(earliest, mostUnix - moment.seconds)
    }
  }
  return first.unix ? Math.min(Math.max(first.seconds, earliest), latest) : latest
}

/** `HH:MM:SS` of seconds; the hours may have more digits. */
export function clockText(seconds: number): string {
  const whole = Math.floor(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}
