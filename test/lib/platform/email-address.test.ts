import { describe, expect, it } from 'vitest'
import { emailAddress, shownAddress, storedAddress } from '../../../lib/platform/email-address.ts'
import { fc } from '../../support/properties.ts'

describe('an e-mail address', () => {
  it.each([
    ['Ada.Obi@Example.com', 'Ada.Obi@Example.com'],
    ["o'neil+cv@example.co.uk", "o'neil+cv@example.co.uk"],
    ['jürgen@example.com', 'jürgen@example.com'],
    ['ju\u0308rgen@example.com', 'jürgen@example.com'],
    ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
    ['ada@BÜCHER.example', 'ada@xn--bcher-kva.example'],
    ['ada@bu\u0308cher.example', 'ada@xn--bcher-kva.example'],
    ['ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example'],
    ['иван@почта.рф', 'иван@xn--80a1acny.xn--p1ai'],
    ['ada@例え。テスト', 'ada@xn--r8jz45g.xn--zckzah'],
  ])('%s is stored as %s', (given, stored) => {
    expect(emailAddress.parse(given)).toBe(stored)
    expect(emailAddress.parse(stored)).toBe(stored)
  })

  it.each([
    'ada',
    'ada@',
    '@example.com',
    'ada@example',
    'ada obi@example.com',
    'ada@@example.com',
    'ada@exa_mple.com',
    'ada@-example.com',
    'ada@example.com.',
    'ada@127.0.0.1',
    'ada@１２７.1',
    'ada\u200b@example.com',
    'ada\u202e@example.com',
    '\u2800@example.com',
    'ada@bü\u0000cher.example',
    'ada\ud800@example.com',
    '.ada@example.com',
    `${'a'.repeat(250)}@example.com`,
    `ada@${'ü'.repeat(60)}.${'ü'.repeat(60)}.${'ü'.repeat(60)}.${'ü'.repeat(60)}.example`,
  ])('is not %j', (given) => {
    expect(emailAddress.safeParse(given).success).toBe(false)
  })

  it('is shown with its domain in its own script', () => {
    expect(shownAddress('ada@xn--bcher-kva.example')).toBe('ada@bücher.example')
    expect(shownAddress('Ada@Example.com')).toBe('Ada@Example.com')
    expect(shownAddress('')).toBe('')
  })

  it('of any text is stored in one form, which is shown as what is stored in that form again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (local, domain) => {
        const { success, data } = emailAddress.safeParse(`${local}@${domain}.example`)
        if (!success) return
        expect(storedAddress(data)).toBe(data)
        expect(storedAddress(shownAddress(data)).toLowerCase()).toBe(data.toLowerCase())
      }),
    )
  })
})
