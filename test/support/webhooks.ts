import { createHash } from 'node:crypto'
import { AccessToken } from 'livekit-server-sdk'
import { Webhook } from 'standardwebhooks'
import type { WebhookSecrets } from '../../lib/interviews/webhook-signatures.ts'

/** What the senders of these tests sign with. */
export const webhookKeys = {
  agent: { webhook_secret: `whsec_${Buffer.from('secret of the agent').toString('base64')}` },
  resend: { webhook_secret: Buffer.from('secret of Resend').toString('base64') },
  livekit: { api_key: 'APIkey', api_secret: 'secret of LiveKit, which is not short' },
}

export const testSecrets: WebhookSecrets = {
  agent: async () => webhookKeys.agent,
  resend: async () => webhookKeys.resend,
  livekit: async () => webhookKeys.livekit,
}

export type SignOptions = { secret?: string; at?: Date }

function standardHeaders(prefix: string, id: string, body: string, secret: string, at = new Date()) {
  return {
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: String(Math.floor(at.getTime() / 1000)),
    [`${prefix}-signature`]: new Webhook(secret).sign(id, at, body),
  }
}

export function agentHeaders(id: string, body: string, { secret, at }: SignOptions = {}) {
  return standardHeaders('webhook', id, body, secret ?? webhookKeys.agent.webhook_secret, at)
}

export function resendHeaders(id: string, body: string, { secret, at }: SignOptions = {}) {
  return standardHeaders('svix', id, body, secret ?? webhookKeys.resend.webhook_secret, at)
}

export async function livekitHeaders(body: string, { secret }: SignOptions = {}) {
  const token = new AccessToken(webhookKeys.livekit.api_key, secret ?? webhookKeys.livekit.api_secret)
  token.sha256 = createHash('sha256').update(body).digest('base64')
  return { authorization: await token.toJwt(), 'content-type': 'application/webhook+json' }
}
