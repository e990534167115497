import * as z from 'zod'
import { escapeHtml } from '../platform/http/docs-schema.ts'

/** An e-mail in words. Every line is a paragraph; the path is one of the console. */
type Letter = { subject: string; lines: readonly string[]; link: { label: string; path: string } }

function template<Schema extends z.ZodType>(
  data: Schema,
  letter: (data: z.output<Schema>, interviewId: string | null) => Letter,
) {
  return {
    data,
    fill: (value: unknown, interviewId: string | null) => letter(data.parse(value), interviewId),
  }
}

const keyFacts = z.strictObject({ team: z.string(), role: z.string(), label: z.string() })
const reference = { label: 'How to use the API', path: 'api/docs' }

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
  invite: template(
    z.strictObject({
      candidate_name: z.string(),
      role_title: z.string(),
      scheduled_at: z.iso.datetime().nullable(),
      duration_minutes: z.int().positive(),
    }),
    ({ candidate_name, role_title, scheduled_at, duration_minutes }, interviewId) => ({
      subject: `Your interview: ${role_title}`,
      lines: [
        `Hello ${firstName(candidate_name)},`,
        `You are invited to an interview for the role of ${role_title}.`,
        `${when(scheduled_at)} It takes about ${duration_minutes} minutes.`,
        'An AI interviewer will talk with you. All you need is a browser and a microphone.',
      ],
      // Behind the #, which browsers send to no server: it stands in no log.
      link: { label: 'Join the interview', path: `join#${interviewId}` },
    }),
  ),
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
): { subject: string; html: string; text: string } {
  const { link, ...letter } = templates[kind].fill(data, interviewId)
  const subject = oneLine(letter.subject)
  const lines = letter.lines.map(oneLine)
  const url = `${consoleUrl.replace(/\/+$/, '')}/${link.path}`
  return { subject, html: html(subject, lines, link.label, url), text: text(lines, link.label, url) }
}

function text(lines: readonly string[], label: string, url: string): string {
  return `${[...lines, `${label}: ${url}`].join('\n\n')}\n`
}

function html(subject: string, lines: readonly string[], label: string, url: string): string {
  const paragraphs = lines.map((line) => `<p>${escapeHtml(line)}</p>`)
  const address = escapeHtml(url)
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
<body style="font: 16px/1.5 sans-serif; max-width: 36em; margin: 2em auto; padding: 0 1em">
${paragraphs.join('\n')}
<p><a href="${address}">${escapeHtml(label)}</a><br>${address}</p>
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

/** The time as it is in UTC: the zone of whoever reads it is not known. */
function when(scheduledAt: string | null): string {
  if (scheduledAt === null) return 'You can join whenever it suits you.'
  const at = new Date(scheduledAt)
  const part = (shown: Intl.DateTimeFormatOptions) =>
    at.toLocaleDateString('en-GB', { ...shown, timeZone: 'UTC' })
  // In parts: where the commas stand depends on the version of ICU.
  const day = `${part({ weekday: 'long' })}, ${part({ day: 'numeric', month: 'long', year: 'numeric' })}`
  return `It begins on ${day} at ${at.toISOString().slice(11, 16)} UTC.`
}
