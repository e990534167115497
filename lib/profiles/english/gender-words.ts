import type { Gender } from '../profile.ts'
import type { Form, Stage } from './vocabulary.ts'

/** Words for people of one gender, one or many; comma-separated. */
export const genderWords: readonly { gender: Gender; form: Form; stage?: Stage; words: string }[] = [
  { gender: 'male', form: 'adjective', words: 'male' },
  { gender: 'male', form: 'noun', words: 'males, guy, guys, dude, dudes' },
  { gender: 'male', form: 'noun', stage: 'adult', words: 'man, men, gentleman, gentlemen' },
  { gender: 'male', form: 'noun', stage: 'child', words: 'boy, boys' },
  { gender: 'female', form: 'adjective', words: 'female' },
  { gender: 'female', form: 'noun', words: 'females' },
  { gender: 'female', form: 'noun', stage: 'adult', words: 'woman, women, lady, ladies' },
  { gender: 'female', form: 'noun', stage: 'child', words: 'girl, girls' },
]

let genders: Map<string, Gender> | undefined

/** The gender that one word of English says, in any case: `women`, `Boy`; undefined for any other text. */
export function genderOfWord(word: string): Gender | undefined {
  genders ??= new Map(
    genderWords.flatMap(({ gender, words }) => words.split(', ').map((each) => [each, gender] as const)),
  )
  return genders.get(word.toLowerCase())
}
