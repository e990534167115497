export type ScheduledTarget = {
  name: string
  expression: string
  /** The event, given the minute or moment that the run is for. */
  run(scheduledAt: Date): Promise<void>
}

/** Answers the first time strictly after `after`, or undefined where there is none within a hundred years. */
export type NextRun = (after: Date) => Date | undefined

const rateUnits: Record<string, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

/**
 * `rate(5 minutes)`, counted from `start`, or `cron(minutes hours day-of-month month day-of-week year)` in
 * UTC. Throws on anything else; L and # are understood, W is not.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
 */
export function parseSchedule(expression: string, start: Date): NextRun {
  const [, amount, unit = ''] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? []
  if (amount !== undefined)
    return everyInterval(Number(amount) * rateUnits[unit]!, start.getTime(), expression)
  const fields = /^cron\((.*)\)$/.exec(expression)?.[1]?.trim().split(/\s+/)
  if (fields?.length !== 6) throw new Error(`"${expression}" is not a rate() or a cron() of six fields`)
  try {
    return cron(fields as CronFields)
  } catch (error) {
    throw new Error(`"${expression}": ${error instanceof Error ? error.message : String(error)}`)
  }
}

function everyInterval(interval: number, start: number, expression: string): NextRun {
  if (interval <= 0) throw new Error(`"${expression}": the rate must be at least 1`)
  return (after) => {
    const passed = Math.floor((after.getTime() - start) / interval)
    return new Date(start + Math.max(1, passed + 1) * interval)
  }
}

type CronFields = [string, string, string, string, string, string]

const monthNames = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const dayNames = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']

function cron([minute, hour, dayOfMonth, month, dayOfWeek, year]: CronFields): NextRun {
  if ((dayOfMonth === '?') === (dayOfWeek === '?')) {
    throw new Error('one of day-of-month and day-of-week must be ?, and only one')
  }
  const minutes = numbers(minute, 0, 59)
  const hours = numbers(hour, 0, 23)
  const months = new Set(numbers(month, 1, 12, monthNames, 1))
  const years = new Set(numbers(year, 1970, 2199))
  const day = dayOfWeek === '?' ? dayOfMonthMatcher(dayOfMonth) : dayOfWeekMatcher(dayOfWeek)
  return (after) => {
    const earliest = Math.floor(after.getTime() / 60_000) * 60_000 + 60_000
    const date = new Date(earliest)
    date.setUTCHours(0, 0, 0, 0)
    const last = date.getUTCFullYear() + 100
    while (date.getUTCFullYear() <= last) {
      if (!years.has(date.getUTCFullYear())) date.setUTCFullYear(date.getUTCFullYear() + 1, 0, 1)
      else if (!months.has(date.getUTCMonth() + 1)) date.setUTCMonth(date.getUTCMonth() + 1, 1)
      else {
        const found = day(date) && firstTime(date.getTime(), earliest)
        if (found) return new Date(found)
        date.setUTCDate(date.getUTCDate() + 1)
      }
    }
    return undefined
  }

  function firstTime(midnight: number, earliest: number): number | undefined {
    for (const h of hours) {
      for (const m of minutes) {
        const time = midnight + (h * 60 + m) * 60_000
        if (time >= earliest) return time
      }
    }
    return undefined
  }
}

/** `*`, numbers or names, ranges and steps, ascending. */
function numbers(field: string, low: number, high: number, names: string[] = [], firstName = 0): number[] {
  const value = (text: string): number => {
    const named = names.indexOf(text.toUpperCase())
    const number = named >= 0 ? named + firstName : /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (!(number >= low && number <= high)) throw new Error(`"${text}" is not between ${low} and ${high}`)
    return number
  }
  const found = new Set<number>()
  for (const part of field.split(',')) {
    const [range = '', step] = part.split('/')
    const [from = '', to] = range.split('-')
    const first = range === '*' ? low : value(from)
    const last = range === '*' ? high : to === undefined ? (step ? high : first) : value(to)
    const by = step === undefined ? 1 : Number(step)
    if (!Number.isInteger(by) || by < 1) throw new Error(`"${part}" has no step`)
    // MON-SUN and NOV-FEB go around the end.
    const end = last < first ? last + (high - low + 1) : last
    for (let at = first; at <= end; at += by) found.add(at > high ? at - (high - low + 1) : at)
  }
  return [...found].sort((a, b) => a - b)
}

function dayOfMonthMatcher(field: string): (date: Date) => boolean {
  if (field === 'L') return (date) => date.getUTCDate() === daysIn(date)
  const days = new Set(numbers(field, 1, 31))
  return (date) => days.has(date.getUTCDate())
}

function dayOfWeekMatcher(field: string): (date: Date) => boolean {
  // 1 is Sunday and 7 Saturday.
  const weekday = (date: Date) => date.getUTCDay() + 1
  const [, nth, occurrence] = /^([A-Za-z0-9]+)#([1-5])$/.exec(field) ?? []
  if (nth && occurrence) {
    const [day] = numbers(nth, 1, 7, dayNames, 1)
    return (date) => weekday(date) === day && Math.ceil(date.getUTCDate() / 7) === Number(occurrence)
  }
  const [, last] = /^([A-Za-z0-9]+)L$/.exec(field) ?? []
  if (last) {
    const [day] = numbers(last, 1, 7, dayNames, 1)
    return (date) => weekday(date) === day && date.getUTCDate() + 7 > daysIn(date)
  }
  const days = new Set(numbers(field === 'L' ? '7' : field, 1, 7, dayNames, 1))
  return (date) => days.has(weekday(date))
}

function daysIn(date: Date): number {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
}

/** setTimeout fires at once for anything longer. */
const longestTimer = 2 ** 31 - 1

/**
 * Runs the targets at their times, each counted from the schedule and not from the run before, so that they
 * do not drift. A target still running when its next time comes skips that time, and the log says so.
 */
export function startSchedules(
  targets: readonly ScheduledTarget[],
  log: (line: string) => void,
): { close(): Promise<void> } {
  const timers = new Map<string, NodeJS.Timeout>()
  const running = new Map<string, Promise<void>>()
  let closed = false

  function plan(target: ScheduledTarget, next: NextRun, at: Date | undefined) {
    if (closed || !at) return
    const wait = at.getTime() - Date.now()
    const timer = setTimeout(
      () => {
        if (Date.now() < at.getTime()) return plan(target, next, at)
        start(target, at)
        plan(target, next, next(new Date(Math.max(Date.now(), at.getTime()))))
      },
      Math.min(Math.max(wait, 0), longestTimer),
    )
    timers.set(target.name, timer)
  }

  function start(target: ScheduledTarget, at: Date) {
    if (running.has(target.name))
      return log(`${target.name}: still running, the run of ${at.toISOString()} is skipped`)
    const run = target
      .run(at)
      .catch((error: unknown) => log(`${target.name}: ${String(error)}`))
      .finally(() => running.delete(target.name))
    running.set(target.name, run)
  }

  const begun = new Date()
  for (const target of targets) {
    const next = parseSchedule(target.expression, begun)
    plan(target, next, next(begun))
  }
  return {
    async close() {
      closed = true
      for (const timer of timers.values()) clearTimeout(timer)
      await Promise.all(running.values())
    },
  }
}
