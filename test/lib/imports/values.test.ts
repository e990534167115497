import { describe, expect, it, test } from 'vitest'
import { type Column, delimiters, type Layout } from '../../../lib/imports/header.ts'
import type { Accept, ValueMap } from '../../../lib/imports/options.ts'
import { isRejection, readRow, unreadValues } from '../../../lib/imports/row.ts'
import { fc } from '../../support/properties.ts'

const columns: Column[] = ['name', 'gender', 'age', 'country_id', 'gender_probability', 'country_probability']
const row = {
  name: 'Ada Example',
  gender: 'female',
  age: '36',
  country_id: 'NG',
  gender_probability: '',
  country_probability: '',
}

function layoutOf(layout: Partial<Layout> = {}): Layout {
  const places = Object.fromEntries(columns.map((column, at) => [column, at]))
  return { delimiter: ',', width: columns.length, columns: places, ...layout }
}

/** What one field of a row comes to: its value, or the reason for which it is refused. */
function reader(layout: Partial<Layout>) {
  return (column: Column, value: string): unknown => {
    const read = readRow(
      columns.map((each) => (each === column ? value : row[each])),
      layoutOf(layout),
    )
    return isRejection(read) ? read.reason : read[column]
  }
}
const strict = reader({})
const lenient = reader({ accept: 'lenient' })
const semicolons = reader({ delimiter: ';' })

describe('a probability', () => {
  it.each([
    '',
    'NULL',
    'null',
    'N/A',
    'n/a',
    'NaN',
    'nan',
    '-',
    ' NULL ',
    '\u200bn/a',
    '\u00a0-\u2060',
    "'-",
  ])('is not known where the file has %j', (value) => {
    expect(strict('gender_probability', value)).toBeNull()
    expect(semicolons('country_probability', value)).toBeNull()
  })

  it.each(['98%', 'none', 'unknown', '?', '--', '–', '.', 'NA', '#N/A', '0,98', '1.01', '-0.5', 'Infinity'])(
    'is not %j',
    (value) => {
      expect(strict('gender_probability', value)).toBe('invalid_probability')
      expect(lenient('gender_probability', value)).toBe('invalid_probability')
    },
  )

  it.each(delimiters.filter((delimiter) => delimiter !== ','))(
    'may have a decimal comma where the delimiter is %j',
    (delimiter) => {
      const read = reader({ delimiter })
      const given = ['0,98', ',5', '1,0', '0,', '0.98', '9,8e-1', '\u200b0,5 ']
      expect(given.map((value) => read('gender_probability', value))).toEqual([
        ...[0.98, 0.5, 1, 0, 0.98, 0.98, 0.5],
      ])
      for (const wrong of ['1,5', '1.000,5', '0,000.5', '0,9,8', ',', '98%', '0,98%']) {
        expect(read('country_probability', wrong)).toBe('invalid_probability')
      }
    },
  )
})

test.each(['gender', 'age', 'country_id'] as const)('a word for nothing is no %s', (column) => {
  for (const word of ['NULL', 'N/A', 'NaN', '-']) expect(strict(column, word)).toMatch(/^invalid_/)
})

test('the name NULL is one', () => {
  expect(strict('name', 'Null')).toBe('Null')
})

describe('the apostrophe of an export', () => {
  it.each([
    ["'=Sum Example", '=Sum Example'],
    ["'+44 Plume", '+44 Plume'],
    ["''=1", "'=1"],
    ["\ufeff'@At", '@At'],
    ["'Quote Example", "'Quote Example"],
    ["O'Dell Example", "O'Dell Example"],
    [`'=${'x'.repeat(199)}`, `=${'x'.repeat(199)}`],
    [`'=${'x'.repeat(200)}`, 'invalid_name'],
  ])('is taken off the name %j', (written, name) => {
    expect(strict('name', written)).toBe(name)
  })

  it('is taken off before a value is looked up', () => {
    const read = reader({ values: { gender: { '-': 'female', '+': 'male' } } })
    expect([read('gender', "'-"), read('gender', '-'), read('gender', "'+")]).toEqual([
      ...['female', 'female', 'male'],
    ])
  })
})

