import type { WebhookSource } from '../lib/interviews/webhook-signatures.ts'
import { webhookSecrets } from '../lib/interviews/webhook-signatures.ts'
import { receiveWebhook, webhookAnswer } from '../lib/interviews/webhooks.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { httpFunction, openRoute } from '../lib/platform/http/index.ts'
import { env } from '../lib/platform/names.ts'
import { createQueue } from '../lib/platform/queue.ts'

const receiver = {
  secrets: webhookSecrets(),
  queue: createQueue(requiredEnv(env.interviewEventsQueueUrl)),
  async storage() {
    // Few bodies are large: the rest do without S3's client, and the first of all does not wait for it.
    const { createStorage } = await import('../lib/platform/storage.ts')
    return createStorage(requiredEnv(env.uploadBucket))
  },
}

/** The body is looked at as it came, whatever its type: parsed and written anew it has another signature. */
function webhook(source: WebhookSource, summary: string) {
  return openRoute({
    summary,
    answers: { 202: webhookAnswer },
    errors: [401, 413, 415, 422],
    handler: ({ event }) => receiveWebhook(source, event, receiver),
  })
}

/** Takes webhooks in, with the database out of the way. */
export const handler = httpFunction({
  'POST /webhooks/agent': webhook('agent', 'What the interviewing agent tells, signed by Standard Webhooks'),
  'POST /webhooks/livekit': webhook(
    'livekit',
    'What LiveKit tells of its rooms, signed by a token of its own',
  ),
  'POST /webhooks/resend': webhook('resend', 'What becomes of e-mails, signed by Svix'),
})
