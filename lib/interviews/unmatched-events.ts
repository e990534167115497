import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { webhookRetentionDays } from '../platform/names.ts'
import { type WebhookSource, webhookSources } from './webhook-signatures.ts'

export const unmatchedReasons = ['unreadable', 'not_found'] as const
/** unreadable: it is not as events of its type are; not_found: what it names is not here. */
export type UnmatchedReason = (typeof unmatchedReasons)[number]

/** An event that fits nothing here. What it says is not shown: it belongs to no team. */
export const unmatchedEventSchema = z.strictObject({
  source: z.enum(webhookSources),
  id: z.string().meta({ description: "The sender's id of it" }),
  type: z.string(),
  reason: z
    .enum(unmatchedReasons)
    .nullable()
    .meta({ description: 'Null for an event of an earlier release' }),
  about: z
    .guid()
    .nullable()
    .meta({ description: 'The id of the interview, session or e-mail that it names' }),
  bytes: z.int().nullable().meta({ description: 'Of its body' }),
  received_at: z.iso.datetime(),
  kept_until: z.iso
    .datetime()
    .meta({ description: 'From then on it is not listed, and its body is deleted' }),
})
export type UnmatchedEvent = z.output<typeof unmatchedEventSchema>

const cursorForm = new RegExp(`^(\\d{1,15})\\.(${webhookSources.join('|')})\\.(\\P{Cc}{1,200})$`, 'u')

/** Where a page ends: the place of its last event. */
export const unmatchedCursor = z
  .string()
  .regex(cursorForm, 'is not one of this list')
  .transform((cursor) => {
    const [, at, source, id] = cursorForm.exec(cursor)!
    return { receivedAt: new Date(Number(at)), source: source as WebhookSource, id: id! }
  })

export type UnmatchedQuery = {
  source?: WebhookSource | undefined
  after?: z.output<typeof unmatchedCursor> | undefined
  limit: number
}

type Times = 'received_at' | 'kept_until'

/** Has an event listed. What it names is kept only if that is an id: anything else may be a person's name. */
export async function insertUnmatched(
  tx: Transaction,
  event: {
    source: WebhookSource
    id: string
    type: string
    reason: UnmatchedReason
    about?: string | undefined
    bytes: number
    receivedAt: Date
  },
): Promise<void> {
  const about = z.guid().safeParse(event.about).data ?? null
  await tx`
    insert into unmatched_events (source, event_id, type, reason, about, bytes, received_at)
    values (${event.source}, ${event.id}, ${event.type}, ${event.reason}, ${about}, ${event.bytes},
      ${event.receivedAt})
    on conflict do nothing`
}

/** A page of the events that fit nothing here, newest first, for as long as their bodies are kept. */
export async function listUnmatched(
  sql: Sql,
  { source, after, limit }: UnmatchedQuery,
): Promise<{ events: UnmatchedEvent[]; next_cursor: string | null }> {
  const rows = await sql<(Omit<UnmatchedEvent, 'received_at' | 'kept_until'> & Record<Times, Date>)[]>`
    select source, event_id as id, type, reason, about, bytes, received_at,
      received_at + make_interval(days => ${webhookRetentionDays}) as kept_until
    from unmatched_events
    where received_at > now() - make_interval(days => ${webhookRetentionDays})
      ${source ? sql`and source = ${source}` : sql``}
      ${after ? sql`and (received_at, source, event_id) < (${after.receivedAt}, ${after.source}, ${after.id})` : sql``}
    order by received_at desc, source desc, event_id desc limit ${limit + 1}`
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    events: shown.map((row) => ({
      ...row,
      received_at: row.received_at.toISOString(),
      kept_until: row.kept_until.toISOString(),
    })),
    next_cursor:
      last && rows.length > limit ? `${last.received_at.getTime()}.${last.source}.${last.id}` : null,
  }
}
