import { describe, expect, it } from 'vitest'
import type { Layout } from '../../../lib/imports/header.ts'
import { readRow } from '../../../lib/imports/row.ts'
import { nameKey } from '../../../lib/profiles/profile.ts'

const layout: Layout = {
  delimiter: ',',
  width: 5,
  columns: { name: 0, gender: 1, age: 2, country_id: 3, gender_probability: 4 },
}
const read = (...fields: string[]) => readRow(fields, layout)

describe('a row', () => {
  it('with characters that cannot be seen is read as if they were not there', () => {
    expect(read('\ufeffAda\u200b Obi', '\u200efemale', '3\u00ad6', 'n\u2060g', '\u200b0.5')).toEqual({
      name: 'Ada Obi',
      gender: 'female',
      age: 36,
      country_id: 'NG',
      gender_probability: 0.5,
      country_probability: null,
    })
  })

  it('keeps joiners in the name', () => {
    expect(read(' علی\u200cرضا ', 'male', '36', 'IR', '')).toMatchObject({ name: 'علی\u200cرضا' })
  })

  it.each(['\u200b', '\u200c\u200d', '\u3164', '\u2800', '\u00a0\u00ad'])(
    'with the name %j has none, and shows it as the file has it',
    (name) => {
      const rejection = { reason: 'missing_fields', column: 'name', value: name.trim() }
      expect(read(name, 'male', '36', 'NG', '')).toEqual(rejection)
    },
  )

  it.each([
    [['Ada', '\u200b', '36', 'NG', ''], 'gender'],
    [['Ada', 'male', '\u2060', 'NG', ''], 'age'],
    [['Ada', 'male', '36', '\u3164', ''], 'country_id'],
  ] as const)('%j lacks its %s', (fields, column) => {
    expect(read(...fields)).toMatchObject({ reason: 'missing_fields', column })
  })

  it('without a probability that can be seen has none', () => {
    expect(read('Ada', 'male', '36', 'NG', '\u200b')).toMatchObject({ gender_probability: null })
  })

  it('shows a wrong value as the file has it', () => {
    const rejection = { reason: 'invalid_age', column: 'age', value: '3\u200b.5' }
    expect(read('Ada', 'male', ' 3\u200b.5', 'NG', '')).toEqual(rejection)
  })

  it('takes no notice of any character that Unicode lets be left out', () => {
    const ignorable = /\p{Default_Ignorable_Code_Point}/u
    const all = Array.from({ length: 0x110000 }, (_, code) => code)
      .filter((code) => code < 0xd800 || code > 0xdfff)
      .map((code) => String.fromCodePoint(code))
      .filter((character) => ignorable.test(character))
    expect(all.length).toBeGreaterThan(4000)
    for (const one of all) {
      expect(read(one + one, 'male', '30', 'NG', '')).toMatchObject({
        reason: 'missing_fields',
        column: 'name',
      })
      const person = read(
        `Te${one}ss Wisp${one}`,
        `${one}fe${one}male`,
        `3${one}0`,
        `N${one}G${one}`,
        `N${one}/A`,
      )
      expect(person).toMatchObject({ gender: 'female', age: 30, country_id: 'NG', gender_probability: null })
      expect(nameKey('name' in person ? person.name : '')).toBe(nameKey('Tess Wisp'))
    }
  })
})
