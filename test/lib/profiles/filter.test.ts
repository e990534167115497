import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { countryCodes } from '../../../lib/profiles/countries.ts'
import { lowestId } from '../../../lib/profiles/creation.ts'
import {
  canonicalFilter,
  type Filter,
  type FilterInput,
  filterKey,
  filterParameters,
} from '../../../lib/profiles/filter.ts'
import { filterQuery } from '../../../lib/profiles/filter-query.ts'
import { parseInstant } from '../../../lib/profiles/instant.ts'
import {
  type AgeGroup,
  ageGroup,
  ageGroups,
  createdAt,
  nameKey,
  nameProblem,
} from '../../../lib/profiles/profile.ts'
import { decodeFor, filters } from '../../support/profiles.ts'
import { fc } from '../../support/properties.ts'

/** Filters of one kind each, from values so few that two often mean the same. */
const few = fc.subarray(['AO', 'NG', 'TV'])
const most = few.map((codes) => countryCodes.filter((code) => !codes.includes(code)))
const edge = fc.constantFrom(0, 5, 12, 13, 19, 20, 59, 60, 150)
const moment = fc.constantFrom('1969-01-01', '1970-01-01', '2026-11-01', '2026-11-02').map(parseInstant)
const anyKind: Record<string, fc.Arbitrary<FilterInput>> = {
  countries: fc.record(
    { country_id: fc.oneof(few, most), exclude_country_id: fc.oneof(few, most) },
    { requiredKeys: [] },
  ),
  ages: fc.record(
    {
      age_group: fc.subarray(Object.keys(ageGroups) as AgeGroup[], { minLength: 1 }),
      min_age: edge,
      max_age: edge,
    },
    { requiredKeys: [] },
  ),
  'times of creation': fc.record({ created_after: moment, created_before: moment }, { requiredKeys: [] }),
  names: fc.record({ name: fc.constantFrom('Ada', 'ADA', ' ada ', 'Ada B', 'ada\u00a0b', 'Ａda', 'Adá') }),
}

/** All that an input lets through, as a text; undefined if that is nothing. */
function meaning(input: FilterInput): string | undefined {
  const { country_id = [], exclude_country_id = [], age_group, min_age = 0, max_age = 150 } = input
  const codes = countryCodes.filter(
    (code) => (country_id.length === 0 || country_id.includes(code)) && !exclude_country_id.includes(code),
  )
  const ages = Array.from({ length: 151 }, (_, age) => age).filter(
    (age) => age >= min_age && age <= max_age && (!age_group || age_group.includes(ageGroup(age))),
  )
  const [after, before] = [input.created_after ?? '0', input.created_before ?? '9']
  if (codes.length === 0 || ages.length === 0 || after >= before) return undefined
  // There is no profile from before 1970.
  const since = after <= '1970-01-01T00:00:00.000Z' ? '' : after
  const until = before < '1970' ? '1970-01-01T00:00:00.000Z' : before
  const { gender, min_gender_probability, min_country_probability } = input
  const name = input.name === undefined ? undefined : nameKey(input.name)
  return JSON.stringify([
    codes,
    ages,
    since,
    until,
    gender,
    min_gender_probability,
    min_country_probability,
    name,
  ])
}

const schema = z.strictObject(filterParameters)
const canonical = (query: string) => canonicalFilter(schema.parse(decodeFor(query)))

