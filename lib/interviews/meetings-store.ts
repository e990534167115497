import type postgres from 'postgres'
import type { Sql, Transaction } from '../platform/db.ts'
import { QuotaExceededError } from '../platform/errors.ts'
import { secondsLeft } from '../platform/quotas.ts'
import { type Email, emailColumns } from './email-store.ts'

/** Whether the candidate was invited, or is about to be. */
export async function wasInvited(tx: Transaction, interviewId: string): Promise<boolean> {
  const [row] = await tx`select from emails where interview_id = ${interviewId} and kind = 'invite' limit 1`
  return row !== undefined
}

/**
 * Whether an e-mail about the interview may have reached the candidate. To be called under the interview's lock, by
 * whoever ends it: one that waits for its first attempt is held until the end is committed, and then not sent.
 */
export async function mayKnow(tx: Transaction, interviewId: string): Promise<boolean> {
  const rows = await tx<{ known: boolean }[]>`
    select provider_id is not null or state = 'sending'
      or state = 'queued' and (attempts > 0 or resent_at is not null) as known
    from emails where interview_id = ${interviewId} and kind in ('invite', 'rescheduled')
    order by id for update`
  return rows.some(({ known }) => known)
}

/** Raises the sequence of the candidate's calendar entry, and returns it. */
export async function raiseSequence(tx: Transaction, interviewId: string): Promise<number> {
  const [row] = await tx<{ sequence: number }[]>`
    update interviews set calendar_sequence = calendar_sequence + 1 where id = ${interviewId}
    returning calendar_sequence as sequence`
  return row!.sequence
}

export async function sequenceOf(tx: Transaction, interviewId: string): Promise<number> {
  const [row] = await tx<{ sequence: number }[]>`
    select calendar_sequence as sequence from interviews where id = ${interviewId}`
  return row!.sequence
}

/** The last e-mail that told the candidate of a time, if that is this one. */
export async function toldOf(
  tx: Transaction,
  interviewId: string,
  scheduledAt: string | null,
): Promise<Email | undefined> {
  const [row] = await tx<(Email & { same: boolean })[]>`
    select ${emailColumns(tx)}, data->>'scheduled_at' is not distinct from ${scheduledAt} as same
    from emails where interview_id = ${interviewId} and kind in ('invite', 'rescheduled')
    order by id desc limit 1`
  if (!row) return undefined
  const { same, ...email } = row
  return same ? email : undefined
}

const hashOf = (tx: Transaction, address: string): postgres.Fragment =>
  tx`sha256(convert_to(lower(${address}), 'UTF8'))`

/** Invitations to one address in a day (UTC), whatever interviews of the team they are for. */
export const invitationsToAddress = 3

/**
 * Counts an invitation to an address, exactly however many are sent at once. Throws QuotaExceededError if the team
 * has sent it three today.
 */
export async function countInvitation(tx: Transaction, teamId: string, address: string): Promise<void> {
  const [row] = await tx<{ counted: boolean; seconds: number }[]>`
    with counted as (
      insert into invitations_sent as i (team_id, address_hash, day, used)
      values (${teamId}, ${hashOf(tx, address)}, (now() at time zone 'utc')::date, 1)
      on conflict (team_id, address_hash, day) do update set used = i.used + 1 where i.used < ${invitationsToAddress}
      returning 1)
    select exists (select from counted) as counted, ${secondsLeft(tx)} as seconds`
  const { counted, seconds } = row!
  if (!counted) throw new QuotaExceededError('invitations to one address', invitationsToAddress, seconds)
}

/** Forgets the counts of the days before. */
export async function forgetInvitations(sql: Sql): Promise<void> {
  await sql`delete from invitations_sent where day < (now() at time zone 'utc')::date`
}

/** Forgets how many invitations the team has sent to an address. */
export async function forgetInvitationsTo(tx: Transaction, teamId: string, address: string): Promise<void> {
  await tx`delete from invitations_sent where team_id = ${teamId} and address_hash = ${hashOf(tx, address)}`
}
