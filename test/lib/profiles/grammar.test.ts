import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { isInsightaError } from '../../../lib/platform/errors.ts'
import { vocabulary } from '../../../lib/profiles/english/vocabulary.ts'
import { canonicalFilter, type Filter, filterKey, filterParameters } from '../../../lib/profiles/filter.ts'
import { interpret } from '../../../lib/profiles/grammar.ts'
import { decodeFor } from '../../support/profiles.ts'
import { fc } from '../../support/properties.ts'
import { refusal } from '../../support/questions.ts'

const range = (min_age: number, max_age: number): Filter => ({ min_age, max_age })
/** Queries of one meaning. */
const same = (queries: readonly string[], filter: Filter) =>
  queries.map((query): [string, Filter] => [query, filter])
const from = (...country_id: string[]): Filter => ({ country_id })

function leftover(query: string): string[] {
  const { status, code, message, details } = refusal(query)
  expect({ status, code, message }).toEqual({
    status: 400,
    code: 'uninterpretable_query',
    message: 'Unable to interpret query',
  })
  // The last says what is understood.
  return details
    .slice(0, -1)
    .map((text) => /^"(.*?)" is not (?:understood|clear here)/.exec(text)?.[1] ?? text)
}

describe('the examples of the requirements', () => {
  it.each<[string, Filter]>([
    ['young males', { gender: 'male', ...range(16, 24) }],
    ['females above 30', { gender: 'female', min_age: 30 }],
    ['people from angola', from('AO')],
    ['adult males from kenya', { gender: 'male', ...range(20, 59), ...from('KE') }],
    ['male and female teenagers above 17', range(17, 19)],
    ['young males from nigeria', { gender: 'male', ...range(16, 24), ...from('NG') }],
    ['Nigerian females between ages 20 and 45', { gender: 'female', ...range(20, 45), ...from('NG') }],
    ['Women aged 20–45 living in Nigeria', { gender: 'female', ...range(20, 45), ...from('NG') }],
  ])('%s', (query, filter) => {
    expect(interpret(query)).toEqual(filter)
  })

  it('have one key with the parameters of the same meaning', () => {
    const parameters = decodeFor('gender=female&country_id=ng&min_age=20&max_age=45')
    const key = filterKey(canonicalFilter(z.strictObject(filterParameters).parse(parameters)))
    expect(filterKey(interpret('Nigerian females between ages 20 and 45'))).toBe(key)
    expect(filterKey(interpret('Women aged 20–45 living in Nigeria'))).toBe(key)
  })
})

describe('gender and group', () => {
  const male = 'male males man men boy boys guy guys gentleman gentlemen MEN'
  const female = 'female females woman women girl girls lady ladies Women’s'
  it.each<[string, Filter]>([
    ...same(male.split(' '), { gender: 'male' }),
    ...same(female.split(' '), { gender: 'female' }),
    ...same(['child', 'children', 'kids'], { max_age: 12 }),
    ...same(
      ['teens', 'Teenagers', 'teenage', 'youths', 'adolescents', 'people in their teens'],
      range(13, 19),
    ),
    ...same(['adults', 'grown-ups'], range(20, 59)),
    ...same(['seniors', 'senior citizens', 'elderly', 'elders', 'old people'], { min_age: 60 }),
    ['middle-aged people', range(40, 59)],
    ['men or women', {}],
    ['male, female', {}],
    ['male female', {}],
    ['people of both genders', {}],
    ['young adults', range(20, 24)],
    ['young teenagers', range(16, 19)],
    ['children and teenagers', { max_age: 19 }],
    ['adults or seniors', { min_age: 20 }],
    ['boys aged 5 years', { gender: 'male', ...range(5, 5) }],
  ])('%j', (query, filter) => {
    expect(interpret(query)).toEqual(filter)
  })
})

