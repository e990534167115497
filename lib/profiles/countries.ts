import codes from 'i18n-iso-countries/codes.json' with { type: 'json' }
import english from 'i18n-iso-countries/langs/en.json' with { type: 'json' }

/** What people call a country, where the ISO list or the package leads with the formal name. */
const commonNames: Record<string, string> = {
  BN: 'Brunei',
  CD: 'DR Congo',
  CI: "Côte d'Ivoire",
  CN: 'China',
  CZ: 'Czechia',
  FK: 'Falkland Islands',
  FM: 'Micronesia',
  GM: 'Gambia',
  IR: 'Iran',
  LA: 'Laos',
  MD: 'Moldova',
  MF: 'Saint Martin',
  MK: 'North Macedonia',
  PN: 'Pitcairn Islands',
  PS: 'Palestine',
  RE: 'Réunion',
  RU: 'Russia',
  ST: 'São Tomé and Príncipe',
  SX: 'Sint Maarten',
  SY: 'Syria',
  TW: 'Taiwan',
  TZ: 'Tanzania',
  US: 'United States',
  VA: 'Vatican City',
  VG: 'British Virgin Islands',
  VI: 'U.S. Virgin Islands',
}

// The package holds 250: XK (Kosovo) is user-assigned, not a code of ISO 3166-1.
const names = new Map(
  Object.entries(english.countries)
    .filter(([code]) => code !== 'XK')
    .map(
      ([code, name]) => [code, commonNames[code] ?? (typeof name === 'string' ? name : name[0]!)] as const,
    ),
)

/** The 249 alpha-2 codes of ISO 3166-1, upper case, sorted. */
export const countryCodes: readonly string[] = [...names.keys()].sort()

/** Whether `code` is an upper-case ISO 3166-1 alpha-2 code. */
export function isCountry(code: string): boolean {
  return names.has(code)
}

let twoLetters: Map<string, string> | undefined

/** The alpha-2 code of an upper-case alpha-3 code. */
export function twoLetterCode(code: string): string | undefined {
  twoLetters ??= new Map(codes.map(([two, three]) => [three!, two!]))
  return twoLetters.get(code)
}

/** Every English name of an upper-case code that the ISO list or this page has. */
export function countryNames(code: string): string[] {
  const listed: string | readonly string[] = english.countries[code as keyof typeof english.countries] ?? []
  return [...new Set([countryName(code), ...(typeof listed === 'string' ? [listed] : listed)])]
}

/** The English name of an upper-case code; the code itself where there is none. */
export function countryName(code: string): string {
  return names.get(code) ?? code
}
