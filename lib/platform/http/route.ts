import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import type * as z from 'zod'
import type { Caller } from '../auth.ts'

/** A body is sent as JSON if it is an object, and as it is if it is text or bytes (with the content-type given). */
export type Answer = {
  status: number
  headers?: Record<string, string>
  body?: object | string | Uint8Array
}

export type HttpRequest<Query, Body, Path> = {
  query: Query
  body: Body
  path: Path
  requestId: string
  /** The event as the gateway sent it, header names in lower case. */
  event: APIGatewayProxyEventV2
  /** Aborted shortly before the function's deadline. */
  signal: AbortSignal
  /** Milliseconds until then. */
  remainingMs(): number
}

export type Schemas = {
  /** One line for people, in the API's description. */
  summary?: string
  /** Request headers of its own, for the description: the handler reads them from the event. */
  headers?: z.ZodObject
  /** Strict: what it does not name is refused. Each value arrives as a text. Without it none is accepted. */
  query?: z.ZodType
  /** Strict too. Without it the body is not looked at. */
  body?: z.ZodType
  /** Media types of the body, all JSON. Without it application/json alone. */
  bodyTypes?: readonly string[]
  path?: z.ZodType
  /** Whether answers have an ETag, also where none is a 304. */
  etag?: boolean
  /**
   * The body of each answer by status; null for one without a body. Errors have a shape of their own. A text is
   * JSON too unless its meta has `contentMediaType`; several such texts in a union are a choice.
   */
  answers: Record<number, z.ZodType | null>
  /** Further headers of an answer by its status, each by its name in the description's components. */
  answerHeaders?: Record<number, readonly string[]>
  /**
   * Statuses of errors that its own rules give, such as 409. Those that follow from its access and its schemas
   * (400, 401, 403, 404 of a path, 413, 415 of a body, 422, 429, 500, 503) need no mention.
   */
  errors?: readonly number[]
}

type Parsed<Query extends z.ZodType, Body extends z.ZodType, Path extends z.ZodType> = HttpRequest<
  z.output<Query>,
  z.output<Body>,
  z.output<Path>
>

/** Schemas with a handler that gets what they parse; a part without a schema is unknown to it. */
type Definition<Query extends z.ZodType, Body extends z.ZodType, Path extends z.ZodType, Extra> = Omit<
  Schemas,
  'query' | 'body' | 'path'
> & {
  query?: Query
  body?: Body
  path?: Path
  handler(request: Parsed<Query, Body, Path> & Extra): Promise<Answer> | Answer
  /** What HEAD gets where GET may begin work: without it HEAD runs the handler. */
  head?(request: Parsed<Query, Body, Path> & Extra): Promise<Answer> | Answer
}

/** A route as the stack runs it, its request's type forgotten. */
export type Route<Access extends 'open' | 'keyed' = 'open' | 'keyed'> = Schemas & {
  access: Access
  handle: Handle
  head?: Handle
}
type Handle = (
  request: HttpRequest<unknown, unknown, unknown>,
  caller: Caller | undefined,
) => Promise<Answer> | Answer

/** A route for callers with a key: its handler is told who calls. */
export function route<Query extends z.ZodType, Body extends z.ZodType, Path extends z.ZodType>(
  definition: Definition<Query, Body, Path, { caller: Caller }>,
): Route<'keyed'> {
  const { handler, head, ...schemas } = definition
  // The stack parses each part by the schema whose output its type is, and lets nobody in without a key.
  const run =
    (answer: typeof handler): Handle =>
    (request, caller) =>
      answer({ ...(request as Parsed<Query, Body, Path>), caller: caller! })
  return { ...schemas, access: 'keyed', handle: run(handler), ...(head && { head: run(head) }) }
}

/** A route that anyone may call. */
export function openRoute<Query extends z.ZodType, Body extends z.ZodType, Path extends z.ZodType>(
  definition: Definition<Query, Body, Path, unknown>,
): Route<'open'> {
  const { handler, head, ...schemas } = definition
  const run =
    (answer: typeof handler): Handle =>
    (request) =>
      answer(request as Parsed<Query, Body, Path>)
  return { ...schemas, access: 'open', handle: run(handler), ...(head && { head: run(head) }) }
}

/** An answer with a JSON body. */
export function json(status: number, body: object, headers?: Record<string, string>): Answer {
  return { status, body, ...(headers && { headers }) }
}
