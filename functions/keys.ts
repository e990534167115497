import middy from '@middy/core'
import * as z from 'zod'
import { queueEmail } from '../lib/interviews/emails.ts'
import { connect, type Transaction } from '../lib/platform/db.ts'
import { emailAddress } from '../lib/platform/email-address.ts'
import { isInsightaError, UnprocessableError } from '../lib/platform/errors.ts'
import { ourMessage } from '../lib/platform/http/messages.ts'
import {
  type ApiKey,
  insertKey,
  listKeys,
  replaceKey,
  revokeKey,
  setRateLimit,
  teamOfKey,
} from '../lib/platform/keys.ts'
import { beginLog, logger } from '../lib/platform/log.ts'
import { roleNames } from '../lib/platform/routes.ts'

const team = z.string().trim().min(1).max(100)
/** Requests per minute; null is no limit. */
const rateLimit = z.int().positive().max(1_000_000).nullable()
const role = z.enum(roleNames)
/** Of whoever is to hold the key. */
const email = emailAddress.optional()
/** Of a new key, in requests per minute: a client that asks ten times a second. */
const defaultRateLimit = 600

const payloadSchema = z.discriminatedUnion('action', [
  z.strictObject({
    action: z.literal('create'),
    role: z.union([role, z.array(role).min(1)]),
    team,
    label: z.string().trim().min(1).max(200),
    expires_in_days: z.number().positive().max(36_500).optional(),
    rate_limit: rateLimit.default(defaultRateLimit),
    email,
  }),
  z.strictObject({ action: z.literal('list'), team: team.optional() }),
  z.strictObject({ action: z.literal('limit'), id: z.uuid(), rate_limit: rateLimit }),
  z.strictObject({ action: z.literal('reset'), id: z.uuid(), email }),
  z.strictObject({ action: z.literal('revoke'), id: z.uuid() }),
])

type Payload = z.output<typeof payloadSchema>

const day = 24 * 60 * 60 * 1000

async function perform(payload: Payload): Promise<object> {
  const sql = connect()
  switch (payload.action) {
    case 'create': {
      const { expires_in_days: days, rate_limit: rateLimit, role, team, label, email } = payload
      const expiresAt = days === undefined ? null : new Date(Date.now() + days * day)
      const key = await sql.begin(async (tx) => {
        const made = await insertKey(tx, { role, team, label, expiresAt, rateLimit })
        await tellHolder(tx, 'welcome', made, email)
        return made
      })
      logger.info('Key created', { key_id: key.id, roles: key.roles })
      return key
    }
    case 'list':
      return { keys: await listKeys(sql, payload.team) }
    case 'limit': {
      const { id, rate_limit } = payload
      await setRateLimit(sql, id, rate_limit)
      logger.info('Rate limit set', { key_id: id, rate_limit })
      return { id, rate_limit }
    }
    case 'reset': {
      const { id, email } = payload
      const key = await sql.begin(async (tx) => {
        const made = await replaceKey(tx, id)
        await tellHolder(tx, 'reset', made, email)
        return made
      })
      logger.info('Key replaced', { key_id: key.id, replaced: id })
      return key
    }
    case 'revoke': {
      const revokedAt = await revokeKey(sql, payload.id)
      logger.info('Key revoked', { key_id: payload.id })
      return { id: payload.id, revoked_at: revokedAt }
    }
  }
}

/** Has an e-mail sent that a key was made, without the key. Its message is left to the sweep. */
async function tellHolder(
  tx: Transaction,
  kind: 'welcome' | 'reset',
  { id, team, roles, label }: ApiKey,
  recipient: string | undefined,
): Promise<void> {
  if (recipient === undefined) return
  const teamId = await teamOfKey(tx, id)
  const data = { team, role: roles.join(' and '), label }
  await queueEmail(tx, { teamId, interviewId: null, kind, recipient, data })
}

function parsePayload(event: unknown): Payload {
  const result = payloadSchema.safeParse(event, { error: ourMessage })
  if (result.success) return result.data
  const details = result.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }))
  const summary = details.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join('; ')
  throw new UnprocessableError(`Invalid payload: ${summary}`, details)
}

/**
 * Creates, lists, limits, replaces and revokes access keys. Invoked directly and by no route: who may invoke it is a matter
 * of IAM. What a caller got wrong is answered, anything else fails the invocation.
 */
export const handler = middy<unknown, object>()
  .before(({ context }) => {
    beginLog(context)
  })
  .onError((request) => {
    const { error } = request
    if (!isInsightaError(error) || error.status >= 500) return
    const { code, message, details } = error
    request.response = { status: 'error', code, message, ...(details && { details }) }
  })
  .handler(async (event) => ({ status: 'success', ...(await perform(parsePayload(event))) }))
