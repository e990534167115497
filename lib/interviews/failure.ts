import * as z from 'zod'
import { InsightaError, UpstreamRefusedError } from '../platform/errors.ts'

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

/** Thrown when work can never succeed as things are: its row becomes failed, and says this code and message. */
export class FinalError extends InsightaError {
  constructor(code: string, message: string, cause?: unknown) {
    super(message, { code, status: 422, cause })
  }
}