describe('ages', () => {
  const least30 = [
    ...[
      'above 30',
      'over 30',
      'older than 30',
      'more than 30',
      'greater than 30',
      'at least 30',
      '30+',
      '>= 30',
    ],
    ...[
      '30 and above',
      '30 or older',
      '30 years and over',
      '30 years old or more',
      '30 plus',
      '≥30',
      'aged 30+',
    ],
    ...['above the age of 30', 'over age 30', 'no younger than 30', 'not under 30', 'minimum age 30'],
    ...['age above thirty', 'whose age is at least 30', '30s and above', 'in their thirties or older'],
  ]
  const most45 = [
    ...[
      'below 45',
      'under 45',
      'younger than 45',
      'less than 45',
      'at most 45',
      'up to 45',
      'no more than 45',
    ],
    ...['45 and below', '45 or younger', '45 years or under', 'not over 45', 'no older than 45', '<=45'],
    ...[
      'under the age of forty-five',
      'aged up to forty five',
      'maximum age of 45',
      'not more than 45 years',
    ],
  ]
  const from20To45 = [
    ...['between 20 and 45', 'between ages 20 and 45', 'between the ages of 20 and 45', 'between 45 and 20'],
    ...[
      'aged 20-45',
      'aged 20–45',
      'aged 20—45',
      'aged 20 - 45',
      'ages 20 to 45',
      '20-45',
      '20 to 45 years old',
    ],
    ...[
      'from 20 to 45',
      'aged from 20 to 45',
      'aged between 20 and 45',
      'twenty to forty-five',
      '20–45-year-olds',
    ],
    ...['45 to 20', 'between twenty and forty five', 'over 20 and under 45', 'at least 20, at most 45'],
    ...['between 20-45', '20 through 45', 'in the age range 20-45', 'between 20 years and 45 years', '20−45'],
    ...['older than 20 and younger than 45', 'above 20 and below 45', 'age: 20–45'],
  ]
  it.each<[string, Filter]>([
    ...same(least30, { min_age: 30 }),
    ...same(most45, { max_age: 45 }),
    ...same(from20To45, range(20, 45)),
    ...same(['aged 25', 'age 25', '25 years old', '25-year-olds', 'twenty-five years of age'], range(25, 25)),
    ...same(['in their 30s', 'in their thirties', 'in the 30s', 'thirties', "30's"], range(30, 39)),
    ['twenties and thirties', range(20, 39)],
    ['in their 20s or in their 30s', range(20, 39)],
    ['20s to 40s', range(20, 49)],
    ['between one hundred and one hundred and ten', range(100, 110)],
    ['over one hundred and five', { min_age: 105 }],
    ['aged a hundred', range(100, 100)],
    ['at least one hundred fifty', { min_age: 150 }],
    ['aged 20-30 or aged 25-40', range(20, 40)],
    ['over 18 or under 60', {}],
    ['20 and older but under 45', range(20, 45)],
    ['at least 0', {}],
  ])('%j', (words, filter) => {
    expect(interpret(words)).toEqual(filter)
    expect(interpret(`women ${words}`)).toEqual({ gender: 'female', ...filter })
  })
})

