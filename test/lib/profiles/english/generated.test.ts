import { describe, expect, it } from 'vitest'
import { fc } from '../../../support/properties.ts'
import { isRefusal, outcome, refusal } from '../../../support/questions.ts'
import {
  addedAges,
  ageAdjectives,
  ageNouns,
  all,
  any,
  countryAdjectives,
  countryNouns,
  endings,
  fromPlaces,
  genderAdjectives,
  genderNouns,
  isOneRange,
  listOf,
  type Meaning,
  meaningOfFilter,
  nothing,
  openings,
  type Part,
  peopleNouns,
  places,
  whom,
  written,
} from './sentences.ts'

const optional = (part: fc.Arbitrary<Part>) => fc.oneof(fc.constant(nothing), part)
const runs = { numRuns: 400 }

/** Expects exactly these people, or a refusal where there are none or the ages have a gap. */
function expectWhom(query: string, means: Meaning): void {
  const people = whom(means)
  const result = outcome(query)
  if (people.size === 0 || !isOneRange(means)) expect(isRefusal(result) && result.status, query).toBe(422)
  else expectSame(query, means)
}

function expectSame(query: string, means: Meaning): void {
  const result = outcome(query)
  if (isRefusal(result)) expect.fail(`${query}: ${result.details.join('; ')}`)
  expect(whom(meaningOfFilter(result)).symmetricDifference(whom(means)).size, query).toBe(0)
}

const nouns = fc.oneof(genderNouns, peopleNouns, ageNouns, countryNouns)
/** "young Kenyan men from Kenya over 20": one description, its parts in the order of English. */
const described = (noun: fc.Arbitrary<Part>) =>
  fc
    .tuple(
      optional(ageAdjectives),
      optional(countryAdjectives),
      noun,
      optional(fromPlaces),
      optional(addedAges),
    )
    .filter((parts) => parts.some(({ text }) => text !== '') && isPlain(parts))
const descriptions = described(nouns)

/**
 * Not two numbers side by side, which are refused, nor "young" or "older" beside other words for an age, nor a
 * noun that says a country beside an adjective that does.
 */
function isPlain(parts: readonly Part[]): boolean {
  const ages = parts.filter(({ kind }) => kind === 'ages')
  const numbers = ages.filter(({ text }) => /\d/.test(text))
  const isWord = ages.length > numbers.length + 1 && ages.some(({ text }) => /^(?:young|older)$/.test(text))
  const nationals = parts.filter(
    ({ text, kind }) => kind === 'country' && !/^(?:from|in|.* (?:from|in)) /.test(text),
  )
  return numbers.length < 2 && !isWord && nationals.length < 2 && !isOlderAlone(parts)
}

/** "older" needs people who may be of any age. */
function isOlderAlone(parts: readonly Part[]): boolean {
  const [adjective, , noun] = parts
  return adjective!.text === 'older' && (noun!.text === '' || noun!.kind === 'ages')
}

