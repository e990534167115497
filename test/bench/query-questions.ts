import { countryName } from '../../lib/profiles/countries.ts'
import { canonicalFilter, type Filter, type FilterInput, filterKey } from '../../lib/profiles/filter.ts'
import { interpret } from '../../lib/profiles/grammar.ts'
import { type Sort, sortColumns } from '../../lib/profiles/page.ts'
import type { Gender } from '../../lib/profiles/profile.ts'
import { type Random, randomFrom } from '../faults/random.ts'

/** What is asked for: the path that says it, and what it means. */
export type Question = { path: string; filter: Filter; sort: Sort; page: number; limit: number }

export const sorts: readonly Sort[] = sortColumns.flatMap((by) => [
  { by, order: 'asc' },
  { by, order: 'desc' },
])

/** A page of the filter by its parameters. */
export function pageQuestion(input: FilterInput, sort: Sort, page = 1, limit = 10): Question {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(input)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  const question = { filter: canonicalFilter(input), sort, page, limit }
  return { path: `/api/profiles?${withPage(parameters, question)}`, ...question }
}

function withPage(parameters: URLSearchParams, { sort, page, limit }: Omit<Question, 'path' | 'filter'>) {
  const paging = { sort_by: sort.by, order: sort.order, page, limit }
  for (const [name, value] of Object.entries(paging)) parameters.set(name, String(value))
  return parameters
}

/** Filters on gender, age and country of every breadth: nobody left out, one age of one gender in one country. */
export function plainFilters(): FilterInput[] {
  const countries = [undefined, ['NG', 'KE', 'ET', 'GH', 'ZA', 'BJ'], ['NG'], ['KE'], ['AR']]
  const genders = [undefined, 'female'] as const
  const ages = [
    {},
    { min_age: 20, max_age: 45 },
    { age_group: ['senior' as const] },
    { min_age: 42, max_age: 42 },
  ]
  return countries.flatMap((country_id) =>
    genders.flatMap((gender) => ages.map((range) => ({ country_id, gender, ...range }))),
  )
}

/** Bounds on either probability or both, from those that two thirds pass to those that hardly anyone does. */
export function probabilityFilters(): FilterInput[] {
  const bounds: FilterInput[] = [
    { min_gender_probability: 0 },
    { min_gender_probability: 0.7 },
    { min_gender_probability: 0.95 },
    { min_gender_probability: 1 },
    { min_country_probability: 0.7 },
    { min_country_probability: 0.99 },
    { min_gender_probability: 0.8, min_country_probability: 0.8 },
  ]
  const others: FilterInput[] = [
    {},
    { gender: 'female' },
    { country_id: ['NG'] },
    { country_id: ['NG'], gender: 'female', min_age: 20, max_age: 45 },
    { age_group: ['senior'] },
  ]
  return bounds.flatMap((bound) => others.map((other) => ({ ...other, ...bound })))
}

const codes = ['NG', 'KE', 'ET', 'GH', 'ZA', 'BJ', 'SN', 'TZ', 'EG', 'US', 'GB', 'FR', 'DE', 'IN', 'JP', 'BR']

export type MixKind = 'filters' | 'plain English' | 'probability'
export type MixQuestion = Question & { kind: MixKind }

/** As many questions, no two of one meaning: of 20 twelve by filters, seven in words, one over a probability. */
export function mixQuestions(count: number, seed: number): MixQuestion[] {
  const random = randomFrom(seed)
  const questions: MixQuestion[] = []
  const known = new Set<string>()
  while (questions.length < count) {
    const question = draw(mixKind(questions.length), random)
    const { filter, sort, page, limit } = question
    const meaning = JSON.stringify([filterKey(filter), sort, page, limit])
    if (known.has(meaning)) continue
    known.add(meaning)
    questions.push(question)
  }
  return questions
}

function mixKind(n: number): MixKind {
  // Spread, so that the few most popular ones are of every kind.
  const place = (n * 7) % 20
  if (place === 19) return 'probability'
  return place < 12 ? 'filters' : 'plain English'
}

function draw(kind: MixKind, random: Random): MixQuestion {
  const from = random.whole(0, 79)
  const gender = random.pick<Gender | undefined>([undefined, 'male', 'female'])
  const country = random.chance(0.6) ? random.pick(codes) : undefined
  const ages = random.chance(0.7) ? { min_age: from, max_age: random.whole(from, 95) } : undefined
  const sort = random.chance(0.5) ? sorts[0]! : random.pick(sorts)
  const page = random.pick([1, 1, 1, 1, 2, 3])
  const limit = random.pick([10, 10, 20, 50])
  if (kind === 'plain English') {
    const q = sentence(gender, ages, country)
    const question = { filter: interpret(q), sort, page, limit }
    const path = `/api/profiles/search?${withPage(new URLSearchParams({ q }), question)}`
    return { kind, path, ...question }
  }
  const bound = kind === 'probability' && { min_gender_probability: random.whole(800, 999) / 1000 }
  const input = { gender, country_id: country ? [country] : undefined, ...ages, ...bound }
  return { kind, ...pageQuestion(input, sort, page, limit) }
}

function sentence(
  gender: Gender | undefined,
  ages: { min_age: number; max_age: number } | undefined,
  country: string | undefined,
): string {
  const who = gender === undefined ? 'people' : gender === 'female' ? 'women' : 'men'
  const old = ages ? ` between ages ${ages.min_age} and ${ages.max_age}` : ''
  const where = country ? ` from ${countryName(country)}` : ''
  return `${who}${old}${where}`
}

/** Draws places from 0 to `count - 1`, the nth in proportion to 1 / n ^ exponent (Zipf's law). */
export function zipf(count: number, exponent: number, seed: number): () => number {
  const random = randomFrom(seed)
  const bounds: number[] = []
  let sum = 0
  for (let rank = 1; rank <= count; rank++) {
    sum += rank ** -exponent
    bounds.push(sum)
  }
  return () => {
    const drawn = random.share() * sum
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (bounds[middle]! > drawn) high = middle
      else low = middle + 1
    }
    return low
  }
}
