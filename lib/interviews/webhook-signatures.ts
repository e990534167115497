import { createHash } from 'node:crypto'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'
import * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import { ConfigurationError, InsightaError, UnauthorizedError, UnavailableError } from '../platform/errors.ts'
import { env } from '../platform/names.ts'
import { secretJson } from '../platform/secrets.ts'

export const webhookSources = ['livekit', 'agent', 'resend'] as const
export type WebhookSource = (typeof webhookSources)[number]

/** Thrown when a webhook is not by who it says, is not as it was signed, or is older than 5 minutes: 401. */
export class InvalidSignatureError extends InsightaError {
  /** What was wrong, for the operator; whoever forges one is told nothing. */
  readonly check: string

  constructor(check: string) {
    super('The signature is not valid', {
      code: 'invalid_signature',
      status: 401,
      headers: { 'WWW-Authenticate': 'Signature' },
    })
    this.check = check
  }
}

/** Reads what each sender signs with. Each rejects with ConfigurationError where its secret is not set. */
export type WebhookSecrets = {
  agent(): Promise<{ webhook_secret: string }>
  resend(): Promise<{ webhook_secret: string }>
  livekit(): Promise<{ api_key: string; api_secret: string }>
}

const standardSecret = z.object({ webhook_secret: z.string().min(1) })
const livekitSecret = z.object({ api_key: z.string().min(1), api_secret: z.string().min(1) })

/** The secrets that the environment names. */
export function webhookSecrets(): WebhookSecrets {
  return {
    agent: async () => secretJson(requiredEnv(env.agentSecretArn), standardSecret),
    resend: async () => secretJson(requiredEnv(env.resendSecretArn), standardSecret),
    livekit: async () => secretJson(requiredEnv(env.livekitSecretArn), livekitSecret),
  }
}

export type Headers = Readonly<Record<string, string | undefined>>

/**
 * The sender's id of an event whose signature holds for this body and is at most 5 minutes old. Rejects with
 * InvalidSignatureError. A secret that is missing or cannot be read lets nobody in: UnavailableError, since
 * senders come back after a 503, by when it may be set, and give a 401 up.
 */
export async function verifyWebhook(
  source: WebhookSource,
  body: string,
  headers: Headers,
  secrets: WebhookSecrets,
): Promise<string> {
  if (source === 'livekit') return verifyLivekit(body, headers, await known(source, secrets.livekit))
  const { webhook_secret } = await known(source, secrets[source])
  return verifyStandard(source, body, headers, webhook_secret)
}

async function known<T>(source: WebhookSource, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw notVerifiable(source, error)
  }
}

function notVerifiable(source: WebhookSource, cause: unknown): UnavailableError {
  return new UnavailableError(`Webhooks of ${source} cannot be verified now`, cause, 60)
}

/** Resend signs by Svix, whose scheme became the standard and whose headers kept its name. */
const prefixes = { agent: 'webhook', resend: 'svix' } as const

/** The secret may be several, with blanks between them: while it is replaced both the old and the new hold. */
function verifyStandard(
  source: keyof typeof prefixes,
  body: string,
  headers: Headers,
  secret: string,
): string {
  const prefix = prefixes[source]
  const id = headers[`${prefix}-id`]
  if (!id) throw new InvalidSignatureError(`There is no ${prefix}-id`)
  const signed = {
    'webhook-id': id,
    'webhook-timestamp': headers[`${prefix}-timestamp`] ?? '',
    'webhook-signature': headers[`${prefix}-signature`] ?? '',
  }
  const checks = secret
    .split(/\s+/)
    .filter((part) => part !== '')
    .map((part) => failedCheck(webhookOf(source, part), body, signed))
  if (checks.length === 0)
    throw notVerifiable(source, new ConfigurationError(`${source} has an empty secret`))
  if (!checks.includes(undefined)) throw new InvalidSignatureError(checks[0]!)
  return eventId(id)
}

function webhookOf(source: WebhookSource, secret: string): Webhook {
  try {
    return new Webhook(secret)
  } catch {
    // The library's own message may quote the secret.
    const cause = new ConfigurationError(`The webhook_secret of ${source} is not base64`)
    throw notVerifiable(source, cause)
  }
}

/** What is wrong with a signature; undefined where nothing is. */
function failedCheck(webhook: Webhook, body: string, headers: Record<string, string>): string | undefined {
  try {
    webhook.verify(body, headers, { jsonParse: false })
    return undefined
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message
    throw error
  }
}

async function verifyLivekit(
  body: string,
  { authorization }: Headers,
  { api_key, api_secret }: { api_key: string; api_secret: string },
): Promise<string> {
  // Its SDK is large, and nobody else's webhooks need it.
  const { verifyLivekitWebhook } = await import('./livekit.ts')
  try {
    const event = await verifyLivekitWebhook(body, authorization, { apiKey: api_key, apiSecret: api_secret })
    return eventId(event.id || sha256(body))
  } catch (error) {
    if (error instanceof UnauthorizedError) throw new InvalidSignatureError(error.message)
    throw error
  }
}

/** Bounded, since an index holds it, and without U+0000, which PostgreSQL does not store. */
function eventId(id: string): string {
  return id.length <= 200 && !/\p{Cc}/u.test(id) ? id : sha256(id)
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
