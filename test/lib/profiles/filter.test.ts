import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { canonicalFilter, type Filter, filterKey, filterParameters } from '../../../lib/profiles/filter.ts'
import { decodeFor, filters } from '../../support/profiles.ts'

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
  ])('of %j is %j', (query, expected) => {
    expect(canonical(query)).toEqual(expected)
  })

  it.each([
    ['min_age=30&max_age=20', 'min_age 30 is greater than max_age 20'],
    ['age_group=child&min_age=13', 'age_group child is 0 to 12, which contradicts min_age 13'],
    ['age_group=senior&max_age=59', 'age_group senior is 60 to 150, which contradicts max_age 59'],
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
})

function isSame(a: Filter, b: Filter): boolean {
  const sorted = (filter: Filter) => JSON.stringify(Object.entries(filter).sort())
  return sorted(a) === sorted(b)
}
