import * as z from 'zod'
import { exportOwners } from '../lib/exports/dead-letter.ts'
import { importOwners } from '../lib/imports/dead-letter.ts'
import { interviewOwners, withoutContents } from '../lib/interviews/dead-letter.ts'
import { countRefused, type RefusedCounts, refusedKinds, retryRefused } from '../lib/interviews/refused.ts'
import { listUnmatched, unmatchedCursor, unmatchedEventSchema } from '../lib/interviews/unmatched-events.ts'
import { webhookSources } from '../lib/interviews/webhook-signatures.ts'
import type { Caller } from '../lib/platform/auth.ts'
import { numberEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import {
  countOpen,
  type DeadLetter,
  deadLetterStates,
  discardLetters,
  knownLetters,
  type LetterScope,
  listDeadLetters,
} from '../lib/platform/dead-letter-store.ts'
import { deadLetterQueues, redrive, sourceQueues } from '../lib/platform/dead-letters.ts'
import { NotFoundError } from '../lib/platform/errors.ts'
import { httpFunction, json, route } from '../lib/platform/http/index.ts'
import { linkHeader, linkTo } from '../lib/platform/http/links.ts'
import { idPath, wordInAnyCase } from '../lib/platform/http/shapes.ts'
import { quotasBody, usageAnswer, usageSchema } from '../lib/platform/http/usage.ts'
import { logger } from '../lib/platform/log.ts'
import { env, type QueueName, queues, thirdParties } from '../lib/platform/names.ts'
import { mustBeTeam, setQuotas, usageOf } from '../lib/platform/quotas.ts'

const sources = sourceQueues()
const deadLetters = deadLetterQueues()
const maxReceiveCount = numberEnv(env.maxReceiveCount, 5)
const owners = {
  ...importOwners(maxReceiveCount),
  ...exportOwners(maxReceiveCount),
  ...interviewOwners(maxReceiveCount),
}
const names = Object.values(queues)

const success = z.literal('success')
/** Null for callers who are no operators: a queue is shared by all teams. */
const depth = z.int().nullable()
const depthSchema = z.strictObject({ ready: depth, in_flight: depth, delayed: depth })
const queuePath = z.strictObject({ queue: z.enum(names) })
const chosenLetters = z.array(z.uuid()).min(1).max(100)

const redriveBody = z.union(
  [z.strictObject({ ids: chosenLetters }), z.strictObject({ all: z.literal(true) })],
  {
    error: 'must have either ids or all',
  },
)

const queuesSchema = z.strictObject({
  status: success,
  data: z.array(
    depthSchema.extend({
      queue: z.enum(names),
      /** Always null: SQS tells no message's age without receiving it. CloudWatch has it, and the dashboard. */
      oldest_age_seconds: z.null(),
      dead_letters: z.strictObject({
        /** In the dead-letter queue itself, on their way into the table. */
        waiting: depth,
        /** Of all teams and of none, or of the caller's team. */
        open: z.int(),
        oldest_age_seconds: z.int().nullable(),
      }),
    }),
  ),
})

const letterSchema = z.strictObject({
  id: z.uuid(),
  /** Null for a message that belongs to nothing known: operators see it. */
  team_id: z.uuid().nullable(),
  state: z.enum(deadLetterStates),
  error: z.string(),
  cause: z.enum(['dependency', 'defect', 'unknown']),
  owner: z.strictObject({ type: z.string(), id: z.uuid(), part: z.int().nullable() }).nullable(),
  message_id: z.string(),
  /**
   * As it was sent: ids, and no person. Of webhooks, whose bodies are what people said, only whose they are. Null for
   * an operator who is not an admin of its team.
   */
  body: z.string().nullable(),
  receive_count: z.int(),
  first_seen_at: z.iso.datetime(),
  last_seen_at: z.iso.datetime(),
  redriven_at: z.iso.datetime().nullable(),
  automatic_redrives: z.int(),
})

const refusedCounts = z.strictObject(
  Object.fromEntries(refusedKinds.map((kind) => [kind, z.int().min(0)])) as Record<
    keyof RefusedCounts,
    z.ZodInt
  >,
)
const refusedSchema = z.strictObject({
  status: success,
  data: z.array(
    z.strictObject({
      service: z.enum(thirdParties),
      counts: refusedCounts,
      oldest_at: z.iso.datetime().nullable(),
    }),
  ),
})

/** Which letters a caller may see and act on. */
function scopeOf({ roles, teamId }: Caller): LetterScope {
  return roles.includes('operator') ? 'every' : { teamId }
}

/** Throws NotFoundError if none of some letters is one that the caller may see. */
async function mustKnow(queue: QueueName, caller: Caller, ids: readonly string[]): Promise<void> {
  const known = await retryRead(() => knownLetters(connect(), queue, scopeOf(caller), ids))
  if (known.length === 0) throw new NotFoundError('Dead letter not found')
}

function shown(letter: DeadLetter, { roles, teamId }: Caller): z.output<typeof letterSchema> {
  const readable = roles.includes('admin') && letter.team_id === teamId
  const { id, team_id, state, error, cause, message_id, receive_count, automatic_redrives } = letter
  const { owner_type: type, owner_id, owner_part: part } = letter
  return {
    id,
    team_id,
    state,
    error,
    cause,
    owner: type !== null && owner_id !== null ? { type, id: owner_id, part } : null,
    message_id,
    body: readable ? withoutContents(letter.queue, letter.body) : null,
    receive_count,
    first_seen_at: letter.first_seen_at.toISOString(),
    last_seen_at: letter.last_seen_at.toISOString(),
    redriven_at: letter.redriven_at?.toISOString() ?? null,
    automatic_redrives,
  }
}

const pageLimit = z
  .string()
  .regex(/^[1-9]\d{0,5}$/, 'must be a whole number from 1')
  .transform((value) => Math.min(Number(value), 100))
  .default(20)

const pageQuery = z.strictObject({
  state: wordInAnyCase(deadLetterStates).default('open'),
  limit: pageLimit,
  /** The id of the last letter of the page before. */
  cursor: z.uuid().optional(),
})

type Depths = { source: z.output<typeof depthSchema>; waiting: number | null }

const untold: Depths = { source: { ready: null, in_flight: null, delayed: null }, waiting: null }

async function depthsOf(name: QueueName): Promise<Depths> {
  const source = await sources[name].depth()
  const dead = await deadLetters[name].depth()
  return { source, waiting: dead.ready + dead.in_flight + dead.delayed }
}

export const handler = httpFunction({
  'GET /api/ops/queues': route({
    summary: "What died in each queue: the team's own, for operators all of it and how full the queue is",
    answers: { 200: queuesSchema },
    async handler({ caller }) {
      const all = caller.roles.includes('operator')
      const [open, ...depths] = await Promise.all([
        retryRead(() => countOpen(connect(), scopeOf(caller))),
        ...names.map(async (name) => ({ name, ...(all ? await depthsOf(name) : untold) })),
      ])
      const data = depths.map(({ name, source, waiting }) => ({
        queue: name,
        ...source,
        oldest_age_seconds: null,
        dead_letters: {
          waiting,
          open: open.get(name)?.open ?? 0,
          oldest_age_seconds: open.get(name)?.oldest_age_seconds ?? null,
        },
      }))
      return json(200, { status: 'success', data })
    },
  }),

  'GET /api/ops/dead-letters/{queue}': route({
    summary: "The team's dead letters of a queue, for operators those of all teams; none is taken",
    path: queuePath,
    query: pageQuery,
    answers: {
      200: z.strictObject({
        status: success,
        next_cursor: z.uuid().nullable(),
        data: z.array(letterSchema),
      }),
    },
    async handler({ path, query: { state, limit, cursor }, caller, event }) {
      const page = { state, cursor, limit: limit + 1 }
      const found = await retryRead(() => listDeadLetters(connect(), path.queue, scopeOf(caller), page))
      const data = found.slice(0, limit).map((letter) => shown(letter, caller))
      const next_cursor = found.length > limit ? (data.at(-1)?.id ?? null) : null
      const next = next_cursor && linkTo(event, 'cursor', next_cursor)
      return json(200, { status: 'success', next_cursor, data }, linkHeader({ next }))
    },
  }),

  'GET /api/ops/unmatched-events': route({
    summary: 'Webhooks that fit nothing here, without what they say, for as long as they are kept',
    query: z.strictObject({
      source: wordInAnyCase(webhookSources).optional(),
      limit: pageLimit,
      cursor: unmatchedCursor.optional(),
    }),
    answers: {
      200: z.strictObject({
        status: success,
        next_cursor: z.string().nullable(),
        data: z.array(unmatchedEventSchema),
      }),
    },
    async handler({ query: { source, limit, cursor }, event }) {
      const page = { source, after: cursor, limit }
      const { events, next_cursor } = await retryRead(() => listUnmatched(connect(), page))
      const next = next_cursor && linkTo(event, 'cursor', next_cursor)
      return json(200, { status: 'success', next_cursor, data: events }, linkHeader({ next }))
    },
  }),

  'GET /api/ops/teams/{id}/quotas': route({
    summary: 'What a team has used today of what costs money, and how much it may',
    path: idPath,
    answers: { 200: usageSchema },
    async handler({ path }) {
      await retryRead(() => mustBeTeam(connect(), path.id))
      return json(200, usageAnswer(await retryRead(() => usageOf(connect(), path.id))))
    },
  }),

  'PUT /api/ops/teams/{id}/quotas': route({
    summary: 'Sets how much of what costs money a team may use a day',
    path: idPath,
    body: quotasBody,
    answers: { 200: usageSchema },
    async handler({ path, body, caller }) {
      const usage = await connect().begin(async (tx) => {
        await setQuotas(tx, path.id, body)
        return usageOf(tx, path.id)
      })
      logger.info('Quotas set', { team_id: path.id, key_id: caller.keyId, limits: body })
      return json(200, usageAnswer(usage))
    },
  }),

  'POST /api/ops/dead-letters/{queue}/redrive': route({
    summary: 'Sends open dead letters back to their queue, and readies what they are about',
    path: queuePath,
    body: redriveBody,
    answers: {
      200: z.strictObject({ status: success, redriven: z.int(), skipped: z.int(), remaining: z.int() }),
    },
    async handler({ path, body, caller }) {
      if ('ids' in body) await mustKnow(path.queue, caller, body.ids)
      const context = { sql: connect(), queues: sources, owners }
      const result = await redrive(context, path.queue, scopeOf(caller), body)
      logger.info('Dead letters redriven', { queue: path.queue, key_id: caller.keyId, ...result })
      return json(200, { status: 'success', ...result })
    },
  }),

  'POST /api/ops/dead-letters/{queue}/discard': route({
    summary: 'Closes dead letters that no one will redrive; who did it is kept',
    path: queuePath,
    body: z.strictObject({ ids: chosenLetters }),
    answers: { 200: z.strictObject({ status: success, discarded: z.int(), skipped: z.int() }) },
    async handler({ path, body: { ids }, caller }) {
      await mustKnow(path.queue, caller, ids)
      const discarded = await discardLetters(connect(), path.queue, scopeOf(caller), ids, caller)
      logger.info('Dead letters discarded', { queue: path.queue, key_id: caller.keyId, discarded })
      return json(200, { status: 'success', discarded, skipped: ids.length - discarded })
    },
  }),

  'GET /api/ops/refused': route({
    summary: 'How much work of all teams each third party refused for a reason that an operator can mend',
    answers: { 200: refusedSchema },
    async handler() {
      const found = await retryRead(() => countRefused(connect()))
      const data = found.map(({ oldest, ...rest }) => ({ ...rest, oldest_at: oldest?.toISOString() ?? null }))
      return json(200, { status: 'success', data })
    },
  }),

  'POST /api/ops/refused/retry': route({
    summary: 'Tries again what a third party refused, up to 200 pieces a call; call until none remain',
    body: z.strictObject({ service: z.enum(thirdParties) }),
    answers: { 200: z.strictObject({ status: success, retried: refusedCounts, remaining: z.int().min(0) }) },
    async handler({ body: { service }, caller }) {
      const result = await retryRefused({ sql: connect(), queues: sources }, service)
      logger.info('Refused work is tried again', { third_party: service, key_id: caller.keyId, ...result })
      return json(200, { status: 'success', ...result })
    },
  }),
})
