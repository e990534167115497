import { type AgeGroup, ageGroups, type Gender } from './profile.ts'
import { Phrases } from './tokens.ts'

/** What a phrase does in a query. A `subject` stands for people and says nothing else about them. */
export type WordMeaning =
  | { kind: 'gender'; genders: readonly Gender[] }
  | { kind: 'ages'; from: number; to: number }
  | { kind: 'join'; by: 'and' | 'or' }
  | { kind: 'place' | 'filler' | 'of' | 'subject' }

/** Only for asking: no profile is stored as young. */
const young = [16, 24] as const

function group(name: AgeGroup): WordMeaning {
  const [from, to] = ageGroups[name]
  return { kind: 'ages', from, to }
}

const entries: readonly (readonly [WordMeaning, string])[] = [
  [
    { kind: 'gender', genders: ['male'] },
    'male, males, man, men, boy, boys, guy, guys, gentleman, gentlemen',
  ],
  [{ kind: 'gender', genders: ['female'] }, 'female, females, woman, women, girl, girls, lady, ladies'],
  [
    { kind: 'gender', genders: ['female', 'male'] },
    'both genders, both sexes, any gender, any sex, either gender, either sex, all genders',
  ],
  [{ kind: 'ages', from: young[0], to: young[1] }, 'young'],
  [group('child'), 'child, children, kid, kids'],
  [
    group('teenager'),
    'teenager, teenagers, teenage, teenaged, teen, teens, in their teens, in his teens, in her teens, youth, youths, adolescent, adolescents',
  ],
  [group('adult'), 'adult, adults, grownup, grownups, grown up, grown ups, middle aged'],
  [group('senior'), 'senior, seniors, senior citizen, senior citizens, elderly, elder, elders, old'],
  [{ kind: 'join', by: 'and' }, 'and, as well as, but'],
  [{ kind: 'join', by: 'or' }, 'or, and or'],
  [
    { kind: 'place' },
    'from, in, within, living in, live in, lives in, based in, located in, residing in, reside in, resides in, resident in, coming from, come from, comes from, hailing from',
  ],
  [{ kind: 'of' }, 'of'],
  [
    { kind: 'filler' },
    'show, show me, show us, list, find, find me, get, get me, give me, give us, fetch, display, search, search for, look for, looking for, i want, i need, please, all, any, every, each, both, either, the, a, an, who, that, which, whose, is, are, with, having',
  ],
  [
    { kind: 'subject' },
    'people, person, persons, profile, profiles, individual, individuals, everyone, everybody, anyone, anybody, folk, folks, human, humans, citizen, citizens, resident, residents, inhabitant, inhabitants, national, nationals, population',
  ],
]

/** The closed list of words that are neither countries nor ages in numbers. */
export const vocabulary = new Phrases<WordMeaning>()
for (const [meaning, list] of entries) for (const phrase of list.split(', ')) vocabulary.set(phrase, meaning)
