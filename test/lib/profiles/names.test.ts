import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { foldName, isVisible, storedName, withoutInvisible } from '../../../lib/profiles/names.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { fc } from '../../support/properties.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.close())

/** Where code points are assigned: the first four planes, and that of tags and variation selectors. */
const planes: readonly (readonly [number, number])[] = [
  [1, 0xd7ff],
  [0xe000, 0x3fffd],
  [0xe0000, 0xe0fff],
]

function* codePoints(): Generator<string> {
  for (const [from, to] of planes) {
    for (let at = from; at <= to; at++) {
      const codePoint = String.fromCodePoint(at)
      if (!/[\p{Cn}\p{Co}]/u.test(codePoint)) yield codePoint
    }
  }
}

const collapsed = (text: string) => text.replace(/[\s\u0085\u2800]+/gu, ' ').trim()

/** What PostgreSQL's own data makes of each code point that it changes: it has Unicode's case folding. */
async function oracle(): Promise<Map<string, string>> {
  const [from, to] = [planes.map(([first]) => first), planes.map(([, last]) => last)]
  const rows = await database.sql<{ at: number; folded: string }[]>`
    with given as (
      select at, chr(at) as text from unnest(${`{${from}}`}::int[], ${`{${to}}`}::int[]) as planes(first, last)
        cross join lateral generate_series(first, last) at
      where unicode_assigned(chr(at))),
    once as (
      select at, text, normalize(casefold(normalize(text, nfd) collate pg_unicode_fast), nfkc) as folded from given)
    select at, normalize(casefold(folded collate pg_unicode_fast), nfkc) as folded from once where folded <> text`
  return new Map(rows.map(({ at, folded }) => [String.fromCodePoint(at), folded]))
}

/** Texts of what is hard to fold: case that is no pair, marks that change places, blanks, what cannot be seen. */
const hostile = fc
  .array(
    fc.constantFrom(
      ...'aAeéßẞıİiIσςΣǆǅǄﬁŉǰΐᾳᾼͅ\u0301\u0307\u0308\u0327ԱևꭰᏰᏸჀᲐ가\u1100\u1161Åΐ1½',
      ...'\u200b\u200c\u200d\u00ad\u034f\ufe0f\u3164\u115f\u037a\u00a8 \u00a0\u2800\u3000\u0085\u2126\uff21',
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))

describe('the folding of a name', () => {
  it('is NFKC_Casefold for every code point', async () => {
    const folds = await oracle()
    const wrong: string[] = []
    const unlike: string[] = []
    for (const codePoint of codePoints()) {
      const fold = foldName(codePoint)
      // PostgreSQL may know fewer characters: what it does not change is held to the engine's own property.
      const expected = collapsed(
        (folds.get(codePoint) ?? codePoint).replace(/\p{Default_Ignorable_Code_Point}/gu, ''),
      )
      const known = folds.has(codePoint) || !/\p{Changes_When_NFKC_Casefolded}/u.test(codePoint)
      if (known && fold !== expected) wrong.push(codePoint)
      if (
        collapsed(codePoint) === codePoint &&
        (fold !== codePoint) !== /\p{Changes_When_NFKC_Casefolded}/u.test(codePoint)
      )
        unlike.push(codePoint)
    }
    expect(wrong).toEqual([])
    expect(unlike).toEqual([])
    expect(folds.size).toBeGreaterThan(6000)
  })

  it('changes nothing that is folded, and takes upper and lower case for one: all but an ı', () => {
    const changed: string[] = []
    const upper: string[] = []
    const lower: string[] = []
    for (const codePoint of codePoints()) {
      const fold = foldName(codePoint)
      if (foldName(fold) !== fold) changed.push(codePoint)
      if (foldName(codePoint.toUpperCase()) !== fold) upper.push(codePoint)
      if (foldName(codePoint.toLowerCase()) !== fold) lower.push(codePoint)
    }
    expect({ changed, upper, lower }).toEqual({ changed: [], upper: ['ı'], lower: [] })
  })

  it('is closed over whole texts, however they are composed', () => {
    fc.assert(
      fc.property(hostile, (name) => {
        const fold = foldName(name)
        expect(foldName(fold)).toBe(fold)
        for (const form of ['NFC', 'NFD'] as const) expect(foldName(name.normalize(form))).toBe(fold)
        expect(foldName(name.toLowerCase())).toBe(fold)
        // Upper case makes a letter of U+0345, which then keeps marks behind it that belong before it.
        const ordered = name.replace(/ı|\p{Default_Ignorable_Code_Point}/gu, '').normalize('NFD')
        expect(foldName(ordered.toUpperCase())).toBe(foldName(ordered))
      }),
      { numRuns: 2000 },
    )
  })

  it('is the same on the short path of plain names and on the long one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), (name) => {
        expect(foldName(name)).toBe(foldName(`\u200c${name}`))
      }),
    )
  })

  it.each([
    ['a Persian name with and without ZWNJ', 'علی\u200cرضا', 'علیرضا'],
    ['ß and ss', 'Straße', 'STRASSE'],
    ['ß and its capital', 'Straße', 'STRAẞE'],
    ['a final sigma', 'Σίσυφος', 'ΣΊΣΥΦΟΣ'],
    ['a ligature', 'Soﬁa', 'SOFIA'],
    ['a digraph in title case', 'ǅemal', 'Džemal'],
    ['letters of full width', 'Ｅｌｌａ', 'ella'],
    ['İ and its parts', 'İrem', 'i\u0307rem'],
    ['Cherokee', 'ᏣᎳᎩ', 'ꮳꮃꭹ'],
    ['Georgian', 'ᲒᲘᲝᲠᲒᲘ', 'გიორგი'],
    ['Armenian ev', 'Արև', 'ԱՐԵՒ'],
    ['an iota below', 'ᾼδης', 'ᾳδησ'],
    ['marks in another order', 'q\u0307\u0323', 'q\u0323\u0307'],
    ['a joiner between marks', 'a\u0301\u034f\u0327', 'a\u0327\u0301'],
    ['variation selectors', '葛\u{e0100}城', '葛城'],
    ['blanks of every kind', ' Ada\u3000\u00a0Obi\u2800', 'ada obi'],
    ['a soft hyphen', 'Hy\u00adphen', 'hyphen'],
  ])('takes %s for one', (_, one, other) => {
    expect(foldName(one)).toBe(foldName(other))
  })

  it.each([
    ['Zoe', 'Zoë'],
    ['Ali', 'Alı'],
    ['Irem', 'İrem'],
    ['Ann Marie', 'Annmarie'],
    ['Ann-Marie', 'Ann Marie'],
  ])('keeps %s and %s apart', (one, other) => {
    expect(foldName(one)).not.toBe(foldName(other))
  })
})

