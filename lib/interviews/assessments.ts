import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { lockLetters, settleLetters } from '../platform/dead-letter-store.ts'
import { ConflictError, NotFoundError } from '../platform/errors.ts'
import { logger } from '../platform/log.ts'
import { queues } from '../platform/names.ts'
import { enqueue, type OutboxQueues, sendOutbox } from '../platform/outbox.ts'
import { spend, trySpend } from '../platform/quotas.ts'
import { RetryLaterError } from '../platform/retry.ts'
import { reviewAssessment } from './assessment-answer.ts'
import { type AssessmentContent, assessmentSchema, wholeAssessment } from './assessment-content.ts'
import { findings } from './assessment-findings.ts'
import {
  type Assessment,
  assessmentStates,
  completeAssessment,
  failUnpaid,
  findAssessment,
  findGeneration,
  insertAssessment,
  keepInterview,
  lockAssessment,
  lockProgress,
  markOutdated,
  type Progress,
  renewAssessment,
  secondsUntilDue,
  stopWaiting,
  teamOf,
  waitForTurns,
} from './assessment-store.ts'
import { queueEmail } from './emails.ts'
import { failureSchema } from './failure.ts'
import { getInterview, type Interview } from './interviews.ts'
import { type Failure, FinalError, holdLease, type Lease, type Outcome, underLease } from './lease.ts'
import { type Model, meteredModel } from './model.ts'
import { assessmentPrompt, rubricOf } from './prompts.ts'
import { takeOver } from './recovery-store.ts'
import { resumeContext } from './resume-search.ts'
import { readTranscript, type Transcript } from './transcript.ts'
import { type Verdict, verdictSchema } from './verdicts.ts'

export const assessmentAnswerSchema = z
  .strictObject({
    status: z.literal('success'),
    interview_id: z.uuid(),
    state: z.enum(assessmentStates),
    generation: z.int().min(1),
    outdated: z.boolean().meta({ description: 'Whether turns arrived after those that content was made of' }),
    kept_generations: z
      .array(z.int())
      .meta({ description: 'Generations that were completed; each can be read by its number' }),
    requested_at: z.iso.datetime(),
    completed_at: z.iso.datetime().nullable(),
    failure: failureSchema.optional(),
    content: assessmentSchema.optional(),
    content_generation: z.int().nullable().meta({ description: 'The generation that content is of' }),
    verdict: verdictSchema.nullable().meta({ description: "A person's verdict on content" }),
    other_verdicts: z.array(verdictSchema).meta({ description: 'Those on other generations, newest first' }),
  })
  .meta({
    id: 'Assessment',
    description:
      'generation counts how often it was asked for. While a new one is made, and where that fails, content and completed_at are those of the one before.',
  })
export type AssessmentAnswer = z.output<typeof assessmentAnswerSchema>

/** An assessment as the API shows it, with what people decided on it. */
export function assessmentAnswer(row: Assessment, verdicts: readonly Verdict[]): AssessmentAnswer {
  const { failure, content, requested_at, completed_at, ...own } = row
  return {
    status: 'success',
    ...own,
    requested_at: requested_at.toISOString(),
    completed_at: completed_at?.toISOString() ?? null,
    ...(failure && { failure }),
    ...(content && { content }),
    ...verdictsBeside(row, verdicts),
  }
}

/** The verdict on the content that is shown, and those on other generations. */
export function verdictsBeside({ content_generation }: Assessment, verdicts: readonly Verdict[]) {
  const isBeside = ({ generation }: Verdict) => generation === content_generation
  return {
    verdict: verdicts.find(isBeside) ?? null,
    other_verdicts: verdicts.filter((verdict) => !isBeside(verdict)),
  }
}

/** Throws NotFoundError where none has been asked for. */
export async function getAssessment(sql: Sql | Transaction, interviewId: string): Promise<Assessment> {
  const found = await findAssessment(sql, interviewId)
  if (!found) throw new NotFoundError('No assessment of this interview has been asked for')
  return found
}

/** An earlier generation in place of the newest. Throws NotFoundError if it was not completed. */
export async function getGeneration(
  sql: Sql | Transaction,
  interviewId: string,
  generation: number,
): Promise<Assessment> {
  const newest = await getAssessment(sql, interviewId)
  const found = await findGeneration(sql, interviewId, generation)
  if (!found) throw new NotFoundError('There is no assessment of this generation')
  return {
    ...newest,
    ...found,
    state: 'completed',
    failure: null,
    generation,
    content_generation: generation,
  }
}

/**
 * Asks for the assessment of an interview. Where one is pending, that is enough. Without `again` one that is
 * under way or completed is enough, too, and only a failed one is tried anew; with it there will be another one
 * and another e-mail. One that waits for turns begins at once unless `patiently` lets it wait. `instead` does not wait for a
 * worker that is at it: its work is dropped; one that a person has acted on is left, as outdated. Answers the
 * outbox's messages to send after the commit. Throws ConflictError where `again` meets a worker.
 */
