import * as z from 'zod'

/** The name of a time zone that ICU knows; offsets, which know no daylight saving time, are no names. */
export const timeZone = z
  .string()
  .max(64)
  .refine((name) => zoneName(name) !== undefined, {
    error: 'must be the name of a time zone, such as Europe/Berlin',
  })
  .meta({ description: 'A name of the IANA time zone database', examples: ['Europe/Berlin'] })

/** A zone's name as it is written; undefined if there is none of that name in any case. */
export function zoneName(name: string): string | undefined {
  if (!/^[a-z]/i.test(name)) return undefined
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions()
    // ICU writes Asia/Calcutta for Asia/Kolkata: a name of its own choice is not taken over.
    return timeZone.toLowerCase() === name.toLowerCase() ? timeZone : name
  } catch {
    return undefined
  }
}

/** A local time as year, month and so on, in milliseconds as if it were UTC. */
function localMs(at: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(at)
  const part = (type: string) => Number(parts.find((each) => each.type === type)!.value)
  const days = Date.UTC(part('year'), part('month') - 1, part('day'))
  return days + ((part('hour') * 60 + part('minute')) * 60 + part('second')) * 1000
}

/** Milliseconds that a zone's clocks are ahead of UTC at an instant. */
function offsetMs(at: number, zone: string): number {
  return localMs(at, zone) - Math.floor(at / 1000) * 1000
}

const day = 24 * 60 * 60 * 1000

/**
 * The instant of a date and time, which without an offset is one of the zone's clocks. A time that comes twice, as
 * clocks are put back, is the first of the two; one that clocks skip is counted by the offset before, so that it
 * comes as much later: RFC 5545, 3.3.5. Undefined without an offset and a zone.
 */
export function instantOf(text: string, zone: string | null): Date | undefined {
  if (/(?:z|[+-]\d\d:?\d\d)$/i.test(text)) return new Date(text)
  if (zone === null) return undefined
  const local = Date.parse(`${text}Z`)
  // Zones do not change their offset twice in two days.
  const before = local - offsetMs(local - day, zone)
  const after = local - offsetMs(local + day, zone)
  const isBefore = localMs(before, zone) === Math.floor(local / 1000) * 1000
  const isAfter = localMs(after, zone) === Math.floor(local / 1000) * 1000
  return new Date(!isBefore && isAfter ? after : before)
}

/** As `Monday, 4 January 2077 at 16:00 (UTC+1, Europe/Berlin)`; without a zone in UTC. */
export function shownTime(at: Date, zone: string | null): string {
  const local = new Date(zone === null ? at.getTime() : localMs(at.getTime(), zone))
  // In parts: where the commas stand depends on the version of ICU.
  const part = (shown: Intl.DateTimeFormatOptions) =>
    local.toLocaleDateString('en-GB', { ...shown, timeZone: 'UTC' })
  const date = `${part({ weekday: 'long' })}, ${part({ day: 'numeric', month: 'long', year: 'numeric' })}`
  const time = local.toISOString().slice(11, 16)
  return zone === null ? `${date} at ${time} UTC` : `${date} at ${time} (${shownOffset(at, zone)}, ${zone})`
}

function shownOffset(at: Date, zone: string): string {
  const minutes = Math.round(offsetMs(at.getTime(), zone) / 60_000)
  if (minutes === 0) return 'UTC'
  const size = Math.abs(minutes)
  const rest = size % 60
  const hours = `${Math.floor(size / 60)}${rest === 0 ? '' : `:${String(rest).padStart(2, '0')}`}`
  return `UTC${minutes < 0 ? '-' : '+'}${hours}`
}
