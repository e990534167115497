import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { countryCodes, countryName, isCountry } from '../../../lib/profiles/countries.ts'
import {
  ageGroup,
  nameKey,
  nameProblem,
  newProfileSchema,
  parseAge,
  parseCountry,
  parseGender,
  parseProbability,
  toProfile,
  twinKey,
} from '../../../lib/profiles/profile.ts'
import { fc } from '../../support/properties.ts'

describe('names', () => {
  it('are one whatever their case, blanks and composition', () => {
    const same = [
      'Zoë  Müller',
      ' zoë müller ',
      'ZOË\u00a0MÜLLER',
      'Zoe\u0308 Mu\u0308ller',
      'zoë\u3000müller',
    ]
    expect(new Set(same.map(nameKey)).size).toBe(1)
    expect(nameKey('Straße')).toBe(nameKey('STRASSE'))
    expect(nameKey('Ｅｌｌａ')).toBe(nameKey('ella'))
    expect(nameKey('Σίσυφος')).toBe(nameKey('ΣΊΣΥΦΟΣ'))
  })

  it('that differ by an accent are two', () => {
    expect(nameKey('Zoe')).not.toBe(nameKey('Zoë'))
  })

  it('have the first 128 bits of SHA-256 over the folded name as key', () => {
    const digest = createHash('sha256').update('ella').digest('hex')
    expect(nameKey(' Ella ').replaceAll('-', '')).toBe(digest.slice(0, 32))
    expect(nameKey('Ella')).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  })

  it('of twins have a key each, which no name has', () => {
    const ids = ['0199c82c-c07b-7000-8000-000000000000', '0199c82c-c07b-7000-8000-000000000001']
    expect(new Set([...ids.map(twinKey), ...ids.map(nameKey)]).size).toBe(4)
    expect(nameProblem(`\0${ids[0]}`)).toContain('control')
  })

  it.each([
    ['', 'seen'],
    ['\u3164', 'seen'],
    ['a\u0000b', 'control'],
    ['a\u001bb', 'control'],
    ['a\u0085b', 'control'],
    ['a\ud800', 'well-formed'],
    ['x'.repeat(201), '200'],
    ['😀'.repeat(201), '200'],
  ])('%j are refused', (name, why) => {
    expect(nameProblem(name)).toContain(why)
  })

  it('may have 200 characters outside the BMP', () => {
    expect(nameProblem('😀'.repeat(200))).toBeUndefined()
  })
})

describe('values of rows and queries', () => {
  it('are genders in any case', () => {
    expect(['male', 'FEMALE', 'Male'].map(parseGender)).toEqual(['male', 'female', 'male'])
    expect(['m', '', 'males', 'femaLe '].map(parseGender)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('are ages in whole years from 0 to 150', () => {
    expect(['0', '25', '150', '007'].map(parseAge)).toEqual([0, 25, 150, 7])
    for (const wrong of ['', '-1', '151', '25.0', '2e1', '+5', '٢٥', '0x10', ' 5', 'NaN']) {
      expect(parseAge(wrong)).toBeUndefined()
    }
  })

  it('are real country codes in any case', () => {
    expect(['NG', 'ng', 'gH'].map(parseCountry)).toEqual(['NG', 'NG', 'GH'])
    for (const wrong of ['', 'XX', 'XK', 'NGA', 'N', 'ıt', '__proto__', 'ß'])
      expect(parseCountry(wrong)).toBeUndefined()
  })

  it('are probabilities from 0 to 1, or null where nothing is given', () => {
    expect(['0', '1', '.5', '0.93', '1.0', '1e-5', '0.'].map(parseProbability)).toEqual([
      0, 1, 0.5, 0.93, 1, 1e-5, 0,
    ])
    expect(parseProbability('')).toBeNull()
    for (const wrong of ['1.01', '-0.1', 'NaN', 'Infinity', '0x1', '95%', '0,5', '.', '1e5']) {
      expect(parseProbability(wrong)).toBeUndefined()
    }
  })

  it('are read in one pass, however long they are', () => {
    expect(parseProbability('0'.repeat(60_000))).toBe(0)
    for (const wrong of ['x', 'e', '.0x', '..']) {
      expect(parseProbability('0'.repeat(60_000) + wrong)).toBeUndefined()
    }
  })

  it('never crash a parser', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const age = parseAge(text)
        expect(age === undefined || (Number.isInteger(age) && age >= 0 && age <= 150)).toBe(true)
        const probability = parseProbability(text)
        expect(
          probability === undefined || probability === null || (probability >= 0 && probability <= 1),
        ).toBe(true)
        const country = parseCountry(text)
        expect(country === undefined || isCountry(country)).toBe(true)
      }),
    )
  })
})

describe('countries', () => {
  it('are the 249 of ISO 3166-1 with plain English names', () => {
    expect(countryCodes).toHaveLength(249)
    expect(new Set(countryCodes.map(countryName)).size).toBe(249)
    expect(['NG', 'CI', 'TZ', 'US', 'GB', 'CG', 'CD'].map(countryName)).toEqual([
      'Nigeria',
      "Côte d'Ivoire",
      'Tanzania',
      'United States',
      'United Kingdom',
      'Republic of the Congo',
      'DR Congo',
    ])
  })
})

describe('profiles', () => {
  it('belong to the age group of the contract', () => {
    expect([0, 12, 13, 19, 20, 59, 60, 150].map(ageGroup)).toEqual([
      'child',
      'child',
      'teenager',
      'teenager',
      'adult',
      'adult',
      'senior',
      'senior',
    ])
  })

  it('take created_at from their id', () => {
    const row = {
      id: '0199c82c-c07b-7000-8000-000000000000',
      name: 'Ada',
      gender: 'female' as const,
      gender_probability: null,
      age: 36,
      country_id: 'GB',
      country_probability: 0.5,
    }
    expect(toProfile(row)).toEqual({
      ...row,
      age_group: 'adult',
      country_name: 'United Kingdom',
      created_at: new Date(0x0199c82cc07b).toISOString(),
    })
  })

  it('are accepted trimmed, with case fixed and missing probabilities null', () => {
    const sent = { name: '  Ada  Lovelace ', gender: 'FEMALE', age: 36, country_id: 'gb' }
    expect(newProfileSchema.parse(sent)).toEqual({
      name: 'Ada  Lovelace',
      gender: 'female',
      gender_probability: null,
      age: 36,
      country_id: 'GB',
      country_probability: null,
    })
  })

  it('are refused if nothing of the name can be seen', () => {
    const sent = { name: '\u200b\u2060 \u3164', gender: 'female', age: 36, country_id: 'gb' }
    expect(newProfileSchema.safeParse(sent).error?.issues).toMatchObject([{ path: ['name'] }])
  })
})
