import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import type * as z from 'zod'
import {
  BadRequestError,
  type ErrorDetail,
  InsightaError,
  NotFoundError,
  TooLargeError,
  UnprocessableError,
} from '../errors.ts'
import { closest, ourMessage } from './messages.ts'

/** Bytes of a JSON body at the most. */
export const maxBodyBytes = 1024 * 1024

/**
 * The query by its schema; without one, nothing is accepted. Throws BadRequestError for parameters that are
 * unknown, given twice, empty or missing, and UnprocessableError for wrong values.
 */
export function parseQuery(schema: z.ZodType | undefined, rawQueryString: string): unknown {
  const parameters = new URLSearchParams(rawQueryString)
  const details: ErrorDetail[] = []
  const seen = new Set<string>()
  for (const [field, value] of parameters) {
    // The gateway joins repeated parameters by commas, which would make them a list.
    if (seen.has(field)) details.push({ field, message: 'is given more than once' })
    else if (value.trim() === '') details.push({ field, message: 'must not be empty' })
    seen.add(field)
  }
  if (!schema) for (const field of seen) details.push({ field, message: 'is not known here' })
  if (details.length > 0) throw new BadRequestError('Invalid query parameters', details, 'invalid_query')
  return schema && parse(schema, Object.fromEntries(parameters), 'Invalid query parameters', 'invalid_query')
}

/** The path parameters by their schema. One that does not fit names nothing that exists: NotFoundError. */
export function parsePath(
  schema: z.ZodType | undefined,
  parameters: Record<string, string | undefined>,
): unknown {
  const result = schema?.safeParse({ ...parameters })
  if (result && !result.success) throw new NotFoundError('There is nothing under this path')
  return result?.data
}

export const jsonType = 'application/json'

/**
 * Throws 415, naming what is read, for a body under a content coding. Compressed bodies are few and small, and one
 * that unfolds to a hundred times its size is not.
 */
export function refuseCoding(headers: APIGatewayProxyEventV2['headers']): void {
  const coding = headers['content-encoding']?.trim().toLowerCase()
  if (coding === undefined || coding === '' || coding === 'identity') return
  throw new InsightaError('The body must come without a Content-Encoding', {
    code: 'unsupported_media_type',
    status: 415,
    headers: { 'Accept-Encoding': 'identity' },
  })
}

/**
 * The JSON body by its schema. Throws 415 for another content type than `types` or a content coding, 413 over 1 MB,
 * BadRequestError where it is missing, not JSON, or lacks or has too many fields, UnprocessableError for wrong values.
 */
export function parseBody(
  schema: z.ZodType,
  event: APIGatewayProxyEventV2,
  types: readonly string[] = [jsonType],
): unknown {
  const { body = '', isBase64Encoded, headers } = event
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8')
  if (bytes.length > maxBodyBytes) throw new TooLargeError('The body is larger than 1 MB')
  if (bytes.length === 0) throw new BadRequestError('A JSON body is needed', undefined, 'missing_body')
  refuseCoding(headers)
  const [type = ''] = (headers['content-type'] ?? '').split(';')
  if (!types.includes(type.trim().toLowerCase())) {
    throw new InsightaError(`The body must be ${types.join(' or ')}`, {
      code: 'unsupported_media_type',
      status: 415,
    })
  }
  return parse(schema, parseJson(bytes), 'Invalid request body', 'invalid_body')
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // The parser's own message quotes the body, which may hold personal data.
    throw new BadRequestError('The body is not valid JSON', undefined, 'invalid_json')
  }
}

function parse(schema: z.ZodType, value: unknown, message: string, code: string): unknown {
  const result = schema.safeParse(value, { error: ourMessage })
  if (result.success) return result.data
  const issues = closest(result.error.issues)
  const whole = issues.find(({ code, path }) => code === 'invalid_type' && path.length === 0)
  if (whole) throw new UnprocessableError(`The body ${whole.message}`, [{ message: whole.message }])
  const absent: ErrorDetail[] = []
  const wrong: ErrorDetail[] = []
  for (const issue of issues) {
    const field = issue.path.join('.')
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        absent.push({ field: [...issue.path, key].join('.'), message: 'is not known here' })
      }
    } else if (isAbsent(issue, value)) {
      absent.push({
        field,
        message: subjectOf(issue, value) === undefined ? 'is required' : 'must not be empty',
      })
    } else {
      wrong.push({ ...(field && { field }), message: issue.message })
    }
  }
  if (absent.length > 0) throw new BadRequestError(message, distinct([...absent, ...wrong]), code)
  throw new UnprocessableError(message, distinct(wrong))
}

/** What the issue is about; undefined if it was not there. */
function subjectOf(issue: z.core.$ZodIssue, value: unknown): unknown {
  let at: unknown = value
  for (const key of issue.path) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined
  return at
}

/** Whether what the issue is about was not there, or was there and empty. */
function isAbsent(issue: z.core.$ZodIssue, value: unknown): boolean {
  if (issue.path.length === 0) return false
  const subject = subjectOf(issue, value)
  return subject === undefined || (typeof subject === 'string' && subject.trim() === '')
}

/** As many as anyone reads: a body of a megabyte may have a hundred thousand unknown fields. */
const maxDetails = 50

function distinct(details: ErrorDetail[]): ErrorDetail[] {
  const all = [...new Map(details.map((detail) => [JSON.stringify(detail), detail])).values()]
  if (all.length <= maxDetails) return all
  return [...all.slice(0, maxDetails), { message: `${all.length - maxDetails} more are not listed` }]
}
