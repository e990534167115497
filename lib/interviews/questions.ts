import * as z from 'zod'
import type { Sql } from '../platform/db.ts'
import { BadRequestError } from '../platform/errors.ts'
import type { CallOptions } from '../platform/outside.ts'
import { changeInterview, type Interview, mayJoin } from './interviews.ts'
import type { Model } from './model.ts'
import { nextQuestionPrompt, planPrompt, rubricOf } from './prompts.ts'
import { resumeContext } from './resume-search.ts'
import { nextQuestionSchema, type Plan, planSchema } from './tasks.ts'
import { readTranscript } from './transcript.ts'

export const planAnswerSchema = z
  .strictObject({ status: z.literal('success'), interview_id: z.uuid(), plan: planSchema })
  .meta({ id: 'InterviewPlan' })

export const nextQuestionAnswerSchema = z
  .strictObject({
    status: z.literal('success'),
    interview_id: z.uuid(),
    question: nextQuestionSchema.shape.question,
  })
  .meta({ id: 'NextQuestion', description: 'It is not stored: whoever speaks it sends it as a turn.' })

export type QuestionContext = { sql: Sql; model: Model; options?: CallOptions }

/** Turns of the end of a transcript that say what the résumé is searched for. */
const recent = 6

/**
 * Plans an interview that has not begun, and stores the plan. Throws BadRequestError (incomplete_context) without
 * a job description, ConflictError once the interview has begun.
 */
export async function planQuestions(
  { sql, model, options }: QuestionContext,
  { id, team_id }: Pick<Interview, 'id' | 'team_id'>,
): Promise<Plan> {
  // Without a change it only says whether one is allowed: before the model is asked.
  const interview = await sql.begin((tx) => changeInterview(tx, team_id, id, {}))
  const resume = await resumeContext(sql, model, interview.candidate_id, descriptionOf(interview), options)
  const answer = await model.ask('plan', planPrompt(interview, resume), options)
  const plan = withKnownCriteria(answer, new Set(rubricOf(interview).map((criterion) => criterion.id)))
  await sql.begin((tx) => changeInterview(tx, team_id, id, { plan }))
  return plan
}

function withKnownCriteria(plan: Plan, known: ReadonlySet<string>): Plan {
  const questions = plan.questions.map(({ criterion_id, ...question }) => ({
    ...question,
    ...(criterion_id !== undefined && known.has(criterion_id) && { criterion_id }),
  }))
  return { ...plan, questions }
}

/**
 * What the interviewer may say next. Throws BadRequestError (incomplete_context) without a job description,
 * ConflictError once the interview has ended.
 */
export async function nextQuestion(
  { sql, model, options }: QuestionContext,
  interview: Interview,
): Promise<string> {
  mayJoin(interview)
  const description = descriptionOf(interview)
  const { turns } = await readTranscript(sql, interview.id)
  const said = turns.slice(-recent).map(({ content }) => content)
  const wanted = [interview.role_title, ...(said.length > 0 ? said : [description])].join('\n')
  const resume = await resumeContext(sql, model, interview.candidate_id, wanted, options)
  const answer = await model.ask('next_question', nextQuestionPrompt(interview, resume, turns), options)
  return answer.question
}

function descriptionOf({ job_description }: Interview): string {
  if (job_description !== null) return job_description
  throw new BadRequestError(
    'The interview is not complete',
    [{ field: 'job_description', message: 'is needed before questions can be asked' }],
    'incomplete_context',
  )
}
