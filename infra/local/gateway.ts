import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { forOwnHosts, loopback, urlHost } from './hosts.ts'
import { type HttpApi, tokenBucket } from './http-api.ts'
import { corsFor, corsHeaders, isPreflight } from './http-cors.ts'
import { answerOf, type HttpAnswer, jsonAnswer, requestEvent } from './http-payload.ts'
import { routeTable } from './http-routes.ts'
import { isRequestTooLarge, isTooManyRequests } from './lambda/errors.ts'
import type { InvokeResult } from './lambda/functions.ts'

/** What happened to one request, for logs and metrics. */
export type GatewayAnswer = {
  requestId: string
  routeKey: string
  method: string
  path: string
  sourceIp: string
  status: number
  bytes: number
  durationMs: number
  /** Without an invocation: undefined. */
  integrationMs: number | undefined
  receivedAt: Date
}

export type GatewayOptions = {
  api: HttpApi
  accountId: string
  /** 0 = any free one. */
  port: number
  /** The address or name to listen on; without one loopback. */
  host?: string
  invoke(functionName: string, payload: string, options: { signal: AbortSignal }): Promise<InvokeResult>
  log(line: string): void
  onAnswer?(answer: GatewayAnswer): void
  /** Pages of the local cloud itself, asked where the API has no route of its own, and counted nowhere. */
  pages?(method: string, url: string): Promise<HttpAnswer | undefined>
  /** Of an integration, in milliseconds: 30 s, the most that AWS allows. */
  integrationTimeoutMs?: number
}

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html */
const bodyLimit = 10 * 1024 * 1024
const headerLimit = 10_240

type RequestContext = {
  requestId: string
  receivedAt: Date
  sourceIp: string
  routeKey: string
  integrationMs: number | undefined
  /** Tells a client that waits with `Expect: 100-continue` to send its body. */
  acceptBody(): void
}

const refusal = (status: number, message: string) => jsonAnswer(status, JSON.stringify({ message }))

const emptyAnswer = (): HttpAnswer => ({
  status: 204,
  headers: new Map(),
  cookies: [],
  body: Buffer.alloc(0),
})

