import ical, {
  ICalAttendeeRole,
  ICalAttendeeStatus,
  ICalCalendarMethod,
  ICalEventStatus,
} from 'ical-generator'
import type { CalendarEntry } from './email-templates.ts'

export type People = {
  /** The sender of our e-mails, as `Insighta <interviews@example.com>`. */
  from: string
  /** Whose calendar it is. */
  to: { name: string; email: string }
}

/**
 * An interview's entry in the candidate's calendar, as an iTIP message (RFC 5546): a request, which a later one of
 * the same interview with a higher sequence replaces, or a cancellation. Times are in UTC, which each calendar shows
 * in its reader's zone. The same data gives the same bytes.
 */
export function calendarFile(
  { interviewId, method, sequence, stamp, start, minutes, title, description, url }: CalendarEntry,
  { from, to }: People,
): { filename: string; content_type: string; content: string } {
  const cancelled = method === 'CANCEL'
  const calendar = ical({
    prodId: { company: 'Insighta', product: 'Interviews', language: 'EN' },
    method: cancelled ? ICalCalendarMethod.CANCEL : ICalCalendarMethod.REQUEST,
  })
  const event = calendar.createEvent({
    id: `interview-${interviewId}@insighta`,
    sequence,
    stamp,
    start,
    end: new Date(start.getTime() + minutes * 60_000),
    summary: title,
    description,
    status: cancelled ? ICalEventStatus.CANCELLED : ICalEventStatus.CONFIRMED,
    organizer: sender(from),
    ...(url !== undefined && { url, location: url }),
  })
  event.createAttendee({
    ...to,
    role: ICalAttendeeRole.REQ,
    status: ICalAttendeeStatus.NEEDSACTION,
    // Nobody reads what comes back to the sender.
    rsvp: false,
  })
  return {
    filename: cancelled ? 'cancelled.ics' : 'interview.ics',
    content_type: `text/calendar; charset=utf-8; method=${method}`,
    content: calendar.toString(),
  }
}

function sender(from: string): { name: string; email: string } {
  const named = /^(.*)<([^<>]+)>\s*$/.exec(from)
  return named
    ? { name: named[1]!.trim() || 'Insighta', email: named[2]!.trim() }
    : { name: 'Insighta', email: from.trim() }
}