describe('a sentence made of known parts', () => {
  it('of one description means all that it says', () => {
    fc.assert(
      fc.property(openings, descriptions, endings, (opening, parts, ending) => {
        expectWhom(opening + written(parts) + ending, all(parts))
      }),
      runs,
    )
  })

  it('means the same with its additions the other way round, and as a list with commas', () => {
    fc.assert(
      fc.property(
        genderNouns,
        fromPlaces,
        addedAges,
        fc.constantFrom(' ', ', ', ' and '),
        (noun, place, ages, joiner) => {
          for (const parts of [
            [noun, place, ages],
            [noun, ages, place],
          ]) {
            expectWhom(parts.map(({ text }) => text).join(joiner), all(parts))
          }
        },
      ),
      runs,
    )
  })

  it('with a list means any of its items', () => {
    const sentences = fc.oneof(
      // Whatever stands before or behind the list is of another kind and belongs to all.
      fc.tuple(listOf(countryAdjectives), nouns, optional(addedAges)),
      fc.tuple(
        optional(ageAdjectives),
        genderNouns,
        listOf(places).map((list) => ({ ...list, text: `from ${list.text}` })),
        optional(addedAges),
      ),
      fc.tuple(optional(ageAdjectives), listOf(genderNouns), optional(fromPlaces)),
      fc.tuple(optional(countryAdjectives), listOf(genderNouns), optional(addedAges)),
      fc.tuple(optional(genderAdjectives), listOf(ageNouns), optional(fromPlaces)),
      fc.tuple(optional(genderAdjectives), listOf(countryNouns), optional(addedAges)),
    )
    fc.assert(
      fc.property(openings, sentences, endings, (opening, parts, ending) => {
        fc.pre(isPlain(parts))
        const query = opening + written(parts) + ending
        const lists = (parts as (Part & { items?: Part[] })[]).filter(({ items }) => items)
        const others = parts.filter((part) => !('items' in part))
        const isLost = lists.some(({ items }) =>
          items!.some((item) => whom(all([item, ...others])).size === 0),
        )
        if (isLost) expect(refusal(query).status, query).toBe(422)
        else expectWhom(query, all(parts))
      }),
      runs,
    )
  })

  it('never means less than all of its descriptions, or others', () => {
    const joiners = fc.constantFrom(' and ', ' or ', ', ', ' as well as ', ' & ')
    fc.assert(
      fc.property(
        described(optional(nouns)),
        joiners,
        described(optional(nouns)),
        (first, joiner, second) => {
          // "30-year-old and older women" is one expression, and "young, Kenyan children" are children.
          fc.pre(second[0].text !== 'older' && first[0].text !== 'young')
          const query = written(first) + joiner + written(second)
          const result = outcome(query)
          if (isRefusal(result)) return
          const people = whom(meaningOfFilter(result))
          const readings = readingsOf(first, second).map((reading) => whom(reading))
          const isMeant = readings.some((reading) => reading.symmetricDifference(people).size === 0)
          expect(isMeant, `${query} is ${JSON.stringify(result)}`).toBe(true)
        },
      ),
      { numRuns: 1500 },
    )
  })

  it('of descriptions that differ in one thing is understood', () => {
    const noun = genderNouns
    const pairs = fc.oneof(
      fc.tuple(countryAdjectives, countryAdjectives, noun).map(([a, b, noun]) => [
        [a, noun],
        [b, noun],
      ]),
      fc.tuple(fromPlaces, fromPlaces, noun).map(([a, b, noun]) => [
        [noun, a],
        [noun, b],
      ]),
      fc.tuple(addedAges, noun, noun).map(([ages, a, b]) => [
        [a, ages],
        [b, ages],
      ]),
      fc.tuple(ageAdjectives, countryAdjectives, countryAdjectives, noun).map(([ages, a, b, noun]) => [
        [ages, a, noun],
        [ages, b, noun],
      ]),
    )
    fc.assert(
      fc.property(pairs, fc.constantFrom('and', 'or'), ([first, second], joiner) => {
        expectSame(
          `${written(first!)} ${joiner} ${written(second!)}`,
          any([{ means: all(first!) }, { means: all(second!) }]),
        )
      }),
      runs,
    )
  })

  it('of descriptions that differ in two things is refused', () => {
    const two = fc.tuple(countryAdjectives, genderNouns, optional(addedAges))
    fc.assert(
      fc.property(two, two, fc.constantFrom(' and ', ' or ', ', '), (first, second, joiner) => {
        const differ = ([one, , ages]: Part[], [other, , otherAges]: Part[]) =>
          whom(one!.means).symmetricDifference(whom(other!.means)).size > 0 && ages !== otherAges
        const [man, woman] = [first[1], second[1]]
        fc.pre(differ(first, second) || whom(man.means).symmetricDifference(whom(woman.means)).size > 0)
        fc.pre(
          whom(any([{ means: all(first) }, { means: all(second) }])).size !== whom(box(first, second)).size,
        )
        expect(refusal(written(first) + joiner + written(second)).status).toBeGreaterThanOrEqual(400)
      }),
      runs,
    )
  })

  it('with a number of people is refused', () => {
    const counts = fc
      .tuple(
        fc.constantFrom(
          'at least',
          'at most',
          'more than',
          'less than',
          'up to',
          'no more than',
          'exactly',
          'a minimum of',
          '',
        ),
        fc.integer({ min: 1, max: 150 }),
        fc.constantFrom('', 'of the'),
      )
      .map(
        ([operator, number, of]): Part => ({
          ...nothing,
          text: [operator, number, of].filter(Boolean).join(' '),
        }),
      )
    fc.assert(
      fc.property(
        openings,
        counts,
        optional(countryAdjectives),
        genderNouns,
        optional(fromPlaces),
        (opening, ...parts) => {
          expect(refusal(opening + written(parts)).status).toBe(400)
        },
      ),
      runs,
    )
  })

  it('is refused by a word in it that nobody knows', () => {
    const unknown = fc.stringMatching(/^[a-z]{3,9}$/).map((word) => `zq${word}`)
    fc.assert(
      fc.property(descriptions, unknown, fc.nat(20), (parts, word, place) => {
        const words = written(parts).split(' ')
        words.splice(Math.min(place, words.length), 0, word)
        expect(refusal(words.join(' ')).details.join()).toContain(`"${word}" is not understood`)
      }),
    )
  })

  it('means the same in capitals, full width and with more blanks', () => {
    const wide = (text: string) =>
      text.replace(/[!-~]/g, (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0xfee0))
    const names = fc.tuple(
      optional(ageAdjectives),
      genderNouns,
      fc.constantFrom('from Kenya', "in Côte d'Ivoire", ''),
    )
    fc.assert(
      fc.property(names, optional(addedAges), ([adjective, noun, place], ages) => {
        const query = [adjective.text, noun.text, place, ages.text].filter(Boolean).join(' ')
        const meant = outcome(query)
        const comparable = isRefusal(meant) ? meant.status : meant
        for (const text of [
          query.toUpperCase(),
          wide(query),
          query.replaceAll(' ', ' \u00a0 '),
          `\u200b${query}\r\n`,
        ]) {
          const other = outcome(text)
          expect(isRefusal(other) ? other.status : other, text).toEqual(comparable)
        }
      }),
    )
  })
})

