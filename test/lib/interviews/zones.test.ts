import { describe, expect, it } from 'vitest'
import { instantOf, shownTime, timeZone, zoneName } from '../../../lib/interviews/zones.ts'
import { fc } from '../../support/properties.ts'

describe('a time zone', () => {
  it.each([
    ['Europe/Berlin', 'Europe/Berlin'],
    ['europe/berlin', 'Europe/Berlin'],
    ['Asia/Kolkata', 'Asia/Kolkata'],
    ['America/Argentina/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
    ['UTC', 'UTC'],
  ])('of the name %s is there', (given, name) => {
    expect(timeZone.safeParse(given).success).toBe(true)
    expect(zoneName(given)).toBe(name)
  })

  it.each(['Mars/Olympus', '', 'Europe/', '+02:00', '-0500', 'local', 'Europe/Berlin\n', 'x'.repeat(65)])(
    'of the name %j does not exist',
    (given) => {
      expect(timeZone.safeParse(given).success).toBe(false)
    },
  )
})

describe('the instant of a start', () => {
  it.each([
    // An offset says all that is needed.
    ['2027-03-28T02:30:00+01:00', 'Europe/Berlin', '2027-03-28T01:30:00.000Z'],
    ['2027-10-31T02:30:00+01:00', 'Europe/Berlin', '2027-10-31T01:30:00.000Z'],
    ['2027-06-01T09:00:00Z', 'Asia/Kolkata', '2027-06-01T09:00:00.000Z'],
    // On both sides of a change.
    ['2027-03-28T01:59:59', 'Europe/Berlin', '2027-03-28T00:59:59.000Z'],
    ['2027-03-28T03:00', 'Europe/Berlin', '2027-03-28T01:00:00.000Z'],
    ['2027-10-31T01:59', 'Europe/Berlin', '2027-10-30T23:59:00.000Z'],
    ['2027-10-31T03:00', 'Europe/Berlin', '2027-10-31T02:00:00.000Z'],
    // Skipped: as much later.
    ['2027-03-28T02:30', 'Europe/Berlin', '2027-03-28T01:30:00.000Z'],
    ['2027-03-14T02:15', 'America/New_York', '2027-03-14T07:15:00.000Z'],
    ['2027-10-03T02:15', 'Australia/Lord_Howe', '2027-10-02T15:45:00.000Z'],
    // Twice: the first.
    ['2027-10-31T02:30', 'Europe/Berlin', '2027-10-31T00:30:00.000Z'],
    ['2027-11-07T01:30', 'America/New_York', '2027-11-07T05:30:00.000Z'],
    // Half an hour, and none at all.
    ['2027-06-01T09:00', 'Asia/Kolkata', '2027-06-01T03:30:00.000Z'],
    ['2027-06-01T09:00:00.250', 'UTC', '2027-06-01T09:00:00.250Z'],
  ])('%s in %s is %s', (text, zone, instant) => {
    expect(instantOf(text, zone)?.toISOString()).toBe(instant)
  })

  it('is unknown for a local time without a zone', () => {
    expect(instantOf('2027-06-01T09:00', null)).toBeUndefined()
  })

  it('is shown as the local time that it was given by, unless clocks skip that', () => {
    const minutes = fc.integer({ min: 0, max: 366 * 24 * 60 })
    const zones = fc.constantFrom(
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kolkata',
      'Africa/Casablanca',
      'Pacific/Apia',
    )
    fc.assert(
      fc.property(minutes, zones, (minute, zone) => {
        const local = new Date(Date.UTC(2027, 0, 1) + minute * 60_000).toISOString().slice(0, 16)
        const at = instantOf(local, zone)!
        // An hour before is another local time: so none is taken for a neighbour's.
        const time = / at (\d\d:\d\d) /.exec(shownTime(at, zone))![1]
        const skipped = [30, 60].map((by) =>
          new Date(Date.parse(`${local}Z`) + by * 60_000).toISOString().slice(11, 16),
        )
        expect([local.slice(11), ...skipped]).toContain(time)
        if (time !== local.slice(11)) {
          const before = new Date(at.getTime() - 60 * 60_000)
          expect(offsetShown(before, zone)).not.toBe(offsetShown(at, zone))
        }
      }),
    )
  })
})

const offsetShown = (at: Date, zone: string) => /\((\S+),/.exec(shownTime(at, zone))![1]

describe('a time as people read it', () => {
  it.each([
    ['2077-01-04T15:00:00Z', null, 'Monday, 4 January 2077 at 15:00 UTC'],
    ['2077-01-04T15:00:00Z', 'Europe/Berlin', 'Monday, 4 January 2077 at 16:00 (UTC+1, Europe/Berlin)'],
    ['2027-01-04T23:30:00Z', 'Asia/Kolkata', 'Tuesday, 5 January 2027 at 05:00 (UTC+5:30, Asia/Kolkata)'],
    [
      '2027-01-04T03:00:00Z',
      'America/St_Johns',
      'Sunday, 3 January 2027 at 23:30 (UTC-3:30, America/St_Johns)',
    ],
    ['2027-01-04T00:00:00Z', 'Europe/London', 'Monday, 4 January 2027 at 00:00 (UTC, Europe/London)'],
    // The two of one name.
    ['2027-10-31T00:30:00Z', 'Europe/Berlin', 'Sunday, 31 October 2027 at 02:30 (UTC+2, Europe/Berlin)'],
    ['2027-10-31T01:30:00Z', 'Europe/Berlin', 'Sunday, 31 October 2027 at 02:30 (UTC+1, Europe/Berlin)'],
  ])('of %s in %s is %s', (instant, zone, text) => {
    expect(shownTime(new Date(instant), zone)).toBe(text)
  })
})
