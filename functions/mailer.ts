import { mailSchema } from '../lib/interviews/model.ts'
import { resendFromEnvironment } from '../lib/interviews/resend.ts'
import { remoteFunction } from '../lib/platform/remote.ts'

const mailer = resendFromEnvironment()

/**
 * Sends an e-mail. It runs where there is a way out to the internet and none to the database; the send-email
 * function invokes it.
 */
export const handler = remoteFunction(mailSchema, (mail, options) => mailer.send(mail, options))
