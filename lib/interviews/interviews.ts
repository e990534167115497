import type postgres from 'postgres'
import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { forgetLetters } from '../platform/dead-letter-store.ts'
import { emailAddress, shownAddress } from '../platform/email-address.ts'
import { BadRequestError, ConflictError, NotFoundError, UnprocessableError } from '../platform/errors.ts'
import { type Decision, decisions } from './decisions.ts'
import { requestRoomClosing } from './rooms-store.ts'
import { planSchema } from './tasks.ts'
import { isStorable, linesOfText, nameOrTitle } from './text.ts'
import { instantOf, timeZone, zoneName } from './zones.ts'

export const interviewStates = [
  'draft',
  'scheduled',
  'in_progress',
  'completed',
  'cancelled',
  'needs_attention',
] as const
export type InterviewState = (typeof interviewStates)[number]

/** What is assessed. `weight` is relative to those of the others. */
export const rubricSchema = z
  .array(
    z.strictObject({
      id: z.string().regex(/^[a-z\d_-]{1,40}$/, 'must be 1 to 40 of a-z, 0-9, _ and -'),
      title: nameOrTitle(80),
      weight: z.number().positive().max(100).default(1),
    }),
  )
  .max(10)
  .refine((criteria) => new Set(criteria.map(({ id }) => id)).size === criteria.length, {
    error: 'two criteria have one id',
  })
export type Rubric = z.output<typeof rubricSchema>

const moment = z.iso.datetime({ offset: true, local: true }).meta({
  description:
    'An instant, or without an offset the date and time of `timezone`: the first of two where clocks are put back, and as much later where they skip it',
  examples: ['2077-01-04T15:00:00Z', '2077-01-04T16:00:00'],
})

const details = {
  role_title: nameOrTitle(120),
  job_description: linesOfText(20_000).nullable(),
  rubric: rubricSchema,
  custom_question: linesOfText(1000).nullable(),
  plan: planSchema.refine(isStorable, { error: 'must not contain control characters' }).nullable(),
  ai_tone: z.enum(['professional', 'friendly', 'casual']),
  duration_minutes: z.int().min(5).max(240),
  scheduled_at: moment.nullable(),
  timezone: timeZone.nullable(),
  recruiter_email: emailAddress.nullable(),
}

/** What may be changed until the interview begins. */
export const changesSchema = z.strictObject(details).partial()
export type InterviewChanges = z.output<typeof changesSchema>

export const newInterviewSchema = changesSchema.extend({
  candidate_id: z.uuid(),
  role_title: details.role_title,
})
export type NewInterview = z.output<typeof newInterviewSchema>

const time = z.iso.datetime().nullable()

