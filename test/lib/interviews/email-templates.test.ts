import { describe, expect, it } from 'vitest'
import { type EmailKind, renderEmail } from '../../../lib/interviews/email-templates.ts'

const interviewId = '0199c1d2-0000-7000-8000-000000000001'
const console = 'https://console.example.com'

const key = { team: 'Research', role: 'recruiter', label: 'Laptop' }
const invitation = {
  candidate_name: 'Ada Obi',
  role_title: 'Engineer',
  scheduled_at: '2077-01-04T15:00:00.000Z',
  duration_minutes: 20,
}
const assessed = {
  candidate_name: 'Ada Obi',
  role_title: 'Engineer',
  findings: ['Recommendation: None', 'Coverage: 1 of 4'],
}
const changed = {
  ...invitation,
  timezone: 'Europe/Berlin',
  previous_scheduled_at: '2077-01-03T15:00:00.000Z',
  calendar: { sequence: 1, stamp: '2026-11-28T12:00:00.000Z' },
}
const everyKind: [EmailKind, object][] = [
  ['welcome', key],
  ['reset', key],
  ['invite', invitation],
  ['rescheduled', changed],
  ['cancelled', changed],
  ['assessment_ready', assessed],
]

function render(kind: EmailKind, data: object, consoleUrl = console) {
  return renderEmail({ kind, data, interviewId }, consoleUrl)
}

describe('an e-mail', () => {
  it('invites to the role at a time, with the zone it is meant in, and links to the room', () => {
    const { subject, text } = render('invite', invitation)
    expect(subject).toBe('Your interview: Engineer')
    expect(text).toBe(`Hello Ada,

You are invited to an interview for the role of Engineer.

It begins on Monday, 4 January 2077 at 15:00 UTC. It takes about 20 minutes.

An AI interviewer will talk with you. All you need is a browser and a microphone.

Join the interview: https://console.example.com/join#${interviewId}
`)
  })

  it('invites to any time where none is set', () => {
    const { text } = render('invite', { ...invitation, scheduled_at: null })
    expect(text).toContain('You can join whenever it suits you. It takes about 20 minutes.')
  })

  it('tells of another time, with the one before, and changes the calendar', () => {
    const { subject, text, entry } = render('rescheduled', changed)
    expect(subject).toBe('New time for your interview: Engineer')
    expect(text).toBe(`Hello Ada,

The time of your interview for the role of Engineer has changed.

Before, it was to begin on Sunday, 3 January 2077 at 16:00 (UTC+1, Europe/Berlin).

It begins on Monday, 4 January 2077 at 16:00 (UTC+1, Europe/Berlin). It takes about 20 minutes.

The link to join is still the same.

Join the interview: https://console.example.com/join#${interviewId}
`)
    expect(entry).toMatchObject({ method: 'REQUEST', sequence: 1, minutes: 20, title: 'Interview: Engineer' })
    expect(entry!.start.toISOString()).toBe(changed.scheduled_at)
  })

  it('tells of a cancellation, and takes the entry out of the calendar', () => {
    const { subject, text, entry } = render('cancelled', changed)
    expect(subject).toBe('Your interview was cancelled: Engineer')
    expect(text).toBe(`Hello Ada,

Your interview for the role of Engineer, which was to begin on Sunday, 3 January 2077 at 16:00 (UTC+1, Europe/Berlin), was cancelled.

There is nothing that you need to do. The link to join does not work any more.
`)
    expect(entry).toMatchObject({ method: 'CANCEL', sequence: 1 })
    expect(entry!.url).toBeUndefined()
    const timeless = render('cancelled', { ...changed, previous_scheduled_at: null })
    expect(timeless.text).toContain('for the role of Engineer was cancelled.')
    expect(timeless.entry).toBeUndefined()
  })

  it('of a meeting that an earlier release queued has no calendar file', () => {
    expect(render('invite', invitation).entry).toBeUndefined()
  })

  it('says that an assessment is ready, where, and what it comes to', () => {
    const { subject, text } = render('assessment_ready', assessed)
    expect(text).toContain('\n\nRecommendation: None\n\nCoverage: 1 of 4\n\n')
    expect(subject).toBe('Assessment ready: Ada Obi, Engineer')
    expect(text).toContain(`https://console.example.com/interviews/${interviewId}`)
  })

  it('is still sent if an earlier release queued it', () => {
    const { findings: _, ...earlier } = assessed
    expect(render('assessment_ready', earlier).text).toContain('has been assessed')
  })

  it.each(['welcome', 'reset'] as const)(
    'tells by %s of a key: its name, role, team and the docs',
    (kind) => {
      const { text } = render(kind, key)
      expect(text).toContain('"Laptop", with the role recruiter in the team Research')
      expect(text).toContain('https://console.example.com/api/docs')
    },
  )

  it.each(everyKind)('of kind %s says the same in HTML, without images and with one style', (kind, data) => {
    const { html, text, subject } = render(kind, data)
    const shown = html
      .replace(/<head>.*<\/head>/, '')
      .replaceAll(/<[^>]+>/g, '\n')
      .replaceAll('&quot;', '"')
    const said = shown.split('\n').filter((line) => line !== '')
    const [label, url] = said.slice(-2)
    const isLinked = kind !== 'cancelled'
    expect(text).toBe(`${(isLinked ? [...said.slice(0, -2), `${label}: ${url}`] : said).join('\n\n')}\n`)
    expect(html).toContain(`<title>${subject}</title>`)
    expect(html.match(/<a href="(.*?)">/)?.[1]).toBe(isLinked ? url : undefined)
    expect(html).not.toMatch(/<img|<link|<script|url\(/)
    expect(html.match(/style=/g)).toHaveLength(1)
  })

  it.each(everyKind)('of kind %s takes no data but its own', (kind, data) => {
    expect(() => render(kind, { ...data, key: 'ins_secret' })).toThrow('key')
    expect(() => render(kind, {})).toThrow()
  })

  it('does not mind how the address of the console ends', () => {
    expect(render('welcome', key, 'https://x.example/app/').text).toContain(
      'https://x.example/app/api/docs\n',
    )
  })
})

describe('what people are called', () => {
  it('is text in HTML, whatever it holds', () => {
    const hostile = `<img src=x onerror="alert('1')">&amp;`
    for (const [kind, data] of everyKind) {
      const named = Object.fromEntries(
        Object.entries(data).map(([name, value]) => [
          name,
          ['candidate_name', 'role_title', 'team', 'role', 'label'].includes(name) ? hostile : value,
        ]),
      )
      const { html } = render(kind, named)
      expect(html).not.toContain('<img')
      expect(html).not.toContain('onerror="')
      expect(html).toContain('&lt;img')
    }
  })

  it.each(['\r\n', '\n', '\r', '\u0085', '\u2028', '\0'])(
    'neither ends a header nor forges a line by %j',
    (end) => {
      const role_title = `Engineer${end}Bcc: victim@example.com`
      const { subject, text } = render('invite', {
        ...invitation,
        candidate_name: `Ada${end}Obi`,
        role_title,
      })
      expect(subject).toBe('Your interview: Engineer Bcc: victim@example.com')
      expect(text).toContain('Hello Ada,\n')
      expect(text).toContain('for the role of Engineer Bcc: victim@example.com.\n')
    },
  )
})
