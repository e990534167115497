import type { OpenApiDocument } from '../../../lib/platform/http/openapi.ts'
import { resolve } from '../../support/contract.ts'

/** A schema of the document, its references followed where it is read. */
export type Schema = Record<string, unknown>
export type Parameter = { in: 'path' | 'query' | 'header'; name: string; required?: boolean; schema: Schema }

/** One operation of an OpenAPI document, with all that a request needs to be made for it. */
export type Operation = {
  /** `GET /api/profiles/{id}` */
  key: string
  method: string
  path: string
  parameters: Parameter[]
  /** Of a JSON body; undefined if none is described. */
  body: Schema | undefined
  /** Whether a key is needed. */
  keyed: boolean
}

const text = { type: 'string' }
const interview = { interview_id: text }

/** Bodies that are signed, and so read before they are parsed: the document has no schema of them. */
const webhooks: Record<string, Schema> = {
  '/webhooks/agent': {
    type: 'object',
    required: ['type', 'data'],
    properties: {
      type: { enum: ['turn', 'session.completed'] },
      data: {
        type: 'object',
        required: ['interview_id'],
        properties: {
          ...interview,
          sequence_no: { type: 'integer', minimum: 1, maximum: 20 },
          speaker: { enum: ['ai', 'candidate'] },
          content: text,
          timestamp_sec: { type: 'number', minimum: 0, maximum: 4000 },
          is_ai_question: { type: 'boolean' },
          transcript: { type: 'array', items: {} },
        },
      },
    },
  },
  '/webhooks/livekit': {
    type: 'object',
    required: ['event', 'room', 'id', 'createdAt'],
    properties: {
      event: { enum: ['room_started', 'room_finished', 'participant_joined', 'egress_ended'] },
      id: text,
      // A webhook is refused if it is old.
      createdAt: { const: '‹now:0›' },
      room: {
        type: 'object',
        required: ['name'],
        properties: { sid: text, name: { type: 'string', format: 'uuid' } },
      },
    },
  },
  '/webhooks/resend': {
    type: 'object',
    required: ['type', 'data'],
    properties: {
      type: { enum: ['email.delivered', 'email.bounced', 'email.suppressed'] },
      created_at: { type: 'string', format: 'date-time' },
      data: {
        type: 'object',
        required: ['email_id'],
        properties: { email_id: text, to: { type: 'array', items: text } },
      },
    },
  },
}

const methods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'] as const

export function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = (item as Record<string, Schema>)[method]
      return operation ? [operationOf(document, method.toUpperCase(), path, operation)] : []
    }),
  )
}

function operationOf(document: OpenApiDocument, method: string, path: string, operation: Schema): Operation {
  const parameters = (operation.parameters as unknown[] | undefined) ?? []
  const content = (resolve(document, operation.requestBody ?? {}).content ?? {}) as Record<string, Schema>
  return {
    key: `${method} ${path}`,
    method,
    path,
    parameters: parameters.map((parameter) => resolve(document, parameter) as Parameter),
    body: (content['application/json']?.schema as Schema | undefined) ?? webhooks[path],
    keyed: ((operation.security as unknown[] | undefined) ?? []).length > 0,
  }
}

/**
 * The key of the operation that a gateway picks for a method and an encoded path; `$default` if there is none.
 * Exact segments go before parameters.
 */
export function matcherOf(operations: readonly Operation[]): (method: string, path: string) => string {
  const sorted = operations.toSorted((a, b) => specificity(b) - specificity(a))
  return (method, path) => {
    const parts = path.split('/')
    const found = sorted.find((operation) => operation.method === method && fits(operation.path, parts))
    return found?.key ?? '$default'
  }
}

/** More for each exact segment, the first one most. */
function specificity({ path }: Operation): number {
  return path.split('/').reduce((sum, part) => 2 * sum + Number(!part.startsWith('{')), 0)
}

function fits(path: string, parts: readonly string[]): boolean {
  const segments = path.split('/')
  return (
    segments.length === parts.length &&
    segments.every((segment, at) =>
      segment.startsWith('{') ? parts[at] !== '' : decoded(parts[at]!) === segment,
    )
  )
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
