import * as z from 'zod'
import { liftSchema, mailSchema } from '../lib/interviews/model.ts'
import { resendFromEnvironment } from '../lib/interviews/resend.ts'
import { remoteFunction } from '../lib/platform/remote.ts'

const resend = resendFromEnvironment()

/**
 * Sends an e-mail, or takes an address off Resend's own list. It runs where there is a way out to the internet and
 * none to the database; the functions send-email and candidates invoke it.
 */
export const handler = remoteFunction(z.union([mailSchema, liftSchema]), async (request, options) => {
  if (!('lift' in request)) return resend.send(request, options)
  await resend.remove(request.lift, options)
  return null
})
