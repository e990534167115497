import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { delimiters } from '../../../lib/imports/header.ts'
import { csvField, csvText, escapeFormula, unescapeFormula } from '../../../lib/platform/csv.ts'
import { fc } from '../../support/properties.ts'

/** Texts in which what matters to a spreadsheet or a reader of CSV is frequent. */
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom("'", '=', '+', '-', '@', '\t', '\r', '\n', '"', ',', ';', '|', 'a') }),
)

describe('the apostrophe before a formula', () => {
  it.each([
    ['=1+1', "'=1+1"],
    ['+44 Plume', "'+44 Plume"],
    ['-Dash', "'-Dash"],
    ['@At', "'@At"],
    ['\t=1', "'\t=1"],
    ['\r=1', "'\r=1"],
    ["'=1", "''=1"],
    ["'''@At", "''''@At"],
  ])('turns %j into %j and back', (text, escaped) => {
    expect(escapeFormula(text)).toBe(escaped)
    expect(unescapeFormula(escaped)).toBe(text)
  })

  it.each(["'Quote Example", "O'Dell", "''", "' =1", 'a=1', ''])('leaves %j alone, both ways', (text) => {
    expect([escapeFormula(text), unescapeFormula(text)]).toEqual([text, text])
  })

  it('comes off every text that it was put before, and a formula never goes without', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const escaped = escapeFormula(text)
        expect(escaped).not.toMatch(/^[=+\-@\t\r]/)
        expect(unescapeFormula(escaped)).toBe(text)
      }),
    )
  })
})

describe('a field', () => {
  it.each(['a;b', 'a\tb', 'a|b', 'a,b', 'a\nb', 'a\rb'])(
    'with a delimiter or line end is quoted: %j',
    (text) => {
      expect(csvField(text)).toBe(`"${text}"`)
    },
  )

  it('is one field with the same text under every delimiter', () => {
    fc.assert(
      fc.property(fc.array(texts, { minLength: 2 }), fc.constantFrom(...delimiters), (row, delimiter) => {
        const line = row.map(csvText).join(delimiter)
        const [read] = parse(`${line}\r\n`, { delimiter, record_delimiter: '\r\n' })
        expect(read?.map(unescapeFormula)).toEqual(row)
      }),
    )
  })
})
