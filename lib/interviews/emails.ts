import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { lockLetters, settleLetters } from '../platform/dead-letter-store.ts'
import { ConflictError } from '../platform/errors.ts'
import { queues } from '../platform/names.ts'
import { enqueue } from '../platform/outbox.ts'
import { trySpend } from '../platform/quotas.ts'
import { calendarFile } from './calendar.ts'
import { type NewsDetail, newsOf, stateOrder, suppressedFailure } from './email-news.ts'
import {
  type Email,
  type EmailToSend,
  emailStates,
  insertEmail,
  type KnownEmail,
  listEmails,
  lockEmail,
  markCounted,
  markSent,
  markSuppressed,
  noteNews,
  readEmail,
  waitForQuota,
} from './email-store.ts'
import { type EmailData, type EmailKind, renderEmail, templates } from './email-templates.ts'
import { type EventOutcome, lockInterview } from './events-store.ts'
import { type Failure, failureSchema } from './failure.ts'
import { getInterview, hasEnded, type Interview, mayJoin } from './interviews.ts'
import { FinalError, holdLease, type Lease, type Outcome, underLease } from './lease.ts'
import { countInvitation, sequenceOf, toldOf } from './meetings-store.ts'
import type { Mailer } from './model.ts'
import { reopenWork, workMessages } from './recovery-store.ts'
import { suppressAddress, suppressionOf } from './suppressions.ts'

const kinds = Object.keys(templates) as [EmailKind, ...EmailKind[]]

export const emailSchema = z
  .strictObject({
    id: z.uuid(),
    kind: z.enum(kinds),
    state: z.enum(emailStates),
    created_at: z.iso.datetime(),
    sent_at: z.iso.datetime().nullable(),
    failure: failureSchema.optional(),
  })
  .meta({
    id: 'Email',
    description: 'sent is what Resend accepted; delivered and what follows is what it heard of it.',
  })
export type EmailView = z.output<typeof emailSchema>

/** An e-mail as the API shows it. */
function emailView({ failure, created_at, sent_at, ...own }: Email): EmailView {
  return {
    ...own,
    created_at: created_at.toISOString(),
    sent_at: sent_at?.toISOString() ?? null,
    ...(failure && { failure }),
  }
}

/** Failures of our own: an e-mail that Resend took, or that is of no more use, is not sent again. */
const retriable = new Set(['refused_by_provider', 'refused', 'email_failed'])

/**
 * Has the e-mails about a team's interview that could not be sent sent again, under their ids: Resend sends none
 * twice. Returns all that are about it, and the outbox's messages to send after the commit. Throws NotFoundError.
 */
export async function retryEmails(
  tx: Transaction,
  { id }: Pick<Interview, 'id'>,
): Promise<{ emails: EmailView[]; messages: string[] }> {
  await lockInterview(tx, id)
  const messages: string[] = []
  for (const email of await listEmails(tx, id)) {
    if (email.state !== 'failed' || !retriable.has(email.failure?.code ?? '')) continue
    await lockLetters(tx, email.id)
    if (!(await reopenWork(tx, 'emails', email.id))) continue
    await settleLetters(tx, 'redriven', email.id, [queues.emails])
    messages.push(await enqueueEmail(tx, email.id))
  }
  return { emails: await emailsOf(tx, id), messages }
}

/** What was sent, or is to be, about an interview, oldest first. */
export async function emailsOf(sql: Sql | Transaction, interviewId: string): Promise<EmailView[]> {
  return (await listEmails(sql, interviewId)).map(emailView)
}

/** Kinds that link to an interview. */
type AboutInterview = 'invite' | 'rescheduled' | 'cancelled' | 'assessment_ready'

/** An e-mail of any kind with the data of that kind. Asked for twice under one `dedupeKey`, it is sent once. */
export type NewEmail = {
  [Kind in EmailKind]: {
    teamId: string
    interviewId: Kind extends AboutInterview ? string : null
    kind: Kind
    dedupeKey?: string
    recipient: string
    data: EmailData<Kind>
  }
}[EmailKind]

/**
 * Has an e-mail sent once the transaction is committed. Answers the outbox's message; undefined where there is
 * an e-mail of the same dedupe key, or the team's quota has no room: then it waits, and is sent when there is.
 */
export async function queueEmail(tx: Transaction, email: NewEmail): Promise<string | undefined> {
  const made = await insert(tx, email)
  if (!made) return undefined
  if (isFree(email.kind) || (await trySpend(tx, email.teamId, 'emails', 1))) return enqueueEmail(tx, made.id)
  await waitForQuota(tx, made.id, beyondQuota)
  return undefined
}

/** A notice of a change costs no quota: the candidate has to know. */
const isFree = (kind: EmailKind) => kind === 'rescheduled' || kind === 'cancelled'

const beyondQuota: Failure = {
  code: 'quota_exceeded',
  message:
    'The team had used its e-mails of the day: it is sent once that is over (UTC), or the limit is raised',
}

function insert(tx: Transaction, email: NewEmail): Promise<Email | undefined> {
  return insertEmail(tx, { ...email, data: templates[email.kind].data.parse(email.data) })
}

function enqueueEmail(tx: Transaction, email_id: string): Promise<string> {
  return enqueue(tx, queues.emails, workMessages.emails(email_id))
}

/**
 * Invites the candidate, once for each time that the interview is scheduled for; `again` sends another
 * invitation. Returns the e-mail, which may be an earlier one or the notice of a change, and the outbox's messages to
 * send after the commit. Throws NotFoundError, ConflictError if the interview has ended or nothing is sent to the
 * address, and QuotaExceededError after three invitations to it in a day.
 */
