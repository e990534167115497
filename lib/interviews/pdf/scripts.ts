/** Scripts that are told apart: each is shaped by itself, and a font that lacks one has a name to say. */
const patterns = {
  Latin: /^\p{Script=Latin}/u,
  Greek: /^\p{Script=Greek}/u,
  Cyrillic: /^\p{Script=Cyrillic}/u,
  Arabic: /^\p{Script=Arabic}/u,
  Hebrew: /^\p{Script=Hebrew}/u,
  Devanagari: /^\p{Script=Devanagari}/u,
  Thai: /^\p{Script=Thai}/u,
  Han: /^\p{Script=Han}/u,
  Hiragana: /^\p{Script=Hiragana}/u,
  Katakana: /^\p{Script=Katakana}/u,
  Hangul: /^\p{Script=Hangul}/u,
  Bopomofo: /^\p{Script=Bopomofo}/u,
  Armenian: /^\p{Script=Armenian}/u,
  Georgian: /^\p{Script=Georgian}/u,
  Lao: /^\p{Script=Lao}/u,
  Bengali: /^\p{Script=Bengali}/u,
  Tamil: /^\p{Script=Tamil}/u,
  Telugu: /^\p{Script=Telugu}/u,
  Gujarati: /^\p{Script=Gujarati}/u,
  Gurmukhi: /^\p{Script=Gurmukhi}/u,
  Kannada: /^\p{Script=Kannada}/u,
  Malayalam: /^\p{Script=Malayalam}/u,
  Oriya: /^\p{Script=Oriya}/u,
  Sinhala: /^\p{Script=Sinhala}/u,
  Khmer: /^\p{Script=Khmer}/u,
  Myanmar: /^\p{Script=Myanmar}/u,
  Ethiopic: /^\p{Script=Ethiopic}/u,
  Tibetan: /^\p{Script=Tibetan}/u,
  Mongolian: /^\p{Script=Mongolian}/u,
  Syriac: /^\p{Script=Syriac}/u,
  Thaana: /^\p{Script=Thaana}/u,
  Nko: /^\p{Script=Nko}/u,
  Tifinagh: /^\p{Script=Tifinagh}/u,
  Cherokee: /^\p{Script=Cherokee}/u,
  Adlam: /^\p{Script=Adlam}/u,
  Javanese: /^\p{Script=Javanese}/u,
  Balinese: /^\p{Script=Balinese}/u,
  Canadian_Aboriginal: /^\p{Script=Canadian_Aboriginal}/u,
}

export type ScriptName = keyof typeof patterns

const scriptNames = Object.keys(patterns) as ScriptName[]
const known = new Map<string, ScriptName | undefined>()

/** The script of a text's first character; undefined for one that several share, and for rare scripts. */
export function scriptOf(text: string): ScriptName | undefined {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0)
  if (!known.has(first))
    known.set(
      first,
      scriptNames.find((name) => patterns[name].test(first)),
    )
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
