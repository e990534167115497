import * as z from 'zod'
import { databaseUnavailable } from '../db.ts'
import { type InsightaError, isInsightaError, UnavailableError } from '../errors.ts'
import type { Answer } from './route.ts'

/** The body of every error answer. */
export const errorSchema = z
  .strictObject({
    status: z.literal('error'),
    code: z.string().meta({ description: 'snake_case and stable: clients branch on it' }),
    message: z.string().meta({ description: 'For people' }),
    request_id: z.string(),
    details: z
      .array(z.strictObject({ field: z.string().optional(), message: z.string() }))
      .optional()
      .meta({ description: 'There where fields are to blame' }),
  })
  .meta({ id: 'Error' })

/** What API Gateway answers by itself: a body too large, too many calls, a function that failed or is busy. */
export const gatewayErrorSchema = z.strictObject({ message: z.string() }).meta({ id: 'GatewayError' })

/**
 * The error to show for whatever was thrown: itself if it was meant for callers, 503 if the database is
 * away, and undefined for a defect, of which nothing may be shown.
 */
export function shownError(error: unknown): InsightaError | undefined {
  if (isInsightaError(error)) return error.status === 500 ? undefined : error
  if (databaseUnavailable(error)) return new UnavailableError('The database does not answer', error)
  return undefined
}

/** The envelope of an error; undefined stands for a defect. */
export function errorAnswer(error: InsightaError | undefined, requestId: string): Answer {
  const body = {
    status: 'error',
    code: error?.code ?? 'internal_error',
    message: error?.message ?? 'An internal error occurred',
    request_id: requestId,
    ...(error?.details && { details: error.details }),
  }
  const headers = { ...error?.headers, 'cache-control': 'no-store' }
  return { status: error?.status ?? 500, headers, body }
}
