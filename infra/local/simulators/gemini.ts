import { createHash } from 'node:crypto'
import * as z from 'zod'
import { env } from '../../../lib/platform/names.ts'
import { embed, fullDimensions } from './gemini-embedding.ts'
import { assessment, chat, nextQuestion, plan } from './gemini-interview.ts'
import { type Prompt, readPrompt } from './gemini-prompt.ts'
import { resume } from './gemini-resume.ts'
import { instanceOf, isSchema, propertiesOf, type Schema } from './gemini-schema.ts'
import { jsonOf, type SimulatedAnswer, type SimulatedRequest, type Simulator } from './simulator.ts'
import { cut } from './words.ts'

const partSchema = z.object({ text: z.string().default('') })
const contentSchema = z.object({ role: z.string().optional(), parts: z.array(partSchema).default([]) })

const generateSchema = z.object({
  contents: z.array(contentSchema).min(1),
  systemInstruction: contentSchema.optional(),
  generationConfig: z
    .object({
      responseMimeType: z.string().optional(),
      responseSchema: z.custom<Schema>(isSchema).optional(),
      responseJsonSchema: z.custom<Schema>(isSchema).optional(),
      maxOutputTokens: z.int().min(1).optional(),
    })
    .default({}),
})

const embedSchema = z.object({
  content: contentSchema,
  outputDimensionality: z.int().min(1).max(fullDimensions).default(fullDimensions),
})
const batchSchema = z.object({ requests: z.array(embedSchema).min(1).max(100) })

const callPath = /^\/(?:v1|v1beta|v1alpha)\/models\/([^/:]+):(\w+)$/

/**
 * Gemini's API for developers: the same request gets the same answer, made from the prompt's own transcript,
 * rubric, question or résumé (`readPrompt`). https://ai.google.dev/api/generate-content
 */
export const gemini: Simulator = { prefix: '/gemini', variable: env.geminiUrl, answer, errorBody }

function answer({ method, path, query, headers, body }: SimulatedRequest): SimulatedAnswer {
  const key = headers['x-goog-api-key'] ?? query.get('key')
  if (!key) return badKey()
  const [, model = '', action = ''] = callPath.exec(path) ?? []
  if (method !== 'POST' || !Object.hasOwn(calls, action))
    return failure(404, `${method} ${path} is not simulated.`)
  if (!/^gemini-[\w.-]+$/.test(model)) {
    return failure(404, `models/${model} is not found, or is not supported for ${action}.`)
  }
  return calls[action as keyof typeof calls](model, jsonOf(body))
}

const calls = {
  generateContent: (model: string, body: unknown) =>
    parsed(generateSchema, body, (asked) => generate(model, asked)),
  embedContent: (_model: string, body: unknown) =>
    parsed(embedSchema, body, (asked) => ({ status: 200, body: { embedding: embedded(asked) } })),
  batchEmbedContents: (_model: string, body: unknown) =>
    parsed(batchSchema, body, ({ requests }) => ({
      status: 200,
      body: { embeddings: requests.map(embedded) },
    })),
}

function parsed<Shape extends z.ZodType>(
  schema: Shape,
  body: unknown,
  then: (asked: z.output<Shape>) => SimulatedAnswer,
): SimulatedAnswer {
  const result = schema.safeParse(body)
  return result.success ? then(result.data) : failure(400, z.prettifyError(result.error))
}

function generate(model: string, asked: z.output<typeof generateSchema>): SimulatedAnswer {
  const { responseMimeType, responseSchema, responseJsonSchema, maxOutputTokens } = asked.generationConfig
  const schema = responseJsonSchema ?? responseSchema
  if (schema && responseMimeType !== 'application/json') {
    return failure(400, 'A response schema needs the response_mime_type application/json.')
  }
  const text = asked.contents.map(textOf).join('\n')
  const prompt = `${asked.systemInstruction ? textOf(asked.systemInstruction) : ''}\n${text}`
  const whole = schema
    ? JSON.stringify(structured(schema, readPrompt(text)))
    : `Simulated answer to: ${cut(textOf(asked.contents.at(-1)!), 200)}`
  const most = maxOutputTokens === undefined ? whole.length : maxOutputTokens * charactersPerToken
  const written = whole.slice(0, most)
  const candidate = {
    content: { parts: [{ text: written }], role: 'model' },
    finishReason: written === whole ? 'STOP' : 'MAX_TOKENS',
    index: 0,
  }
  const responseId = createHash('sha256').update(model).update(prompt).digest('base64url').slice(0, 22)
  const usageMetadata = usage(prompt, written)
  return { status: 200, body: { candidates: [candidate], usageMetadata, modelVersion: model, responseId } }
}

