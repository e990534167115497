import { describe, expect, it } from 'vitest'
import { chineseFirst, clustersOf, hanFontsOf } from '../../../../lib/interviews/pdf/clusters.ts'
import { Fonts } from '../../../../lib/interviews/pdf/fonts.ts'
import { type Line, Paragraph } from '../../../../lib/interviews/pdf/lines.ts'
import { fc } from '../../../support/properties.ts'

const size = 10
const column = 300

type Layout = { fonts: Fonts; text: string; lines: Line[] }

/** One paragraph in a column of `width` points. */
async function layOut(text: string, { width = column, bold = false } = {}): Promise<Layout> {
  const fonts = new Fonts()
  await Promise.all([fonts.open('sans'), fonts.open('sansBold')])
  const clusters = await clustersOf(text, fonts, { bold, han: hanFontsOf(text) ?? chineseFirst })
  const paragraph = new Paragraph(clusters, fonts, size)
  return { fonts, text: paragraph.text, lines: paragraph.lines(width) }
}

/** What stands on each line from left to right, read off its glyphs. */
async function seen(text: string, width?: number): Promise<string[]> {
  const { lines } = await layOut(text, width === undefined ? {} : { width })
  return lines.map(({ runs }) =>
    runs
      .flatMap(({ glyphs }) => glyphs.map(({ codePoints }) => String.fromCodePoint(...codePoints)))
      .join(''),
  )
}

async function fontsOf(text: string): Promise<string[]> {
  const { lines } = await layOut(text)
  return [...new Set(lines.flatMap(({ runs }) => runs.map(({ font }) => font)))]
}

const note = /\u2068\[(\d+) (?:\p{L}+ )*characters?: see the Markdown export\]\u2069/gu

/** Characters that leave a mark on paper. */
function visible(text: string): number {
  return [...text].filter((character) => !/\p{Default_Ignorable_Code_Point}|\p{White_Space}/u.test(character))
    .length
}

const words = [
  'word',
  'Zoë',
  'Ωμέγα',
  'Дмитрий',
  'Nguye\u0302\u0303n',
  '山田太郎',
  'さくら',
  'ｶﾅ',
  '김민수',
  '\u1112\u1161\u11ab',
  'हिन्दी',
  'क्षत्रिय',
  'ผู้สมัครอธิบาย',
  'محمد',
  'پاکستان ہے',
  'שָׁלוֹם',
  '2019-2024',
  '(1,200.50)',
  '٤٥',
  '٪',
  '👨‍👩‍👧',
  '👍🏽',
  '🇩🇪',
  '1️⃣',
  '❤️',
  '✓',
  'বাংলা',
  'தமிழ்',
  'తెలుగు',
  'ગુજરાતી',
  'ਪੰਜਾਬੀ',
  'ಕನ್ನಡ',
  'മലയാളം',
  'ខ្មែរ',
  'བོད',
  '𐭀𞤀',
  '\ue000',
  '𝐀𝐛',
  '\u0301',
  '\u200d',
  '\u202e',
  '\u2067',
  '\u2069',
  '\u00ad',
  '\u3000',
  '\u00a0',
  ' ',
  ' ',
  ' ',
  'a\u0300\u0316\u0488'.repeat(9),
  '👩‍'.repeat(30),
  'x'.repeat(200),
  'س'.repeat(120),
]

const anyText = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((some) => some.join('')),
  },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'binary', maxLength: 40 })
      .map((text) => text.replaceAll(/\p{Cc}|[\u2028\u2029]/gu, ' ')),
  },
)

