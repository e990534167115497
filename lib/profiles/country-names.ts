import { isCountry, twoLetterCode } from './countries.ts'
import { countryPhrases } from './english/country-phrases.ts'
import { plainText } from './english/tokens.ts'

/** UTF-16 units: longer than the longest name of a country. */
export const longestCountryName = 80

/**
 * The alpha-2 code of the country that a text names in English, or abbreviates to an alpha-3 code, in any case, with
 * accents or without. Undefined for any other text, for a name that several countries share (Congo), and for a
 * nationality (Kenyan).
 */
export function countryNamed(text: string): string | undefined {
  if (text.length > longestCountryName) return undefined
  const code = /^[a-z]{3}$/i.test(text) ? twoLetterCode(text.toUpperCase()) : undefined
  if (code !== undefined && isCountry(code)) return code
  const plain = /[^ -~]/.test(text) ? plainText(text) : text
  const phrases = countryPhrases()
  const meaning = phrases.get(plain) ?? phrases.get(plain.replace(/^the /i, ''))
  return meaning?.said === 'name' && meaning.codes.length === 1 ? meaning.codes[0] : undefined
}