describe('the canonical filter', () => {
  it.each([
    ['', {}],
    [
      'gender=FEMALE&country_id=ng&min_age=20&max_age=45',
      { country_id: ['NG'], gender: 'female', min_age: 20, max_age: 45 },
    ],
    ['country_id=gh,NG,gh', { country_id: ['GH', 'NG'] }],
    ['age_group=Adult', { min_age: 20, max_age: 59 }],
    ['age_group=senior', { min_age: 60 }],
    ['age_group=child', { max_age: 12 }],
    ['age_group=teenager&min_age=17', { min_age: 17, max_age: 19 }],
    ['min_age=0&max_age=150', {}],
    ['min_gender_probability=0', { min_gender_probability: 0 }],
    [
      'min_gender_probability=0.70&min_country_probability=1',
      { min_gender_probability: 0.7, min_country_probability: 1 },
    ],
    ['age_group=child,ADULT', { age_group: ['child', 'adult'] }],
    ['age_group=adult,child,adult&min_age=0&max_age=59', { age_group: ['child', 'adult'] }],
    [
      'age_group=senior, child&min_age=5&max_age=70',
      { age_group: ['child', 'senior'], min_age: 5, max_age: 70 },
    ],
    ['age_group=child,teenager', { max_age: 19 }],
    ['age_group=child,teenager,senior', { age_group: ['child', 'teenager', 'senior'] }],
    ['age_group=child,adult,teenager,senior', {}],
    ['age_group=child,senior&min_age=13', { min_age: 60 }],
    ['exclude_country_id=ng,GH,NG', { exclude_country_id: ['GH', 'NG'] }],
    ['country_id=NG,GH,KE&exclude_country_id=gh,TV', { country_id: ['KE', 'NG'] }],
    [`exclude_country_id=${allBut('NG')}`, { country_id: ['NG'] }],
    [`country_id=${allBut('NG')}`, { exclude_country_id: ['NG'] }],
    [`country_id=${allBut()}`, {}],
    ['name=%20ADA%20%20Example', { name: 'ada example' }],
    [
      'created_after=2026-11-01&created_before=2026-11-01T10:30:00.5+01:00',
      { created_after: '2026-11-01T00:00:00.000Z', created_before: '2026-11-01T09:30:00.500Z' },
    ],
    ['created_after=1969-12-31', {}],
    ['created_before=1960-01-01', { created_before: '1970-01-01T00:00:00.000Z' }],
  ])('of %j is %j', (query, expected) => {
    expect(canonical(query)).toEqual(expected)
  })

  it.each([
    ['min_age=30&max_age=20', 'min_age 30 is greater than max_age 20'],
    ['age_group=child&min_age=13', 'age_group child is 0 to 12, which contradicts min_age 13'],
    ['age_group=senior&max_age=59', 'age_group senior is 60 and over, which contradicts max_age 59'],
    [
      'age_group=child,senior&min_age=20&max_age=40',
      'age_group child,senior is 0 to 12 or 60 and over, which contradicts min_age 20 and max_age 40',
    ],
    ['country_id=NG,gh&exclude_country_id=GH,NG', 'exclude_country_id leaves no country of country_id'],
    [`exclude_country_id=${allBut()}`, 'exclude_country_id leaves no country'],
    [
      'created_after=2026-11-02&created_before=2026-11-02T00:00:00Z',
      'created_after 2026-11-02T00:00:00.000Z is not earlier than created_before 2026-11-02T00:00:00.000Z',
    ],
    [
      'created_after=1965-01-01&created_before=1960-01-01',
      'created_after 1965-01-01T00:00:00.000Z is not earlier than created_before 1960-01-01T00:00:00.000Z',
    ],
  ])('refuses the contradiction %j with its reason', (query, message) => {
    expect(() => canonical(query)).toThrow(expect.objectContaining({ status: 422, message }))
  })

  it.each([
    'gender=x',
    'age_group=toString',
    'country_id=NG,XX',
    'country_id=,',
    'min_age=a',
    'max_age=151',
    'min_gender_probability=2',
    'age_group=child,baby',
    'exclude_country_id=NG,XX',
    'name=a%00b',
    `name=${'x'.repeat(201)}`,
    'created_after=2026-02-30',
    'created_after=2026-11-01T12:00:00',
    'created_before=yesterday',
    'created_before=1793491200000',
    'created_before=9999-12-31T23:59:59-23:59',
  ])('refuses %j', (query) => {
    expect(schema.safeParse(decodeFor(query)).success).toBe(false)
  })

  it('is a fixed point, and its key tells filters apart', () => {
    fc.assert(
      fc.property(filters, filters, (a, b) => {
        const [one, two] = [canonicalFilter(a), canonicalFilter(b)]
        expect(canonicalFilter(one)).toEqual(one)
        expect(filterKey(one) === filterKey(two)).toBe(isSame(one, two))
      }),
    )
  })

  it.each(Object.keys(anyKind))('of %s is equal for what means the same, and for nothing else', (kind) => {
    fc.assert(
      fc.property(anyKind[kind]!, anyKind[kind]!, (a, b) => {
        const [one, other] = [meaning(a), meaning(b)]
        fc.pre(one !== undefined && other !== undefined)
        const [first, second] = [canonicalFilter(a), canonicalFilter(b)]
        expect(filterKey(first) === filterKey(second)).toBe(one === other)
        expect(isSame(first, second)).toBe(one === other)
      }),
      { numRuns: 300 },
    )
  })

  it('is a contradiction if it leaves nobody, and only then', () => {
    fc.assert(
      fc.property(fc.oneof(...Object.values(anyKind)), (input) => {
        if (meaning(input) === undefined)
          expect(() => canonicalFilter(input)).toThrow(expect.objectContaining({ status: 422 }))
        else canonicalFilter(input)
      }),
      { numRuns: 300 },
    )
  })

  it('of a name is a fixed point too, whatever the name', () => {
    const names = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 40 })
      .map((name) => name.trim())
      .filter((name) => nameProblem(name) === undefined)
    fc.assert(
      fc.property(names, (name) => {
        const filter = canonicalFilter({ name })
        expect(canonicalFilter(filter)).toEqual(filter)
        expect(nameKey(filter.name!)).toBe(nameKey(name))
      }),
      { numRuns: 2000 },
    )
  })

  it('is the same after it was written as a query string', () => {
    fc.assert(
      fc.property(fc.oneof(filters, ...Object.values(anyKind)), (input) => {
        fc.pre(meaning(input) !== undefined)
        const filter = canonicalFilter(input)
        expect(canonical(filterQuery(filter))).toEqual(filter)
      }),
      { numRuns: 500 },
    )
    expect(
      filterQuery(canonical('created_after=2026-11-01&name=Jos%C3%A9%20%26+Co&country_id=ng,gh&min_age=20')),
    ).toBe('country_id=GH,NG&min_age=20&name=jos%C3%A9%20%26%20co&created_after=2026-11-01T00:00:00.000Z')
  })
})

