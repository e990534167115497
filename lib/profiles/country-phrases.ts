import { countryCodes, countryNames, isCountry } from './countries.ts'
import { countryAliases, demonyms, wordlikeCodes } from './country-words.ts'
import { Phrases, phraseKey, type Token } from './tokens.ts'

/** Demonyms that have no plural in -s: Swiss, British, French, Japanese, Czech, Turkmen. */
const withoutPlural = /(?:s|sh|ch|ese|men|x)$/

let phrases: Phrases<readonly string[]> | undefined

/** Every name, alias and demonym with its codes. Built when first asked for: most cold starts never search. */
export function countryPhrases(): Phrases<readonly string[]> {
  phrases ??= buildPhrases()
  return phrases
}

function buildPhrases(): Phrases<readonly string[]> {
  const built = new Phrases<readonly string[]>()
  for (const code of countryCodes) {
    for (const spelling of spellings(code)) {
      const others = built.get(spelling) ?? []
      if (!others.includes(code)) built.set(spelling, [...others, code])
    }
  }
  return built
}

function spellings(code: string): Set<string> {
  const split = (list: string | undefined) => list?.split(', ') ?? []
  const names = [...countryNames(code).flatMap(named), ...split(countryAliases[code])]
  const people = split(demonyms[code])
  const plurals = people.filter((word) => !withoutPlural.test(word)).map((word) => `${word}s`)
  const all = [...names, ...people, ...plurals].map(phraseKey)
  return new Set(
    all
      .flatMap((phrase) => [phrase, phrase.replace(/^saint /, 'st ')])
      // "us" is a word; in capitals it is read as "U.S.".
      .filter((phrase) => phrase !== 'us'),
  )
}

/** A listed name without what stands in brackets, and "Moldova, Republic of" the other way round. */
function named(name: string): string[] {
  const plain = name.replace(/ *\(.*?\)/g, '')
  const [head, tail, ...more] = plain.split(', ')
  return tail === undefined || more.length > 0 ? [plain] : [`${tail} ${head}`]
}

/**
 * Whether capitals mean something in a text: it has small letters too, or no other words than codes.
 */
export function capitalsMean(tokens: readonly Token[]): boolean {
  return (
    tokens.some(({ text }) => /^\D*\p{Ll}/u.test(text)) || tokens.every(({ text }) => !/\p{L}{3}/u.test(text))
  )
}

/**
 * The code that a token is. In capitals a code counts anywhere, in small letters only in `place`: after "from",
 * "in" or "of", or beside another country. Codes that are also words need both.
 */
export function codeAt(
  token: Token | undefined,
  place: 'none' | 'of' | 'country',
  capitals: boolean,
): string | undefined {
  if (!token || !/^[a-z]{2}$/i.test(token.text)) return undefined
  const code = token.text.toUpperCase()
  if (!isCountry(code)) return undefined
  // "us males", "all of us"
  if (code === 'US') return place === 'country' ? code : undefined
  const upper = token.text === code
  if (wordlikeCodes.has(code)) return upper && capitals && place !== 'none' ? code : undefined
  return upper || place !== 'none' ? code : undefined
}
