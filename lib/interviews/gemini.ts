import type { GenerateContentResponse, GoogleGenAI } from '@google/genai/web'
import * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import { InvalidAnswerError, UpstreamRefusedError, UpstreamUnavailableError } from '../platform/errors.ts'
import { logger } from '../platform/log.ts'
import { MetricUnit, metrics } from '../platform/metrics.ts'
import { embeddingSettings, type ModelSettings, parseModelSettings } from '../platform/model-settings.ts'
import { env } from '../platform/names.ts'
import {
  type CallOptions,
  createThirdParty,
  fetchNoting,
  type ThirdPartyOptions,
} from '../platform/outside.ts'
import { parseRetryAfter } from '../platform/retry-after.ts'
import { secretJson } from '../platform/secrets.ts'
import { isTransient, isTransientStatus } from '../platform/transient.ts'
import { type BoundedSchema, boundsInWords, wholePart } from './answer-bounds.ts'
import { type Embedding, type EmbedKind, embedName, inBatches, type Model, type Prompt } from './model.ts'
import { geminiRefusal } from './refusals.ts'
import { type Reviewed, reviewAnswer, type TaskAnswer, type TaskName, tasks } from './tasks.ts'
import { storable } from './text.ts'

const service = 'Gemini'
/** Answers by a JSON schema are documented for this one; the SDK's own choice is v1. */
const apiVersion = 'v1beta'
const defaultModel = 'gemini-flash-latest'
/** Of tasks that need no more. A résumé is read, and not judged. */
const smallModels: Partial<Record<TaskName, string>> = { resume: 'gemini-flash-lite-latest' }
/** What a model thinks counts as output, before the first word of the answer. */
const tokensToThink = 8192
/** What these models write at most. */
const mostTokens = 65_536

const taskTypes: Record<EmbedKind, string> = { document: 'RETRIEVAL_DOCUMENT', query: 'RETRIEVAL_QUERY' }

const secretSchema = z.object({ api_key: z.string().min(1) })

export type GeminiOptions = Pick<ThirdPartyOptions, 'timeout' | 'retry'> & {
  apiKey(): Promise<string>
  /** Of every task but reading a résumé, unless the settings name another one. */
  model?: string | undefined
  settings?: ModelSettings
  /** Default: Google's own. */
  baseUrl?: string | undefined
}

