import * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import type { Sql } from '../platform/db.ts'
import { UpstreamUnavailableError } from '../platform/errors.ts'
import { env } from '../platform/names.ts'
import type { CallOptions } from '../platform/outside.ts'
import { spend } from '../platform/quotas.ts'
import { callRemote } from '../platform/remote.ts'
import { type Citable, type TaskAnswer, type TaskName, tasks } from './tasks.ts'

export type { CallOptions }

export type Prompt = { system: string; text: string; citable?: Citable | undefined }

/** Whether texts are to be found, or find. */
const embedKinds = ['document', 'query'] as const
export type EmbedKind = (typeof embedKinds)[number]

/** Vectors, and what made them: those of another model or dimension cannot be compared with them. */
export type Embedding = { model: string; dimensions: number; vectors: number[][] }

/**
 * The language model. All reject with UpstreamUnavailableError or RetryLaterError where it has no answer now,
 * with UpstreamRefusedError where it refuses for good.
 */
export type Model = {
  /**
   * The best answer of up to three attempts. Rejects with InvalidAnswerError where nothing in any of them is of use.
   */
  ask<Name extends TaskName>(task: Name, prompt: Prompt, options?: CallOptions): Promise<TaskAnswer<Name>>
  /** A vector of length 1 for each text, none of which is empty; there is at least one. */
  embed(texts: readonly string[], kind: EmbedKind, options?: CallOptions): Promise<Embedding>
}

/** Texts of one call at the most; 50 vectors are 1 MB of JSON, or 4 with 3,072 dimensions, and Lambda answers 6 MB. */
const textsAtOnce = 50

/** Calls that the vectors of some texts take. */
export function embeddingCalls(texts: readonly string[]): number {
  return Math.ceil(texts.length / textsAtOnce)
}

/** The vectors of all texts, so many at a time. Rejects with UpstreamUnavailableError if the model changes meanwhile. */
export async function inBatches(
  texts: readonly string[],
  embed: (batch: readonly string[]) => Promise<Embedding>,
): Promise<Embedding> {
  const first = await embed(texts.slice(0, textsAtOnce))
  const vectors = [...first.vectors]
  for (let at = textsAtOnce; at < texts.length; at += textsAtOnce) {
    const next = await embed(texts.slice(at, at + textsAtOnce))
    if (next.model !== first.model || next.dimensions !== first.dimensions) {
      throw new UpstreamUnavailableError('The embedding model has just changed')
    }
    vectors.push(...next.vectors)
  }
  return { ...first, vectors }
}

/** As retries of embeddings call them. */
export const embedName = 'Embed texts'

const taskNames = Object.keys(tasks) as [TaskName, ...TaskName[]]

/** What the gemini function is sent. */
export const modelRequestSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('ask'),
    task: z.enum(taskNames),
    system: z.string(),
    text: z.string(),
    citable: z
      .strictObject({
        turn_ids: z.array(z.string()).readonly().optional(),
        criterion_ids: z.array(z.string()).readonly().optional(),
      })
      .optional(),
  }),
  z.strictObject({
    kind: z.literal('embed'),
    texts: z.array(z.string().min(1)).min(1).max(textsAtOnce),
    embed_kind: z.enum(embedKinds),
  }),
])
type ModelRequest = z.input<typeof modelRequestSchema>

const vectorsSchema = z.array(z.array(z.number()))
const embeddingSchema = z
  .union([
    z.strictObject({ model: z.string(), dimensions: z.int(), vectors: vectorsSchema }),
    // The release before has one model, and does not name it.
    vectorsSchema.transform((vectors) => ({ model: 'gemini-embedding-001', dimensions: 768, vectors })),
  ])
  .refine(({ dimensions, vectors }) => vectors.every(({ length }) => length === dimensions))

/** The model through the gemini function, for functions that have no way out to the internet. */
export function modelFromEnvironment(): Model {
  const functionName = requiredEnv(env.geminiFunctionName)

  return {
    async ask(task, prompt, options) {
      const { name, schema } = tasks[task]
      const request: ModelRequest = { kind: 'ask', task, ...prompt }
      const answer = await callRemote({ functionName, name, request, result: schema }, options)
      return answer as TaskAnswer<typeof task>
    },
    embed: (texts, kind, options) =>
      inBatches(texts, (batch) => {
        const request: ModelRequest = { kind: 'embed', texts: [...batch], embed_kind: kind }
        return callRemote({ functionName, name: embedName, request, result: embeddingSchema }, options)
      }),
  }
}

/** An e-mail; however often it is sent under one `id`, it arrives once. */
export const mailSchema = z.strictObject({
  id: z.string().min(1).max(256),
  to: z.string().min(1),
  subject: z.string(),
  html: z.string(),
  text: z.string(),
  attachments: z
    .array(z.strictObject({ filename: z.string(), content_type: z.string(), content: z.string() }))
    .optional(),
})
export type Mail = z.output<typeof mailSchema>

const sentSchema = z.strictObject({ provider_id: z.string() })
export type SentMail = z.output<typeof sentSchema>

export type Mailer = {
  /**
   * Answers the id that the service gave it. Rejects with UpstreamUnavailableError or RetryLaterError where it
   * may be sent later, with UpstreamRefusedError where it never will.
   */
  send(mail: Mail, options?: CallOptions): Promise<SentMail>
}

/** Resend's own list of addresses to which it sends nothing, of the whole account. */
export type SuppressionList = {
  /** Takes an address off; one that is not on it is fine. Rejects as send does. */
  remove(address: string, options?: CallOptions): Promise<void>
}

export const liftSchema = z.strictObject({ lift: z.string().min(1).max(254) })

/** As their retries are called. */
export const sendName = 'Send e-mail'
export const liftName = 'Lift suppression'

/** The mailer function, for functions that have no way out to the internet. */
export function mailerFromEnvironment(): Mailer {
  const functionName = requiredEnv(env.mailerFunctionName)
  return {
    send: (mail, options) =>
      callRemote({ functionName, name: sendName, request: mail, result: sentSchema }, options),
  }
}

/** Resend's list by the mailer function. */
export function suppressionListFromEnvironment(): SuppressionList {
  return {
    async remove(address, options) {
      const functionName = requiredEnv(env.mailerFunctionName)
      const request: z.output<typeof liftSchema> = { lift: address }
      await callRemote({ functionName, name: liftName, request, result: z.null() }, options)
    },
  }
}

/** The model for one team: what is asked counts against its quota, and is refused beyond it before it costs anything. */
export function meteredModel(model: Model, sql: Sql, teamId: string): Model {
  return {
    async ask(task, prompt, options) {
      await spend(sql, teamId, 'model_calls', 1)
      return model.ask(task, prompt, options)
    },
    async embed(texts, kind, options) {
      await spend(sql, teamId, 'model_calls', embeddingCalls(texts))
      return model.embed(texts, kind, options)
    },
  }
}