/** Serves one HTTP API. Rejects with EADDRINUSE where the port is taken. */
export async function startGateway(
  options: GatewayOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const { api, host = loopback } = options
  const find = routeTable(api.routes)
  const stageBucket = api.throttle && tokenBucket(api.throttle)
  const routeBuckets = new Map([...api.routeThrottles].map(([key, throttle]) => [key, tokenBucket(throttle)]))

  async function pageOf({ method = '', url = '/' }: IncomingMessage): Promise<HttpAnswer | undefined> {
    const routeKey = find(method, url.split('?', 1)[0]!)?.routeKey
    return routeKey === undefined || routeKey === '$default' ? options.pages?.(method, url) : undefined
  }

  async function answer(request: IncomingMessage, context: RequestContext): Promise<HttpAnswer> {
    const { method = '', url = '/' } = request
    const path = url.split('?', 1)[0]!
    if (!path.startsWith('/')) return refusal(400, 'Bad Request')
    const route = find(method, path)
    if (!route) return refusal(404, 'Not Found')
    context.routeKey = route.routeKey
    const bucket = routeBuckets.get(route.routeKey) ?? stageBucket
    if (bucket && !bucket.take()) return refusal(429, 'Too Many Requests')
    if (Number(request.headers['content-length'] ?? 0) > bodyLimit)
      return refusal(413, 'Request Entity Too Large')
    context.acceptBody()
    const body = await readBody(request)
    if (!body) return refusal(413, 'Request Entity Too Large')
    const { requestId, receivedAt } = context
    const facts = { accountId: options.accountId, apiId: api.apiId, stage: api.stage, requestId, receivedAt }
    const event = JSON.stringify(requestEvent(request, body, route, facts))
    const startedAt = performance.now()
    const result = await invoke(route.functionName, event, route.routeKey)
    context.integrationMs = performance.now() - startedAt
    return result
  }

  async function invoke(functionName: string, event: string, routeKey: string): Promise<HttpAnswer> {
    const signal = AbortSignal.timeout(options.integrationTimeoutMs ?? 30_000)
    try {
      const result = await options.invoke(functionName, event, { signal })
      const parsed = result.functionError ? undefined : answerOf(result.payload)
      if (parsed) return parsed
      const reason = result.functionError ? 'the function failed' : 'the answer is malformed'
      options.log(`${routeKey}: 500, ${reason}; see the log of ${functionName}`)
      return refusal(500, 'Internal Server Error')
    } catch (error) {
      if (signal.aborted || isTooManyRequests(error)) return refusal(503, 'Service Unavailable')
      // A body between Lambda's limit and the gateway's own.
      if (isRequestTooLarge(error)) return refusal(413, 'Request Entity Too Large')
      options.log(`${routeKey}: 500, ${functionName} could not be invoked: ${String(error)}`)
      return refusal(500, 'Internal Server Error')
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) {
    const startedAt = performance.now()
    const context: RequestContext = {
      requestId: randomUUID(),
      receivedAt: new Date(),
      // Here, since a client that is gone at the end has none any more.
      sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
      routeKey: '-',
      integrationMs: undefined,
      acceptBody: () => expectsContinue && response.writeContinue(),
    }
    const page = await pageOf(request)
    if (page) return send(request, response, page)
    const { origin } = request.headers
    const preflight = api.cors !== undefined && isPreflight(request.method, request.headers)
    const result = preflight ? emptyAnswer() : await answer(request, context)
    if (api.cors) {
      for (const name of corsHeaders) result.headers.delete(name)
      for (const [name, value] of Object.entries(corsFor(api.cors, origin, preflight))) {
        result.headers.set(name, value)
      }
    }
    response.setHeader('apigw-requestid', context.requestId)
    send(request, response, result)
    const { requestId, receivedAt, sourceIp, routeKey, integrationMs } = context
    options.onAnswer?.({
      requestId,
      receivedAt,
      routeKey,
      integrationMs,
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0]!,
      sourceIp,
      status: response.statusCode,
      bytes: result.body.length,
      durationMs: performance.now() - startedAt,
    })
  }

  function send(request: IncomingMessage, response: ServerResponse, result: HttpAnswer) {
    // What is left of a refused body would otherwise be read as the next request.
    if (!request.complete) response.setHeader('connection', 'close')
    try {
      for (const [name, value] of result.headers) response.setHeader(name, value)
      if (result.cookies.length > 0) response.setHeader('set-cookie', result.cookies)
    } catch (error) {
      options.log(`500, the answer has a header that HTTP cannot carry: ${String(error)}`)
      for (const name of result.headers.keys()) response.removeHeader(name)
      result = refusal(500, 'Internal Server Error')
      response.setHeader('content-type', 'application/json')
    }
    response.statusCode = result.status
    const bodiless = result.status === 204 || result.status === 304
    if (!bodiless) response.setHeader('content-length', result.body.length)
    response.end(bodiless ? undefined : result.body)
    if (!request.complete) request.resume()
  }

  const handle = (expectsContinue: boolean) =>
    forOwnHosts((request, response) => {
      serve(request, response, expectsContinue).catch((error: unknown) => {
        // The client went away in the middle of its body: there is nobody to answer.
        if (request.destroyed && !request.complete) return
        options.log(`a request failed: ${String(error)}`)
        response.destroy()
      })
    }, host)
  const server = createServer({ maxHeaderSize: headerLimit }, handle(false))
  server.on('checkContinue', handle(true))
  server.on('clientError', refuseUnread)
  // CONNECT asks for a tunnel: whatever comes after it is no request to the API.
  server.on('connect', (_request, socket: Socket) => refuseUnread(undefined, socket))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${urlHost(host)}:${port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      server.closeAllConnections()
      await closed
    },
  }
}

/**
 * Answers what is no HTTP request as API Gateway does, which no function ever sees: a method that HTTP does not
 * know, as `get` in small letters, or headers beyond the limit.
 */
function refuseUnread(error: NodeJS.ErrnoException | undefined, socket: Socket): void {
  if (error?.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = error?.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
  const body = JSON.stringify({ message: STATUS_CODES[status] })
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
}

/** Undefined where the body is over the limit: the rest of it is not kept. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= bodyLimit) chunks.push(chunk)
      else resolve(undefined)
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    request.once('error', reject)
    request.once('close', () => reject(new Error('the client closed the connection')))
  })
}
