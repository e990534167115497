import * as z from 'zod'
import { type BoundedSchema, boundedSchema, fitTo } from './answer-bounds.ts'
import {
  type Citable,
  citedTurns,
  line,
  modelAssessmentSchema,
  type Reviewed,
  reviewAssessment,
  shortened,
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
  shortened,
})
export type Plan = z.output<typeof planSchema>

export const nextQuestionSchema = z.object({ question: line, shortened })

/** The answer to a recruiter's question: `found` is false where transcript, assessment and résumé do not hold it. */
export const chatAnswerSchema = z.object({
  answer: z.string().trim().min(1).max(8000),
  found: z.boolean(),
  turn_ids: z.array(z.string().min(1).max(80)).max(50),
  shortened,
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
  shortened,
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
    review: reviewResume,
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

const list = z.array(z.unknown()).catch([])
const looseResume = z.object({
  summary: resumeSchema.shape.summary.catch(''),
  current_title: resumeSchema.shape.current_title.catch(null),
  years_of_experience: resumeSchema.shape.years_of_experience.catch(null),
  skills: list,
  location: resumeSchema.shape.location.catch(null),
  employment: list,
  education: list,
})

/** What is missing or of another shape is empty: a résumé is worth reading without it. */
function reviewResume(value: unknown): Reviewed<unknown> | undefined {
  const { data } = looseResume.safeParse(value)
  if (!data) return undefined
  const fields = Object.keys(looseResume.shape)
  const missing = fields.filter((name) => !Object.hasOwn(value as object, name))
  if (missing.length === fields.length) return undefined
  return { answer: data, faults: missing.map((name) => `${name} is missing`) }
}

const schemas = new Map<TaskName, BoundedSchema>()

/** The JSON schema of a task's answer, with all its bounds. */
export function schemaOf(name: TaskName): BoundedSchema {
  const schema = schemas.get(name) ?? boundedSchema(tasks[name].schema)
  schemas.set(name, schema)
  return schema
}

/**
 * What comes of a model's answer: at best all of it, and never nothing because a text or a list is too long.
 * Without an answer `problem` says what is wrong, without a word of it.
 */
export function reviewAnswer<Name extends TaskName>(
  name: Name,
  value: unknown,
  citable: Citable,
): { reviewed: Reviewed<TaskAnswer<Name>> } | { problem: string } {
  const { schema, review } = tasks[name] as unknown as Task<z.ZodType>
  const fitted = fitTo(schemaOf(name), value)
  const made = review ? review(fitted.value, citable) : { answer: fitted.value, faults: [] }
  if (!made) return { problem: problemOf(schema.safeParse(fitted.value).error) }
  const result = withoutMisfits(schema, made.answer)
  if ('error' in result) return { problem: problemOf(result.error) }
  const faults =
    result.misfits > 0 ? [...made.faults, `elements of another shape: ${result.misfits}`] : made.faults
  const answer = { ...(result.data as object), ...(fitted.shortened > 0 && { shortened: fitted.shortened }) }
  return { reviewed: { answer: answer as TaskAnswer<Name>, faults } }
}

function problemOf(error: z.ZodError | undefined): string {
  if (!error) return 'it cites nothing but what it was not given'
  const fields = error.issues.slice(0, 5).map(({ path }) => path.join('.') || 'all of it')
  return `it does not fit the schema at ${fields.join(', ')}`
}

/** A value by a schema, if need be without the elements of its lists that do not fit. */
function withoutMisfits(
  schema: z.ZodType,
  value: unknown,
): { data: unknown; misfits: number } | { error: z.ZodError } {
  const whole = schema.safeParse(value)
  if (whole.success) return { data: whole.data, misfits: 0 }
  const misfits = new Map<string, Set<unknown>>()
  for (const { path } of whole.error.issues) {
    const [list, index] = path
    if (typeof list !== 'string' || typeof index !== 'number') return { error: whole.error }
    misfits.set(list, (misfits.get(list) ?? new Set()).add(index))
  }
  const rest = Object.entries(value as object).map(([name, inner]) => {
    const out = misfits.get(name)
    return [name, out ? (inner as unknown[]).filter((_, index) => !out.has(index)) : inner]
  })
  const { data, error } = schema.safeParse(Object.fromEntries(rest))
  if (error) return { error }
  return { data, misfits: [...misfits.values()].reduce((sum, { size }) => sum + size, 0) }
}