describe('countries', () => {
  it('that share a name are both meant', () => {
    expect(interpret('Koreans')).toEqual(from('KP', 'KR'))
    expect(interpret('Congo')).toEqual(from('CD', 'CG'))
  })

  it.each<[string, Filter]>([
    ['males from Niger', { gender: 'male', ...from('NE') }],
    ['Nigeriens', from('NE')],
    ['people from Nigeria', from('NG')],
    ['people in Mali', from('ML')],
    ['people in Somalia', from('SO')],
    ['women', { gender: 'female' }],
    ['women from Oman', { gender: 'female', ...from('OM') }],
    ['man from the Isle of Man', { gender: 'male', ...from('IM') }],
    ['females', { gender: 'female' }],
    ['Ukraine', from('UA')],
    ['Mauritius', from('MU')],
    ['Guinea', from('GN')],
    ['Equatorial Guinea', from('GQ')],
    ['Papua New Guinea', from('PG')],
    ['Guinea-Bissau', from('GW')],
    ['Guinea, Guinea-Bissau and Equatorial Guinea', from('GN', 'GQ', 'GW')],
    ['Sudan or South Sudan', from('SD', 'SS')],
    ['DR Congo', from('CD')],
    ['the Democratic Republic of the Congo', from('CD')],
    ['the Republic of the Congo', from('CG')],
    ['South African women', { gender: 'female', ...from('ZA') }],
    ['Dominica', from('DM')],
    ['Dominican Republic', from('DO')],
    ['South Georgia and the South Sandwich Islands', from('GS')],
    ['Georgia', from('GE')],
    ['American Samoans', from('AS')],
    ['Cote d’Ivoire', from('CI')],
    ['Ivory Coast', from('CI')],
    ['St. Lucia', from('LC')],
    ['Trinidad & Tobago', from('TT')],
    ['U.K.', from('GB')],
    ['British people', from('GB')],
    ['American people', from('US')],
    ['DRC', from('CD')],
    ["Kenya's women", { gender: 'female', ...from('KE') }],
    ['based in Ghana', from('GH')],
    ['who live in Ghana', from('GH')],
    ['citizens of Ghana', from('GH')],
    ['from Nigeria or Ghana', from('GH', 'NG')],
    ['Nigeria, Ghana, and Kenya', from('GH', 'KE', 'NG')],
    ['both Nigerian and Ghanaian women', { gender: 'female', ...from('GH', 'NG') }],
    ['people from Nigeria and people from Ghana', from('GH', 'NG')],
    ['Nigeria/Ghana', from('GH', 'NG')],
    ['Nigerians from Nigeria', from('NG')],
  ])('%j', (query, filter) => {
    expect(interpret(query)).toEqual(filter)
  })

  it.each<[string, Filter]>([
    ['males aged 16 to 24 from NG', { gender: 'male', ...range(16, 24), ...from('NG') }],
    ['NG males', { gender: 'male', ...from('NG') }],
    ['from ng, gh or ke', from('GH', 'KE', 'NG')],
    ['people from us', from('US')],
    ['people in the US', from('US')],
    ['US men', { gender: 'male', ...from('US') }],
    ['show US men', { gender: 'male', ...from('US') }],
    ['show us men', { gender: 'male' }],
    ['SHOW US MEN', { gender: 'male' }],
    ['WOMEN IN NIGERIA', { gender: 'female', ...from('NG') }],
    ['WOMEN FROM NG', { gender: 'female', ...from('NG') }],
    ['people from IN or NO', from('IN', 'NO')],
    ['males IN Nigeria', { gender: 'male', ...from('NG') }],
    ['AT LEAST 30', { min_age: 30 }],
    ['MEN IN THEIR 30s IN US', { gender: 'male', ...range(30, 39), ...from('US') }],
    ['NO MORE THAN 30', { max_age: 30 }],
  ])('have codes that ordinary words never become: %j', (query, filter) => {
    expect(interpret(query)).toEqual(filter)
  })

  it.each([
    ['all of us', ['us']],
    ['us males', ['us']],
    ['ng males', ['ng']],
    ['HR people', ['HR']],
    ['men NO kids', ['NO']],
    ['people in my country', ['my']],
    ['people in it', ['it']],
    ['PEOPLE IN IT', ['IT']],
    ['XK people', ['XK']],
    ['Nigeriana', ['Nigeriana']],
    ['England', ['England']],
    ['New Jersey', ['New']],
  ])('%j leaves %j over', (query, words) => {
    const found = leftover(query)
    expect(found).toEqual(expect.arrayContaining(words))
  })
})

