import { expect, test } from 'vitest'
import { childText, parseXml, renderXml } from '../../../../infra/local/s3/xml.ts'
import { fc } from '../../../support/properties.ts'

test('any text is read back as it was written', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(childText(parseXml(renderXml('Root', { Key: text })), 'Key')).toBe(text)
    }),
  )
})

test('declarations, comments, attributes and empty elements are understood', () => {
  const root = parseXml(
    '\uFEFF<?xml version="1.0"?>\n<!-- a > b --><Delete xmlns="x"><Object><Key>a</Key></Object><Quiet/></Delete>\n',
  )
  expect([root.name, root.children.map(({ name }) => name)]).toEqual(['Delete', ['Object', 'Quiet']])
})

test.each([
  '',
  'text',
  '<a>',
  '<a></b>',
  '<a/><b/>',
  '<a',
  '<a>&unknown;</a>',
  '<a>&#x110000;</a>',
  '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
])('%j is malformed', (text) => {
  expect(() => parseXml(text)).toThrow(expect.objectContaining({ code: 'MalformedXML' }))
})

test('hostile text never throws anything but MalformedXML', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '>', '/', 'a', '&', ';', '#', '!', '?', ' ', '"') }),
      (text) => {
        try {
          parseXml(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'MalformedXML' })
        }
      },
    ),
  )
})
