import { either } from '../platform/http/messages.ts'
import { quoted } from '../platform/http/shapes.ts'
import { isCountry, twoLetterCode } from './countries.ts'
import { longestCountryName } from './country-names.ts'
import { countryPhrases } from './english/country-phrases.ts'

/** What is wrong with a text that is no alpha-2 code, with the code of the country that it names or abbreviates. */
export function countryProblem(text: string): string {
  const meant = codesOf(text)
  const hint = meant.length > 0 ? `: did you mean ${either(meant)}?` : ''
  return `${quoted(text)} is not an ISO 3166-1 alpha-2 code${hint}`
}

function codesOf(text: string): readonly string[] {
  if (text.length > longestCountryName) return []
  const short = twoLetterCode(text.toUpperCase())
  return short !== undefined && isCountry(short) ? [short] : (countryPhrases().get(text)?.codes ?? [])
}