describe('a moment', () => {
  it.each([
    ['2026-11-01', '2026-11-01T00:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['2026-11-01T09:30Z', '2026-11-01T09:30:00.000Z'],
    ['2026-11-01t09:30:00z', '2026-11-01T09:30:00.000Z'],
    ['2026-11-01T09:30:00+02:00', '2026-11-01T07:30:00.000Z'],
    // A plus that was not escaped.
    ['2026-11-01T09:30:00 02:00', '2026-11-01T07:30:00.000Z'],
    ['2026-11-01T09:30:00-05:30', '2026-11-01T15:00:00.000Z'],
    // No profile is created between two milliseconds: both bounds are the next one.
    ['2026-11-01T09:30:00.1230001Z', '2026-11-01T09:30:00.124Z'],
    ['2026-11-01T09:30:00.1230000Z', '2026-11-01T09:30:00.123Z'],
  ])('%j is %s', (text, instant) => {
    expect(parseInstant(text)).toBe(instant)
  })

  it.each([
    '',
    '2026',
    '2026-11',
    '2026-11-31',
    '20261101',
    '2026-11-01 ',
    '2026-11-01T24:00:00Z',
    '01.11.2026',
  ])('is not %j', (text) => {
    expect(parseInstant(text)).toBeUndefined()
  })

  it('has a lowest id: above all of the millisecond before, and of its own not above any', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: Date.parse('9999-12-31') }),
        fc.uuid({ version: 7 }),
        (at, id) => {
          const hex = (time: number) => time.toString(16).padStart(12, '0')
          const idAt = (time: number) => `${hex(time).slice(0, 8)}-${hex(time).slice(8)}${id.slice(13)}`
          const lowest = lowestId(new Date(at).toISOString())
          expect(idAt(at - 1) < lowest && lowest <= idAt(at)).toBe(true)
          expect(createdAt(idAt(at)).getTime()).toBe(at)
        },
      ),
    )
  })
})

function allBut(...codes: string[]): string {
  return countryCodes.filter((code) => !codes.includes(code)).join()
}

function isSame(a: Filter, b: Filter): boolean {
  const sorted = (filter: Filter) => JSON.stringify(Object.entries(filter).sort())
  return sorted(a) === sorted(b)
}
