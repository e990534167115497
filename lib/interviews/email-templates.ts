import * as z from 'zod'
import { escapeHtml } from '../platform/http/docs-schema.ts'
import { shownTime } from './zones.ts'

/** An e-mail in words. Every line is a paragraph; the path is one of the console. */
type Letter = {
  subject: string
  lines: readonly string[]
  link?: { label: string; path: string }
  /** What changes in the reader's calendar; `scheduled_at` is when the entry begins. */
  entry?: { method: CalendarEntry['method']; meeting: Meeting; scheduled_at: string } | undefined
}

/** A change of one calendar. Its texts have no line breaks. */
export type CalendarEntry = {
  interviewId: string
  method: 'REQUEST' | 'CANCEL'
  /** 0 at first, and higher with each change. */
  sequence: number
  /** When it was made. */
  stamp: Date
  start: Date
  minutes: number
  /** Who is invited. */
  name: string
  title: string
  description: string
  url?: string | undefined
}

function template<Schema extends z.ZodType>(
  data: Schema,
  letter: (data: z.output<Schema>, interviewId: string | null) => Letter,
) {
  return {
    data,
    fill: (value: unknown, interviewId: string | null) => letter(data.parse(value), interviewId),
  }
}

/** What the candidate is told of a meeting. E-mails of an earlier release know neither zone nor calendar. */
const meetingFacts = {
  candidate_name: z.string(),
  role_title: z.string(),
  scheduled_at: z.iso.datetime().nullable(),
  timezone: z.string().nullable().default(null),
  duration_minutes: z.int().positive(),
  calendar: z.strictObject({ sequence: z.int().min(0), stamp: z.iso.datetime() }).optional(),
}
const meeting = z.strictObject(meetingFacts)
type Meeting = z.output<typeof meeting>
/** The same, with the time that it was to begin before. */
const changedMeeting = z.strictObject({
  ...meetingFacts,
  previous_scheduled_at: z.iso.datetime().nullable(),
})

const keyFacts = z.strictObject({ team: z.string(), role: z.string(), label: z.string() })
const reference = { label: 'How to use the API', path: 'api/docs' }

/** Behind the #, which browsers send to no server: it stands in no log. */
const joinLink = (interviewId: string | null) => ({
  label: 'Join the interview',
  path: `join#${interviewId}`,
})

/** What each kind of e-mail says, and the schema of what it is filled with. */
export const templates = {
  welcome: template(keyFacts, ({ team, role, label }) => ({
    subject: 'Welcome to Insighta',
    lines: [
      'Hello,',
      `An access key was made for you: "${label}", with the role ${role} in the team ${team}.`,
      'For your safety the key is not in this e-mail. Whoever made it will hand it to you another way.',
    ],
    link: reference,
  })),
  reset: template(keyFacts, ({ team, role, label }) => ({
    subject: 'Your Insighta access key was replaced',
    lines: [
      'Hello,',
      `The access key "${label}", with the role ${role} in the team ${team}, was replaced. The old one is refused within a minute.`,
      'For your safety the new key is not in this e-mail. Whoever made it will hand it to you another way.',
      'If you did not expect this, please tell whoever manages the keys of your team.',
    ],
    link: reference,
  })),
  invite: template(meeting, (facts, interviewId) => ({
    subject: `Your interview: ${facts.role_title}`,
    lines: [
      `Hello ${firstName(facts.candidate_name)},`,
      `You are invited to an interview for the role of ${facts.role_title}.`,
      `${when(facts)} It takes about ${facts.duration_minutes} minutes.`,
      'An AI interviewer will talk with you. All you need is a browser and a microphone.',
    ],
    link: joinLink(interviewId),
    entry: entryOf(facts),
  })),
  rescheduled: template(changedMeeting, (facts, interviewId) => ({
    subject: `New time for your interview: ${facts.role_title}`,
    lines: [
      `Hello ${firstName(facts.candidate_name)},`,
      `The time of your interview for the role of ${facts.role_title} has changed.`,
      ...(facts.previous_scheduled_at === null
        ? []
        : [`Before, it was to begin on ${shown(facts.previous_scheduled_at, facts)}.`]),
      `${when(facts)} It takes about ${facts.duration_minutes} minutes.`,
      'The link to join is still the same.',
    ],
    link: joinLink(interviewId),
    // Without a time there is nothing left of it in the calendar.
    entry: entryOf(facts) ?? withdrawnEntry(facts),
  })),
  cancelled: template(changedMeeting, (facts) => ({
    subject: `Your interview was cancelled: ${facts.role_title}`,
    lines: [
      `Hello ${firstName(facts.candidate_name)},`,
      facts.previous_scheduled_at === null
        ? `Your interview for the role of ${facts.role_title} was cancelled.`
        : `Your interview for the role of ${facts.role_title}, which was to begin on ${shown(facts.previous_scheduled_at, facts)}, was cancelled.`,
      'There is nothing that you need to do. The link to join does not work any more.',
    ],
    entry: withdrawnEntry(facts),
  })),
  assessment_ready: template(
    z.strictObject({
      candidate_name: z.string(),
      role_title: z.string(),
      // E-mails that were queued by an earlier release have none.
      findings: z.array(z.string()).default([]),
    }),
    ({ candidate_name, role_title, findings }, interviewId) => ({
      subject: `Assessment ready: ${candidate_name}, ${role_title}`,
      lines: [
        'Hello,',
        `The interview with ${candidate_name} for the role of ${role_title} has been assessed by an AI. The decision is yours.`,
        ...findings,
      ],
      link: { label: 'Read the assessment', path: `interviews/${interviewId}` },
    }),
  ),
}

