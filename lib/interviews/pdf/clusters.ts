import { boldFonts, type FontName, type Fonts } from './fonts.ts'
import { isCjk, isCommon, isEmoji, type ScriptName, scriptOf } from './scripts.ts'

/** What a reader takes for one character, and the font that has all of it. */
export type Cluster = { text: string; font: FontName }

/** Fonts for Chinese characters, whose shapes differ by language, best first. */
export type HanFonts = readonly FontName[]

/** Those of the language that a text shows by its syllables; undefined if it has none. */
export function hanFontsOf(text: string): HanFonts | undefined {
  if (/[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(text)) return ['japanese', 'chinese', 'korean']
  if (/\p{Script=Hangul}/u.test(text)) return ['korean', 'chinese', 'japanese']
  return undefined
}

export const chineseFirst: HanFonts = ['chinese', 'japanese', 'korean']

/** Code points that are kept together at most: a family of four with its skin tones has eleven. */
const longestCluster = 12

/**
 * A line of text as clusters. Characters that no font has are replaced by one note for all that stand together,
 * which counts them. Opens the fonts it needs.
 */
export async function clustersOf(
  line: string,
  fonts: Fonts,
  { bold, han }: { bold: boolean; han: HanFonts },
): Promise<Cluster[]> {
  const arabic = await arabicFontsOf(line, fonts)
  const clusters: Cluster[] = []
  let missing: string[] = []
  // Blanks and punctuation after characters that are not shown: part of the same note if more of those follow.
  let between: Cluster[] = []
  const sayMissing = () => {
    if (missing.length > 0) clusters.push(...noteOf(missing, bold))
    clusters.push(...between)
    missing = []
    between = []
  }
  for (const text of graphemes(line)) {
    const before = clusters.at(-1)
    const { shown, hidden } = goesOn(text, before, fonts)
      ? { shown: { text, font: before!.font }, hidden: [] }
      : await split(text, fonts, candidates(text, bold, { han, arabic }))
    if (hidden.length > 0) {
      if (missing.length > 0) missing.push(...between.flatMap((cluster) => [...cluster.text]))
      between = []
      if (shown) {
        sayMissing()
        clusters.push(shown)
      }
      missing.push(...hidden)
    } else if (shown && missing.length > 0 && isBetweenWords(text)) {
      between.push(shown)
    } else if (shown) {
      sayMissing()
      clusters.push(shown)
    }
  }
  sayMissing()
  return clusters
}

/** Whether it is a blank, punctuation or a digit that the scripts share. */
function isBetweenWords(text: string): boolean {
  return isCommon(text) && /^[\p{White_Space}\p{P}\p{Nd}]$/u.test(text)
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })

function* graphemes(line: string): Generator<string> {
  for (const { segment } of segmenter.segment(line)) {
    const points = [...segment.normalize('NFC')]
    // A composed form is drawn better; a character alone keeps its own, which names are particular about.
    if (points.length === 1) yield [...segment].length === 1 ? segment : points.join('')
    else
      for (let i = 0; i < points.length; i += longestCluster)
        yield points.slice(i, i + longestCluster).join('')
  }
}

/** Fonts whose own blanks, digits and punctuation belong to their script. */
const ownPunctuation = new Set<FontName>([
  'arabic',
  'arabicBold',
  'devanagari',
  'devanagariBold',
  'thai',
  'thaiBold',
  'gujarati',
  'gurmukhi',
  'kannada',
  'malayalam',
  'tamil',
  'telugu',
])

/** Whether a character that scripts share is drawn in the font of what is before it. */
function goesOn(text: string, before: Cluster | undefined, fonts: Fonts): boolean {
  if (!before || !ownPunctuation.has(before.font) || !/^[\p{Script=Common}\p{ASCII}]$/u.test(text))
    return false
  return !/^\p{L}/u.test(text) && fonts.get(before.font).hasGlyphForCodePoint(text.codePointAt(0)!)
}

/** Of the scripts that several fonts have, the fonts for this text. */
type Preferred = { han: HanFonts; arabic: readonly FontName[] }

const arabicCharacters = /(?!\p{Default_Ignorable_Code_Point})\p{Script_Extensions=Arabic}/gu