export async function requestAssessment(
  tx: Transaction,
  interviewId: string,
  options: RequestOptions = {},
): Promise<{ assessment: Assessment; messages: string[] }> {
  const { again = false, instead = false, patiently = false } = options
  const first = await insertAssessment(tx, interviewId)
  if (first) return begin(tx, first, options)
  await lockLetters(tx, interviewId)
  const known = await lockAssessment(tx, interviewId)
  // Nobody is at it: enough for whoever asks, also for another one.
  if (known.state === 'generating' && !instead && (await takeOver(tx, 'assessments', interviewId))) {
    return {
      assessment: { ...known, state: 'pending' },
      messages: [await enqueueAssessment(tx, interviewId)],
    }
  }
  if (instead && known.state === 'completed' && isUsed((await lockProgress(tx, interviewId))!)) {
    await markOutdated(tx, interviewId, { renewed: false })
    return { assessment: { ...known, outdated: true }, messages: [] }
  }
  if (!isAnew(known, again || instead)) {
    if (patiently) return { assessment: known, messages: [] }
    const waits = (await lockProgress(tx, interviewId))?.waiting
    await stopWaiting(tx, interviewId)
    return { assessment: known, messages: waits ? [await enqueueAssessment(tx, interviewId)] : [] }
  }
  if (known.state === 'generating' && !instead) {
    throw new ConflictError('The assessment is being generated: wait for it', 'assessment_under_way')
  }
  await settleLetters(tx, 'redriven', interviewId, [queues.assessments])
  // What it was made of is not all that was said.
  if (instead) await markOutdated(tx, interviewId, { renewed: false })
  const assessment = await renewAssessment(tx, interviewId)
  return begin(tx, assessment, options)
}

export type RequestOptions = {
  again?: boolean
  instead?: boolean
  patiently?: boolean
  /** Then QuotaExceededError is thrown; else the assessment is failed, and a person may ask for it again. */
  byPerson?: boolean
}

/** Has one made that was just asked for, if the team's quota has room for it. */
async function begin(
  tx: Transaction,
  assessment: Assessment,
  { patiently = false, byPerson = false }: RequestOptions,
): Promise<{ assessment: Assessment; messages: string[] }> {
  const { interview_id: id } = assessment
  const teamId = (await teamOf(tx, id))!
  if (byPerson) await spend(tx, teamId, 'model_calls', 1)
  else if (!(await trySpend(tx, teamId, 'model_calls', 1))) {
    logger.warn('An assessment is beyond the quota', { interview_id: id, team_id: teamId })
    return { assessment: await failUnpaid(tx, id, beyondQuota), messages: [] }
  }
  return {
    assessment,
    messages: patiently ? await enqueuePatiently(tx, id) : [await enqueueAssessment(tx, id)],
  }
}

const beyondQuota: Failure = {
  code: 'quota_exceeded',
  message:
    'The team had used its model calls of the day: retry once that is over (UTC), or the limit is raised',
}

/** Generations that late turns lead to without a person. */
const mostRenewals = 3

/**
 * What a turn that arrives after the end of its interview does to the assessment: one that waits waits on, one that
 * is completed is outdated, and made again once no more turns come, unless that was done three times, or a person has
 * decided on it or taken it out as a file. Answers the outbox's messages. A worker that is at it looks for such turns at its end.
 */
export async function noteLateTurn(tx: Transaction, interviewId: string): Promise<string[]> {
  await lockLetters(tx, interviewId)
  const progress = await lockProgress(tx, interviewId)
  if (!progress) return []
  if (progress.waiting) return enqueuePatiently(tx, interviewId)
  const isSilent = progress.state === 'failed' && progress.failure?.code === 'no_transcript'
  if (progress.state !== 'completed' && !isSilent) {
    // It is the one before that is shown if what is under way fails.
    await markOutdated(tx, interviewId, { renewed: false })
    return []
  }
  const renewed = progress.renewals < mostRenewals && !isUsed(progress)
  await markOutdated(tx, interviewId, { renewed })
  if (!renewed) return []
  return (await requestAssessment(tx, interviewId, { again: true, patiently: true })).messages
}

/** Whether a person has acted on an assessment: the next one is then for a person to start. */
function isUsed({ exported, decided }: Progress): boolean {
  return exported || decided
}

async function enqueuePatiently(tx: Transaction, interview_id: string): Promise<string[]> {
  const seconds = await waitForTurns(tx, interview_id)
  if (seconds === undefined) return []
  // A second later, since the clocks of SQS and the database differ.
  return [await enqueue(tx, queues.assessments, { interview_id }, { delaySeconds: seconds + 1 })]
}

function isAnew({ state }: Assessment, again: boolean): boolean {
  return state === 'failed' || (again && state !== 'pending')
}

