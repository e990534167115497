import { type ErrorResponse, Resend } from 'resend'
import * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import { UpstreamUnavailableError } from '../platform/errors.ts'
import { env } from '../platform/names.ts'
import { createThirdParty, type ThirdPartyOptions } from '../platform/outside.ts'
import { parseRetryAfter } from '../platform/retry-after.ts'
import { secretJson } from '../platform/secrets.ts'
import { isTransientStatus } from '../platform/transient.ts'
import { liftName, type Mail, type Mailer, type SuppressionList, sendName } from './model.ts'
import { isSpentQuota, resendRefusal } from './refusals.ts'

const service = 'Resend'

const secretSchema = z.object({ api_key: z.string().min(1) })

export type ResendOptions = Pick<ThirdPartyOptions, 'timeout' | 'retry'> & {
  apiKey(): Promise<string>
  /** The sender, as `Insighta <interviews@example.com>`. */
  from: string
  /** Default: Resend's own. */
  baseUrl?: string | undefined
}

/** Sends by Resend, and sees to its list. The SDK makes one call and no retry: those are createThirdParty's. */
export function createResendMailer({
  apiKey,
  from,
  baseUrl,
  ...options
}: ResendOptions): Mailer & SuppressionList {
  const party = createThirdParty({
    service,
    timeout: options.timeout ?? 10_000,
    retry: { jitter: 'full', ...options.retry },
  })

  return {
    async send({ id, to, subject, html, text, attachments }, call) {
      const resend = new Resend(await apiKey(), baseUrl ? { baseUrl } : {})
      const mail = {
        from,
        to,
        subject,
        html,
        text,
        tags: [{ name: 'email_id', value: id }],
        ...(attachments && { attachments: attachments.map(encoded) }),
      }
      return party.call(
        sendName,
        async (signal) => {
          // The SDK hands all options on to fetch, which its types do not say.
          const request = { idempotencyKey: id, signal }
          const { data, error, headers } = await resend.emails.send(mail, request)
          if (error) throw resendError(error, headers)
          if (!data.id) throw new UpstreamUnavailableError('Resend answered without an id')
          return { provider_id: data.id }
        },
        call,
      )
    },

    async remove(address, call) {
      const resend = new Resend(await apiKey(), baseUrl ? { baseUrl } : {})
      await party.call(
        liftName,
        async (signal) => {
          const request = { signal }
          const { error, headers } = await resend.suppressions.remove(address, request)
          if (error && error.statusCode !== 404) throw resendError(error, headers)
        },
        call,
      )
    },
  }
}

function encoded({ filename, content_type, content }: NonNullable<Mail['attachments']>[number]) {
  return { filename, contentType: content_type, content: Buffer.from(content, 'utf8').toString('base64') }
}

/** Resend with the settings of the environment. Throws ConfigurationError where one is missing. */
export function resendFromEnvironment(): Mailer & SuppressionList {
  const arn = requiredEnv(env.resendSecretArn)
  return createResendMailer({
    apiKey: async () => (await secretJson(arn, secretSchema)).api_key,
    from: requiredEnv(env.mailFrom),
    baseUrl: process.env[env.resendUrl],
  })
}

/** A first attempt under the same key is not finished yet. */
const stillSending = 'concurrent_idempotent_requests'

/** Without the message, which may quote an address. */
function resendError(error: ErrorResponse, headers: Record<string, string> | null): Error {
  const { statusCode: status } = error
  const name = /^\w{1,60}$/.test(error.name) ? error.name : 'unnamed'
  // No answer, or one of somebody in between, which has no form. The key makes one more attempt harmless.
  if (typeof status !== 'number') return new Error(`Resend did not answer (${name})`)
  if ((isTransientStatus(status) && !isSpentQuota(name)) || name === stillSending) {
    const retryAfterMs = parseRetryAfter(headers?.['retry-after'], Date.now())
    return new UpstreamUnavailableError(`Resend answered ${status} (${name})`, { retryAfterMs })
  }
  return resendRefusal(status, name, error.message)
}