/**
 * The letters of Arabic and Persian are in the font of most text, from which they can also be copied; a line with
 * others, as of Urdu, is all in the larger one, since letters of two fonts do not join.
 */
async function arabicFontsOf(line: string, fonts: Fonts): Promise<readonly FontName[]> {
  const sans = await fonts.open('sans')
  const all = line
    .match(arabicCharacters)
    ?.every((letter) => sans.hasGlyphForCodePoint(letter.codePointAt(0)!))
  return all === false ? ['arabic', 'sans'] : ['sans', 'arabic']
}

const ofScript: Partial<Record<ScriptName, readonly FontName[]>> = {
  Devanagari: ['devanagari', 'sans'],
  Gujarati: ['gujarati', 'sans'],
  Gurmukhi: ['gurmukhi', 'sans'],
  Kannada: ['kannada', 'sans'],
  Malayalam: ['malayalam', 'sans'],
  Tamil: ['tamil', 'sans'],
  Telugu: ['telugu', 'sans'],
  Thai: ['thai', 'sans'],
}

/** The fonts that may have a cluster, best first. */
function candidates(text: string, bold: boolean, preferred: Preferred): FontName[] {
  const names = regularCandidates(text, preferred)
  return bold ? names.flatMap((name) => [boldFonts[name] ?? name, name]) : [...names]
}

function regularCandidates(text: string, { han, arabic }: Preferred): readonly FontName[] {
  if (isEmoji(text)) return ['emoji', 'sans']
  if (isCjk(text)) return [...han, 'sans']
  const script = scriptOf(text)
  if (script === 'Arabic') return arabic
  if (script) return ofScript[script] ?? ['sans']
  // Dandas and digits are used by several scripts, of which one may be the only one that has a font.
  if (/^\p{Script_Extensions=Devanagari}/u.test(text)) return ['devanagari', 'sans']
  if (/^\p{Script_Extensions=Arabic}/u.test(text)) return arabic
  return isCommon(text) ? ['sans', 'emoji', ...han] : ['sans']
}

const ignorable = /^\p{Default_Ignorable_Code_Point}$/u
const space = /^\p{White_Space}$/u

/** What of a cluster one of the fonts has, and the characters that it has not. */
async function split(
  text: string,
  fonts: Fonts,
  names: readonly FontName[],
): Promise<{ shown?: Cluster; hidden: string[] }> {
  const points = [...text].filter((point) => !ignorable.test(point))
  let base: FontName | undefined
  for (const name of names) {
    const font = await fonts.open(name)
    const has = (point: string) => font.hasGlyphForCodePoint(point.codePointAt(0)!)
    if (points.every(has)) return { shown: { text, font: name }, hidden: [] }
    if (has(points[0]!)) base ??= name
  }
  if (space.test(text)) return { shown: { text: ' ', font: 'sans' }, hidden: [] }
  if (!base) {
    // Letters in the styles of mathematics, with which people adorn their names, are shown plain.
    const plain = text.normalize('NFKC')
    if (plain !== text && [...plain].length === [...text].length) return split(plain, fonts, names)
    return { hidden: points }
  }
  const font = fonts.get(base)
  const isMissing = (point: string) =>
    !ignorable.test(point) && !font.hasGlyphForCodePoint(point.codePointAt(0)!)
  const shown = [...text].filter((point) => !isMissing(point)).join('')
  return { shown: { text: shown, font: base }, hidden: points.filter(isMissing) }
}

/** Says how many characters are not drawn, isolated from the direction of what is around it. */
function noteOf(missing: readonly string[], bold: boolean): Cluster[] {
  const characters = missing.filter((text) => !space.test(text))
  const [script, ...others] = new Set(
    characters.filter((text) => !isCommon(text)).map((text) => scriptOf(text)),
  )
  const name = script && others.length === 0 ? `${script.replaceAll('_', ' ')} ` : ''
  const count = `${characters.length} ${name}character${characters.length === 1 ? '' : 's'}`
  const font = bold ? 'sansBold' : 'sans'
  return [...`\u2068[${count}: see the Markdown export]\u2069`].map((text) => ({ text, font }))
}