/** Asks Gemini by its SDK, which makes no retries where it is given no retryOptions: they are made here. */
export function createGemini({
  apiKey,
  model = defaultModel,
  settings = {},
  baseUrl,
  ...options
}: GeminiOptions): Model {
  const embedding = embeddingSettings(settings)
  const attempts = options.retry?.attempts ?? 3
  const party = createThirdParty({
    service,
    timeout: options.timeout ?? 60_000,
    retry: {
      jitter: 'full',
      retryOn: (error) => error instanceof InvalidAnswerError || isTransient(error),
      ...options.retry,
      attempts,
    },
  })
  let made: { key: string; client: GoogleGenAI } | undefined

  /** A client for the key as it is now. */
  async function connected(): Promise<GoogleGenAI> {
    const key = await apiKey()
    if (made?.key !== key) {
      // The build for browsers does the same by a key, at half the size: the other one brings Google's logins.
      const { GoogleGenAI } = await import('@google/genai/web')
      const httpOptions = baseUrl ? { baseUrl } : {}
      made = { key, client: new GoogleGenAI({ apiKey: key, apiVersion, httpOptions }) }
    }
    return made.client
  }

  /** What the model writes for a task, whatever it is worth. */
  async function generate(
    client: GoogleGenAI,
    task: TaskName,
    { system, text }: Prompt,
    maxOutputTokens: number,
    call: SdkOptions,
  ): Promise<Written> {
    const response = await client.models.generateContent({
      model: settings[task]?.model ?? smallModels[task] ?? model,
      contents: text,
      config: {
        ...call,
        systemInstruction: system,
        temperature: tasks[task].temperature,
        maxOutputTokens,
        responseMimeType: 'application/json',
        responseJsonSchema: answerSchema(task),
      },
    })
    return writtenIn(response)
  }

  /**
   * An answer as whole as the attempts make it. One that was cut off is asked for again with twice the room, one
   * with other faults once more, told what was wrong. Of several the one with the fewest faults counts, also if
   * a later attempt brings nothing.
   */
  async function ask<Name extends TaskName>(
    task: Name,
    prompt: Prompt,
    options: CallOptions | undefined,
  ): Promise<TaskAnswer<Name>> {
    const { name, maxOutputTokens } = tasks[task]
    const { max_output_tokens = maxOutputTokens, timeout_seconds } = settings[task] ?? {}
    const timeout = timeout_seconds === undefined ? undefined : timeout_seconds * 1000
    let room = max_output_tokens + tokensToThink
    let best: Reviewed<TaskAnswer<Name>> | undefined
    let attempt = 0
    let faulty = 0
    const whole = async (client: GoogleGenAI, call: SdkOptions) => {
      attempt += 1
      const asked = best ? corrected(prompt, best.faults) : prompt
      const written = await generate(client, task, asked, room, call)
      if (written.isCut) room = Math.min(2 * room, mostTokens)
      const reviewed = review(task, written, prompt.citable)
      if (!best || reviewed.faults.length <= best.faults.length) best = reviewed
      if (!written.isCut && reviewed.faults.length > 0) faulty += 1
      if (reviewed.faults.length === 0 || faulty === 2 || attempt >= attempts) return best
      throw invalid(reviewed.faults.join('; '))
    }
    try {
      best = await called(name, whole, { ...options, timeout })
    } catch (error) {
      options?.signal?.throwIfAborted()
      if (!best) throw error
    }
    const { answer, faults } = best
    if (faults.length > 0) {
      logger.warn('An answer of the model is not whole', { call: name, faults })
      count('ModelAnswersIncomplete', name)
    }
    if (answer.shortened) count('ModelTextsShortened', name, answer.shortened)
    return answer
  }

  async function embed(
    client: GoogleGenAI,
    texts: readonly string[],
    kind: EmbedKind,
    call: SdkOptions,
  ): Promise<Embedding> {
    const { model, dimensions } = embedding
    const { embeddings = [] } = await client.models.embedContent({
      model,
      contents: [...texts],
      config: { ...call, taskType: taskTypes[kind], outputDimensionality: dimensions },
    })
    if (embeddings.length !== texts.length)
      throw invalid(`${embeddings.length} vectors for ${texts.length} texts`)
    return { model, dimensions, vectors: embeddings.map(({ values = [] }) => unitVector(values, dimensions)) }
  }

  /** One call of the SDK with retries around it. */
  async function called<T>(
    name: string,
    use: (client: GoogleGenAI, call: SdkOptions) => Promise<T>,
    options: (CallOptions & { timeout?: number | undefined }) | undefined,
  ): Promise<T> {
    const client = await connected()
    return party.call(
      name,
      async (signal) => {
        let noted: Noted | undefined
        const fetch = fetchNoting(({ status, headers }) => {
          noted = { status, retryAfter: headers.get('retry-after') }
        })
        try {
          return await use(client, { abortSignal: signal, httpOptions: { fetch } })
        } catch (error) {
          throw geminiError(error, noted)
        }
      },
      options,
    )
  }

  return {
    ask,
    embed: (texts, kind, options) =>
      inBatches(texts, (batch) =>
        called(embedName, (client, call) => embed(client, batch, kind, call), {
          ...options,
          timeout: settings.embedding?.timeout_seconds ? embedding.timeoutMs : undefined,
        }),
      ),
  }
}

/** Gemini with the settings of the environment. Throws ConfigurationError where one is missing. */
export function geminiFromEnvironment(): Model {
  const arn = requiredEnv(env.geminiSecretArn)
  return createGemini({
    apiKey: async () => (await secretJson(arn, secretSchema)).api_key,
    model: process.env[env.geminiModel] || undefined,
    settings: parseModelSettings(process.env[env.modelSettings] || '{}'),
    baseUrl: process.env[env.geminiUrl],
  })
}

type SdkOptions = { abortSignal: AbortSignal; httpOptions: { fetch: typeof fetch } }

const invalid = (reason: string) => new InvalidAnswerError(service, reason)

/**
 * The task's schema without what Gemini refuses (400: formats) or finds too complex (400: lengths of arrays,
 * ranges of numbers): descriptions tell the bounds instead. The answer is held to all of them.
 */
function answerSchema(task: TaskName): unknown {
  const { $schema: _, ...schema } = z.toJSONSchema(tasks[task].schema as z.ZodType, {
    override({ jsonSchema }) {
      const parts = [jsonSchema.description, boundsInWords(jsonSchema as BoundedSchema)]
      const description = parts.filter((part) => part !== undefined).join('; ')
      if (description !== '') jsonSchema.description = description
      for (const key of tooMuch) delete jsonSchema[key]
      // Counted here, not by the model.
      delete jsonSchema.properties?.shortened
    },
  })
  return schema
}

const tooMuch = ['format', 'pattern', 'minLength', 'maxLength', 'minItems', 'maxItems', 'minimum', 'maximum']

