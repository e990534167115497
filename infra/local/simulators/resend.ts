import { createHash, randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import * as z from 'zod'
import { env } from '../../../lib/platform/names.ts'
import { jsonOf, type SimulatedAnswer, type SimulatedRequest, type Simulator } from './simulator.ts'
import type { WebhookSender } from './webhook-sender.ts'

/** Mails that are kept; an older one is forgotten. */
const keptMails = 1000

/** `email@example.com` or `Name <email@example.com>`. */
const address = /^(?:[^<>]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/
const list = (name: string, most: number) =>
  z
    .union([z.string(), z.array(z.string()).min(1).max(most)])
    .transform((given) => [given].flat())
    .refine((given) => given.every((each) => address.test(each)), { error: invalidAddress(name) })

const mailSchema = z
  .object({
    from: z.string().regex(address, { error: invalidAddress('from') }),
    to: list('to', 50),
    subject: z.string(),
    html: z.string().optional(),
    text: z.string().optional(),
    cc: list('cc', 50).optional(),
    bcc: list('bcc', 50).optional(),
    reply_to: list('reply_to', 50).optional(),
    attachments: z
      .array(
        z.object({
          filename: z.string().min(1),
          content: z.base64({ error: 'The attachment content must be base64.' }),
          content_type: z.string().optional(),
        }),
      )
      .optional(),
    tags: z
      .array(z.object({ name: tagPart(), value: tagPart() }))
      .max(75)
      .default([]),
  })
  .refine(({ html, text }) => html !== undefined || text !== undefined, {
    error: 'Missing `html` or `text` field.',
  })

const required = ['from', 'to', 'subject'] as const

/** An accepted mail, as `GET /resend/outbox` lists it. */
export type SentMail = z.output<typeof mailSchema> & {
  id: string
  created_at: string
  idempotency_key: string | null
  /** Without its `email.`. */
  last_event: string
}

type MailEvent = { type: string; facts?: object }

/**
 * Resend: accepts mails and tells of them by webhooks signed as Svix does. What becomes of a mail depends on its
 * address: `bounce…@`, `complain…@` and `delay…@` do as they say, others are delivered. To an address that bounced or
 * complained nothing more is sent, until it is taken off the list of suppressions; `suppress…@` is on it before.
 * https://resend.com/docs/api-reference/emails/send-email
 */
export function createResend(webhooks: WebhookSender): Simulator {
  const mails: SentMail[] = []
  /** The request of each idempotency key, and the mail that came of it. Resend forgets them after a day. */
  const byKey = new Map<string, { digest: string; id: string }>()

  /** Addresses of the list, in lower case, and those that were taken off it. */
  const suppressed = new Set<string>()
  const lifted = new Set<string>()
  const isSuppressed = (to: string) => suppressed.has(to) || (to.startsWith('suppress') && !lifted.has(to))

  function lift(to: string): SimulatedAnswer {
    if (!isSuppressed(to)) return refusal(404, 'not_found', 'Suppression not found')
    suppressed.delete(to)
    lifted.add(to)
    return { status: 200, body: { object: 'suppression', id: randomUUID(), deleted: true } }
  }

  function accept(request: SimulatedRequest): SimulatedAnswer {
    const key = request.headers['idempotency-key']?.toString() ?? null
    if (key !== null && (key === '' || key.length > 256)) {
      return refusal(400, 'invalid_idempotency_key', 'The key must be between 1-256 chars.')
    }
    const given = Object(jsonOf(request.body))
    const missing = required.find((field) => given[field] === undefined)
    if (missing) return refusal(422, 'missing_required_field', `Missing \`${missing}\` field.`)
    const parsed = mailSchema.safeParse(given)
    if (!parsed.success) return refusal(422, 'validation_error', parsed.error.issues[0]!.message)
    const digest = createHash('sha256').update(request.body).digest('base64')
    const earlier = key === null ? undefined : byKey.get(key)
    if (earlier?.digest === digest) return { status: 200, body: { id: earlier.id } }
    if (earlier) {
      return refusal(
        409,
        'invalid_idempotent_request',
        'This idempotency key has been used on a request with a different payload.',
      )
    }
    const id = randomUUID()
    if (key !== null) byKey.set(key, { digest, id })
    const created_at = new Date().toISOString()
    const mail = { id, created_at, ...parsed.data, idempotency_key: key, last_event: 'sent' }
    mails.push(mail)
    if (mails.length > keptMails) mails.shift()
    const to = addressOf(mail)
    const events = isSuppressed(to) ? onList : fate(to)
    if (events.some(({ type }) => type === 'email.bounced' || type === 'email.complained')) suppressed.add(to)
    return { status: 200, body: { id }, afterwards: () => void tell(mail, events) }
  }

  async function tell(mail: SentMail, events: readonly MailEvent[]): Promise<void> {
    for (const event of events) {
      mail.last_event = event.type.slice('email.'.length)
      const id = `msg_${randomUUID().replaceAll('-', '')}`
      const body = JSON.stringify(webhookBody(mail, event))
      await webhooks.deliver({ from: 'resend', body, sign: (secret) => svixHeaders(secret, id, body) })
    }
  }

  function answer(request: SimulatedRequest): SimulatedAnswer {
    const { method, path, headers } = request
    if (method === 'GET' && path === '/outbox') return { status: 200, body: mails }
    if (!/^Bearer \S/.test(headers.authorization?.toString() ?? '')) {
      return refusal(401, 'missing_api_key', 'Missing API key in the authorization header.')
    }
    if (path === '/emails' && method === 'POST') return accept(request)
    const listed = /^\/suppressions\/([^/]+)$/.exec(path)?.[1]
    if (listed !== undefined && method === 'DELETE') return lift(decodeURIComponent(listed).toLowerCase())
    const id = /^\/emails\/([^/]+)$/.exec(path)?.[1]
    if (id === undefined || method !== 'GET') {
      return refusal(404, 'not_found', 'The requested endpoint does not exist.')
    }
    const mail = mails.find((each) => each.id === id)
    return mail ? { status: 200, body: retrieved(mail) } : refusal(404, 'not_found', 'Email not found')
  }

  const isControl = (path: string) => path === '/outbox'
  return { prefix: '/resend', variable: env.resendUrl, isControl, answer, errorBody }
}

function invalidAddress(field: string): string {
  const forms =
    'The email address needs to follow the `email@example.com` or `Name <email@example.com>` format.'
  return `Invalid \`${field}\` field. ${forms}`
}

function tagPart() {
  const error = 'Tags should only contain ASCII letters, numbers, underscores, or dashes.'
  return z.string().regex(/^[A-Za-z0-9_-]{1,256}$/, { error })
}

const errors: Record<number, { name: string; message: string }> = {
  400: { name: 'validation_error', message: 'We found an error with one or more fields in the request.' },
  401: { name: 'missing_api_key', message: 'Missing API key in the authorization header.' },
  403: { name: 'invalid_api_key', message: 'API key is invalid.' },
  404: { name: 'not_found', message: 'The requested endpoint does not exist.' },
  409: {
    name: 'concurrent_idempotent_requests',
    message: 'Same idempotency key used while original request is still in progress.',
  },
  422: { name: 'validation_error', message: 'The request is invalid.' },
  429: {
    name: 'rate_limit_exceeded',
    message: 'Too many requests. You can only make 2 requests per second.',
  },
}

function errorBody(status: number): object {
  const usual = { name: 'internal_server_error', message: 'An unexpected error occurred.' }
  return { statusCode: status, ...(errors[status] ?? usual) }
}

function refusal(status: number, name: string, message: string): SimulatedAnswer {
  return { status, body: { statusCode: status, name, message } }
}

function addressOf({ to: [first = ''] }: SentMail): string {
  return first
    .slice(first.lastIndexOf('<') + 1)
    .replace('>', '')
    .trim()
    .toLowerCase()
}

/** What happens to a mail to an address of the list. */
const onList: readonly MailEvent[] = [
  {
    type: 'email.suppressed',
    facts: {
      suppressed: {
        type: 'OnAccountSuppressionList',
        message: 'The address is on the suppression list of the account (simulated).',
      },
    },
  },
]

/** What happens to a mail, in this order. */
function fate(first: string): readonly MailEvent[] {
  const sent = { type: 'email.sent' }
  const delivered = { type: 'email.delivered' }
  if (/^bounce/.test(first)) {
    const bounce = {
      type: 'Permanent',
      subType: 'General',
      message: "The recipient's mail server rejected the mail (simulated).",
      diagnosticCode: ['smtp; 550 5.1.1 user unknown'],
    }
    return [sent, { type: 'email.bounced', facts: { bounce } }]
  }
  if (/^complain/.test(first)) return [sent, delivered, { type: 'email.complained' }]
  if (/^delay/.test(first)) return [sent, { type: 'email.delivery_delayed' }, delivered]
  return [sent, delivered]
}

/** https://resend.com/docs/dashboard/webhooks/event-types */
function webhookBody(mail: SentMail, { type, facts }: MailEvent): object {
  const { id, created_at, from, to, subject } = mail
  // In webhooks, tags are an object.
  const tags = Object.fromEntries(mail.tags.map(({ name, value }) => [name, value]))
  const message_id = `<${id}@simulated>`
  const data = { email_id: id, message_id, created_at, from, to, subject, tags, ...facts }
  return { type, created_at: new Date().toISOString(), data }
}

/** Svix's headers: those of Standard Webhooks by other names. */
function svixHeaders(secret: Record<string, string>, id: string, body: string): Record<string, string> {
  const at = new Date()
  return {
    'content-type': 'application/json',
    'svix-id': id,
    'svix-timestamp': String(Math.floor(at.getTime() / 1000)),
    'svix-signature': new Webhook(secret.webhook_secret ?? '').sign(id, at, body),
  }
}

function retrieved(mail: SentMail): object {
  const {
    idempotency_key: _,
    attachments: __,
    cc = [],
    bcc = [],
    reply_to = [],
    html = null,
    text = null,
    ...rest
  } = mail
  return { object: 'email', ...rest, html, text, cc, bcc, reply_to }
}