function enqueueAssessment(tx: Transaction, interview_id: string): Promise<string> {
  return enqueue(tx, queues.assessments, { interview_id })
}

export type AssessContext = {
  sql: Sql
  model: Model
  /** Where the e-mail's message goes. */
  queues: OutboxQueues
  remainingMs(): number
}

/**
 * Makes the assessment that was asked for. Killed, doubled or begun anew, it stores one assessment and one e-mail
 * of each generation. Rejects where the message is to come back; what cannot succeed is stored as failed.
 */
export async function assess(context: AssessContext, interviewId: string): Promise<Outcome<Assessment>> {
  const { sql, queues, remainingMs } = context
  const early = await secondsUntilDue(sql, interviewId)
  // A turn that came meanwhile has a message of its own; this one was only delivered too soon.
  if (early > clockDifference) return { outcome: 'ignored' }
  if (early > 0)
    throw new RetryLaterError('An assessment that waits for turns', early, undefined, { exact: true })
  const messages: string[] = []
  const outcome = await underLease(sql, 'assessments', interviewId, remainingMs, async (lease) => {
    const generated = await generate(context, interviewId)
    return sql.begin(async (tx) => {
      const { assessment, sent } = await store(tx, lease, generated)
      messages.push(...sent)
      return assessment
    })
  })
  await sendOutbox(sql, queues, messages)
  return outcome
}

async function generate({ sql, model, remainingMs }: AssessContext, interviewId: string) {
  const teamId = await teamOf(sql, interviewId)
  if (teamId === undefined) throw new NotFoundError('Interview not found')
  const interview = await getInterview(sql, teamId, interviewId)
  const { turns } = await readTranscript(sql, interviewId)
  if (!hasCandidate({ turns })) {
    throw new FinalError('no_transcript', 'Nothing that the candidate said was recorded')
  }
  const about = [interview.role_title, interview.job_description ?? ''].join('\n')
  const resume = await resumeContext(sql, meteredModel(model, sql, teamId), interview.candidate_id, about, {
    remainingMs,
  })
  // The model's function takes a prompt and nothing else.
  const { leftOut, ...prompt } = assessmentPrompt(interview, resume, turns)
  const answer = await model.ask('assessment', prompt, { remainingMs })
  // Whatever the model function made of it, also one of another release.
  const reviewed = reviewAssessment(answer, prompt.citable)
  if (!reviewed) throw new FinalError('invalid_answer', 'The model assessed nothing')
  return {
    interview,
    turns,
    content: wholeAssessment(reviewed.answer, rubricOf(interview), turns, leftOut),
  }
}

/** Seconds by which the clocks of SQS and the database may differ. */
const clockDifference = 5

/** Whether a transcript holds anything that could be assessed. */
export function hasCandidate({ turns }: Pick<Transcript, 'turns'>): boolean {
  return turns.some(({ speaker_label }) => speaker_label === 'Candidate')
}

type Generated = Awaited<ReturnType<typeof generate>>

async function store(tx: Transaction, lease: Lease, { interview, content, turns }: Generated) {
  await keepInterview(tx, interview.id)
  await lockLetters(tx, interview.id)
  await holdLease(tx, lease)
  const assessment = await completeAssessment(tx, interview.id, content)
  const emails = await tellRecruiter(tx, interview, assessment.generation, content)
  const late = await hasLateTurns(tx, interview.id, turns)
  // What is for the queue of assessments is left to the sweep, which may send to it.
  const sent = late ? [...emails, ...(await noteLateTurn(tx, interview.id))] : emails
  return { assessment: { ...assessment, outdated: late }, sent }
}

async function hasLateTurns(
  tx: Transaction,
  interviewId: string,
  seen: Transcript['turns'],
): Promise<boolean> {
  return saysMore(await readTranscript(tx, interviewId), seen)
}

/** Whether a transcript has turns, or texts of turns, that it did not have before. */
export function saysMore({ turns }: Pick<Transcript, 'turns'>, before: Transcript['turns']): boolean {
  const known = new Map(before.map((turn) => [turn.id, turn]))
  return turns.some(({ id, content, corrected_content }) => {
    const turn = known.get(id)
    return turn?.content !== content || turn.corrected_content !== corrected_content
  })
}

async function tellRecruiter(
  tx: Transaction,
  interview: Interview,
  generation: number,
  content: AssessmentContent,
): Promise<string[]> {
  if (interview.recruiter_email === null) return []
  const message = await queueEmail(tx, {
    teamId: interview.team_id,
    interviewId: interview.id,
    kind: 'assessment_ready',
    dedupeKey: `assessment_ready:${interview.id}:${generation}`,
    recipient: interview.recruiter_email,
    data: {
      role_title: interview.role_title,
      candidate_name: interview.candidate_name,
      findings: findings(content).map(({ name, text }) => `${name}: ${text}`),
    },
  })
  return message === undefined ? [] : [message]
}