export const interviewSchema = z
  .strictObject({
    id: z.uuid(),
    candidate: z.strictObject({ id: z.uuid(), full_name: z.string() }),
    session_id: z.uuid(),
    ...details,
    // One of before may be no title of today.
    role_title: z.string(),
    rubric: z.array(z.strictObject({ id: z.string(), title: z.string(), weight: z.number() })),
    scheduled_at: time,
    timezone: z.string().nullable(),
    state: z.enum(interviewStates),
    assessment_state: z.enum(['pending', 'generating', 'completed', 'failed']).nullable(),
    verdict: z
      .strictObject({ generation: z.int().min(1), superseded: z.boolean(), decision: z.enum(decisions) })
      .nullable()
      .meta({ description: "A person's verdict, the one on the newest generation if there are several" }),
    started_at: time,
    completed_at: time,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({
    id: 'Interview',
    description: 'Under either id, its own or that of its session, agents may write.',
  })

export type Interview = {
  id: string
  team_id: string
  candidate_id: string
  candidate_name: string
  candidate_email: string
  session_id: string
  role_title: string
  job_description: string | null
  rubric: Rubric
  custom_question: string | null
  plan: z.output<typeof planSchema> | null
  ai_tone: 'professional' | 'friendly' | 'casual'
  duration_minutes: number
  scheduled_at: Date | null
  timezone: string | null
  recruiter_email: string | null
  state: InterviewState
  assessment_state: 'pending' | 'generating' | 'completed' | 'failed' | null
  verdict: { generation: number; superseded: boolean; decision: Decision } | null
  started_at: Date | null
  completed_at: Date | null
  created_at: Date
  updated_at: Date
}

type Queries = Sql | Transaction

const joined = (sql: Queries): postgres.Fragment => sql`
  select i.id, i.team_id, i.candidate_id, c.full_name as candidate_name, c.email as candidate_email,
    s.id as session_id, i.role_title, i.job_description, i.rubric, i.custom_question, i.plan, i.ai_tone,
    i.duration_minutes, i.scheduled_at, i.timezone, i.recruiter_email, i.state, a.state as assessment_state, i.started_at,
    i.completed_at, i.created_at, i.updated_at, (
      select jsonb_build_object('generation', v.generation, 'decision', v.decision, 'superseded', exists (
        select from assessment_generations g where g.interview_id = i.id and g.generation > v.generation))
      from verdicts v where v.interview_id = i.id order by v.generation desc limit 1) as verdict
  from interviews i
  join candidates c on c.id = i.candidate_id
  join sessions s on s.interview_id = i.id
  left join assessments a on a.interview_id = i.id`

/** An interview as the API shows it. */
export function interviewView(row: Interview): z.output<typeof interviewSchema> {
  const { team_id: _, candidate_id, candidate_name, candidate_email: __, ...own } = row
  return {
    ...own,
    candidate: { id: candidate_id, full_name: candidate_name },
    recruiter_email: row.recruiter_email && shownAddress(row.recruiter_email),
    scheduled_at: row.scheduled_at?.toISOString() ?? null,
    started_at: row.started_at?.toISOString() ?? null,
    completed_at: row.completed_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

/** An interview of the team. Throws NotFoundError, also where it is another team's. */
export async function getInterview(sql: Queries, teamId: string, id: string): Promise<Interview> {
  const [row] = await sql<Interview[]>`${joined(sql)} where i.team_id = ${teamId} and i.id = ${id}`
  if (!row) throw notFound()
  return row
}

function notFound(): NotFoundError {
  return new NotFoundError('Interview not found')
}

/**
 * A draft with its session. Throws NotFoundError where the team has no such candidate, UnprocessableError where it
 * begins in the past.
 */
export async function createInterview(
  tx: Transaction,
  owner: { teamId: string; keyId: string },
  { candidate_id, ...given }: NewInterview,
): Promise<Interview> {
  const [made] = await tx<{ id: string }[]>`
    insert into interviews (team_id, candidate_id, created_by, role_title)
    select ${owner.teamId}, id, ${owner.keyId}, ${given.role_title} from candidates
    where id = ${candidate_id} and team_id = ${owner.teamId}
    for key share
    returning id`
  if (!made) throw new NotFoundError('Candidate not found')
  await tx`insert into sessions (interview_id) values (${made.id})`
  await write(tx, made.id, given, { scheduled_at: null, timezone: null })
  return getInterview(tx, owner.teamId, made.id)
}

/**
 * Changes what the recruiter decides. Throws ConflictError once the interview has begun or ended, UnprocessableError
 * for a new start that is past, or local without a zone.
 */
export async function changeInterview(
  tx: Transaction,
  teamId: string,
  id: string,
  changes: InterviewChanges,
): Promise<Interview> {
  const { state, ...times } = await lock(tx, teamId, id)
  if (state !== 'draft' && state !== 'scheduled') {
    throw new ConflictError(`The interview is ${state.replace('_', ' ')}: it cannot be changed any more`)
  }
  await write(tx, id, changes, times)
  return getInterview(tx, teamId, id)
}

async function write(
  tx: Transaction,
  id: string,
  { rubric, plan, scheduled_at, timezone, ...plain }: InterviewChanges,
  known: Times,
): Promise<void> {
  const zone = timezone ? (zoneName(timezone) ?? null) : timezone
  const values = {
    ...plain,
    ...(zone !== undefined && { timezone: zone }),
    ...(scheduled_at !== undefined && {
      scheduled_at: startOf(scheduled_at, { ...known, ...(zone !== undefined && { timezone: zone }) }),
    }),
    ...(rubric && { rubric: tx.json(rubric) }),
    ...(plan !== undefined && { plan: plan && tx.json(plan) }),
  }
  if (Object.keys(values).length === 0) return
  await tx`update interviews set ${tx(values)}, updated_at = now() where id = ${id}`
}

/** When an interview begins, if that is known, and in which zone people think of it. */
type Times = Pick<Interview, 'scheduled_at' | 'timezone'>

/** Dates of five digits are no ISO dates, and an offset may lead to them. */
const lastYear = 9999

/** The instant of a start that is given. Throws UnprocessableError for a new one that is past, or has no zone. */
function startOf(given: string | null, known: Times): Date | null {
  if (given === null) return null
  const at = instantOf(given, known.timezone)
  const problem = !at
    ? 'needs an offset, as in 2077-01-04T15:00:00Z, or a timezone'
    : at.getTime() < Date.now() && at.getTime() !== known.scheduled_at?.getTime()
      ? 'must not be in the past'
      : at.getUTCFullYear() >= lastYear
        ? `must be before the year ${lastYear}`
        : undefined
  if (problem !== undefined) {
    throw new UnprocessableError('The interview cannot begin then', [
      { field: 'scheduled_at', message: problem },
    ])
  }
  return at!
}

/** Locks an interview of the team against every other change of its state, and answers that and its times. */
async function lock(tx: Transaction, teamId: string, id: string): Promise<Times & { state: InterviewState }> {
  const [row] = await tx<(Times & { state: InterviewState })[]>`
    select state, scheduled_at, timezone from interviews
    where team_id = ${teamId} and id = ${id} for no key update`
  if (!row) throw notFound()
  return row
}

async function move(tx: Transaction, id: string, state: InterviewState): Promise<void> {
  await tx`update interviews set state = ${state}, updated_at = now() where id = ${id}`
}

/**
 * Schedules a draft; one that is scheduled already, or has begun, stays as it is. Throws BadRequestError where
 * the job description is missing, ConflictError where the interview has ended.
 */
export async function confirmInterview(tx: Transaction, teamId: string, id: string): Promise<Interview> {
  const { state } = await lock(tx, teamId, id)
  if (state === 'cancelled' || state === 'completed') throw ended(state)
  const interview = await getInterview(tx, teamId, id)
  if (state !== 'draft') return interview
  if (interview.job_description === null) {
    const message = 'is needed before the interview can be confirmed'
    throw new BadRequestError(
      'The interview is not complete',
      [{ field: 'job_description', message }],
      'incomplete_context',
    )
  }
  await move(tx, id, 'scheduled')
  return getInterview(tx, teamId, id)
}

/**
 * Cancels an interview, and has its room closed; one that is cancelled stays so. Throws ConflictError once it has
 * begun, which it has at the time that it was scheduled for, or with its first turn.
 */
export async function cancelInterview(tx: Transaction, teamId: string, id: string): Promise<Interview> {
  const { state, scheduled_at } = await lock(tx, teamId, id)
  if (state === 'completed') throw ended(state)
  if (state !== 'cancelled') {
    const [said] = await tx`select from turns where interview_id = ${id} limit 1`
    if (said) throw new ConflictError('The interview has begun: it cannot be cancelled any more')
    if (scheduled_at && scheduled_at.getTime() <= Date.now()) {
      throw new ConflictError(
        'The time that the interview was scheduled for has come: give it another one before it is cancelled, or delete it',
      )
    }
    await move(tx, id, 'cancelled')
    await requestRoomClosing(tx, id)
  }
  return getInterview(tx, teamId, id)
}

/** Throws ConflictError unless people may still join. */
export function mayJoin({ state }: Interview): void {
  if (hasEnded(state)) throw ended(state)
}

export function hasEnded(state: InterviewState): boolean {
  return state === 'cancelled' || state === 'completed' || state === 'needs_attention'
}

function ended(state: InterviewState): ConflictError {
  return new ConflictError(`The interview is ${state.replace('_', ' ')}`, 'interview_ended')
}

export type InterviewQuery = {
  states?: readonly InterviewState[] | undefined
  /** In the role's title or the candidate's name. */
  q?: string | undefined
  candidateId?: string | undefined
  verdict?: 'given' | 'none' | undefined
}

/** A page of the team's interviews, newest first, and how many match. */
export async function listInterviews(
  sql: Sql,
  teamId: string,
  { states, q, candidateId, verdict }: InterviewQuery,
  page: { limit: number; offset: number },
): Promise<{ rows: Interview[]; total: number }> {
  const pattern = q === undefined ? undefined : `%${q.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
  const isGiven = sql`exists (select from verdicts v where v.interview_id = i.id)`
  const matching = sql`
    i.team_id = ${teamId}
    ${states ? sql`and i.state in ${sql(states)}` : sql``}
    ${candidateId === undefined ? sql`` : sql`and i.candidate_id = ${candidateId}`}
    ${verdict === undefined ? sql`` : sql`and ${isGiven} = ${verdict === 'given'}`}
    ${pattern === undefined ? sql`` : sql`and (i.role_title ilike ${pattern} or c.full_name ilike ${pattern})`}`
  const [counted] = await sql<{ total: number }[]>`
    select count(*)::int as total from interviews i join candidates c on c.id = i.candidate_id
    where ${matching}`
  const rows = await sql<Interview[]>`
    ${joined(sql)} where ${matching} order by i.id desc limit ${page.limit} offset ${page.offset}`
  return { rows, total: counted!.total }
}

const children = ['turns', 'chat_messages', 'emails', 'webhook_events', 'assessments', 'verdicts'] as const

/**
 * Deletes an interview with everything that was said in it, has its room closed, and writes down that it was done.
 * Answers how many rows of each kind there were. Throws NotFoundError.
 */
export async function deleteInterview(
  tx: Transaction,
  owner: { teamId: string; keyId: string },
  id: string,
): Promise<Record<(typeof children)[number], number>> {
  await lock(tx, owner.teamId, id)
  const counts = { turns: 0, chat_messages: 0, emails: 0, webhook_events: 0, assessments: 0, verdicts: 0 }
  for (const table of children) {
    const [row] = await tx<{ count: number }[]>`
      select count(*)::int as count from ${tx(table)} where interview_id = ${id}`
    counts[table] = row!.count
  }
  await tx`delete from interviews where id = ${id}`
  await requestRoomClosing(tx, id)
  await forgetLetters(tx, 'interview', id)
  await tx`
    insert into deletions (team_id, subject, subject_id, counts, triggered_by, requested_by)
    values (${owner.teamId}, 'interview', ${id}, ${tx.json(counts)}, 'request', ${owner.keyId})`
  return counts
}
