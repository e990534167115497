import type { JSONValue } from 'postgres'
import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import type { EmailKind } from './email-templates.ts'
import type { InterviewState } from './interviews.ts'
import type { Failure, Lease } from './lease.ts'

/** What the queue of e-mails carries. */
export const emailMessage = z.object({ email_id: z.uuid() })

export const emailStates = [
  'queued',
  'sending',
  'sent',
  'delivered',
  'delayed',
  'bounced',
  'complained',
  'suppressed',
  'failed',
] as const
export type EmailState = (typeof emailStates)[number]

export type Email = {
  id: string
  kind: EmailKind
  state: EmailState
  failure: Failure | null
  created_at: Date
  sent_at: Date | null
}

export type EmailRow = {
  teamId: string
  interviewId: string | null
  kind: EmailKind
  dedupeKey?: string | undefined
  recipient: string
  data: object
}

type Queries = Sql | Transaction

export const emailColumns = (sql: Queries) => sql`id, kind, state, failure, created_at, sent_at`

/** Undefined where there is one of the same dedupe key. */
export async function insertEmail(tx: Transaction, email: EmailRow): Promise<Email | undefined> {
  const { teamId, interviewId, kind, dedupeKey = null, recipient, data } = email
  const [row] = await tx<Email[]>`
    insert into emails (team_id, interview_id, kind, dedupe_key, recipient, data)
    values (${teamId}, ${interviewId}, ${kind}, ${dedupeKey}, ${recipient}, ${tx.json(data as JSONValue)})
    on conflict (dedupe_key) do nothing
    returning ${emailColumns(tx)}`
  return row
}

/** Those about an interview, oldest first. */
export async function listEmails(sql: Queries, interviewId: string): Promise<Email[]> {
  return sql<Email[]>`select ${emailColumns(sql)} from emails where interview_id = ${interviewId} order by id`
}

export type EmailToSend = {
  team_id: string
  counted: boolean
  kind: EmailKind
  interview_id: string | null
  /** Null where it is about none. */
  interview_state: InterviewState | null
  recipient: string
  data: unknown
  /** Whether a later e-mail about a change of the same interview was sent before. */
  is_superseded: boolean
}

/** To be called under the lease. */
export async function readEmail(tx: Transaction, id: string): Promise<EmailToSend> {
  const [row] = await tx<EmailToSend[]>`
    select e.team_id, counted, kind, interview_id, i.state as interview_state, recipient, data,
      kind in ('invite', 'rescheduled') and exists (
        select from emails later
        where later.interview_id = e.interview_id and later.id > e.id and later.kind in ('rescheduled', 'cancelled')
          and later.provider_id is not null) as is_superseded
    from emails e left join interviews i on i.id = interview_id
    where e.id = ${id}`
  return row!
}

/** Makes an e-mail wait until the team's quota has room for it, which the sweep asks from time to time. */
export async function waitForQuota(tx: Transaction, id: string, failure: Failure): Promise<void> {
  await tx`
    update emails
    set state = 'queued', counted = false, failure = ${tx.json(failure)}, lease = null, lease_until = null,
      touched_at = now()
    where id = ${id}`
}

/** What was waited for is there. */
export async function markCounted(tx: Transaction, id: string): Promise<void> {
  await tx`update emails set counted = true, failure = null where id = ${id}`
}

/** Ends an e-mail that is not sent. To be called under the lease. */
export async function markSuppressed(tx: Transaction, id: string, failure: Failure): Promise<void> {
  await tx`
    update emails
    set state = 'suppressed', failure = ${tx.json(failure)}, lease = null, lease_until = null, touched_at = now()
    where id = ${id}`
}

/** Where the lease is lost it changes nothing: a webhook was faster, or another worker is at it. */
export async function markSent(sql: Sql, { id, token }: Lease, providerId: string): Promise<void> {
  await sql`
    update emails
    set state = 'sent', provider_id = ${providerId}, sent_at = now(), lease = null, lease_until = null,
      touched_at = now()
    where id = ${id} and lease = ${token}`
}

export type KnownEmail = {
  id: string
  team_id: string
  state: EmailState
  provider_id: string | null
  recipient: string
}

/** Locks an e-mail by our own id, or else by Resend's, which it has once it is known to be sent. */
export async function lockEmail(
  tx: Transaction,
  { email_id, provider_id }: { email_id?: string | undefined; provider_id: string },
): Promise<KnownEmail | undefined> {
  const [row] = await tx<KnownEmail[]>`
    select id, team_id, state, provider_id, recipient from emails
    where id = coalesce(
      (select id from emails where id = ${email_id ?? null}),
      (select id from emails where provider_id = ${provider_id}))
    for update`
  return row
}

/** Stores what Resend said last of an e-mail. A worker that is still at it loses the lease. */
export async function noteNews(
  tx: Transaction,
  id: string,
  news: { state: EmailState; failure: Failure | null; providerId: string; sentAt: Date | null; at: Date },
): Promise<void> {
  await tx`
    update emails
    set state = ${news.state}, failure = ${news.failure && tx.json(news.failure)},
      provider_id = coalesce(provider_id, ${news.providerId}), sent_at = coalesce(sent_at, ${news.sentAt}),
      updated_at = ${news.at}, lease = null, lease_until = null, touched_at = now()
    where id = ${id}`
}

/** The e-mail that Resend knows by an id of its own; undefined if there is none. */
export async function idOfSentEmail(tx: Transaction, providerId: string): Promise<string | undefined> {
  const [row] = await tx<{ id: string }[]>`select id from emails where provider_id = ${providerId}`
  return row?.id
}
