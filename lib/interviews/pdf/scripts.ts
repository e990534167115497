/** Scripts that are told apart: each is shaped by itself, and a font that lacks one has a name to say. */
const names = [
  'Latin',
  'Greek',
  'Cyrillic',
  'Arabic',
  'Hebrew',
  'Devanagari',
  'Thai',
  'Han',
  'Hiragana',
  'Katakana',
  'Hangul',
  'Bopomofo',
  'Armenian',
  'Georgian',
  'Lao',
  'Bengali',
  'Tamil',
  'Telugu',
  'Gujarati',
  'Gurmukhi',
  'Kannada',
  'Malayalam',
  'Oriya',
  'Sinhala',
  'Khmer',
  'Myanmar',
  'Ethiopic',
  'Tibetan',
  'Mongolian',
  'Syriac',
  'Thaana',
  'Nko',
  'Tifinagh',
  'Cherokee',
  'Adlam',
  'Javanese',
  'Balinese',
  'Canadian_Aboriginal',
] as const

export type ScriptName = (typeof names)[number]

const patterns = names.map((name) => ({ name, pattern: new RegExp(`^\\p{Script=${name}}`, 'u') }))
const known = new Map<string, ScriptName | undefined>()

/** The script of a text's first character; undefined for one that several share, and for rare scripts. */
export function scriptOf(text: string): ScriptName | undefined {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0)
  if (!known.has(first)) known.set(first, patterns.find(({ pattern }) => pattern.test(first))?.name)
  return known.get(first)
}

const cjk = new Set<ScriptName | undefined>(['Han', 'Hiragana', 'Katakana', 'Hangul', 'Bopomofo'])

/** Whether the fonts of Chinese, Japanese and Korean have it: their scripts, punctuation and wide forms. */
export function isCjk(text: string): boolean {
  return cjk.has(scriptOf(text)) || /^[\u2e80-\u33ff\ufe30-\ufe4f\uff00-\uffef]/.test(text)
}

/** Whether many scripts share the text's first character: digits, punctuation, symbols. */
export function isCommon(text: string): boolean {
  return /^\p{Script=Common}/u.test(text)
}

/** Whether it is to be drawn as a pictograph. */
export function isEmoji(text: string): boolean {
  return /\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\u20e3/u.test(text) && !text.includes('\ufe0e')
}