describe('a name with U+FFFD', () => {
  it('lost a letter before it came to us', () => {
    const read = readRow(['Jos\ufffd', 'male', '30', 'ES', '', ''], layoutOf())
    expect(read).toEqual({
      reason: 'broken_encoding',
      column: 'name',
      value: 'Jos\ufffd',
      detail: 'the name must not contain U+FFFD, which stands for a letter that was lost',
    })
  })

  it('goes before every other reason', () => {
    expect(readRow(['Jos\ufffd', '', 'x', '', '', ''], layoutOf())).toMatchObject({
      reason: 'broken_encoding',
    })
    expect(strict('gender', '\ufffd')).toBe('invalid_gender')
  })
})

describe('a strict import', () => {
  it.each([
    ['gender', ['M', 'f', 'woman', 'men', 'femme']],
    ['age', ['25.0', '25,0', '25.5', '-1', '151', '2e1']],
    ['country_id', ['NGA', 'UK', 'Nigeria', 'XX', 'N']],
  ] as const)('refuses every %s that is not written as we do', (column, values) => {
    for (const value of values) {
      expect(strict(column, value)).toMatch(/^invalid_/)
      expect(reader({ accept: 'strict' })(column, value)).toMatch(/^invalid_/)
    }
  })
})

describe('a lenient import', () => {
  it.each([
    ['female', ['Female', 'woman', 'WOMEN', 'Girl', 'girls', 'females', 'Lady', '\u200bwoman\u00a0']],
    ['male', ['male', 'Man', 'men', 'BOY', 'boys', 'males', 'gentleman']],
    [
      'invalid_gender',
      ['M', 'F', 'w', 'h', 'fem', 'femme', 'women and men', 'both genders', "women's", 'constructor'],
    ],
  ])('reads as the gender %s', (gender, values) => {
    expect(values.map((value) => lenient('gender', value))).toEqual(values.map(() => gender))
  })

  it.each([
    ['NG', ['ng', 'NGA', 'nga', 'Nigeria', 'NIGERIA', 'Federal Republic of Nigeria']],
    ['CI', ["Côte d'Ivoire", 'cote d’ivoire', 'Cote d Ivoire', 'Ivory Coast', 'CIV']],
    ['US', ['USA', 'U.S.A.', 'us', 'United States', 'the United States of America', 'ＵＳＡ']],
    ['GB', ['UK', 'GBR', 'Great Britain', 'United Kingdom']],
    ['GM', ['Gambia', 'The Gambia']],
    ['CD', ['DRC', 'COD', 'DR Congo', 'Congo, the Democratic Republic of the']],
    ['KR', ['Korea, Republic of', 'South Korea', 'KOR']],
    ['ST', ['São Tomé and Príncipe', 'Sao Tome and Principe']],
    ['GN', ['Guinea']],
    [
      'invalid_country',
      [
        ...['Congo', 'Korea', 'Virgin Islands', 'Nigerian', 'XXX', 'XKX', 'Kosovo', 'England', 'Africa'],
        ...[
          'Nigeria and Ghana',
          'Nigeria, Ghana',
          '-Nigeria',
          '!Nigeria',
          'x'.repeat(60_000),
          'the',
          '__proto__',
        ],
      ],
    ],
  ])('reads as the country %s', (code, values) => {
    expect(values.map((value) => lenient('country_id', value))).toEqual(values.map(() => code))
  })

  it('reads ages that a spreadsheet gave decimals, if they are whole', () => {
    expect(['25.0', '25.00', '0.0', '150.0', '25'].map((age) => lenient('age', age))).toEqual([
      25, 25, 0, 150, 25,
    ])
    for (const age of [
      '25.5',
      '25.',
      '.0',
      '25,0',
      '150.5',
      '151.0',
      '25.0.0',
      '2.5e1',
      `25.${'0'.repeat(60_000)}x`,
    ]) {
      expect(lenient('age', age)).toBe('invalid_age')
    }
    const byComma = reader({ accept: 'lenient', delimiter: '\t' })
    expect([byComma('age', '25,0'), byComma('age', '25.0'), byComma('age', '25,5')]).toEqual([
      25,
      25,
      'invalid_age',
    ])
  })
})

