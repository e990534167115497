import * as z from 'zod'

/** A short text that a person reads. */
const line = z.string().trim().min(1).max(1000)
const lines = z.array(line).max(20)

const evidence = z.object({ turn_id: z.uuid(), reason: line })

/** To a tenth: the database has no room for many more digits, nor a recruiter use for them. */
export const yearsOfExperience = z
  .number()
  .min(0)
  .max(80)
  .overwrite((years) => Math.round(years * 10) / 10)

/** A percentage. */
const score = z.number().min(0).max(100)

export const recommendations = ['strong_yes', 'yes', 'no', 'strong_no'] as const

/** What an assessment says. Every score names the turns that it stands on. */
export const assessmentSchema = z.object({
  summary: z.string().trim().min(1).max(4000),
  recommendation: z.enum(recommendations),
  overall_score: score,
  criteria: z
    .array(
      z.object({
        id: z.string().min(1).max(80),
        title: line,
        score,
        confidence: z.number().min(0).max(1),
        justification: line,
        evidence: z.array(evidence).min(1).max(20),
      }),
    )
    .min(1)
    .max(10),
  strengths: lines,
  weaknesses: lines,
  highlights: lines,
  red_flags: lines,
})
export type AssessmentContent = z.output<typeof assessmentSchema>

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
  turn_ids: z.array(z.uuid()).max(50),
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

/** What may be cited: an answer that cites anything else is not used. */
export type Citable = { turn_ids?: readonly string[] | undefined }

type Task<Schema extends z.ZodType> = {
  /** As log lines and metrics call it. */
  name: string
  schema: Schema
  temperature: number
  maxOutputTokens: number
  /** The ids of the turns that the answer cites. */
  cited?(answer: z.output<Schema>): readonly string[]
}

function task<Schema extends z.ZodType>(definition: Task<Schema>): Task<Schema> {
  return definition
}

/** Everything that the model is asked for; each answer is JSON of its schema. */
export const tasks = {
  assessment: task({
    name: 'Generate assessment',
    schema: assessmentSchema,
    temperature: 0.3,
    maxOutputTokens: 8000,
    cited: ({ criteria }) => criteria.flatMap(({ evidence }) => evidence.map(({ turn_id }) => turn_id)),
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
    cited: ({ turn_ids }) => turn_ids,
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

/** Whether the answer cites nothing but what it may. */
export function citesOnly<Name extends TaskName>(
  name: Name,
  answer: TaskAnswer<Name>,
  { turn_ids = [] }: Citable,
): boolean {
  const { cited } = tasks[name] as unknown as Task<z.ZodType>
  if (!cited) return true
  const known = new Set(turn_ids)
  return cited(answer).every((id) => known.has(id))
}