describe('what is not understood', () => {
  it.each([
    ['males with high probability', ['high', 'probability']],
    ['people not from Nigeria', ['not']],
    ['Nigerian professionals', ['professionals']],
    ['males 25', ['25']],
    ['above -5', ['above', '-', '5']],
    ['aged 20.5', ['aged', '20.5']],
    ['over 1,000', ['over', '1,000']],
    ['between 20', ['between', '20']],
    ['over', ['over']],
    ['women from', ['from']],
    ['from women', ['from']],
    ['women and', ['and']],
    ['or women', ['or']],
    ['30ish', ['30ish']],
    ["'; drop table profiles; --", ['drop', 'table']],
    ['over 20 and under 30 or over 60', ['or']],
    ['teenagers and above 17', ['and']],
    ['aged 18 and under 60', ['and']],
    ['мale', ['мale']],
  ])('in %j is named', (query, words) => {
    const found = leftover(query)
    if (words.length === 1) expect(found).toEqual(words)
    else expect(found.slice(0, words.length)).toEqual(words)
  })

  it.each(['', '  ', '?!', 'the', 'show me', ','])('is %j, which names nobody', (query) => {
    expect(leftover(query)).toEqual(['names nobody to look for'])
  })

  it.each(['men\u0000', 'men\u000bwomen', '\u001b[31mmen', 'men\u0085'])(
    'is %j with its control character',
    (query) => {
      expect(leftover(query)).toEqual(['must not contain control characters'])
    },
  )

  it('is not the question for everybody', () => {
    expect(interpret('all people')).toEqual({})
    expect(interpret('Show me everyone, please!')).toEqual({})
  })
})

describe('contradictions', () => {
  it.each([
    ['young females above 30', '"young" (16 to 24) contradicts "above 30" (30 and over)'],
    ['above 45 and below 20', '"above 45" (45 and over) contradicts "below 20" (0 to 20)'],
    ['children over 60', '"children" (0 to 12) contradicts "over 60" (60 and over)'],
    ['Nigerians from Ghana', '"Nigerians" contradicts "from Ghana"'],
    ['men from Nigeria over 30 women', '"men" contradicts "women"'],
    ['aged 20 and 45', '"aged 20 and 45" leaves out ages 21 to 44: ask for one range'],
    ['children and seniors', '"children" and "seniors" leave out ages 13 to 59: ask for one range'],
    ['over 151', '"over 151": ages are 0 to 150'],
    ['between 20 and 99999999999999999999', '"between 20 and 99999999999999999999": ages are 0 to 150'],
  ])('%j is 422: %s', (query, message) => {
    expect(refusal(query)).toMatchObject({ status: 422, code: 'invalid_value', message })
  })
})

describe('any question', () => {
  it('gets a filter or one of our errors, whatever its text', () => {
    const word = fc.constantFrom(
      ...vocabulary.keys(),
      'between',
      'above',
      '20',
      '45s',
      '-',
      ',',
      'one',
      'hundred',
      'NG',
      'us',
      '+',
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 600 }),
      fc.string({ unit: 'grapheme', maxLength: 200 }),
      fc.array(word, { maxLength: 60 }).map((words) => words.join(' ')),
    )
    fc.assert(
      fc.property(text, (query) => {
        try {
          expect(canonicalFilter(interpret(query))).toEqual(interpret(query))
        } catch (error) {
          expect(isInsightaError(error), String(error)).toBe(true)
          expect([400, 422]).toContain((error as { status: number }).status)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('over 500 characters is refused unread', () => {
    expect(refusal('men '.repeat(2500))).toMatchObject({
      status: 422,
      details: ['must have at most 500 characters'],
    })
    expect(interpret('men '.repeat(125))).toEqual({ gender: 'male' })
    expect(refusal('\ufdfa'.repeat(100))).toMatchObject({ status: 422 })
  })

  it('is read in a number of steps that grows with its length, not its square', () => {
    // 500 characters of the worst there is; the reads of a token are counted instead of seconds.
    for (const worst of [
      'in ',
      'a ',
      ', ',
      '1,111,',
      'one hundred and ',
      'the democratic ',
      '- ',
      'no more ',
    ]) {
      const query = worst.repeat(500 / worst.length)
      let steps = 0
      const original = Map.prototype.get
      const counted = function (this: Map<unknown, unknown>, key: unknown): unknown {
        steps++
        return original.call(this, key)
      }
      Map.prototype.get = counted
      try {
        interpret(query)
      } catch (error) {
        if (!isInsightaError(error)) throw error
      } finally {
        Map.prototype.get = original
      }
      expect(steps, worst).toBeLessThan(200 * query.length)
    }
  })
})
