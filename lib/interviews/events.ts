import { text } from 'node:stream/consumers'
import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { storedAddress } from '../platform/email-address.ts'
import { type OutboxQueues, sendOutbox } from '../platform/outbox.ts'
import type { Storage } from '../platform/storage.ts'
import { completionEvent, moment, plain, turnEvent } from './agent-events.ts'
import { noteLateTurn, requestAssessment, saysMore } from './assessments.ts'
import { applyEmailEvent } from './emails.ts'
import {
  beginInterview,
  closeRoom,
  completeInterview,
  type EventOutcome,
  insertEvent,
  insertTurn,
  type KnownInterview,
  lockInterview,
  noteOutcome,
  reopenRoom,
  storedTranscript,
  wasDeleted,
} from './events-store.ts'
import { hasEnded } from './interviews.ts'
import { requestRoomClosing } from './rooms-store.ts'
import { indexTranscript } from './search.ts'
import { forgetProviderSuppressions } from './suppressions.ts'
import { buildTranscript, isComplete, readTranscript } from './transcript.ts'
import { insertUnmatched, type UnmatchedReason } from './unmatched-events.ts'
import type { WebhookSource } from './webhook-signatures.ts'
import type { WebhookMessage } from './webhooks.ts'

/** What an event did, and what is to be sent for it after the commit. */
type Effect = {
  outcome: EventOutcome
  interviewId?: string
  messages?: readonly string[]
  /** What it is about was deleted: nothing of it is kept. */
  forget?: boolean
  /** Of an unmatched one: why, and the id that it names. */
  unmatched?: Unmatched
}
type Unmatched = { reason: UnmatchedReason; about?: string | undefined }

const unmatched = (reason: UnmatchedReason, about?: string): Effect => ({
  outcome: 'unmatched',
  unmatched: { reason, about },
})

type Handler = (tx: Transaction, body: unknown, receivedAt: Date) => Promise<Effect>

/** A handler of bodies by their schema. What does not fit cannot be applied now or ever, and is kept. */
function handler<Schema extends z.ZodType>(
  schema: Schema,
  apply: (tx: Transaction, body: z.output<Schema>, receivedAt: Date) => Promise<Effect>,
): Handler {
  return async (tx, body, receivedAt) => {
    const parsed = schema.safeParse(body)
    return parsed.success ? apply(tx, parsed.data, receivedAt) : unmatched('unreadable')
  }
}

/** A room has the name of its interview. Protobuf writes its 64-bit numbers as texts. */
const roomEvent = z.object({
  createdAt: z.coerce
    .number()
    .transform((seconds) => new Date(seconds * 1000))
    .optional()
    .catch(undefined),
  room: z.object({ name: z.string() }),
})

const tagList = z.array(z.object({ name: z.string(), value: z.string() }))
/** Resend names what an e-mail was sent with by a list or by an object. */
const tags = z.union([
  z.record(z.string(), z.string()),
  tagList.transform((list) => Object.fromEntries(list.map(({ name, value }) => [name, value]))),
])

const maybeText = z.string().optional().catch(undefined)

const emailEvent = z.object({
  type: z.string(),
  created_at: moment,
  data: z.object({
    email_id: plain(200),
    tags: tags.optional().catch(undefined),
    bounce: z
      .object({ type: z.string(), subType: maybeText, message: maybeText })
      .optional()
      .catch(undefined),
    suppressed: z.object({ type: maybeText, message: maybeText }).optional().catch(undefined),
    failed: z.object({ reason: maybeText }).optional().catch(undefined),
  }),
})

const removalEvent = z.object({ data: z.object({ email: z.string().max(1000) }) })

/** Resend's list is of the whole account: what is lifted there is lifted for every team that has only its word. */
const applyRemoval = handler(removalEvent, async (tx, { data }) => {
  const forgotten = await forgetProviderSuppressions(tx, storedAddress(data.email))
  return { outcome: forgotten > 0 ? 'applied' : 'ignored' }
})