describe('a stored name', () => {
  it.each([
    ['\ufeffSal', 'Sal'],
    [' Te\u200bss\u00a0', 'Tess'],
    ['Hy\u00adphen', 'Hyphen'],
    ['\u202eVic\u202c \u2066Turn\u2069', 'Vic Turn'],
    ['\u200e\u0627\u200f\u061c', '\u0627'],
    ['Wo\u2060rd\u2063s', 'Words'],
    ['\u200dSal\u200c', 'Sal'],
    ['Sal \u200c', 'Sal'],
    ['-\u200dSal', '-Sal'],
  ])('is %j without what only hides in it', (written, stored) => {
    expect(storedName(written)).toBe(stored)
  })

  it.each([
    ['ZWNJ between letters', 'علی\u200cرضا'],
    ['ZWNJ before a digit', '۲\u200cام'],
    ['ZWJ between letters', 'ක\u0dca\u200dරිස්'],
    ['ZWJ behind a mark at the end of a word', 'മോഹൻ മോഹന\u0d4d\u200d'],
    ['a variation selector', '葛\u{e0100}城'],
    ['a variation selector of Mongolian, and its vowel separator', 'ᠠ\u180b\u180eᠠ'],
    ['an emoji of several', '👩🏽\u200d🚀 Ada'],
    ['a flag of tags', '🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}'],
    ['its blanks, composition and case', 'ZOË  Mu\u0308ller'],
  ])('keeps %s as written', (_, name) => {
    expect(storedName(name)).toBe(name)
  })

  it('has the fold of what was written, and is stored as it is the second time', () => {
    fc.assert(
      fc.property(hostile, (written) => {
        const stored = storedName(written)
        expect(foldName(stored)).toBe(foldName(written))
        expect(storedName(stored)).toBe(stored)
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    '',
    '\u3000 ',
    '\u200b',
    '\u2060\ufeff',
    '\u00ad',
    '\u200d',
    '\u3164',
    '\uffa0',
    '\u115f\u1160',
    '\u2800\u2800',
    '\ufe0f',
    '\u{e0041}',
    '\u034f',
    '\u{16fe4}',
  ])('is none if it is %j', (written) => {
    expect(isVisible(storedName(written))).toBe(false)
  })

  it.each(['a', '.', '\u115f\u1161', '😀', '\u0301', '\u0600'])('is one if it is %j', (written) => {
    expect(isVisible(storedName(written))).toBe(true)
  })
})

describe('a value', () => {
  it.each([
    ['male\u200b', 'male'],
    ['N\u2060G', 'NG'],
    ['\u00ad 3\u200d1', '31'],
    ['\u200e', ''],
    ['Côte', 'Côte'],
  ])('%j is read as %j', (written, read) => {
    expect(withoutInvisible(written)).toBe(read)
  })
})
