import { unescapeFormula } from '../platform/csv.ts'
import { countryNamed } from '../profiles/country-names.ts'
import { genderOfWord } from '../profiles/english/gender-words.ts'
import { isVisible, storedName, withoutInvisible } from '../profiles/names.ts'
import {
  type Gender,
  type NewProfile,
  parseAge,
  parseCountry,
  parseGender,
  parseProbability,
} from '../profiles/profile.ts'
import type { Column, Layout } from './header.ts'
import type { ValueMap } from './options.ts'

/** Columns whose values are read, other than the name, in the order in which they are checked. */
export const valueColumns = [
  'gender',
  'age',
  'country_id',
  'gender_probability',
  'country_probability',
] as const satisfies Column[]
export type ValueColumn = (typeof valueColumns)[number]

/** How a value of each column is read once `meantValue` has it; undefined for one that cannot be. All are linear. */
export const readers: {
  [C in ValueColumn]: (value: string, layout: Layout) => NewProfile[C] | undefined
} = {
  gender: readGender,
  age: readAge,
  country_id: readCountry,
  gender_probability: readProbability,
  country_probability: readProbability,
}

function readGender(value: string, { accept }: Layout): Gender | undefined {
  return parseGender(value) ?? (accept === 'lenient' ? genderOfWord(value) : undefined)
}

/** A whole number that a spreadsheet gave decimals. */
const wholeByPoint = /^(\d{1,3})\.0+$/
const wholeByComma = /^(\d{1,3})[.,]0+$/

function readAge(value: string, { accept, delimiter }: Layout): number | undefined {
  if (accept !== 'lenient') return parseAge(value)
  const [, whole] = (delimiter === ',' ? wholeByPoint : wholeByComma).exec(value) ?? []
  return parseAge(whole ?? value)
}

function readCountry(value: string, { accept }: Layout): string | undefined {
  return parseCountry(value) ?? (accept === 'lenient' ? countryNamed(value) : undefined)
}

/** What people write where nothing is known, in small letters. */
const absent = new Set(['null', 'n/a', 'nan', '-'])

function readProbability(value: string, { delimiter }: Layout): number | null | undefined {
  const found = parseProbability(value)
  if (found !== undefined) return found
  if (absent.has(value.toLowerCase()) || !isVisible(value)) return null
  // Where both stand, one of them groups thousands: "1.000,5".
  if (delimiter === ',' || value.includes('.')) return undefined
  return parseProbability(value.replace(',', '.'))
}

/**
 * What a field of a column stands for: trimmed, without characters that cannot be seen and the apostrophe of an
 * export, then by the import's own `values`, if they have it: exactly, or else in any case.
 */
export function meantValue(column: Column, written: string, values: ValueMap | undefined): string {
  const plain = plainValue(column, written)
  const own = values?.[column] && lookupsOf(values).get(column)
  if (!own) return plain
  const meant = own.exact.get(plain) ?? own.folded.get(foldValue(plain))
  if (meant === undefined) return plain
  return column === 'name' ? storedName(meant) : withoutInvisible(meant)
}

function plainValue(column: Column, written: string): string {
  return unescapeFormula(column === 'name' ? storedName(written) : withoutInvisible(written)).trim()
}

function foldValue(value: string): string {
  return value.normalize('NFC').toLowerCase()
}

/** The meaning of each value; undefined where it would have several. */
type Meanings = Map<string, string | undefined>

/** By the values that were given with an import, which each slice reads ten thousand times. */
const lookups = new WeakMap<ValueMap, Map<Column, { exact: Meanings; folded: Meanings }>>()

function lookupsOf(values: ValueMap): Map<Column, { exact: Meanings; folded: Meanings }> {
  let found = lookups.get(values)
  if (!found) {
    const columns = Object.entries(values) as [Column, Record<string, string>][]
    found = new Map(
      columns.map(([column, meanings]) => {
        const plain = Object.entries(meanings).map(
          ([value, meaning]) => [plainValue(column, value), meaning] as const,
        )
        const folded = plain.map(([value, meaning]) => [foldValue(value), meaning] as const)
        return [column, { exact: meaningsOf(plain), folded: meaningsOf(folded) }]
      }),
    )
    lookups.set(values, found)
  }
  return found
}

function meaningsOf(entries: readonly (readonly [value: string, meaning: string])[]): Meanings {
  const meanings: Meanings = new Map()
  for (const [value, meaning] of entries) {
    meanings.set(value, !meanings.has(value) || meanings.get(value) === meaning ? meaning : undefined)
  }
  return meanings
}
