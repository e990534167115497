import * as z from 'zod'
import { type ErrorDetail, UnprocessableError } from '../platform/errors.ts'
import { ourMessage } from '../platform/http/messages.ts'
import { isItem, turnOfItem } from './chat-items.ts'
import { maxSequenceNo } from './snapshot.ts'

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

/** What each event of an agent has to have before it is taken in; others are kept as they are. */
const shapes = new Map<unknown, z.ZodType>([
  ['turn', turnEvent],
  ['session.completed', z.object({ data: z.object({ interview_id: z.guid() }) })],
])

const typed = z.looseObject({ type: z.string() })

/**
 * Throws UnprocessableError with the fields that are wrong in an agent's event of a type that is known here, so
 * that the agent is told at once. What names no such type is kept for a person to look at.
 */
export function refuseWrongShape(body: string): void {
  const { data: event } = typed.safeParse(parseJson(body))
  const error = event && shapes.get(event.type)?.safeParse(event, { error: ourMessage }).error
  if (!error) return
  const details = error.issues.map(({ path, message }): ErrorDetail => {
    const field = path.join('.')
    return { ...(field && { field }), message }
  })
  throw new UnprocessableError('The event has not the shape of its type', details)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
