import * as z from 'zod'
import { UnprocessableError } from '../platform/errors.ts'
import { readPieces, uninterpretable } from './english/pieces.ts'
import { meaningOfSentence } from './english/sentence.ts'
import { readTerms } from './english/terms.ts'
import { plainText, tokenise } from './english/tokens.ts'
import { canonicalFilter, type Filter } from './filter.ts'
import type { Gender } from './profile.ts'

/** Characters (UTF-16 units) of a query at the most. */
export const maxQueryLength = 500
const tooLong = `must have at most ${maxQueryLength} characters`

/** The query parameter `q`, for the schema of a route. */
export const searchText = z
  .string()
  .max(maxQueryLength, tooLong)
  .meta({
    description: 'plain English about gender, age and country',
    examples: ['Nigerian females between ages 20 and 45'],
  })

/**
 * The canonical filter that a query in plain English means. Throws BadRequestError `uninterpretable_query`
 * naming what is not understood, and UnprocessableError where its conditions contradict each other, no filter
 * can express them or a number is no age. Nothing is guessed and nothing left out.
 */
export function interpret(query: string): Filter {
  const text = query.length > maxQueryLength ? query : plainText(query)
  // A few characters stand for whole phrases: U+FDFA is 18 letters.
  if (text.length > maxQueryLength) {
    throw new UnprocessableError(tooLong, [{ field: 'q', message: tooLong }])
  }
  if (/\p{Cc}/u.test(text)) throw uninterpretable(['must not contain control characters'])
  const { items, namesPeople } = readTerms(readPieces(tokenise(text)))
  if (!namesPeople) throw uninterpretable(['names nobody to look for'])
  const meaning = meaningOfSentence(items)
  const [gender, countries, ages] = (['gender', 'country', 'ages'] as const).map((kind) => meaning.get(kind))
  const years = ages && ([...ages] as number[])
  return canonicalFilter({
    gender: gender?.size === 1 ? ([...gender][0] as Gender) : undefined,
    country_id: countries && ([...countries] as string[]),
    min_age: years && Math.min(...years),
    max_age: years && Math.max(...years),
  })
}