const applyEmail = handler(emailEvent, async (tx, { type, created_at, data }, receivedAt) => {
  const outcome = await applyEmailEvent(tx, {
    type,
    email_id: z.guid().safeParse(data.tags?.email_id).data,
    provider_id: data.email_id,
    bounce: data.bounce,
    suppressed: data.suppressed,
    failed: data.failed,
    at: occurredAt(created_at, receivedAt),
  })
  return outcome === 'unmatched' ? unmatched('not_found', data.email_id) : { outcome }
})

const emailTypes = ['sent', 'delivered', 'delivery_delayed', 'bounced', 'complained', 'failed', 'suppressed']

/** What is done about the events of each sender by type; others are ignored. */
const handlers: Record<WebhookSource, ReadonlyMap<string, Handler>> = {
  agent: new Map([
    ['turn', handler(turnEvent, applyTurn)],
    ['session.completed', handler(completionEvent, applyCompletion)],
  ]),
  livekit: new Map([
    ['room_started', handler(roomEvent, applyRoomStarted)],
    ['room_finished', handler(roomEvent, applyRoomFinished)],
  ]),
  resend: new Map([
    ...emailTypes.map((type): [string, Handler] => [`email.${type}`, applyEmail]),
    ['suppression.removed', applyRemoval],
  ]),
}

export type EventContext = {
  sql: Sql
  storage: Pick<Storage, 'read'>
  /** Where the messages go that an event leads to. */
  queues: OutboxQueues
}

/**
 * Applies a webhook in one transaction, once however often it comes. What an agent or LiveKit tells and cannot be
 * applied is kept with its body. Rejects where the database or S3 does not answer.
 */
export async function applyEvent(
  { sql, storage, queues }: EventContext,
  message: WebhookMessage,
): Promise<{ type: string; outcome: EventOutcome | 'duplicate'; interviewId: string | undefined }> {
  const raw = 'body' in message ? message.body : await text(await storage.read(message.body_key))
  const { source, id } = message
  const receivedAt = new Date(message.received_at)
  const { type, body } = readBody(source, raw)
  const effect = await sql.begin(async (tx): Promise<Effect | undefined> => {
    if (!(await insertEvent(tx, { source, id, type: type ?? 'unreadable', receivedAt }))) return undefined
    const effect = await effectOf(tx, source, type, body, receivedAt)
    // Resend's bodies are an address and a subject, and Resend itself shows them.
    const kept = effect.outcome !== 'applied' && !effect.forget && source !== 'resend'
    await noteOutcome(tx, message, {
      outcome: effect.outcome,
      interviewId: effect.interviewId ?? null,
      body: kept ? raw.replaceAll('\0', '') : null,
    })
    if (effect.unmatched) {
      const event = { source, id, type: type ?? 'unreadable', bytes: Buffer.byteLength(raw), receivedAt }
      await insertUnmatched(tx, { ...event, ...effect.unmatched })
    }
    return effect
  })
  await sendOutbox(sql, queues, effect?.messages ?? [])
  return {
    type: type ?? 'unreadable',
    outcome: effect?.outcome ?? 'duplicate',
    interviewId: effect?.interviewId,
  }
}

/** The JSON of a body and its type, which is undefined where there is none to be read. */
function readBody(source: WebhookSource, raw: string): { type: string | undefined; body?: unknown } {
  try {
    const body: unknown = JSON.parse(raw)
    const name = source === 'livekit' ? 'event' : 'type'
    const type = plain(100).safeParse((body as Record<string, unknown> | null)?.[name]).data
    return { type: type === '' ? undefined : type, body }
  } catch {
    return { type: undefined }
  }
}

function effectOf(
  tx: Transaction,
  source: WebhookSource,
  type: string | undefined,
  body: unknown,
  receivedAt: Date,
): Promise<Effect> | Effect {
  if (type === undefined) return unmatched('unreadable')
  const apply = handlers[source].get(type)
  return apply ? apply(tx, body, receivedAt) : { outcome: 'ignored' }
}

const week = 7 * 24 * 60 * 60 * 1000

/** When an event happened, by its sender's clock unless that is plainly wrong. */
function occurredAt(stated: Date | undefined, receivedAt: Date): Date {
  const age = receivedAt.getTime() - (stated?.getTime() ?? Number.NaN)
  return age >= 0 && age < week ? stated! : receivedAt
}

/**
 * Runs `apply` on the interview that an event is about, with when it happened. What comes after its cancellation is
 * ignored.
 */