/** The tasks that it knows, by properties that only their answers have. */
const known: readonly { properties: readonly string[]; build(prompt: Prompt): object }[] = [
  { properties: ['criteria', 'recommendation'], build: assessment },
  { properties: ['questions', 'closing'], build: plan },
  { properties: ['answer', 'found', 'turn_ids'], build: chat },
  { properties: ['skills', 'employment'], build: resume },
  { properties: ['question'], build: nextQuestion },
]

/** An answer that fits the schema: the task's own where it is known, with the smallest values for what is not. */
function structured(schema: Schema, prompt: Prompt): unknown {
  const names = propertiesOf(schema)
  const task = known.find(({ properties }) => properties.every((name) => Object.hasOwn(names, name)))
  if (!task) return instanceOf(schema)
  const own = Object.entries(task.build(prompt)).filter(([name]) => Object.hasOwn(names, name))
  return { ...Object(instanceOf(schema)), ...Object.fromEntries(own) }
}

function embedded({ content, outputDimensionality }: z.output<typeof embedSchema>): { values: number[] } {
  return { values: embed(textOf(content), outputDimensionality) }
}

function textOf({ parts }: z.output<typeof contentSchema>): string {
  return parts.map(({ text }) => text).join('\n')
}

/** Of English, roughly. https://ai.google.dev/gemini-api/docs/tokens */
const charactersPerToken = 4

function usage(prompt: string, text: string): object {
  const promptTokenCount = Math.ceil(prompt.length / charactersPerToken)
  const candidatesTokenCount = Math.ceil(text.length / charactersPerToken)
  return {
    promptTokenCount,
    candidatesTokenCount,
    totalTokenCount: promptTokenCount + candidatesTokenCount,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: promptTokenCount }],
  }
}

/** https://google.aip.dev/193 */
const statuses: Record<number, { status: string; message: string }> = {
  400: { status: 'INVALID_ARGUMENT', message: 'Request contains an invalid argument.' },
  401: { status: 'UNAUTHENTICATED', message: 'The request has no valid credentials.' },
  403: { status: 'PERMISSION_DENIED', message: 'The caller does not have permission.' },
  404: { status: 'NOT_FOUND', message: 'Requested entity was not found.' },
  429: { status: 'RESOURCE_EXHAUSTED', message: 'You exceeded your current quota.' },
  500: { status: 'INTERNAL', message: 'An internal error has occurred.' },
  503: { status: 'UNAVAILABLE', message: 'The model is overloaded. Please try again later.' },
  504: { status: 'DEADLINE_EXCEEDED', message: 'The deadline expired before the operation could complete.' },
}

function errorBody(code: number, retryAfter: string | undefined): object {
  const { status, message } = statuses[code] ?? { status: 'UNKNOWN', message: 'Unknown error.' }
  // Google says the wait in the body, too; a date has no place there.
  const isSeconds = retryAfter !== undefined && /^\d+$/.test(retryAfter)
  const details = isSeconds
    ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${retryAfter}s` }]
    : undefined
  return { error: { code, message, status, ...(details && { details }) } }
}

function failure(code: number, message: string, details?: readonly object[]): SimulatedAnswer {
  const { status } = statuses[code]!
  return { status: code, body: { error: { code, message, status, ...(details && { details }) } } }
}

function badKey(): SimulatedAnswer {
  return failure(400, 'API key not valid. Please pass a valid API key.', [
    {
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: 'API_KEY_INVALID',
      domain: 'googleapis.com',
      metadata: { service: 'generativelanguage.googleapis.com' },
    },
  ])
}