describe('the lines of a paragraph', () => {
  it('stay in their column, have a glyph for each character, and are of every character once', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, fc.boolean(), async (given, bold) => {
        const { fonts, text, lines } = await layOut(given, { bold })
        let end = 0
        for (const line of lines) {
          expect(line.width).toBeLessThanOrEqual(column)
          expect(text.slice(end, line.start).trim()).toBe('')
          expect(line.runs.map((run) => run.text.length).reduce((a, b) => a + b)).toBe(
            text.slice(line.start, line.end).trimEnd().length,
          )
          for (const run of line.runs) {
            expect(text.startsWith(run.text, run.start)).toBe(true)
            for (const glyph of run.glyphs) expect(glyph.id, run.text).not.toBe(0)
          }
          end = line.end
        }
        expect(text.slice(end).trim()).toBe('')
        for (const { x, y } of inkOf(lines, fonts)) {
          // Marks and slanted letters may stand out a little; nothing comes near the edge of the page.
          expect(x.min).toBeGreaterThan(-size)
          expect(x.max).toBeLessThan(column + size)
          expect(y.min).toBeGreaterThan(-2 * size)
          expect(y.max).toBeLessThan(2 * size)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('have every character of a text, or say how many they have not', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, async (given) => {
        const { text } = await layOut(given)
        const said = [...text.matchAll(note)].reduce((sum, [, count]) => sum + Number(count), 0)
        const composed = Array.from(new Intl.Segmenter('en').segment(given), ({ segment }) =>
          [...segment].length === 1 ? segment : segment.normalize('NFC'),
        ).join('')
        expect(visible(text.replaceAll(note, '')) + said).toBe(visible(composed))
      }),
      { numRuns: 60 },
    )
  })
})

/** Boxes of what is drawn, in points right of the column's left edge and above the baseline. */
function inkOf(lines: readonly Line[], fonts: Fonts) {
  return lines.flatMap(({ runs }) => {
    let x = 0
    return runs.flatMap(({ glyphs, positions, font }) => {
      const scale = size / fonts.get(font).unitsPerEm
      return glyphs.flatMap(({ bbox, codePoints }, i) => {
        const { xOffset, yOffset, xAdvance } = positions[i]!
        const left = x + xOffset * scale
        x += xAdvance * scale
        if (!Number.isFinite(bbox.minX) || /^\s/.test(String.fromCodePoint(...codePoints))) return []
        return [
          {
            x: { min: left + bbox.minX * scale, max: left + bbox.maxX * scale },
            y: { min: (bbox.minY + yOffset) * scale, max: (bbox.maxY + yOffset) * scale },
          },
        ]
      })
    })
  })
}

describe('the order of a line', () => {
  it('has numbers and Latin words from left to right inside Hebrew', async () => {
    expect(await seen('שלום 2019-2024 Kafka 3.6 עולם')).toEqual(['םלוע Kafka 3.6 2019-2024 םולש'])
  })

  it('turns brackets round with what is around them', async () => {
    expect(await seen('שלום (6 שנים)')).toEqual(['(םינש 6) םולש'])
    expect(await seen('the name שרה לוי (born 1990)')).toEqual(['the name יול הרש (born 1990)'])
  })

  it('keeps neutral emoji and numbers between Arabic words', async () => {
    expect(await seen('אב 🙂 גד 1,200 הו')).toEqual(['וה 1,200 דג 🙂 בא'])
  })

  it('begins each wrapped line at the right, with the words that come first', async () => {
    const { lines } = await layOut('אחת שתיים שלוש ארבע חמש', { width: 60 })
    expect(lines.map(({ rightToLeft }) => rightToLeft)).toEqual(lines.map(() => true))
    expect(await seen('אחת שתיים שלוש ארבע חמש', 60)).toEqual(['םייתש תחא', 'עברא שולש', 'שמח'])
  })

  it('breaks a name from right to left inside English before it orders its lines', async () => {
    expect(await seen('Assessment of אחת שתיים שלוש', 110)).toEqual(['Assessment of תחא', 'שולש םייתש'])
  })

  it('leaves a text that says its own direction to what it says', async () => {
    expect(await seen('a \u2067אב 1\u2069 b')).toEqual(['a 1 בא b'])
    expect(await seen('x \u202eabc\u202c y')).toEqual(['x cba y'])
  })

  it('joins Arabic letters in the forms of their places', async () => {
    const { lines } = await layOut('محمد')
    const alone = await layOut('م ح م د')
    const ids = (layout: Line[]) =>
      layout.flatMap(({ runs }) => runs.flatMap(({ glyphs }) => glyphs.map(({ id }) => id)))
    expect(ids(lines)).toHaveLength(4)
    for (const id of ids(lines).slice(1)) expect(ids(alone.lines)).not.toContain(id)
  })

  it('places marks somewhere where their font has no place for them', async () => {
    expect((await seen('ਉਮੀਦਵਾਰ ਨੇ ਵੰਡੀਆਂ ਪ੍ਰਣਾਲੀਆਂ ਬਾਰੇ ਸਾਫ਼ ਦੱਸਿਆ।')).join('')).toContain('ਬਾਰੇ')
  })

  it('puts a vowel sign of Devanagari before its consonant', async () => {
    expect(await seen('हि')).toEqual(['िह'])
  })
})