async function onInterview(
  tx: Transaction,
  id: string,
  time: { stated: Date | undefined; receivedAt: Date },
  apply: (interview: KnownInterview, at: Date) => Promise<Omit<Effect, 'interviewId'>>,
): Promise<Effect> {
  if (!isId(id)) return unmatched('not_found')
  const interview = await lockInterview(tx, id)
  if (!interview) {
    return (await wasDeleted(tx, id)) ? { outcome: 'ignored', forget: true } : unmatched('not_found', id)
  }
  const at = occurredAt(time.stated, time.receivedAt)
  const effect: Effect = interview.state === 'cancelled' ? { outcome: 'ignored' } : await apply(interview, at)
  return { ...effect, interviewId: interview.id }
}

/** A room of somebody else's has any name, perhaps a person's. */
const isId = (name: string) => z.guid().safeParse(name).success

function applyTurn(
  tx: Transaction,
  { timestamp, data }: z.output<typeof turnEvent>,
  receivedAt: Date,
): Promise<Effect> {
  return onInterview(tx, data.interview_id, { stated: timestamp, receivedAt }, async (interview, at) => {
    // Also where the session has ended: events overtake each other.
    if (!(await insertTurn(tx, interview, data, at))) return { outcome: 'ignored' }
    await beginInterview(tx, interview, at)
    const ended = interview.state === 'completed' || interview.state === 'needs_attention'
    return { outcome: 'applied', messages: ended ? await noteLateTurn(tx, interview.id) : [] }
  })
}

/**
 * The first completion counts, also for an interview that was given up. Another one counts only where the first
 * brought no turn and it does: then the assessment is made anew if it failed, as it does without a transcript.
 */
function applyCompletion(
  tx: Transaction,
  { timestamp, data }: z.output<typeof completionEvent>,
  receivedAt: Date,
): Promise<Effect> {
  const time = { stated: timestamp, receivedAt }
  return onInterview(tx, data.interview_id, time, async ({ id, team_id, state }, at) => {
    const first = state !== 'completed'
    const bringsTurns = (json: string | null) => buildTranscript(id, [], json).turns.length > 0
    if (!first && (bringsTurns(await storedTranscript(tx, id)) || !bringsTurns(data.transcript))) {
      return { outcome: 'ignored' }
    }
    const before = await readTranscript(tx, id)
    await completeInterview(tx, id, data, at)
    await requestRoomClosing(tx, id)
    const transcript = await readTranscript(tx, id)
    await indexTranscript(tx, team_id, id, transcript)
    // Turns may still be on their way if numbers are missing here and in the account.
    const patiently = !isComplete(transcript) && !isComplete(buildTranscript(id, [], data.transcript))
    // One that was made of what an abandoned session had left is of no more use.
    const { messages } = await requestAssessment(tx, id, { instead: first, patiently })
    if (!first && saysMore(transcript, before.turns)) messages.push(...(await noteLateTurn(tx, id)))
    return { outcome: 'applied', messages }
  })
}

/** A room that is opened after the end of its interview, by a token from before, is closed again. */
async function applyRoomStarted(
  tx: Transaction,
  { createdAt, room }: z.output<typeof roomEvent>,
  receivedAt: Date,
): Promise<Effect> {
  const time = { stated: createdAt, receivedAt }
  const effect = await onInterview(tx, room.name, time, async (interview, at) => {
    await beginInterview(tx, interview, at)
    await reopenRoom(tx, interview.id, at)
    return { outcome: 'applied' }
  })
  if (!isId(room.name)) return effect
  const known = await lockInterview(tx, room.name)
  if (known ? hasEnded(known.state) : effect.forget) await requestRoomClosing(tx, room.name)
  return effect
}

/** Whether the agent's own account still comes is for the sweep to see. */
function applyRoomFinished(
  tx: Transaction,
  { createdAt, room }: z.output<typeof roomEvent>,
  receivedAt: Date,
): Promise<Effect> {
  return onInterview(tx, room.name, { stated: createdAt, receivedAt }, async (interview, at) => {
    // It was opened, whether we were told or not.
    await beginInterview(tx, interview, at)
    await closeRoom(tx, interview.id, at)
    return { outcome: 'applied' }
  })
}
