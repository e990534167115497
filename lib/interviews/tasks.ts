import * as z from 'zod'
import {
  type Citable,
  citedTurns,
  line,
  modelAssessmentSchema,
  type Reviewed,
  reviewAssessment,
} from './assessment-answer.ts'

export type { Citable, Reviewed }

/** To a tenth: the database has no room for many more digits, nor a recruiter use for them. */
export const yearsOfExperience = z
  .number()
  .min(0)
  .max(80)
  .overwrite((years) => Math.round(years * 10) / 10)

/** The course of an interview, as the agent follows it. */
export const planSchema = z.object({
  intro: line,
  questions: z
    .array(z.object({ question: line, follow_up_hint: line, criterion_id: z.string().max(80).optional() }))
    .min(1)
    .max(20),
  closing: line,
})
export type Plan = z.output<typeof planSchema>

export const nextQuestionSchema = z.object({ question: line })

/** The answer to a recruiter's question: `found` is false where transcript, assessment and résumé do not hold it. */
export const chatAnswerSchema = z.object({
  answer: z.string().trim().min(1).max(8000),
  found: z.boolean(),
  turn_ids: z.array(z.string().min(1).max(80)).max(50),
})
export type ChatAnswer = z.output<typeof chatAnswerSchema>

export const resumeSchema = z.object({
  summary: z.string().trim().max(4000),
  current_title: z.string().max(200).nullable(),
  years_of_experience: yearsOfExperience.nullable(),
  skills: z.array(z.string().trim().min(1).max(80)).max(100),
  location: z.string().max(200).nullable(),
  employment: z
    .array(z.object({ employer: z.string().max(200), title: z.string().max(200), years: z.string().max(40) }))
    .max(50),
  education: z.array(z.string().max(300)).max(20),
})
export type ResumeFacts = z.output<typeof resumeSchema>

type Task<Schema extends z.ZodType> = {
  /** As log lines and metrics call it. */
  name: string
  /** What the model is asked for, and what comes of its answer. */
  schema: Schema
  temperature: number
  /** Of the first attempt: one that does not suffice is doubled. */
  maxOutputTokens: number
  /** Makes the best of an answer that does not fit as a whole; undefined if it is of no use. Default: by the schema alone. */
  review?(value: unknown, citable: Citable): Reviewed<unknown> | undefined
}

function task<Schema extends z.ZodType>(definition: Task<Schema>): Task<Schema> {
  return definition
}

/** Everything that the model is asked for; each answer is JSON of its schema. */
export const tasks = {
  assessment: task({
    name: 'Generate assessment',
    schema: modelAssessmentSchema,
    temperature: 0.3,
    maxOutputTokens: 8000,
    review: reviewAssessment,
  }),
  plan: task({
    name: 'Generate interview plan',
    schema: planSchema,
    temperature: 0.7,
    maxOutputTokens: 4000,
  }),
  next_question: task({
    name: 'Generate next question',
    schema: nextQuestionSchema,
    temperature: 0.7,
    maxOutputTokens: 500,
  }),
  chat: task({
    name: 'Answer question',
    schema: chatAnswerSchema,
    temperature: 0.5,
    maxOutputTokens: 2000,
    review: reviewChat,
  }),
  resume: task({
    name: 'Read resume',
    schema: resumeSchema,
    temperature: 0,
    maxOutputTokens: 4000,
  }),
} as const

export type TaskName = keyof typeof tasks
export type TaskAnswer<Name extends TaskName> = z.output<(typeof tasks)[Name]['schema']>

/** An answer that stands on nothing but turns that are not there is of no use; else those are left out. */
function reviewChat(value: unknown, citable: Citable): Reviewed<ChatAnswer> | undefined {
  const { data } = chatAnswerSchema.safeParse(value)
  if (!data) return undefined
  const { turn_ids, foreign } = citedTurns(data.turn_ids, citable)
  if (foreign === 0) return { answer: { ...data, turn_ids }, faults: [] }
  if (turn_ids.length === 0) return undefined
  return { answer: { ...data, turn_ids }, faults: [`turns that are not in the transcript: ${foreign}`] }
}

/**
 * What comes of a model's answer: at best all of it. Without an answer `problem` says what is wrong, without a word
 * of it.
 */
export function reviewAnswer<Name extends TaskName>(
  name: Name,
  value: unknown,
  citable: Citable,
): { reviewed: Reviewed<TaskAnswer<Name>> } | { problem: string } {
  const { schema, review } = tasks[name] as unknown as Task<z.ZodType>
  const whole = schema.safeParse(value)
  const made = review ? review(value, citable) : whole.success && { answer: whole.data, faults: [] }
  const fits = made ? schema.safeParse(made.answer) : undefined
  if (made && fits?.success) {
    return { reviewed: { answer: fits.data as TaskAnswer<Name>, faults: made.faults } }
  }
  const error = fits ? fits.error : whole.error
  if (!error) return { problem: 'it cites nothing but what it was not given' }
  const fields = error.issues.slice(0, 5).map(({ path }) => path.join('.') || 'all of it')
  return { problem: `it does not fit the schema at ${fields.join(', ')}` }
}
