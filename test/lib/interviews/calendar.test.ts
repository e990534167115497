import { expect, it } from 'vitest'
import { calendarFile } from '../../../lib/interviews/calendar.ts'
import type { CalendarEntry } from '../../../lib/interviews/email-templates.ts'
import { unfolded } from '../../support/calendar.ts'
import { fc } from '../../support/properties.ts'

const entry: CalendarEntry = {
  interviewId: '0198c0de-0000-7000-8000-000000000001',
  method: 'REQUEST',
  sequence: 2,
  stamp: new Date('2026-11-28T12:00:00Z'),
  start: new Date('2077-01-04T15:00:00Z'),
  minutes: 45,
  name: 'Ada Obi',
  title: 'Interview: Engineer',
  description: 'You are invited.\n\nIt takes a while.',
  url: 'https://console.example.com/join/1',
}
const people = {
  from: 'Insighta <interviews@example.com>',
  to: { name: 'Ada Obi', email: 'ada@example.com' },
}

it('asks for an event, under one id, in UTC, without an answer', () => {
  const { filename, content_type, content } = calendarFile(entry, people)
  expect([filename, content_type]).toEqual(['interview.ics', 'text/calendar; charset=utf-8; method=REQUEST'])
  const lines = unfolded(content)
  expect(lines).toEqual(
    expect.arrayContaining([
      'METHOD:REQUEST',
      `UID:interview-${entry.interviewId}@insighta`,
      'SEQUENCE:2',
      'DTSTAMP:20261128T120000Z',
      'DTSTART:20770104T150000Z',
      'DTEND:20770104T154500Z',
      'SUMMARY:Interview: Engineer',
      String.raw`DESCRIPTION:You are invited.\n\nIt takes a while.`,
      'STATUS:CONFIRMED',
      'ORGANIZER;CN="Insighta":mailto:interviews@example.com',
    ]),
  )
  expect(lines.find((line) => line.startsWith('ATTENDEE'))).toMatch(
    /RSVP=FALSE.*CN="Ada Obi".*:mailto:ada@example.com$/i,
  )
})

it('withdraws the event under the same id, without its link', () => {
  const { url: _, ...withoutLink } = entry
  const { filename, content_type, content } = calendarFile(
    { ...withoutLink, method: 'CANCEL', sequence: 3 },
    people,
  )
  expect([filename, content_type]).toEqual(['cancelled.ics', 'text/calendar; charset=utf-8; method=CANCEL'])
  const lines = unfolded(content)
  expect(lines).toEqual(
    expect.arrayContaining([
      'METHOD:CANCEL',
      'STATUS:CANCELLED',
      'SEQUENCE:3',
      `UID:interview-${entry.interviewId}@insighta`,
    ]),
  )
  expect(content).not.toContain('join/')
})

it('is the same bytes for the same data', () => {
  expect(calendarFile(entry, people)).toEqual(calendarFile(entry, people))
})

it('has one event and short lines, whatever names and titles hold', () => {
  const words = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 120 }),
    fc.constantFrom(
      'a";X=1:mailto:b',
      'x\r\nEND:VCALENDAR',
      '\\,;:',
      'END:VEVENT',
      '👩‍👩‍👧 Ωmega '.repeat(20),
    ),
  )
  fc.assert(
    fc.property(words, words, (name, title) => {
      const { content } = calendarFile({ ...entry, name, title }, { ...people, to: { ...people.to, name } })
      for (const line of content.split('\r\n')) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75)
      const names = unfolded(content).map((line) => /^[A-Z-]+/.exec(line)?.[0])
      const count = (wanted: string) => names.filter((found) => found === wanted).length
      expect([count('BEGIN'), count('END'), count('ATTENDEE'), count('SUMMARY'), count('UID')]).toEqual([
        2, 2, 1, 1, 1,
      ])
    }),
  )
})
