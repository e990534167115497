import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda'
import type { HttpFunction } from '../../lib/platform/http/index.ts'
import { openApiDocument } from '../../lib/platform/http/openapi.ts'
import { gatewayRoutes, servedBy } from '../../lib/platform/routes.ts'
import { contractOf } from './contract.ts'

export type CallOptions = {
  /** Sent as `Authorization: Bearer`. */
  key?: string
  headers?: Record<string, string>
  /** Sent as JSON; a text is sent as it is. */
  body?: unknown
  base64?: boolean
}

let requests = 0

/** The event that API Gateway sends (payload v2) for a call such as `GET /api/profiles?page=2`. */
export function httpEvent(call: string, options: CallOptions = {}): APIGatewayProxyEventV2 {
  const [method, target] = call.split(' ') as [string, string]
  const [rawPath, rawQueryString = ''] = target.split('?') as [string, string?]
  const { routeKey, pathParameters } = matchRoute(method, rawPath)
  const body = typeof options.body === 'string' ? options.body : options.body && JSON.stringify(options.body)
  const headers = {
    host: 'api.test',
    ...(options.key !== undefined && { authorization: `Bearer ${options.key}` }),
    ...(options.body !== undefined && { 'content-type': 'application/json' }),
    ...options.headers,
  }
  const queryStringParameters: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(rawQueryString)) {
    queryStringParameters[name] =
      name in queryStringParameters ? `${queryStringParameters[name]},${value}` : value
  }
  return {
    version: '2.0',
    routeKey,
    rawPath,
    rawQueryString,
    headers,
    ...(rawQueryString && { queryStringParameters }),
    ...(pathParameters && { pathParameters }),
    requestContext: {
      accountId: '123456789012',
      apiId: 'test',
      domainName: 'api.test',
      domainPrefix: 'api',
      http: { method, path: rawPath, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
      requestId: `request-${++requests}`,
      routeKey,
      stage: '$default',
      time: '01/Nov/2026:12:00:00 +0000',
      timeEpoch: 1793534400000,
    },
    ...(typeof body === 'string' && { body: options.base64 ? Buffer.from(body).toString('base64') : body }),
    isBase64Encoded: options.base64 ?? false,
  }
}

/** The route that the gateway picks, with the parameters in the path. */
export function matchRoute(method: string, path: string) {
  const names = gatewayRoutes.map(({ key }) => key)
  // Exact paths before those with parameters, as the gateway has it.
  names.sort((a, b) => Number(a.includes('{')) - Number(b.includes('{')))
  for (const routeKey of names) {
    const [routeMethod, pattern] = routeKey.split(' ')
    if (routeMethod !== method || !pattern) continue
    const groups = new RegExp(`^${pattern.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`).exec(path)
    if (groups) return { routeKey, pathParameters: groups.groups && { ...groups.groups } }
  }
  return { routeKey: '$default', pathParameters: undefined }
}

/** The context of one invocation with `remaining` milliseconds left. */
export function lambdaContext(remaining = 30_000): Context {
  return {
    awsRequestId: '00000000-0000-4000-8000-000000000000',
    callbackWaitsForEmptyEventLoop: false,
    functionName: 'test',
    functionVersion: '$LATEST',
    invokedFunctionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:test',
    memoryLimitInMB: '512',
    logGroupName: '/aws/lambda/test',
    logStreamName: 'test',
    getRemainingTimeInMillis: () => remaining,
    done() {},
    fail() {},
    succeed() {},
  }
}

type Handler = (event: APIGatewayProxyEventV2, context: Context) => unknown

export type CallResult = {
  status: number
  headers: Record<string, string>
  text: string
  /** Whatever JSON says; each test names the fields it expects. */
  body: ReturnType<typeof JSON.parse>
}

/** The body as a client sees it. Bytes without a content coding stay base64. */
function bodyOf({ body = '', isBase64Encoded }: APIGatewayProxyStructuredResultV2, coding?: string): string {
  if (coding === undefined) return body
  if (!isBase64Encoded) throw new Error(`A body in ${coding} must be base64`)
  const bytes = Buffer.from(body, 'base64')
  if (coding === 'br') return brotliDecompressSync(bytes).toString()
  if (coding === 'gzip') return gunzipSync(bytes).toString()
  throw new Error(`Content-Encoding: ${coding} is none of ours`)
}

const contracts = new WeakMap<Handler, ReturnType<typeof contractOf>>()

/** Holds what an HTTP function answers to its own part of the API's description. */
function contractFor(handler: Handler): ReturnType<typeof contractOf> | undefined {
  if (!('routes' in handler)) return undefined
  const known = contracts.get(handler) ?? contractOf(openApiDocument((handler as HttpFunction).routes))
  contracts.set(handler, known)
  return known
}

/**
 * Invokes a handler as the gateway would; `body` is the parsed JSON, or undefined where there is none. Throws
 * where an answer is not as the API's description has it.
 */
export async function call(handler: Handler, target: string, options?: CallOptions): Promise<CallResult> {
  const event = httpEvent(target, options)
  const result = (await handler(event, lambdaContext())) as APIGatewayProxyStructuredResultV2
  const headers = Object.fromEntries(
    Object.entries(result.headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]),
  )
  const text = bodyOf(result, headers['content-encoding'])
  const status = result.statusCode ?? 200
  // What HEAD leaves out is not described.
  if (event.requestContext.http.method !== 'HEAD' || text !== '') {
    contractFor(handler)?.(servedBy(event.routeKey), { status, text, header: (name) => headers[name] })
  }
  const isJson = /^application\/json(?:;|$)/.test(headers['content-type'] ?? '')
  return { status, headers, text, body: isJson ? JSON.parse(text) : undefined }
}
