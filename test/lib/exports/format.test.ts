import { parse } from 'csv-parse/sync'
import { describe, expect, test } from 'vitest'
import { contentTypeOf, filename, headOf, serialise } from '../../../lib/exports/format.ts'
import { requestKey } from '../../../lib/exports/request.ts'
import { unescapeFormula } from '../../../lib/platform/csv.ts'
import { nameProblem, type ProfileRow, toProfile } from '../../../lib/profiles/profile.ts'
import { fc } from '../../support/properties.ts'

const row: ProfileRow = {
  id: '0199c82c-c07b-7000-8000-000000000000',
  name: 'Ada Example',
  gender: 'female',
  gender_probability: 0.98,
  age: 36,
  country_id: 'NG',
  country_probability: null,
}
const named = (name: string): ProfileRow => ({ ...row, name })
const csvName = (name: string) =>
  serialise([named(name)], 'csv')
    .split(',')
    .slice(1, -8)
    .join(',')

describe('a CSV file', () => {
  test('has the ten columns in their order, CRLF, and nothing where a probability was never given', () => {
    expect(headOf({ format: 'csv', bom: false }) + serialise([row], 'csv')).toBe(
      'id,name,gender,gender_probability,age,age_group,country_id,country_name,country_probability,created_at\r\n' +
        '0199c82c-c07b-7000-8000-000000000000,Ada Example,female,0.98,36,adult,NG,Nigeria,,2025-10-09T08:53:20.123Z\r\n',
    )
  })

  test.each([
    ['Ada Example', 'Ada Example'],
    ["O'Neil", "O'Neil"],
    ['Bo "Bee" Example', '"Bo ""Bee"" Example"'],
    ['Example, Ada', '"Example, Ada"'],
    ['two\nlines', '"two\nlines"'],
    ['two\rlines', '"two\rlines"'],
    ['a;b', '"a;b"'],
    ['a\tb', '"a\tb"'],
    ['a|b', '"a|b"'],
    ['李小龍 Chloé', '李小龍 Chloé'],
  ])('quotes %j only where it has to', (name, written) => {
    expect(csvName(name)).toBe(written)
  })

  test.each([
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', `"'\t=1"`],
    ['\r=1', `"'\r=1"`],
    ['=HYPERLINK("x","y")', `"'=HYPERLINK(""x"",""y"")"`],
    ['a=1', 'a=1'],
    ["'=1", "''=1"],
    ["'Quote Example", "'Quote Example"],
  ])('makes no spreadsheet calculate %j', (name, written) => {
    expect(csvName(name)).toBe(written)
  })

  test('is read back by any CSV reader, whatever the names are', () => {
    const names = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 200 })
      .filter((name) => nameProblem(name) === undefined)
    fc.assert(
      fc.property(fc.array(names), (given) => {
        const csv = headOf({ format: 'csv', bom: false }) + serialise(given.map(named), 'csv')
        const rows: { name: string; created_at: string }[] = parse(csv, {
          columns: true,
          record_delimiter: '\r\n',
        })
        expect(rows.map(({ name }) => unescapeFormula(name))).toEqual(given)
        expect(rows.filter(({ name }) => /^[=+\-@\t\r]/.test(name))).toEqual([])
        expect(rows.every(({ created_at }) => created_at === '2025-10-09T08:53:20.123Z')).toBe(true)
      }),
    )
  })
})

test('a byte order mark is the first character of a CSV file that asks for one', () => {
  expect(headOf({ format: 'csv', bom: true })).toBe(`\ufeff${headOf({ format: 'csv', bom: false })}`)
})

test('JSON Lines hold the profiles of a list, their names as they are', () => {
  const rows = [row, named('=1+1 "x"\n')]
  const lines = serialise(rows, 'jsonl').split('\n')
  expect(lines.pop()).toBe('')
  expect(lines.map((line) => JSON.parse(line))).toEqual(rows.map(toProfile))
  expect(headOf({ format: 'jsonl', bom: false })).toBe('')
})

test.each([
  ['csv', 'none', 'csv', 'text/csv; charset=utf-8; header=present'],
  ['jsonl', 'none', 'jsonl', 'application/jsonl'],
  ['csv', 'gzip', 'csv.gz', 'application/gzip'],
  ['jsonl', 'gzip', 'jsonl.gz', 'application/gzip'],
] as const)(
  'a file of %s and %s is named by the time in UTC, and by what it is',
  (format, compression, extension, type) => {
    const form = { format, compression }
    expect(filename(form, new Date('2026-11-01T12:03:04.567Z'))).toBe(`profiles_20261101_120304.${extension}`)
    expect(contentTypeOf(form)).toBe(type)
  },
)

test('requests of one meaning have one key, and others another', () => {
  const request = {
    filter: { gender: 'male' },
    sort: { by: 'age', order: 'asc' },
    format: 'csv',
    compression: 'none',
    bom: false,
  } as const
  const others = [
    { ...request, filter: {} },
    { ...request, sort: { by: 'age', order: 'desc' } as const },
    { ...request, format: 'jsonl' as const },
    { ...request, compression: 'gzip' as const },
    { ...request, bom: true },
    { ...request, compression: 'gzip' as const, bom: true },
  ]
  expect(requestKey({ ...request })).toBe(requestKey(request))
  expect(new Set([request, ...others].map(requestKey)).size).toBe(7)
})
