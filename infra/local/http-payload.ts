import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { decode, type MatchedRoute } from './http-routes.ts'

export type HttpAnswer = { status: number; headers: Map<string, string>; cookies: string[]; body: Buffer }

export type RequestFacts = {
  accountId: string
  apiId: string
  stage: string
  requestId: string
  receivedAt: Date
}

/** Content types whose bodies reach the function as text; everything else is base64. */
const textual = /^(text\/|application\/(json|xml|javascript)|application\/[^;]+\+(json|xml))/i

/** Connection-level headers: a function cannot set them, and the body's length is computed. */
const reserved = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'upgrade'])

/**
 * The event of an HTTP API, payload format 2.0: the path and its parameters percent-decoded, repeated headers
 * and query parameters joined by commas, cookies apart.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export function requestEvent(
  request: IncomingMessage,
  body: Buffer,
  route: MatchedRoute,
  facts: RequestFacts,
): Record<string, unknown> {
  const [path = '/', query = ''] = splitOnce(request.url ?? '/', '?')
  const headers = joinHeaders(request.rawHeaders)
  const cookies = headers.cookie?.split(';').map((cookie) => cookie.trim())
  delete headers.cookie
  const sourceIp = request.socket.remoteAddress ?? '127.0.0.1'
  headers['content-length'] ??= String(body.length)
  headers['x-forwarded-for'] = headers['x-forwarded-for']
    ? `${headers['x-forwarded-for']}, ${sourceIp}`
    : sourceIp
  headers['x-forwarded-port'] = String(request.socket.localPort)
  headers['x-forwarded-proto'] = 'http'
  const domainName = (headers.host ?? '').replace(/:\d+$/, '')
  const isText = isUtf8(body) && textual.test(headers['content-type'] ?? 'text/plain')
  const parameters = queryParameters(query)
  return {
    version: '2.0',
    routeKey: route.routeKey,
    rawPath: decode(path),
    rawQueryString: query,
    ...(cookies && { cookies }),
    headers,
    ...(parameters && { queryStringParameters: parameters }),
    requestContext: {
      accountId: facts.accountId,
      apiId: facts.apiId,
      domainName,
      domainPrefix: domainName.split('.')[0],
      http: {
        method: request.method,
        path: decode(path),
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp,
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: facts.requestId,
      routeKey: route.routeKey,
      stage: facts.stage,
      time: commonLogTime(facts.receivedAt),
      timeEpoch: facts.receivedAt.getTime(),
    },
    ...(route.pathParameters && { pathParameters: route.pathParameters }),
    ...(body.length > 0 && { body: body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !isText,
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function joinHeaders(raw: readonly string[]): Record<string, string> {
  const headers = new Map<string, string>()
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    append(headers, name, raw[at + 1]!, name === 'cookie' ? ';' : ',')
  }
  return Object.fromEntries(headers)
}

function queryParameters(query: string): Record<string, string> | undefined {
  const joined = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) append(joined, name, value, ',')
  return joined.size > 0 ? Object.fromEntries(joined) : undefined
}

function append(to: Map<string, string>, name: string, value: string, separator: string): void {
  const before = to.get(name)
  to.set(name, before === undefined ? value : before + separator + value)
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `12/Mar/2026:19:03:58 +0000` */
function commonLogTime(at: Date): string {
  const [date = '', clock = ''] = at.toISOString().split('T')
  const [year, month, day] = date.split('-')
  return `${day}/${months[Number(month) - 1]}/${year}:${clock.slice(0, 8)} +0000`
}

/**
 * What the client gets for a function's JSON answer in format 2.0, or undefined where the answer is malformed.
 * JSON without a statusCode is the body of a 200.
 */
export function answerOf(payload: string): HttpAnswer | undefined {
  let value: unknown
  try {
    value = JSON.parse(payload)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('statusCode' in value)) {
    const body = typeof value === 'string' ? value : JSON.stringify(value)
    return jsonAnswer(200, body)
  }
  const {
    statusCode,
    headers = {},
    cookies = [],
    body = '',
    isBase64Encoded,
  } = value as Record<string, unknown>
  const status = Number(statusCode)
  if (!Number.isInteger(status) || status < 200 || status > 599) return undefined
  if (body !== null && typeof body !== 'string') return undefined
  if (cookies !== null && !isTextList(cookies)) return undefined
  const answer: HttpAnswer = {
    status,
    headers: new Map(),
    cookies: cookies ?? [],
    body: Buffer.from(body ?? '', isBase64Encoded === true ? 'base64' : 'utf8'),
  }
  for (const [name, header] of Object.entries(headers ?? {})) {
    const text = Array.isArray(header) ? header.join(',') : header
    if (!['string', 'number', 'boolean'].includes(typeof text)) return undefined
    if (!reserved.has(name.toLowerCase())) answer.headers.set(name.toLowerCase(), String(text))
  }
  if (answer.body.length > 0 && !answer.headers.has('content-type')) {
    answer.headers.set('content-type', 'text/plain;charset=UTF-8')
  }
  return answer
}

/** `body` is JSON already. */
export function jsonAnswer(status: number, body: string): HttpAnswer {
  const headers = new Map([['content-type', 'application/json']])
  return { status, headers, cookies: [], body: Buffer.from(body) }
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