describe('the breaks of a line', () => {
  it('stand between words of Thai', async () => {
    const text = 'ผู้สมัครอธิบายระบบแบบกระจายได้อย่างชัดเจน'
    const { lines } = await layOut(text, { width: 100 })
    const starts = Array.from(
      new Intl.Segmenter('th', { granularity: 'word' }).segment(text),
      ({ index }) => index,
    )
    expect(lines.length).toBeGreaterThan(1)
    for (const { start } of lines) expect(starts).toContain(start)
  })

  it('fill a line with Chinese, which does not begin with a full stop', async () => {
    const { lines, text } = await layOut('她有六年经营集群的经验。'.repeat(20), { width: 100 })
    for (const line of lines.slice(0, -1)) expect(line.width).toBeGreaterThan(75)
    for (const { start } of lines) expect(text[start]).not.toBe('。')
  })

  it('cut a word that is longer than a line, and no character of several code points', async () => {
    const { lines } = await layOut('e\u0301\u0323'.repeat(300))
    expect(lines.length).toBeGreaterThan(5)
    for (const line of lines.slice(0, -1)) expect(line.width).toBeGreaterThan(column - size)
    const families = await layOut('👨‍👩‍👧'.repeat(60))
    for (const { start } of families.lines) expect(start % '👨‍👩‍👧'.length).toBe(0)
  })
})

describe('the font of a character', () => {
  it.each([
    ['Zoë Ωμέγα Дмитрий', ['sans']],
    ['محمد پریسا', ['sans']],
    ['پاکستان ہے', ['arabic']],
    ['שלום', ['sans']],
    ['हिन्दी, १२३।', ['devanagari']],
    ['ผู้สมัคร ๒๕๖๔', ['thai']],
    ['తెలుగు, ౧౨', ['telugu']],
    ['தமிழ்', ['tamil']],
    ['她说明。', ['chinese']],
    ['直子さん', ['japanese']],
    ['김민수 韓國', ['korean', 'sans']],
    ['さん 她们', ['japanese', 'sans', 'chinese']],
    ['👨‍👩‍👧👍🏽🇩🇪1️⃣❤️', ['emoji']],
    ['✔', ['sans']],
  ])('of %s has its script', async (text, expected) => {
    expect(await fontsOf(text)).toEqual(expected)
  })

  it('is one for all of a character with its marks', async () => {
    const { lines } = await layOut('👨‍👩‍👧‍👦')
    expect(lines[0]?.runs.flatMap(({ glyphs }) => glyphs)).toHaveLength(1)
  })

  it('in a style of mathematics is that of the plain letter if no font has the style', async () => {
    expect((await layOut('𝐀𝐝𝐚')).text).toBe('Ada')
  })

  it('that no font has is said in place, once for all that stand together', async () => {
    const { text } = await layOut('In ខ្មែរ ភាសា, and the rest.')
    expect(text).toBe('In \u2068[9 Khmer characters: see the Markdown export]\u2069, and the rest.')
    expect((await layOut('a\ue000')).text).toBe('a\u2068[1 character: see the Markdown export]\u2069')
  })
})
