import { describe, expect, it } from 'vitest'
import { countryCodes, countryName } from '../../../lib/profiles/countries.ts'
import { countryProblem } from '../../../lib/profiles/country-hint.ts'
import { fc } from '../../support/properties.ts'

const hintOf = (text: string) => /: did you mean (.*)\?$/.exec(countryProblem(text))?.[1]

describe('the hint of a text that is no code', () => {
  it.each([
    ['UK', 'GB'],
    ['uk', 'GB'],
    ['NGA', 'NG'],
    ['gbr', 'GB'],
    ['Nigeria', 'NG'],
    ['côte d’ivoire', 'CI'],
    ['IVORY COAST', 'CI'],
    ['Nigerian', 'NG'],
    ['Korea', 'KP or KR'],
    ['XX', undefined],
    ['XK', undefined],
    ['XKX', undefined],
    ['', undefined],
    ['__proto__', undefined],
    ['constructor', undefined],
  ])('%j leads to %s', (text, code) => {
    expect(hintOf(text)).toBe(code)
  })

  it('leads from the name of every country to its code', () => {
    // A comma separates elements of the list, and brackets are no part of a name.
    const plain = countryCodes.filter((code) => !/[,(]/.test(countryName(code)))
    expect(plain.length).toBeGreaterThan(240)
    for (const code of plain) expect(hintOf(countryName(code))?.match(/[A-Z]{2}/g)).toContain(code)
  })

  it('names any text in one short line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const problem = countryProblem(text)
        expect(problem.length).toBeLessThan(350)
        expect(problem).not.toMatch(/\p{Cc}/u)
        expect(problem.isWellFormed()).toBe(true)
      }),
    )
  })
})
