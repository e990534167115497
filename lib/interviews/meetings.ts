import type { Transaction } from '../platform/db.ts'
import { queueEmail } from './emails.ts'
import { lockInterview } from './events-store.ts'
import {
  cancelInterview,
  changeInterview,
  getInterview,
  type Interview,
  type InterviewChanges,
} from './interviews.ts'
import { mayKnow, raiseSequence, wasInvited } from './meetings-store.ts'

/** The interview after a change, and the outbox's messages to send after the commit. */
export type ChangedMeeting = { interview: Interview; messages: string[] }

/**
 * Changes an interview as changeInterview does, and throws as it does. A candidate who was invited is told of
 * another time, once for each.
 */
export async function changeMeeting(
  tx: Transaction,
  teamId: string,
  id: string,
  changes: InterviewChanges,
): Promise<ChangedMeeting> {
  const before = await lockedInterview(tx, teamId, id)
  const interview = await changeInterview(tx, teamId, id, changes)
  const isMoved = before.scheduled_at?.getTime() !== interview.scheduled_at?.getTime()
  const isTold = isMoved && (await wasInvited(tx, id))
  return { interview, messages: isTold ? await tell(tx, 'rescheduled', interview, before.scheduled_at) : [] }
}

/**
 * Cancels an interview as cancelInterview does, and throws as it does. A candidate who may know of it is told, once:
 * an invitation that waits is not sent any more.
 */
export async function cancelMeeting(tx: Transaction, teamId: string, id: string): Promise<ChangedMeeting> {
  const before = await lockedInterview(tx, teamId, id)
  const interview = await cancelInterview(tx, teamId, id)
  const isTold = before.state !== 'cancelled' && (await mayKnow(tx, id))
  return { interview, messages: isTold ? await tell(tx, 'cancelled', interview, before.scheduled_at) : [] }
}

/** Throws NotFoundError, also where it is another team's. */
async function lockedInterview(tx: Transaction, teamId: string, id: string): Promise<Interview> {
  await getInterview(tx, teamId, id)
  await lockInterview(tx, id)
  return getInterview(tx, teamId, id)
}

async function tell(
  tx: Transaction,
  kind: 'rescheduled' | 'cancelled',
  interview: Interview,
  previous: Date | null,
): Promise<string[]> {
  const sequence = await raiseSequence(tx, interview.id)
  const message = await queueEmail(tx, {
    teamId: interview.team_id,
    interviewId: interview.id,
    kind,
    dedupeKey: `${kind}:${interview.id}:${sequence}`,
    recipient: interview.candidate_email,
    data: {
      candidate_name: interview.candidate_name,
      role_title: interview.role_title,
      scheduled_at: interview.scheduled_at?.toISOString() ?? null,
      previous_scheduled_at: previous?.toISOString() ?? null,
      timezone: interview.timezone,
      duration_minutes: interview.duration_minutes,
      calendar: { sequence, stamp: new Date().toISOString() },
    },
  })
  return message === undefined ? [] : [message]
}
