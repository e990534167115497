import * as z from 'zod'
import { type Filter, filterSchema } from './filter.ts'
import { filterQuery } from './filter-query.ts'

/** What a question in plain English was taken for, together with the filters beside it. */
export const interpretationSchema = {
  interpreted: filterSchema,
  interpreted_query: z
    .string()
    .meta({ description: 'the same as a query string: GET /api/profiles takes it for the same list' }),
}
/** The same, for responses that have it only if a question was asked. */
export const optionalInterpretation = z.strictObject(interpretationSchema).partial().shape

/** A filter as the response to a question has it. */
export function interpretation(filter: Filter): { interpreted: Filter; interpreted_query: string } {
  return { interpreted: filter, interpreted_query: filterQuery(filter) }
}