/** Where the model does not want to go on, whoever asks again. */
const refusals = new Set(['SAFETY', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII'])

/** `text` is undefined if nothing is whole of an answer that was cut off. */
type Written = { text: string | undefined; isCut: boolean }

/** The JSON that the model wrote; what is whole of it if it had no room to end. */
function writtenIn(response: GenerateContentResponse): Written {
  const blocked = response.promptFeedback?.blockReason
  if (blocked) throw new UpstreamRefusedError(service, `the prompt was blocked (${blocked})`)
  const finished = response.candidates?.[0]?.finishReason ?? 'STOP'
  if (refusals.has(finished)) throw new UpstreamRefusedError(service, `the answer was blocked (${finished})`)
  const text = response.text ?? ''
  if (finished === 'STOP') return { text, isCut: false }
  if (finished === 'MAX_TOKENS') return { text: wholePart(text), isCut: true }
  throw invalid(`it ended with ${finished}`)
}

function review<Name extends TaskName>(
  task: Name,
  { text, isCut }: Written,
  citable: Prompt['citable'] = {},
): Reviewed<TaskAnswer<Name>> {
  const result = text === undefined ? undefined : reviewAnswer(task, parseJson(text), citable)
  if (result && 'reviewed' in result) {
    const { answer, faults } = result.reviewed
    return { answer, faults: isCut ? [...faults, 'the answer was cut off'] : faults }
  }
  throw invalid(isCut || !result ? 'it ended with MAX_TOKENS' : result.problem)
}

/** The prompt once more, with what was wrong with the answer to it: our own words and ids, none of the answer's. */
function corrected(prompt: Prompt, faults: readonly string[]): Prompt {
  const wrong = faults.slice(0, 20).map((fault) => `- ${fault}`)
  const system = `${prompt.system}\nYour last answer could not be used as it was:\n${wrong.join('\n')}\nGive the whole answer again, without these faults.`
  return { ...prompt, system }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value) => (typeof value === 'string' ? storable(value) : value))
  } catch {
    throw invalid('it is not JSON')
  }
}

/** Gemini scales vectors of 3,072 dimensions only. */
function unitVector(values: readonly number[], dimensions: number): number[] {
  const length = Math.hypot(...values)
  if (values.length !== dimensions || !Number.isFinite(length) || length === 0) {
    throw invalid(`a vector is not one of ${dimensions} dimensions`)
  }
  return values.map((value) => value / length)
}

const errorBodySchema = z.object({
  error: z.object({
    status: z
      .string()
      .regex(/^[A-Z_]{1,60}$/)
      .catch('UNKNOWN'),
    message: z.string().catch(''),
    details: z
      .array(
        z.object({
          '@type': z.string(),
          retryDelay: z.string().optional(),
          domain: z.string().optional(),
        }),
      )
      .catch([]),
  }),
})
const retryInfo = 'type.googleapis.com/google.rpc.RetryInfo'

const unknownError = { status: 'UNKNOWN', message: '', details: [] }

/** What the SDK keeps to itself of the last response. */
type Noted = { status: number; retryAfter: string | null }

/** What an error of the SDK means, without the service's message, which may quote the prompt. */
function geminiError(error: unknown, noted: Noted | undefined): unknown {
  // The SDK parses what calls itself JSON, whoever in between has written it.
  if (error instanceof SyntaxError) {
    if (noted && noted.status >= 400 && !isTransientStatus(noted.status)) {
      return geminiRefusal(noted.status, unknownError)
    }
    return new UpstreamUnavailableError('Gemini did not answer with JSON')
  }
  if (!isApiError(error)) return error
  const said = errorBody(error.message)
  const { status, details } = said
  if (!isTransientStatus(error.status)) return geminiRefusal(error.status, said)
  const delay = details.find((detail) => detail['@type'] === retryInfo)?.retryDelay
  return new UpstreamUnavailableError(`Gemini answered ${error.status} (${status})`, {
    retryAfterMs: parseRetryAfter(noted?.retryAfter ?? null, Date.now()) ?? parseDelay(delay),
  })
}

function isApiError(error: unknown): error is Error & { status: number } {
  return error instanceof Error && error.name === 'ApiError' && 'status' in error
}

/** The SDK puts the whole body into the message. */
function errorBody(message: string): z.output<typeof errorBodySchema>['error'] {
  let body: unknown
  try {
    body = JSON.parse(message)
  } catch {
    body = undefined
  }
  const parsed = errorBodySchema.safeParse(body)
  return parsed.success ? parsed.data.error : unknownError
}

/** Milliseconds of a duration as protobuf's JSON has it: `7s`, `0.5s`. */
function parseDelay(delay: string | undefined): number | undefined {
  const seconds = /^(\d{1,9}(?:\.\d{1,9})?)s$/.exec(delay ?? '')?.[1]
  return seconds === undefined ? undefined : Math.ceil(Number(seconds) * 1000)
}

function count(metric: 'ModelAnswersIncomplete' | 'ModelTextsShortened', call: string, value = 1): void {
  const single = metrics.singleMetric()
  single.addDimension('Call', call)
  single.addMetric(metric, MetricUnit.Count, value)
}