export type EmailKind = keyof typeof templates
export type EmailData<Kind extends EmailKind> = z.input<(typeof templates)[Kind]['data']>

/**
 * Subject, HTML and text of an e-mail: always the same ones of the same data, since an e-mail that is sent twice
 * under one id must be the same. Throws ZodError where the data is not that of the kind.
 */
export function renderEmail(
  { kind, data, interviewId }: { kind: EmailKind; data: unknown; interviewId: string | null },
  consoleUrl: string,
): { subject: string; html: string; text: string; entry?: CalendarEntry } {
  const { link, entry, ...letter }: Letter = templates[kind].fill(data, interviewId)
  const subject = oneLine(letter.subject)
  const lines = letter.lines.map(oneLine)
  const url = link && `${consoleUrl.replace(/\/+$/, '')}/${link.path}`
  const shownLink = link && url !== undefined ? { label: link.label, url } : undefined
  const calendar =
    entry &&
    interviewId !== null &&
    calendarEntry(entry, {
      interviewId,
      title: `Interview: ${oneLine(entry.meeting.role_title)}`,
      lines,
      url,
    })
  return {
    subject,
    html: html(subject, lines, shownLink),
    text: text(lines, shownLink),
    ...(calendar && { entry: calendar }),
  }
}

type ShownLink = { label: string; url: string } | undefined

function text(lines: readonly string[], link: ShownLink): string {
  return `${[...lines, ...(link ? [`${link.label}: ${link.url}`] : [])].join('\n\n')}\n`
}

function html(subject: string, lines: readonly string[], link: ShownLink): string {
  const paragraphs = lines.map((line) => `<p>${escapeHtml(line)}</p>`)
  if (link) {
    const address = escapeHtml(link.url)
    paragraphs.push(`<p><a href="${address}">${escapeHtml(link.label)}</a><br>${address}</p>`)
  }
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
<body style="font: 16px/1.5 sans-serif; max-width: 36em; margin: 2em auto; padding: 0 1em">
${paragraphs.join('\n')}
</body>
</html>
`
}

/** Without line breaks and other control characters, which would end a header or forge a paragraph. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}

function firstName(fullName: string): string {
  return oneLine(fullName).split(' ')[0]!
}

function shown(scheduledAt: string, { timezone }: Meeting): string {
  return shownTime(new Date(scheduledAt), timezone)
}

function when(facts: Meeting): string {
  if (facts.scheduled_at === null) return 'You can join whenever it suits you.'
  return `It begins on ${shown(facts.scheduled_at, facts)}.`
}

/** The entry of a meeting with a time. */
function entryOf(meeting: Meeting): Letter['entry'] {
  const { scheduled_at } = meeting
  return scheduled_at === null ? undefined : { method: 'REQUEST', meeting, scheduled_at }
}

/** The end of the entry that the time before had. */
function withdrawnEntry(meeting: z.output<typeof changedMeeting>): Letter['entry'] {
  const { previous_scheduled_at: scheduled_at } = meeting
  return scheduled_at === null ? undefined : { method: 'CANCEL', meeting, scheduled_at }
}

function calendarEntry(
  { method, meeting, scheduled_at }: NonNullable<Letter['entry']>,
  shown: { interviewId: string; title: string; lines: readonly string[]; url: string | undefined },
): CalendarEntry | undefined {
  if (!meeting.calendar) return undefined
  const { interviewId, title, lines, url } = shown
  return {
    interviewId,
    method,
    sequence: meeting.calendar.sequence,
    stamp: new Date(meeting.calendar.stamp),
    start: new Date(scheduled_at),
    minutes: meeting.duration_minutes,
    name: oneLine(meeting.candidate_name),
    title,
    // Without the greeting.
    description: [...lines.slice(1), ...(url === undefined ? [] : [url])].join('\n\n'),
    ...(method === 'REQUEST' && { url }),
  }
}
