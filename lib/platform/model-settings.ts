import * as z from 'zod'

/** What the language model is asked for. */
export const modelTasks = ['assessment', 'plan', 'next_question', 'chat', 'resume'] as const
export type ModelTask = (typeof modelTasks)[number]

/** As it stands in the address of a call. */
const model = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,99}$/)
/** Of one attempt; the function that asks has 110 s for all of them. */
const timeout_seconds = z.number().min(1).max(100)

const taskSettings = z
  .strictObject({
    model,
    /** Of the answer; what the model thinks comes on top. */
    max_output_tokens: z.int().min(200).max(57_000),
    timeout_seconds,
  })
  .partial()

/** Settings of the context and the environment: those that are there take the place of the defaults. */
export const modelSettingsSchema = z
  .strictObject({
    assessment: taskSettings,
    plan: taskSettings,
    next_question: taskSettings,
    chat: taskSettings,
    resume: taskSettings,
    embedding: z.strictObject({ model, dimensions: z.int().min(128).max(3072), timeout_seconds }).partial(),
  } satisfies Record<ModelTask | 'embedding', z.ZodType>)
  .partial()
export type ModelSettings = z.output<typeof modelSettingsSchema>

/** Reads settings from JSON. Throws an Error that names what is wrong. */
export function parseModelSettings(json: string): ModelSettings {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    throw new Error('The model settings are not JSON', { cause: error })
  }
  const parsed = modelSettingsSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new Error(`The model settings are wrong: ${z.prettifyError(parsed.error)}`)
}

export type EmbeddingSettings = { model: string; dimensions: number; timeoutMs: number }

/** The model that embeds, with its defaults. */
export function embeddingSettings({ embedding }: ModelSettings): EmbeddingSettings {
  const { model = 'gemini-embedding-001', dimensions = 768, timeout_seconds = 60 } = embedding ?? {}
  return { model, dimensions, timeoutMs: timeout_seconds * 1000 }
}
