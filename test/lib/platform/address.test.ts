import { describe, expect, it } from 'vitest'
import { namesAddress } from '../../../lib/platform/address.ts'
import { fc } from '../../support/properties.ts'

const ann = 'ann@example.com'

describe('an address in a text', () => {
  it.each([
    'ann@example.com',
    'ANN@Example.COM',
    'Ann <ann@example.com>',
    "'ann@example.com'",
    'mailto:ann@example.com?subject=x',
    'to=ann@example.com&x=1',
    'Write to ann@example.com.',
    'maryann@example.com, ann@example.com',
    'ann@example.com-',
    '{"to":"ann@example.com"}',
    '{"to":"ann\\u0040example.com"}',
    '{"text":"first\\nann@example.com"}',
    JSON.stringify({ body: JSON.stringify({ text: JSON.stringify({ said: 'x\nann@example.com\ty' }) }) }),
    '{"to":"ann@example.com","to":"other@example.com"}',
    'to%3Dann%40example.com',
    'https://example.org/?to=ann%40example.com',
  ])('is found in %j', (text) => {
    expect(namesAddress(text, ann)).toBe(true)
  })

  it.each([
    'maryann@example.com',
    'mary.ann@example.com',
    'mary+ann@example.com',
    'mary-ann@example.com',
    'mary_ann@example.com',
    "o'ann@example.com",
    'joann@example.com, ann@example.com.au',
    'ann@example.community',
    'ann@example.com-pany.org',
    'ann@example.comé',
    'éann@example.com',
    'ann+tag@example.com',
    'ann@sub.example.com',
    'ann',
    '',
    '{"to":"mary\\u0061nn@example.com"}',
    JSON.stringify({ body: JSON.stringify({ to: ['maryann@example.com'] }) }),
    'mary%2Bann%40example.com',
  ])('is not found in %j', (text) => {
    expect(namesAddress(text, ann)).toBe(false)
  })

  it('with the marks that addresses may have is found as it is', () => {
    for (const address of ["o'neil+cv@example.co.uk", '_a-b.c@x-y.org']) {
      expect(namesAddress(JSON.stringify({ to: [`<${address}>`] }), address)).toBe(true)
      expect(namesAddress(`to=${encodeURIComponent(address)}`, address)).toBe(true)
    }
  })

  it.each([
    'jürgen@bücher.example',
    'JÜRGEN@BÜCHER.example',
    'jürgen@xn--bcher-kva.example',
    'ju\u0308rgen@bu\u0308cher.example',
    '{"to":"j\\u00fcrgen@b\\u00fccher.example"}',
    `to=${encodeURIComponent('jürgen@bücher.example')}`,
  ])('beyond ASCII is found in %j, in either form of its domain', (text) => {
    expect(namesAddress(text, 'jürgen@bücher.example')).toBe(true)
    expect(namesAddress(text, 'Jürgen@xn--bcher-kva.example')).toBe(true)
    expect(namesAddress(text, 'jurgen@bucher.example')).toBe(false)
    expect(namesAddress(text, 'rgen@bücher.example')).toBe(false)
  })

  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
  const address = fc.tuple(word, word, fc.constantFrom('com', 'org')).map(([a, b, c]) => `${a}@${b}.${c}`)

  it('is found however deep it is in JSON, and no longer address around it is', () => {
    fc.assert(
      fc.property(
        address,
        word,
        fc.integer({ min: 0, max: 3 }),
        fc.string(),
        (wanted, more, depth, other) => {
          const nested = (text: string) => {
            let json = text
            for (let level = 0; level < depth; level++) json = JSON.stringify({ said: json, other })
            return json
          }
          // What another text holds must not decide.
          fc.pre(!other.includes('@'))
          expect(namesAddress(nested(`x\n${wanted} y`), wanted)).toBe(true)
          expect(namesAddress(nested(`x\n${more}${wanted} y`), wanted)).toBe(false)
          expect(namesAddress(nested(`x\n${wanted}${more} y`), wanted)).toBe(false)
        },
      ),
    )
  })

  it('is looked for in a time that grows with the text alone', () => {
    const hostile = `${'\\u005c'.repeat(50_000)}u0040`
    expect(namesAddress(hostile, ann)).toBe(false)
    expect(namesAddress('ann@example.comx '.repeat(50_000), ann)).toBe(false)
  })
})
