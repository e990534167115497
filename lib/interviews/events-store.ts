import type { Transaction } from '../platform/db.ts'
import type { InterviewState } from './interviews.ts'
import { indexTranscript } from './search.ts'
import type { WebhookSource } from './webhook-signatures.ts'

/** applied; ignored: it changes nothing here; unmatched: what it is about is not here, or cannot be read. */
export type EventOutcome = 'applied' | 'ignored' | 'unmatched'

/** Writes an event down, as applied until noteOutcome says otherwise. False where it is here already. */
export async function insertEvent(
  tx: Transaction,
  event: { source: WebhookSource; id: string; type: string; receivedAt: Date },
): Promise<boolean> {
  const { count } = await tx`
    insert into webhook_events (source, event_id, type, outcome, received_at)
    values (${event.source}, ${event.id}, ${event.type}, 'applied', ${event.receivedAt})
    on conflict do nothing`
  return count === 1
}

export async function noteOutcome(
  tx: Transaction,
  event: { source: WebhookSource; id: string },
  noted: { outcome: EventOutcome; interviewId: string | null; body: string | null },
): Promise<void> {
  await tx`
    update webhook_events
    set outcome = ${noted.outcome}, interview_id = ${noted.interviewId}, body = ${noted.body}
    where source = ${event.source} and event_id = ${event.id}`
}

export type KnownInterview = { id: string; team_id: string; state: InterviewState }

/**
 * The interview of this id, or else of the session of this id, locked against every other change of its state:
 * whatever happens to one interview happens one after the other.
 */
export async function lockInterview(tx: Transaction, id: string): Promise<KnownInterview | undefined> {
  const [row] = await tx<KnownInterview[]>`
    select id, team_id, state from interviews
    where id = coalesce(
      (select id from interviews where id = ${id}), (select interview_id from sessions where id = ${id}))
    for no key update`
  return row
}

/** Whether an interview of this id was here, and somebody had it deleted. */
export async function wasDeleted(tx: Transaction, id: string): Promise<boolean> {
  const [row] = await tx`select from deletions where subject = 'interview' and subject_id = ${id}`
  return row !== undefined
}

export type NewTurn = {
  sequence_no: number
  speaker: string
  speaker_name: string | null
  content: string
  timestamp_sec: number | null
  is_ai_question: boolean
}

/** Stores a turn, and has searches find it. False where one of its number is there: its text stays. */
export async function insertTurn(
  tx: Transaction,
  { id, team_id }: KnownInterview,
  turn: NewTurn,
  at: Date,
): Promise<boolean> {
  const { count } = await tx`
    insert into turns (interview_id, sequence_no, speaker, speaker_name, content, timestamp_sec,
      is_ai_question, created_at)
    values (${id}, ${turn.sequence_no}, ${turn.speaker}, ${turn.speaker_name}, ${turn.content},
      ${turn.timestamp_sec}, ${turn.is_ai_question}, ${at})
    on conflict do nothing`
  if (count === 0) return false
  // What the session's JSON said under this number no longer counts.
  await indexTranscript(tx, team_id, id, { turns: [turn] })
  return true
}

/** From draft or scheduled to in progress; an interview that has begun stays as it is. */
export async function beginInterview(tx: Transaction, interview: KnownInterview, at: Date): Promise<void> {
  if (interview.state !== 'draft' && interview.state !== 'scheduled') return
  await tx`
    update interviews set state = 'in_progress', started_at = ${at}, updated_at = now()
    where id = ${interview.id}`
  await tx`
    update sessions set state = 'in_progress', started_at = ${at}
    where interview_id = ${interview.id} and state = 'created'`
}

/** Takes back that the room was closed, where it was opened again since. */
export async function reopenRoom(tx: Transaction, interviewId: string, at: Date): Promise<void> {
  await tx`
    update sessions set ended_at = null
    where interview_id = ${interviewId} and ended_at < ${at} and state = 'in_progress'`
}

export async function closeRoom(tx: Transaction, interviewId: string, at: Date): Promise<void> {
  await tx`
    update sessions set ended_at = greatest(ended_at, ${at}::timestamptz) where interview_id = ${interviewId}`
}

/** What the agent said of the session when it was completed, if it was. */
export async function storedTranscript(tx: Transaction, interviewId: string): Promise<string | null> {
  const [row] = await tx<{ transcript_json: string | null }[]>`
    select transcript_json from sessions where interview_id = ${interviewId}`
  return row?.transcript_json ?? null
}

/** Stores what the agent says at the end, and completes session and interview where they are not. */
export async function completeInterview(
  tx: Transaction,
  interviewId: string,
  said: { transcript: string | null; report: string | null },
  at: Date,
): Promise<void> {
  await tx`
    update sessions
    set state = 'completed', transcript_json = ${said.transcript}, report_json = coalesce(report_json, ${said.report}),
      started_at = coalesce(started_at, ${at}), ended_at = coalesce(ended_at, ${at}),
      completed_at = coalesce(completed_at, ${at})
    where interview_id = ${interviewId}`
  await tx`
    update interviews
    set state = 'completed', started_at = coalesce(started_at, ${at}),
      completed_at = coalesce(completed_at, ${at}), updated_at = now()
    where id = ${interviewId}`
}
