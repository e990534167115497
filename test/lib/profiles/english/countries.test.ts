import { describe, expect, it } from 'vitest'
import { countryCodes, countryName, countryNames } from '../../../../lib/profiles/countries.ts'
import { countryPhrases } from '../../../../lib/profiles/english/country-phrases.ts'
import { demonyms, genderedDemonyms } from '../../../../lib/profiles/english/country-words.ts'
import { vocabulary } from '../../../../lib/profiles/english/vocabulary.ts'
import { outcome } from '../../../support/questions.ts'
import { isoBracketNames, isoNames } from './iso-names.ts'

const rowsOf = (table: string) =>
  table
    .trim()
    .split('\n')
    .map((line) => line.split(' | ')) as [code: string, ...names: string[]][]
/** Names that two countries have; each means both. */
const shared: Record<string, string[]> = { Congo: ['CD', 'CG'] }

/** Tries a name alone, behind "from", in a list, in brackets behind a list, and beside other conditions. */
function expectCountry(name: string, code: string): void {
  const codes = shared[name] ?? [code]
  const beside = (other: string) => [...new Set([...codes, other])].sort()
  expect(outcome(name), name).toEqual({ country_id: codes })
  expect(outcome(`women from ${name} over 30`), name).toEqual({
    gender: 'female',
    country_id: codes,
    min_age: 30,
  })
  expect(outcome(`people from Chad or ${name}`), name).toEqual({ country_id: beside('TD') })
  expect(outcome(`people from ${name} and Chad`), name).toEqual({ country_id: beside('TD') })
}

describe('every country is understood', () => {
  it('by the name that profiles carry', () => {
    expect(countryCodes).toHaveLength(249)
    for (const code of countryCodes) expectCountry(countryName(code), code)
  })

  it('by its official names in ISO 3166-1, short and full', () => {
    const rows = rowsOf(isoNames)
    expect(rows.map(([code]) => code).sort()).toEqual(countryCodes)
    for (const [code, , ...names] of rows) for (const name of names) expectCountry(name, code)
  })

  it('by its official name with articles and forms in brackets', () => {
    for (const [code, name] of rowsOf(isoBracketNames)) expectCountry(name!, code)
  })

  it('by either of its codes, and by both behind its name', () => {
    for (const [code, three] of rowsOf(isoNames)) {
      const name = countryName(code)
      for (const query of [
        `people from ${code}`,
        `people from ${three}`,
        `${name} (${code})`,
        `${name} (${three})`,
      ]) {
        expect(outcome(query), query).toEqual({ country_id: [code] })
      }
      expect(outcome(`${name} (${code}) and Chad (TD)`), name).toEqual({
        country_id: [...new Set([code, 'TD'])].sort(),
      })
    }
  })

  it('by each of its names, in any case, with and without accents', () => {
    for (const code of countryCodes) {
      for (const name of countryNames(code).filter((name) => name !== 'US')) {
        for (const spelling of [name, name.toUpperCase(), name.normalize('NFD').replace(/\p{M}/gu, '')]) {
          expect(outcome(`people from ${spelling}`), spelling).toMatchObject({
            country_id: expect.arrayContaining([code]),
          })
        }
      }
    }
  })

  it('by its people, one or many', () => {
    expect(Object.keys(demonyms).sort()).toEqual(countryCodes)
    for (const [code, list] of Object.entries(demonyms)) {
      for (const word of list.split(', ')) {
        expect(outcome(`${word} women`), word).toMatchObject({
          gender: 'female',
          country_id: expect.arrayContaining([code]),
        })
      }
    }
    for (const [code, words] of Object.entries(genderedDemonyms)) {
      for (const [gender, list] of Object.entries(words)) {
        for (const word of list.split(', ')) {
          expect(outcome(`${word} over 30`), word).toEqual({ gender, country_id: [code], min_age: 30 })
        }
      }
    }
  })
})

describe('the names of countries', () => {
  it('mean several only where they are shared', () => {
    const several = [...countryPhrases().keys()].filter(
      (phrase) => countryPhrases().get(phrase)!.codes.length > 1,
    )
    expect(several.sort()).toEqual([
      ...['congo', 'congolese', 'dominican', 'dominicans', 'korea', 'korean', 'koreans'],
      ...['virgin islander', 'virgin islanders', 'virgin islands'],
    ])
  })

  it('are no other words of the grammar', () => {
    const words = new Set(vocabulary.keys())
    expect([...countryPhrases().keys()].filter((phrase) => words.has(phrase))).toEqual([])
  })
})
