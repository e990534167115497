import { countryName } from '../../../../lib/profiles/countries.ts'
import { demonyms } from '../../../../lib/profiles/english/country-words.ts'
import type { Filter } from '../../../../lib/profiles/filter.ts'
import { fc } from '../../../support/properties.ts'

/** Somebody a filter lets through or not. */
type Person = { gender: 'male' | 'female'; country: string; age: number }
/** What words mean: whom they let through. */
export type Meaning = (person: Person) => boolean
export type Part = { text: string; means: Meaning; kind: 'gender' | 'country' | 'ages' | 'none' }

const countries = ['NG', 'KE', 'GH', 'CI', 'GW', 'ZA', 'US', 'TT', 'KR'] as const
const unnamed = 'AQ'
/** One person for each way to differ; no one in the sentences comes from Antarctica. */
const everybody: readonly Person[] = (['male', 'female'] as const).flatMap((gender) =>
  [...countries, unnamed].flatMap((country) =>
    Array.from({ length: 151 }, (_, age) => ({ gender, country, age })),
  ),
)

export const whom = (means: Meaning): ReadonlySet<Person> => new Set(everybody.filter(means))
export const meaningOfFilter =
  ({ gender, country_id, min_age = 0, max_age = 150 }: Filter): Meaning =>
  (person) =>
    (gender === undefined || person.gender === gender) &&
    (country_id === undefined || country_id.includes(person.country)) &&
    person.age >= min_age &&
    person.age <= max_age

export const all =
  (parts: readonly { means: Meaning }[]): Meaning =>
  (person) =>
    parts.every(({ means }) => means(person))
export const any =
  (parts: readonly { means: Meaning }[]): Meaning =>
  (person) =>
    parts.some(({ means }) => means(person))

/** The ages of those whom a meaning lets through have no gap, as those of any filter. */
export function isOneRange(means: Meaning): boolean {
  const ages = [...new Set(everybody.filter(means).map(({ age }) => age))].sort((a, b) => a - b)
  return ages.every((age, at) => at === 0 || age === ages[at - 1]! + 1)
}

export const nothing: Part = { text: '', means: () => true, kind: 'none' }
const between =
  (from: number, to: number): Meaning =>
  ({ age }) =>
    age >= from && age <= to
const of =
  (gender: Person['gender']): Meaning =>
  (person) =>
    person.gender === gender
const from =
  (code: string): Meaning =>
  ({ country }) =>
    country === code

const part = (kind: Part['kind'], means: Meaning, texts: string): Part[] =>
  texts.split(', ').map((text) => ({ text, means, kind }))

/** Nouns for people: first those that say a gender. */
export const genderNouns = fc.constantFrom(
  ...part('gender', of('male'), 'men, males, gentlemen, guys'),
  ...part('gender', of('female'), 'women, females, ladies'),
)
export const peopleNouns = fc.constantFrom(
  ...part('none', () => true, 'people, persons, individuals, profiles'),
)
export const ageNouns = fc.constantFrom(
  ...part('ages', between(0, 12), 'children, kids'),
  ...part('ages', between(13, 19), 'teenagers, teens'),
  ...part('ages', between(20, 59), 'adults'),
  ...part('ages', between(20, 24), 'young adults'),
  ...part('ages', between(60, 150), 'seniors, senior citizens'),
  ...part('ages', between(20, 29), 'twentysomethings, 20-somethings'),
)

