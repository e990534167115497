import * as z from 'zod'
import { type ErrorDetail, UnprocessableError } from '../platform/errors.ts'
import { ourMessage } from '../platform/http/messages.ts'
import { isItem, turnOfItem } from './chat-items.ts'
import { maxSequenceNo } from './snapshot.ts'
import type { WebhookSource } from './webhook-signatures.ts'

const cutMark = ' […]'

/** A text that PostgreSQL takes, which knows no U+0000, of so many characters at the most. */
export function plain(most: number) {
  return z.string().transform((value) => {
    const clean = value.replaceAll('\0', '')
    return (clean.length <= most ? clean : clean.slice(0, most - cutMark.length) + cutMark).toWellFormed()
  })
}

/** JSON as it was sent; a text is JSON already, or whatever else the agent wrote. */
const jsonText = z
  .unknown()
  .optional()
  .transform((value, context) => {
    if (value === undefined || value === null) return null
    try {
      return typeof value === 'string' ? value.replaceAll('\0', '') : JSON.stringify(value)
    } catch {
      // Nested too deeply for the stack.
      context.addIssue('cannot be written as JSON')
      return z.NEVER
    }
  })

/** When something happened, as its sender says. */
export const moment = z.coerce.date().optional().catch(undefined)

export const turnEvent = z.object({
  timestamp: moment,
  data: z.preprocess(
    (data) => (isItem(data) ? turnOfItem(data) : data),
    z.object({
      /** Of the interview or of its session. */
      interview_id: z.guid(),
      speaker: plain(120).pipe(z.string().min(1)),
      content: plain(20_000).pipe(z.string().min(1)),
      sequence_no: z.int().min(1).max(maxSequenceNo),
      // No turn is lost over these.
      speaker_name: plain(120).nullable().catch(null),
      timestamp_sec: z.number().nullable().catch(null),
      is_ai_question: z.boolean().catch(false),
    }),
  ),
})

export const completionEvent = z.object({
  timestamp: moment,
  data: z.object({ interview_id: z.guid(), transcript: jsonText, report: jsonText }),
})

/** What each event of an agent has to have before it is taken in. */
const shapes = new Map<string, z.ZodType>([
  ['turn', turnEvent],
  ['session.completed', z.object({ data: z.object({ interview_id: z.guid() }) })],
])

/** What every event has: of an agent one of the types above, of others one of theirs, whichever that is. */
const typed: Record<WebhookSource, z.ZodType> = {
  agent: z.looseObject({ type: z.enum([...shapes.keys()]) }),
  livekit: z.looseObject({ event: z.string().min(1) }),
  resend: z.looseObject({ type: z.string().min(1) }),
}

/**
 * Throws UnprocessableError with the fields that are wrong, so that the sender is told at once: a body that is no
 * JSON object, an event without a type, and of an agent one of an unknown type or another shape than that has.
 */
export function refuseWrongShape(source: WebhookSource, body: string): void {
  const event = parseObject(body)
  refuseUnfit(typed[source], event)
  if (source === 'agent') refuseUnfit(shapes.get(event.type as string)!, event)
}

function refuseUnfit(schema: z.ZodType, event: Record<string, unknown>): void {
  const { error } = schema.safeParse(event, { error: ourMessage })
  if (!error) return
  const details = error.issues.map(({ path, message }): ErrorDetail => {
    const field = path.join('.')
    return { ...(field && { field }), message }
  })
  throw new UnprocessableError('The event has not the shape of its type', details)
}

/** Thrown also for a signed event that the sender's own library cannot read. */
export function unreadableBody(message: string): UnprocessableError {
  return new UnprocessableError('The body cannot be read as an event', [{ field: 'body', message }])
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw unreadableBody('must be JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unreadableBody('must be a JSON object')
  }
  return value as Record<string, unknown>
}