describe('values of the import’s own', () => {
  const values: ValueMap = {
    gender: { H: 'male', M: 'female', À: 'male', '': 'female' },
    age: { 'Ü 100': '101', m: '1', M: '2' },
    country_id: { Suisse: 'CH', deutschland: 'Germany', '\u200b49 ': 'DE' },
    gender_probability: { '98%': '0.98', keine: '', '1': '0,5' },
    name: { 'J. Doe': 'Jane Doe' },
  }
  const own = reader({ values })

  it('are looked up exactly, and then in any case', () => {
    expect(['H', 'h', 'M', 'm', ' M\u200b ', 'a\u0300', 'À'].map((value) => own('gender', value))).toEqual([
      ...['male', 'male', 'female', 'female', 'female', 'male', 'male'],
    ])
    expect([own('country_id', 'SUISSE'), own('country_id', '49')]).toEqual(['CH', 'DE'])
    expect(own('name', 'j. doe')).toBe('Jane Doe')
  })

  it('tell cases apart if they are given apart', () => {
    expect([own('age', 'm'), own('age', 'M'), own('age', 'ü 100')]).toEqual([1, 2, 101])
    const clash = reader({ values: { gender: { ja: 'male', JA: 'female' } } })
    expect([clash('gender', 'ja'), clash('gender', 'JA'), clash('gender', 'Ja')]).toEqual([
      ...['male', 'female', 'invalid_gender'],
    ])
  })

  it('may mean that nothing is known', () => {
    expect(own('gender_probability', 'Keine')).toBeNull()
    expect(own('gender_probability', '98%')).toBe(0.98)
    const nothing = reader({ values: { gender: { '?': '' } } })
    expect(nothing('gender', '?')).toBe('missing_fields')
  })

  it('are read like any other value: as the delimiter and accept have it', () => {
    expect(own('country_id', 'Deutschland')).toBe('invalid_country')
    expect(reader({ values, accept: 'lenient' })('country_id', 'Deutschland')).toBe('DE')
    expect(own('gender_probability', '1')).toBe('invalid_probability')
    expect(reader({ values, delimiter: ';' })('gender_probability', '1')).toBe(0.5)
  })

  it('stand in for an empty field, and for no other column', () => {
    expect(own('gender', ' ')).toBe('female')
    expect(own('country_id', 'H')).toBe('invalid_country')
    const withoutGender: Layout = { delimiter: ',', width: 1, columns: { name: 0 }, values }
    expect(readRow(['Ada'], withoutGender)).toMatchObject({ reason: 'missing_fields', column: 'gender' })
  })

  it('are shown in a rejection as the file has them', () => {
    const read = readRow(['Ada', 'female', '36', ' Deutschland ', '', ''], layoutOf({ values }))
    expect(read).toEqual({ reason: 'invalid_country', column: 'country_id', value: 'Deutschland' })
  })
})

describe('the values of a row that cannot be read', () => {
  it('are those of every column, whatever the row was refused for, but never the name or an empty field', () => {
    const fields = ['', ' M ', '25.5', '', '98%', 'n/a']
    expect(unreadValues(fields, layoutOf())).toEqual([
      { column: 'gender', value: 'M' },
      { column: 'age', value: '25.5' },
      { column: 'gender_probability', value: '98%' },
    ])
    expect(unreadValues(Object.values(row), layoutOf())).toEqual([])
  })

  it('are exactly what a row is refused for', () => {
    const field = fc.oneof(
      fc.constantFrom(
        '',
        'male',
        'M',
        '25',
        '25.0',
        'NG',
        'Nigeria',
        '0,5',
        '0.5',
        'NULL',
        '-',
        "'-",
        '\u200b',
      ),
      fc.string({ unit: 'binary' }),
    )
    const accept = fc.constantFrom<Accept>('strict', 'lenient')
    fc.assert(
      fc.property(
        fc.array(field, { minLength: 5, maxLength: 5 }),
        accept,
        fc.constantFrom(...delimiters),
        (given, accept, delimiter) => {
          const layout = layoutOf({ accept, delimiter })
          const read = readRow(['Ada Example', ...given], layout)
          const [first] = unreadValues(['Ada Example', ...given], layout)
          if (!isRejection(read)) expect(first).toBeUndefined()
          else if (read.reason !== 'missing_fields') {
            expect(read).toMatchObject({ column: first?.column, value: first?.value })
          }
        },
      ),
    )
  })
})