export const genderAdjectives = fc.constantFrom(
  ...part('gender', of('male'), 'male'),
  ...part('gender', of('female'), 'female'),
)
export const ageAdjectives = fc.oneof(
  fc.constantFrom(
    ...part('ages', between(16, 24), 'young'),
    ...part('ages', between(13, 19), 'teenage'),
    ...part('ages', between(20, 59), 'adult'),
    ...part('ages', between(40, 59), 'middle-aged'),
    ...part('ages', between(60, 150), 'elderly, older, old'),
  ),
  fc
    .integer({ min: 1, max: 99 })
    .chain((age) =>
      fc.constantFrom(
        ...part('ages', between(age, age), `${age}-year-old, ${age} year old, ${age}yo`),
        ...part('ages', between(age, 150), `over ${age}, over-${age}, ${age}+, ${age} and over`),
        ...part('ages', between(0, age), `under ${age}, under-${age}`),
      ),
    ),
)
const country = fc.constantFrom(...countries)
export const countryAdjectives = country.map(
  (code): Part => ({
    text: code === 'KR' ? 'South Korean' : demonyms[code]!.split(', ')[0]!,
    means: from(code),
    kind: 'country',
  }),
)
export const countryNouns = fc.constantFrom(
  ...part('country', from('NG'), 'Nigerians'),
  ...part('country', from('KE'), 'Kenyans'),
  ...part('country', from('US'), 'Americans'),
  ...part('country', from('CI'), 'Ivorians'),
)

/** How a country is named behind "from". */
export const places = country.chain((code) => {
  const name = countryName(code)
  const flag = String.fromCodePoint(...Array.from(code, (letter) => 0x1f1e6 + letter.charCodeAt(0) - 65))
  return fc.constantFrom(
    ...[name, `${name} (${code})`, code, flag].flatMap((text) => part('country', from(code), text)),
  )
})
const preposition = fc.constantFrom('from', 'in', 'living in', 'based in', 'who live in', 'currently in')
export const fromPlaces = fc
  .tuple(preposition, places)
  .map(([word, place]): Part => ({ ...place, text: `${word} ${place.text}` }))

const age = fc.integer({ min: 0, max: 150 })
const twoAges = fc
  .tuple(age, age)
  .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const)
export const addedAges: fc.Arbitrary<Part> = fc.oneof(
  age.chain((age) =>
    fc.constantFrom(
      ...part(
        'ages',
        between(age, 150),
        `over ${age}, above ${age}, older than ${age}, aged ${age}+, ${age} or older, at least ${age}, ${age} and above, who are over ${age}`,
      ),
      ...part(
        'ages',
        between(0, age),
        `under ${age}, below ${age}, younger than ${age}, at most ${age}, up to ${age}, not older than ${age}, aged ${age} or under`,
      ),
      ...part('ages', between(age, age), `aged ${age}, exactly ${age}, who are ${age}, ${age} years old`),
      ...part('ages', between(age, 150), `age >= ${age}`),
    ),
  ),
  twoAges.chain(([low, high]) =>
    fc.constantFrom(
      ...part(
        'ages',
        between(low, high),
        `aged ${low}-${high}, aged ${low}–${high}, ${low} to ${high} years old, between ${low} and ${high}, between ages ${low} and ${high}, aged ${high} to ${low}, over ${low} and under ${high}, who are ${low}-${high}`,
      ),
    ),
  ),
  fc
    .integer({ min: 2, max: 9 })
    .chain((ten) =>
      fc.constantFrom(...part('ages', between(ten * 10, ten * 10 + 9), `in their ${ten}0s, in the ${ten}0s`)),
    ),
)

export const openings = fc.constantFrom(
  ...[
    '',
    'Show me all ',
    'please list ',
    'how many ',
    'Can you find me ',
    "I'd like to see the ",
    'find profiles of ',
  ],
)
export const endings = fc.constantFrom('', '?', '.', ' please', ', please!', '\n', ' \t')

export function written(parts: readonly Part[]): string {
  return parts
    .map(({ text }) => text)
    .filter((text) => text !== '')
    .join(' ')
}

/** Joined parts of one kind: "Kenya, Ghana and Nigeria". */
export function listOf(items: fc.Arbitrary<Part>): fc.Arbitrary<Part & { items: Part[] }> {
  const joiner = fc.constantFrom('and', 'or', '&', 'as well as')
  return fc.tuple(fc.array(items, { minLength: 2, maxLength: 4 }), joiner).map(([list, joiner]) => {
    const last = list.at(-1)!
    const text = `${list
      .slice(0, -1)
      .map(({ text }) => text)
      .join(', ')} ${joiner} ${last.text}`
    return { text, means: any(list), kind: last.kind, items: list }
  })
}
