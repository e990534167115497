import { Phrases, type Token } from './tokens.ts'

/** Why a word that many try is not understood, and what to do instead. */
const entries: readonly (readonly [reason: string, words: string])[] = [
  [
    'nothing can be excluded',
    'not, no, non, never, without, except, excluding, exclude, excludes, neither, nor, none, nobody, other, outside, isn’t, aren’t, don’t, doesn’t, minus, -, !, !=, ≠',
  ],
  [
    'order and number come from sort_by, order and limit',
    'sort, sorted, order, ordered, oldest, youngest, newest, latest, first, last, top, average, most, few, several',
  ],
  [
    'ask by min_gender_probability or min_country_probability',
    'probability, probabilities, confidence, confident, certain, likely',
  ],
  [
    'regions are not known: name the countries',
    'africa, african, africans, europe, european, europeans, asia, asian, asians, caribbean, scandinavia, scandinavian, eu, latin, balkan, balkans, oceania',
  ],
  [
    'parts of countries are not known',
    'england, english, englishman, englishmen, englishwoman, englishwomen, scotland, scottish, scots, wales, welsh, kosovo, kosovar',
  ],
  ['it is no exact age', 'early, mid, late, around, about, almost, nearly, approximately, turning'],
]

const reasons = new Phrases<string>()
for (const [reason, words] of entries) for (const word of words.split(', ')) reasons.set(word, reason)

/** Says that a word is not understood, and why where it is one that many try. */
export function notUnderstood({ kind, text }: Token): string {
  const reason = /^\d{1,2}$/.test(text)
    ? `say "aged ${text}" if it is an age`
    : kind === 'dash'
      ? undefined
      : reasons.get(text)
  return `"${visible(text)}" is not understood${reason ? `: ${reason}` : ''}`
}

/** A character without a shape is named by its number. */
function visible(text: string): string {
  return text.replace(
    /^[\p{Default_Ignorable_Code_Point}\p{Cf}]$/u,
    (character) => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`,
  )
}
