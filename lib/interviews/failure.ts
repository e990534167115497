import * as z from 'zod'
import { type InsightaError, UpstreamRefusedError } from '../platform/errors.ts'

/** Why work failed, as its row keeps it and the API shows it. */
export const failureSchema = z.strictObject({
  code: z.string(),
  message: z.string(),
  service: z.string().optional().meta({ description: 'The third party that refused the call' }),
})
export type Failure = z.output<typeof failureSchema>

export function failureOf(error: InsightaError): Failure {
  const { code, message } = error
  if (!(error instanceof UpstreamRefusedError)) return { code, message }
  return { code, message, service: error.service.toLowerCase() }
}
