import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { type AssessmentContent, readContent } from './assessment-content.ts'
import type { Rubric } from './interviews.ts'
import type { Failure } from './lease.ts'
import { rubricOf } from './prompts.ts'

/** What the queue of assessments carries. */
export const assessmentMessage = z.object({ interview_id: z.uuid() })

export const assessmentStates = ['pending', 'generating', 'completed', 'failed'] as const
export type AssessmentState = (typeof assessmentStates)[number]

export type Assessment = {
  interview_id: string
  state: AssessmentState
  failure: Failure | null
  /** While another one is asked for, and where that failed, still the one before. */
  content: AssessmentContent | null
  generation: number
  requested_at: Date
  completed_at: Date | null
}

type Queries = Sql | Transaction
type Row = Omit<Assessment, 'content'> & { content: unknown; rubric: Rubric }

const columns = (sql: Queries) => sql`
  interview_id, state, failure, content, generation, requested_at, completed_at,
  (select rubric from interviews where id = interview_id) as rubric`

function assessmentOf({ rubric, content, ...row }: Row): Assessment {
  return { ...row, content: readContent(content, rubricOf({ rubric })) }
}

export async function findAssessment(sql: Queries, interviewId: string): Promise<Assessment | undefined> {
  const [row] = await sql<Row[]>`
    select ${columns(sql)} from assessments where interview_id = ${interviewId}`
  return row && assessmentOf(row)
}

/** The first request for an assessment; undefined where there has been one. */
export async function insertAssessment(
  tx: Transaction,
  interviewId: string,
): Promise<Assessment | undefined> {
  const [row] = await tx<Row[]>`
    insert into assessments (interview_id) values (${interviewId})
    on conflict (interview_id) do nothing
    returning ${columns(tx)}`
  return row && assessmentOf(row)
}

export async function lockAssessment(tx: Transaction, interviewId: string): Promise<Assessment> {
  const [row] = await tx<Row[]>`
    select ${columns(tx)} from assessments where interview_id = ${interviewId} for update`
  return assessmentOf(row!)
}

/** Makes an assessment wait for its worker anew. Whoever is at it loses the lease. */
export async function renewAssessment(tx: Transaction, interviewId: string): Promise<Assessment> {
  const [row] = await tx<Row[]>`
    update assessments
    set state = 'pending', failure = null, generation = generation + 1, requested_at = now(), attempts = 0,
      lease = null, lease_until = null, last_error = null, last_error_cause = null, touched_at = now(),
      resent_at = now()
    where interview_id = ${interviewId}
    returning ${columns(tx)}`
  return assessmentOf(row!)
}

/** To be called under the lease. */
export async function completeAssessment(
  tx: Transaction,
  interviewId: string,
  content: AssessmentContent,
): Promise<Assessment> {
  const [row] = await tx<Row[]>`
    update assessments
    set state = 'completed', content = ${tx.json(content)}, failure = null, completed_at = now(), lease = null,
      lease_until = null, touched_at = now()
    where interview_id = ${interviewId}
    returning ${columns(tx)}`
  return assessmentOf(row!)
}

/** Keeps an interview from being deleted in this transaction; its deletion takes it before the assessment, too. */
export async function keepInterview(tx: Transaction, interviewId: string): Promise<void> {
  await tx`select from interviews where id = ${interviewId} for key share`
}

/** The team of an interview that a message names; undefined where there is no such interview any more. */
export async function teamOf(sql: Sql, interviewId: string): Promise<string | undefined> {
  const [row] = await sql<{ team_id: string }[]>`select team_id from interviews where id = ${interviewId}`
  return row?.team_id
}