/** The smallest filter that holds both. */
function box(first: readonly Part[], second: readonly Part[]): Meaning {
  const either = whom(any([{ means: all(first) }, { means: all(second) }]))
  const genders = new Set([...either].map(({ gender }) => gender))
  const countries = new Set([...either].map(({ country }) => country))
  const ages = [...either].map(({ age }) => age)
  const [low, high] = [Math.min(...ages), Math.max(...ages)]
  return ({ gender, country, age }) =>
    genders.has(gender) && countries.has(country) && age >= low && age <= high
}

/**
 * What two joined descriptions can mean in English: each for itself, or what stands before the first noun or
 * behind the last one said of both. Where one of them has no noun it may also add to the other ("women, over 30"),
 * or offer an alternative to what stands beside it ("Kenyan and Ugandan women"). Never anything else.
 */
function readingsOf(first: readonly Part[], second: readonly Part[]): Meaning[] {
  const isAdjective = (_: Part, at: number) => at < 2
  const isAddition = (_: Part, at: number) => at > 2
  const readings: Meaning[] = []
  for (const before of [[], first.filter(isAdjective)]) {
    for (const behind of [[], second.filter(isAddition)]) {
      const meanings = [all([...first, ...behind]), all([...second, ...before])]
      // A reading in which one of the two is no one is none.
      if (meanings.every((means) => whom(means).size > 0))
        readings.push(any(meanings.map((means) => ({ means }))))
    }
  }
  if (first[2]!.text !== '' && second[2]!.text !== '') return readings
  readings.push(all([...first, ...second]))
  const last = first.findLastIndex(({ text }) => text !== '')
  const next = second.findIndex(({ text }) => text !== '')
  const [one, other] = [first[last]!, second[next]!]
  const isOthers = last > 2 && next === 2
  if (one.kind === other.kind && !isOthers) {
    readings.push(
      all([...first.with(last, nothing), ...second.with(next, nothing), { means: any([one, other]) }]),
    )
  }
  return readings
}
