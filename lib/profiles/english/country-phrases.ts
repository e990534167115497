import { countryCodes, countryNames, isCountry, twoLetterCode } from '../countries.ts'
import type { Gender } from '../profile.ts'
import {
  countryAliases,
  demonyms,
  genderedDemonyms,
  namelikeCodes,
  neverAfterPlace,
  wordlikeCodes,
} from './country-words.ts'
import { officialForms, otherOfficialNames } from './official-names.ts'
import { Phrases, type Token } from './tokens.ts'

/** The codes a phrase means, and whether it names the country, one of its people or more of them. */
export type CountryMeaning = {
  codes: readonly string[]
  said: 'name' | 'demonym' | 'plural'
  gender?: Gender
}

/** Demonyms that have no plural in -s: Swiss, British, French, Japanese, Czech, Turkmen. */
const withoutPlural = /(?:s|sh|ch|ese|men|x)$/

let phrases: Phrases<CountryMeaning> | undefined

/** Every name, alias and demonym with its codes. Built when first asked for: most cold starts never search. */
export function countryPhrases(): Phrases<CountryMeaning> {
  phrases ??= buildPhrases()
  return phrases
}

function buildPhrases(): Phrases<CountryMeaning> {
  const built = new Phrases<CountryMeaning>('inner articles may be left out')
  const add = (phrase: string, code: string, meaning: Omit<CountryMeaning, 'codes'>) => {
    // "us" is a word; in capitals it is read as "U.S.".
    if (phrase === 'US') return
    for (const spelling of phrase.startsWith('Saint ') ? [phrase, phrase.replace('Saint', 'St')] : [phrase]) {
      built.change(spelling, (before) => {
        const { codes, ...known } = before ?? { codes: [], ...meaning }
        return { ...known, codes: codes.includes(code) ? codes : [...codes, code] }
      })
    }
  }
  for (const code of countryCodes) {
    for (const name of namesOf(code)) add(name, code, { said: 'name' })
    for (const word of split(demonyms[code])) {
      add(word, code, { said: 'demonym' })
      if (!withoutPlural.test(word)) add(`${word}s`, code, { said: 'plural' })
    }
    const { male, female } = genderedDemonyms[code] ?? {}
    for (const word of split(male)) add(word, code, { said: 'demonym', gender: 'male' })
    for (const word of split(female)) add(word, code, { said: 'demonym', gender: 'female' })
  }
  for (const [form, codes] of Object.entries(officialForms)) {
    for (const code of codes.split(' ')) {
      for (const name of [...countryNames(code).flatMap(withoutBrackets), ...split(countryAliases[code])]) {
        if (/,|\.| of |[A-Z]{2}|Republic/.test(name)) continue
        for (const official of [`${form} ${name}`, `${name}, ${form}`, `${name} (${form})`]) {
          add(official, code, { said: 'name' })
        }
      }
    }
  }
  return built
}

function split(list: string | undefined): string[] {
  return list?.split(', ') ?? []
}

function namesOf(code: string): string[] {
  return [
    ...countryNames(code).flatMap((name) => [name, ...withoutBrackets(name).flatMap(turned)]),
    ...(otherOfficialNames[code] ?? []),
    ...split(countryAliases[code]),
  ]
}

/** "Falkland Islands (Malvinas)" is also said without what stands in brackets. */
function withoutBrackets(name: string): string[] {
  return [name.replace(/ ?\([^()]*\)/g, '')]
}

/** "Moldova, Republic of" the other way round. */
function turned(name: string): string[] {
  const [head, tail, ...more] = name.split(', ')
  return tail === undefined || more.length > 0 ? [name] : [`${tail} ${head}`]
}

/**
 * Whether capitals mean something in a text: it has small letters too, or no other words than codes.
 */
export function capitalsMean(tokens: readonly Token[]): boolean {
  return (
    tokens.some(({ text }) => /^\D*\p{Ll}/u.test(text)) || tokens.every(({ text }) => !/\p{L}{3}/u.test(text))
  )
}

/** Where a code stands: behind "from" and the like, behind "of", in a list, or in brackets behind its country. */
export type Place = 'none' | 'of' | 'listed' | 'country' | 'repeated'

/**
 * The country that a flag or an alpha-2 or alpha-3 code is. In capitals a code counts anywhere, in small letters
 * only in a `place`. Codes that are also words need both.
 */
export function codeAt(
  tokens: readonly Token[],
  at: number,
  place: Place,
  capitals: boolean,
): string | undefined {
  const token = tokens[at]
  if (token?.kind === 'flag') return isCountry(token.word) ? token.word : undefined
  if (!token || !/^[a-z]{2,3}$/i.test(token.text)) return undefined
  const written = token.text.toUpperCase()
  const code = written.length === 2 ? written : twoLetterCode(written)
  if (code === undefined || !isCountry(code)) return undefined
  if (place === 'repeated') return code
  // "us males", "all of us"
  if (written === 'US') return place === 'country' || place === 'listed' ? code : undefined
  const upper = token.text === written
  if (wordlikeCodes.has(written)) {
    if (!upper) return undefined
    // "from Kenya, IN Ghana", but "from KE, UG or IN"
    if (place === 'listed') return capitals && endsList(tokens[at + 1]) ? code : undefined
    const meant = capitals ? place !== 'none' : place === 'country' && neverAfterPlace.has(written)
    return meant ? code : undefined
  }
  return upper || (place !== 'none' && !namelikeCodes.has(written)) ? code : undefined
}

function endsList(next: Token | undefined): boolean {
  return next?.kind !== 'word' || next.word === 'and' || next.word === 'or'
}
