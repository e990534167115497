import { setTimeout } from 'node:timers/promises'

/** Whose secret signs a webhook. */
export type SigningSecret = 'resend' | 'livekit' | 'agent'

export type Outgoing = {
  /** Webhooks go to `<this>/webhooks/<who sends>`. */
  gatewayUrl: string
  /** The fields of the secret. Throws where there is none. */
  secret(name: SigningSecret): Record<string, string>
}

/** The headers that sign a body at this moment. */
export type Sign = (
  secret: Record<string, string>,
) => Record<string, string> | Promise<Record<string, string>>

export type Webhook = {
  /** Whose secret signs it, and the last part of its path. */
  from: SigningSecret
  /** Sent to the byte. */
  body: string
  /** Called anew for each attempt. */
  sign: Sign
}

export type WebhookSender = {
  /** The fields of a secret. Throws where there is none. */
  secret(name: SigningSecret): Record<string, string>
  /** One attempt: the status that it got. Rejects where there is no secret, or nobody answers. */
  send(webhook: Webhook): Promise<number>
  /**
   * Resolves after the first attempt; where that fails, goes on behind it until one succeeds or the waits are used
   * up. Never rejects: what is not sent is logged.
   */
  deliver(webhook: Webhook): Promise<void>
}

export type WebhookSenderOptions = {
  outgoing?(): Outgoing
  /** Ends what is on its way and forgets what waits. */
  signal: AbortSignal
  log(line: string): void
  waitsMs?: readonly number[]
}

/** Thrown where a webhook cannot even be tried: another attempt would not help. */
class CannotSignError extends Error {
  override readonly name = 'CannotSignError'
}

/** As Svix does, though it goes on for hours: https://docs.svix.com/retries */
const defaultWaitsMs = [5000, 30_000, 300_000]
/** Of one attempt; Svix's own. */
const timeoutMs = 15_000

/** Sends webhooks to the gateway, as the third parties do. */
export function createWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { outgoing, signal, log, waitsMs = defaultWaitsMs } = options

  async function send({ from, body, sign }: Webhook): Promise<number> {
    if (!outgoing) throw new CannotSignError('nobody said where they go')
    const { gatewayUrl, secret } = outgoing()
    const headers = await signed(sign, () => secret(from))
    const response = await fetch(`${gatewayUrl}/webhooks/${from}`, {
      method: 'POST',
      headers,
      body,
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    await response.arrayBuffer()
    return response.status
  }

  /** Whether that was the last attempt. */
  async function settled(webhook: Webhook): Promise<boolean> {
    try {
      const status = await send(webhook)
      if (status < 300) return true
      log(`A webhook of ${webhook.from} was answered with ${status}`)
    } catch (error) {
      if (signal.aborted) return true
      log(`A webhook of ${webhook.from} was not sent: ${String(error)}`)
      if (error instanceof CannotSignError) return true
    }
    return false
  }

  async function goOn(webhook: Webhook): Promise<void> {
    for (const wait of waitsMs) {
      await setTimeout(wait, undefined, { signal })
      if (await settled(webhook)) return
    }
    log(`A webhook of ${webhook.from} is given up`)
  }

  function secret(name: SigningSecret): Record<string, string> {
    if (!outgoing) throw new CannotSignError('nobody said where the secrets are')
    return outgoing().secret(name)
  }

  return {
    secret,
    send,
    async deliver(webhook) {
      if (signal.aborted || (await settled(webhook))) return
      // Rejects only where the cloud closes.
      goOn(webhook).catch(() => {})
    },
  }
}

async function signed(sign: Sign, secret: () => Record<string, string>): Promise<Record<string, string>> {
  try {
    return await sign(secret())
  } catch (error) {
    throw new CannotSignError(error instanceof Error ? error.message : String(error))
  }
}