export async function inviteCandidate(
  tx: Transaction,
  { id, team_id }: Pick<Interview, 'id' | 'team_id'>,
  { again = false }: { again?: boolean } = {},
): Promise<{ email: EmailView; messages: string[] }> {
  // It is not cancelled, changed or deleted until the invitation is there.
  await lockInterview(tx, id)
  const interview = await getInterview(tx, team_id, id)
  mayJoin(interview)
  const suppression = await suppressionOf(tx, team_id, interview.candidate_email)
  if (suppression) {
    const { message, code } = suppressedFailure(suppression)
    throw new ConflictError(message, code)
  }
  const scheduled_at = interview.scheduled_at?.toISOString() ?? null
  const told = again ? undefined : await toldOf(tx, id, scheduled_at)
  if (told) return { email: emailView(told), messages: [] }
  await countInvitation(tx, team_id, interview.candidate_email)
  const made = await insert(tx, {
    teamId: team_id,
    interviewId: id,
    kind: 'invite',
    recipient: interview.candidate_email,
    data: {
      candidate_name: interview.candidate_name,
      role_title: interview.role_title,
      scheduled_at,
      timezone: interview.timezone,
      duration_minutes: interview.duration_minutes,
      calendar: { sequence: await sequenceOf(tx, id), stamp: new Date().toISOString() },
    },
  })
  // Without a dedupe key there is no other one.
  return { email: emailView(made!), messages: [await enqueueEmail(tx, made!.id)] }
}

export type SendContext = {
  sql: Sql
  mailer: Mailer
  /** Where e-mails link to. */
  consoleUrl: string
  /** The sender, who organizes what calendar files are about. */
  mailFrom: string
  remainingMs(): number
}

/** queued: the team's quota has no room for it yet. */
export type SendResult = { kind: EmailKind; state: 'sent' | 'suppressed' | 'queued' }

/**
 * Sends an e-mail that is queued. Killed or doubled it is sent once: Resend knows it by its id for a day. Rejects
 * where the message is to come back; what Resend refuses is stored as failed.
 */
export async function sendEmail(context: SendContext, id: string): Promise<Outcome<SendResult>> {
  const { sql, mailer, consoleUrl, mailFrom, remainingMs } = context
  return underLease(sql, 'emails', id, remainingMs, async (lease) => {
    const email = await sql.begin((tx) => prepare(tx, lease))
    const { kind, recipient, data, interview_id: interviewId, ended } = email
    if (ended) return { kind, state: ended }
    const { entry, ...content } = renderEmail({ kind, data, interviewId }, consoleUrl)
    const people = entry && { from: mailFrom, to: { name: entry.name, email: recipient } }
    const attachments = entry && people && [calendarFile(entry, people)]
    const mail = { id, to: recipient, ...content, ...(attachments && { attachments }) }
    const { provider_id } = await mailer.send(mail, { remainingMs })
    await markSent(sql, lease, provider_id)
    return { kind, state: 'sent' }
  })
}

/** The e-mail as it is to be sent, unless this attempt ends here. */
async function prepare(
  tx: Transaction,
  lease: Lease,
): Promise<EmailToSend & { ended?: 'suppressed' | 'queued' }> {
  await holdLease(tx, lease)
  const email = await readEmail(tx, lease.id)
  if (email.recipient === '') throw new FinalError('expired', 'The address was deleted after its time')
  const isOfMeeting = email.kind === 'invite' || email.kind === 'rescheduled'
  if (isOfMeeting && email.interview_state !== null && hasEnded(email.interview_state)) {
    const how = email.interview_state === 'cancelled' ? 'was cancelled' : 'ended'
    throw new FinalError('interview_ended', `The interview ${how} before the e-mail was sent`)
  }
  if (email.is_superseded) {
    throw new FinalError('superseded', 'A later change of the interview was sent before')
  }
  const suppression = await suppressionOf(tx, email.team_id, email.recipient)
  if (suppression) {
    await markSuppressed(tx, lease.id, suppressedFailure(suppression))
    return { ...email, ended: 'suppressed' }
  }
  if (email.counted) return email
  if (!(await trySpend(tx, email.team_id, 'emails', 1))) {
    await waitForQuota(tx, lease.id, beyondQuota)
    return { ...email, ended: 'queued' }
  }
  await markCounted(tx, lease.id)
  return email
}

export type EmailEvent = NewsDetail & {
  type: string
  /** Our own, which the e-mail was sent with. */
  email_id?: string | undefined
  /** Resend's. */
  provider_id: string
  at: Date
}

/**
 * Applies what Resend tells of an e-mail, also before its worker has stored that it was sent, and after it was
 * given up here. An address that refuses for good, whose reader complains, or to which Resend sends nothing, is
 * suppressed for the team.
 */
export async function applyEmailEvent(tx: Transaction, event: EmailEvent): Promise<EventOutcome> {
  const email = await lockEmail(tx, event)
  if (!email) return 'unmatched'
  const news = newsOf(event.type, event)
  if (!news) return 'ignored'
  const { state, failure, suppresses } = news
  // Without a recipient it was deleted after its time.
  if (suppresses && email.recipient !== '') {
    const said = { reason: suppresses, message: failure?.message ?? null, at: event.at }
    await suppressAddress(tx, email, said)
  }
  if (stateOrder.indexOf(state) <= rankOf(email)) return suppresses ? 'applied' : 'ignored'
  const unsent = state === 'failed' || state === 'suppressed'
  await noteNews(tx, email.id, {
    state,
    failure,
    providerId: event.provider_id,
    sentAt: unsent ? null : event.at,
    at: event.at,
  })
  return 'applied'
}

/** Below every event's while the state is our own word and not Resend's. */
function rankOf({ provider_id, state }: KnownEmail): number {
  return provider_id === null ? -1 : stateOrder.indexOf(state)
}
