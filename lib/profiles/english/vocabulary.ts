import { type AgeGroup, ageGroups, type Gender, maxAge } from '../profile.ts'
import { genderWords } from './gender-words.ts'
import { Phrases } from './tokens.ts'

/**
 * How a condition stands in a sentence: as the people themselves ("men"), before them or alone ("young",
 * "Kenyan"), or as something added about them ("from Kenya", "over 30").
 */
export type Form = 'noun' | 'adjective' | 'attribute'
/** Whom a word for people of one gender means besides: only said where both stand in one list. */
export type Stage = 'child' | 'adult'
export type FieldKind = 'gender' | 'country' | 'ages'

/** What a phrase does in a query. A `subject` stands for people and says nothing else about them. */
export type WordMeaning =
  | { kind: 'gender'; genders: readonly Gender[]; form: Form; stage?: Stage }
  | { kind: 'ages'; from: number; to: number; form: Form }
  | { kind: 'join'; by: 'and' | 'or' | 'but' }
  | { kind: 'field'; of: FieldKind }
  | {
      /**
       * `all` is a filler that means everybody if it stands alone; `request` only opens a query; `relative`
       * says that what follows is about the people before it; `older` and `younger` compare with nothing.
       */
      kind:
        | 'place'
        | 'of'
        | 'with'
        | 'filler'
        | 'all'
        | 'request'
        | 'relative'
        | 'subject'
        | 'equals'
        | 'based'
        | 'older'
        | 'younger'
    }

/** Only for asking: no profile is stored as young or middle-aged. */
const young = { from: 16, to: 24 }
const middleAged = { from: 40, to: 59 }

function group(name: AgeGroup, form: Form): WordMeaning {
  const [from, to] = ageGroups[name]
  return { kind: 'ages', from, to, form }
}

function field(of: FieldKind, names: string): readonly [WordMeaning, string] {
  const prefixes = ['', 'the ', 'whose ']
  return [
    { kind: 'field', of },
    names
      .split(', ')
      .flatMap((name) => prefixes.map((prefix) => prefix + name))
      .join(', '),
  ]
}

const entries: readonly (readonly [WordMeaning, string])[] = [
  ...genderWords.map(({ words, gender, form, stage }) => {
    return [{ kind: 'gender', genders: [gender], form, ...(stage && { stage }) }, words] as const
  }),
  [
    { kind: 'gender', genders: ['female', 'male'], form: 'attribute' },
    'both genders, both sexes, any gender, any sex, either gender, either sex, all genders, of both genders, of both sexes, of any gender, of any sex, of either gender, of either sex, of all genders',
  ],
  [{ kind: 'ages', ...young, form: 'adjective' }, 'young'],
  [{ kind: 'ages', from: ageGroups.adult[0], to: young.to, form: 'noun' }, 'young adult, young adults'],
  [group('child', 'adjective'), 'child, kid'],
  [group('child', 'noun'), 'children, kids, young child, young children, young kid, young kids'],
  [group('teenager', 'adjective'), 'teen, teenage, teenaged, teenager, youth, adolescent'],
  [group('teenager', 'noun'), 'teenagers, teens, youths, adolescents'],
  [group('teenager', 'attribute'), 'in their teens, in his teens, in her teens'],
  [group('adult', 'adjective'), 'adult, grownup, grown up'],
  [group('adult', 'noun'), 'adults, grownups, grown ups'],
  [{ kind: 'ages', ...middleAged, form: 'adjective' }, 'middle aged, middle age'],
  [group('senior', 'adjective'), 'senior, elderly, elder, old'],
  [group('senior', 'noun'), 'seniors, senior citizen, senior citizens, elders, older adult, older adults'],
  [
    { kind: 'ages', from: 0, to: maxAge, form: 'attribute' },
    'any age, all ages, every age, of any age, of all ages, of every age',
  ],
  [{ kind: 'older' }, 'older'],
  [{ kind: 'younger' }, 'younger'],
  [{ kind: 'join', by: 'and' }, 'and, as well as, plus, +'],
  [{ kind: 'join', by: 'or' }, 'or, and or'],
  [{ kind: 'join', by: 'but' }, 'but'],
  [
    { kind: 'place' },
    'from, in, within, inside, across, throughout, living in, living within, live in, lives in, based in, located in, situated in, residing in, reside in, resides in, resident in, coming from, come from, comes from, hailing from, hail from, hails from, originating from, originate from',
  ],
  [{ kind: 'of' }, 'of'],
  [{ kind: 'with' }, 'with, having'],
  [{ kind: 'based' }, 'based'],
  [{ kind: 'equals' }, '='],
  field('gender', 'gender, sex, genders'),
  field(
    'country',
    'country, countries, country_id, country id, country code, country_code, country name, country of origin, country of residence, nation, nationality, citizenship, location, home country',
  ),
  field('ages', 'age group, age_group, age groups, age bracket, age range, age category'),
  [{ kind: 'field', of: 'ages' }, 'in age group, in the age group, of the age group'],
  [
    { kind: 'all' },
    'all, all of, all of the, all the, from any country, from all countries, from every country, in any country, in all countries, in every country, all countries',
  ],
  [
    { kind: 'request' },
    'hello, hi, hey, show, show me, show us, list, lists, list of, list out, find, find me, find us, get, get me, give me, give us, fetch, display, search, search for, look for, look up, bring me, pull up, provide, return, retrieve, view, select, filter, filter by, filter for, see, know, tell me, let me see, let’s see, help me, want, need',
  ],
  [
    { kind: 'request' },
    'count, count of, number of, total, total of, total number of, how many, how many of, what, what is, what are, which of',
  ],
  [
    { kind: 'request' },
    'can you, could you, do you know, does, have you got, i only want, i just want, i wish to, i’d love to, i would love to, would you, will you, can i, could i, may i, can we, i want, i want to, we want, we want to, i need, i need to, we need, we need to, i would like, i would like to, we would like, we would like to, i’d like, i’d like to, we’d like, we’d like to',
  ],
  [
    { kind: 'request' },
    'looking for, searching for, i am looking for, i’m looking for, we are looking for, we’re looking for, i am searching for, i’m searching for, interested in, i am interested in, i’m interested in, results for, data on, data for, information on, information about, details of',
  ],
  [
    { kind: 'filler' },
    'any, any of the, every, each, both, either, some, some of the, the, a, an, there, there are, there is, are there, is there, do we have, do you have, do i have, only, just, currently, now, presently, originally, also, please, thanks, thank you, in total, in the database, in the system, or both',
  ],
  [{ kind: 'relative' }, 'who, that, which, is, are, who’re, that’re'],
  [
    { kind: 'subject' },
    'people, person, persons, profile, profiles, individual, individuals, everyone, everybody, anyone, anybody, someone, somebody, everything, those, folk, folks, human, humans, citizen, citizens, resident, residents, inhabitant, inhabitants, national, nationals, population, record, records',
  ],
]

/** The closed list of words that are neither countries nor ages in numbers. */
export const vocabulary = new Phrases<WordMeaning>()
for (const [meaning, list] of entries) for (const phrase of list.split(', ')) vocabulary.set(phrase, meaning)
