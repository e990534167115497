import * as z from 'zod'
import { exportOwners } from '../lib/exports/dead-letter.ts'
import { importOwners } from '../lib/imports/dead-letter.ts'
import { interviewOwners, withoutContents } from '../lib/interviews/dead-letter.ts'
import { numberEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import {
  countOpen,
  type DeadLetter,
  deadLetterStates,
  discardLetters,
  listDeadLetters,
} from '../lib/platform/dead-letter-store.ts'
import { deadLetterQueues, redrive, sourceQueues } from '../lib/platform/dead-letters.ts'
import { httpFunction, json, route } from '../lib/platform/http/index.ts'
import { linkHeader, linkTo } from '../lib/platform/http/links.ts'
import { wordInAnyCase } from '../lib/platform/http/shapes.ts'
import { logger } from '../lib/platform/log.ts'
import { env, queues } from '../lib/platform/names.ts'

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
const depthSchema = z.strictObject({ ready: z.int(), in_flight: z.int(), delayed: z.int() })
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
        waiting: z.int(),
        open: z.int(),
        oldest_age_seconds: z.int().nullable(),
      }),
    }),
  ),
})

const letterSchema = z.strictObject({
  id: z.uuid(),
  state: z.enum(deadLetterStates),
  error: z.string(),
  cause: z.enum(['dependency', 'defect', 'unknown']),
  owner: z.strictObject({ type: z.string(), id: z.uuid(), part: z.int().nullable() }).nullable(),
  message_id: z.string(),
  /** As it was sent: ids, and no person. Of webhooks, whose bodies are what people said, only whose they are. */
  body: z.string(),
  receive_count: z.int(),
  first_seen_at: z.iso.datetime(),
  last_seen_at: z.iso.datetime(),
  redriven_at: z.iso.datetime().nullable(),
  automatic_redrives: z.int(),
})

function shown(letter: DeadLetter): z.output<typeof letterSchema> {
  const { id, state, error, cause, message_id, receive_count, automatic_redrives } = letter
  const { owner_type: type, owner_id, owner_part: part } = letter
  return {
    id,
    state,
    error,
    cause,
    owner: type !== null && owner_id !== null ? { type, id: owner_id, part } : null,
    message_id,
    body: withoutContents(letter.queue, letter.body),
    receive_count,
    first_seen_at: letter.first_seen_at.toISOString(),
    last_seen_at: letter.last_seen_at.toISOString(),
    redriven_at: letter.redriven_at?.toISOString() ?? null,
    automatic_redrives,
  }
}

const pageQuery = z.strictObject({
  state: wordInAnyCase(deadLetterStates).default('open'),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,5}$/, 'must be a whole number from 1')
    .transform((value) => Math.min(Number(value), 100))
    .default(20),
  /** The id of the last letter of the page before. */
  cursor: z.uuid().optional(),
})

export const handler = httpFunction({
  'GET /api/ops/queues': route({
    summary: 'How full each queue is, and what died in it',
    answers: { 200: queuesSchema },
    async handler() {
      const [open, ...depths] = await Promise.all([
        retryRead(() => countOpen(connect())),
        ...names.map(async (name) => ({
          name,
          source: await sources[name].depth(),
          dead: await deadLetters[name].depth(),
        })),
      ])
      const data = depths.map(({ name, source, dead }) => ({
        queue: name,
        ...source,
        oldest_age_seconds: null,
        dead_letters: {
          waiting: dead.ready + dead.in_flight + dead.delayed,
          open: open.get(name)?.open ?? 0,
          oldest_age_seconds: open.get(name)?.oldest_age_seconds ?? null,
        },
      }))
      return json(200, { status: 'success', data })
    },
  }),

  'GET /api/ops/dead-letters/{queue}': route({
    summary: 'Dead letters of a queue, newest first, without taking any',
    path: queuePath,
    query: pageQuery,
    answers: {
      200: z.strictObject({
        status: success,
        next_cursor: z.uuid().nullable(),
        data: z.array(letterSchema),
      }),
    },
    async handler({ path, query: { state, limit, cursor }, event }) {
      const page = { state, cursor, limit: limit + 1 }
      const found = await retryRead(() => listDeadLetters(connect(), path.queue, page))
      const data = found.slice(0, limit).map(shown)
      const next_cursor = found.length > limit ? (data.at(-1)?.id ?? null) : null
      const next = next_cursor && linkTo(event, 'cursor', next_cursor)
      return json(200, { status: 'success', next_cursor, data }, linkHeader({ next }))
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
      const result = await redrive({ sql: connect(), queues: sources, owners }, path.queue, body)
      logger.info('Dead letters redriven', { queue: path.queue, key_id: caller.keyId, ...result })
      return json(200, { status: 'success', ...result })
    },
  }),

  'POST /api/ops/dead-letters/{queue}/discard': route({
    summary: 'Closes dead letters that nobody will redrive',
    path: queuePath,
    body: z.strictObject({ ids: chosenLetters }),
    answers: { 200: z.strictObject({ status: success, discarded: z.int(), skipped: z.int() }) },
    async handler({ path, body: { ids }, caller }) {
      const discarded = await discardLetters(connect(), path.queue, ids)
      logger.info('Dead letters discarded', { queue: path.queue, key_id: caller.keyId, discarded })
      return json(200, { status: 'success', discarded, skipped: ids.length - discarded })
    },
  }),
})
