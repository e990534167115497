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
  /** That of the content, the newest that was completed. */
  content_generation: number | null
  generation: number
  /** Whether turns arrived after those that the content was made of. */
  outdated: boolean
  /** Generations that were completed, which are kept. */
  kept_generations: number[]
  requested_at: Date
  completed_at: Date | null
}

type Queries = Sql | Transaction
type Row = Omit<Assessment, 'content' | 'content_generation'> & { content: unknown; rubric: Rubric }

const columns = (sql: Queries) => sql`
  interview_id, state, failure, content, generation, outdated, requested_at, completed_at,
  (select coalesce(jsonb_agg(g.generation order by g.generation), '[]') from assessment_generations g
    where g.interview_id = assessments.interview_id) as kept_generations,
  (select rubric from interviews where id = interview_id) as rubric`

function assessmentOf({ rubric, content, ...row }: Row): Assessment {
  const read = readContent(content, rubricOf({ rubric }))
  return { ...row, content: read, content_generation: read && (row.kept_generations.at(-1) ?? null) }
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
      resent_at = now(), due_at = null, waiting_since = null, exported_at = null
    where interview_id = ${interviewId}
    returning ${columns(tx)}`
  return assessmentOf(row!)
}

/** Ends one that was asked for and that no worker has seen. */
export async function failUnpaid(
  tx: Transaction,
  interviewId: string,
  failure: Failure,
): Promise<Assessment> {
  const [row] = await tx<Row[]>`
    update assessments set state = 'failed', failure = ${tx.json(failure)}, touched_at = now()
    where interview_id = ${interviewId}
    returning ${columns(tx)}`
  return assessmentOf(row!)
}

/** To be called under the lease. The content of each generation is kept. */
export async function completeAssessment(
  tx: Transaction,
  interviewId: string,
  content: AssessmentContent,
): Promise<Assessment> {
  await tx`
    insert into assessment_generations (interview_id, generation, content, completed_at)
    select interview_id, generation, ${tx.json(content)}, now() from assessments where interview_id = ${interviewId}
    on conflict (interview_id, generation) do update
    set content = excluded.content, completed_at = excluded.completed_at`
  const [row] = await tx<Row[]>`
    update assessments
    set state = 'completed', content = ${tx.json(content)}, failure = null, completed_at = now(), lease = null,
      lease_until = null, touched_at = now(), outdated = false, due_at = null, waiting_since = null
    where interview_id = ${interviewId}
    returning ${columns(tx)}`
  return assessmentOf(row!)
}

/** What an earlier generation said; undefined if that was not completed. */
export async function findGeneration(
  sql: Queries,
  interviewId: string,
  generation: number,
): Promise<{ content: AssessmentContent; completed_at: Date } | undefined> {
  const [row] = await sql<{ content: unknown; completed_at: Date; rubric: Rubric }[]>`
    select g.content, g.completed_at, i.rubric
    from assessment_generations g join interviews i on i.id = g.interview_id
    where g.interview_id = ${interviewId} and g.generation = ${generation}`
  const content = row && readContent(row.content, rubricOf(row))
  return content ? { content, completed_at: row.completed_at } : undefined
}

/** Seconds without a new turn after which an assessment that waits for turns begins, and at the latest. */
const quietSeconds = 60
const longestWaitSeconds = 300
/** Seconds for which the time that it is due stays as it is: turns that arrive together need one message. */
const step = 5

/**
 * Lets a pending assessment wait for turns that may still arrive: a minute from now, at most five in all. Answers
 * in how many seconds it is due; undefined if that was known before.
 */
export async function waitForTurns(tx: Transaction, interviewId: string): Promise<number | undefined> {
  const [row] = await tx<{ seconds: number }[]>`
    update assessments
    set waiting_since = coalesce(waiting_since, now()),
      due_at = case when due_at is null then now() + make_interval(secs => ${quietSeconds})
        else least(now() + make_interval(secs => ${quietSeconds + step}),
          waiting_since + make_interval(secs => ${longestWaitSeconds})) end
    where interview_id = ${interviewId} and (due_at is null
      or due_at < least(now() + make_interval(secs => ${quietSeconds}),
        waiting_since + make_interval(secs => ${longestWaitSeconds})))
    returning extract(epoch from due_at - now())::float8 as seconds`
  return row && Math.max(0, Math.ceil(row.seconds))
}

/** Seconds before which a pending assessment is not to begin; 0 if it may. */
export async function secondsUntilDue(sql: Sql, interviewId: string): Promise<number> {
  const [row] = await sql<{ seconds: number }[]>`
    select greatest(0, extract(epoch from due_at - now()))::float8 as seconds
    from assessments where interview_id = ${interviewId} and state = 'pending' and due_at is not null`
  return row?.seconds ?? 0
}

/** Makes an assessment that waits for turns due. */
export async function stopWaiting(tx: Transaction, interviewId: string): Promise<void> {
  await tx`update assessments set due_at = null, waiting_since = null where interview_id = ${interviewId}`
}

export type Progress = {
  state: AssessmentState
  failure: Failure | null
  waiting: boolean
  renewals: number
  exported: boolean
  /** Whether a person has given a verdict, on whatever generation. */
  decided: boolean
}

/** How far an assessment is, locked; undefined if none was asked for. */
export async function lockProgress(tx: Transaction, interviewId: string): Promise<Progress | undefined> {
  const [row] = await tx<Progress[]>`
    select state, failure, coalesce(due_at > now(), false) as waiting, renewals, exported_at is not null as exported,
      exists (select from verdicts v where v.interview_id = assessments.interview_id) as decided
    from assessments where interview_id = ${interviewId} for update`
  return row
}

export async function markOutdated(tx: Transaction, interviewId: string, { renewed }: { renewed: boolean }) {
  await tx`
    update assessments set outdated = content is not null, renewals = renewals + ${renewed ? 1 : 0}
    where interview_id = ${interviewId}`
}

/** A person has taken the assessment out: from now on it is not replaced by itself. */
export async function markExported(tx: Transaction, interviewId: string): Promise<void> {
  await tx`
    update assessments set exported_at = now() where interview_id = ${interviewId} and exported_at is null`
  await withdrawRenewal(tx, interviewId)
}

/**
 * Takes back another assessment that late turns led to, if no worker is at it yet: the one before stays, outdated.
 * One that a person asked for does not wait for turns, and is left.
 */
export async function withdrawRenewal(tx: Transaction, interviewId: string): Promise<void> {
  await tx`
    update assessments a
    set state = 'completed', failure = null, generation = kept.newest, outdated = true, due_at = null,
      waiting_since = null, last_error = null, last_error_cause = null, touched_at = now()
    from (
      select max(generation) as newest from assessment_generations where interview_id = ${interviewId}) kept
    where interview_id = ${interviewId} and state = 'pending' and waiting_since is not null
      and content is not null and kept.newest is not null`
}

/** Keeps an interview from being deleted in this transaction; its deletion takes it before the assessment, too. */
export async function keepInterview(tx: Transaction, interviewId: string): Promise<void> {
  await tx`select from interviews where id = ${interviewId} for key share`
}

/** The team of an interview that a message names; undefined where there is no such interview any more. */
export async function teamOf(sql: Queries, interviewId: string): Promise<string | undefined> {
  const [row] = await sql<{ team_id: string }[]>`select team_id from interviews where id = ${interviewId}`
  return row?.team_id
}
