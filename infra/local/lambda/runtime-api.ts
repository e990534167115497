import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { forOwnHosts } from '../hosts.ts'

/** The largest answer of a synchronous invocation, in bytes. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
export const responseLimit = 6_291_556

export type RuntimeInvocation = {
  requestId: string
  payload: string
  deadlineMs: number
  functionArn: string
  traceId: string
}

/** What the runtime reports; `body` is undefined when it was over the limit. */
export type RuntimeEvents = {
  onNext(): void
  onResponse(requestId: string, body: string | undefined): void
  onError(requestId: string, body: string): void
  onInitError(body: string): void
}

/**
 * The Runtime API of one execution environment. Each has a server of its own, since the runtime is told only
 * `host:port` and sends nothing else that says which environment it is.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export type RuntimeApi = {
  /**
   * `127.0.0.1:port/<secret>`, the value of AWS_LAMBDA_RUNTIME_API: a runtime puts it before its paths, and only the
   * environment's own process is told it.
   */
  address: string
  /** Answers the poll that onNext announced. */
  deliver(invocation: RuntimeInvocation): void
  close(): Promise<void>
}

export async function startRuntimeApi(events: RuntimeEvents): Promise<RuntimeApi> {
  const secret = randomBytes(32).toString('hex')
  let poll: ServerResponse | undefined
  /** The id of the invocation that was delivered and has no outcome yet. */
  let running: string | undefined

  const server = createServer(
    forOwnHosts(async (request, response) => {
      try {
        await route(request, response)
      } catch {
        // The environment was killed in the middle of its request; what killed it reports why.
        response.destroy()
      }
    }),
  )
  // A poll waits as long as the environment is idle.
  server.requestTimeout = 0
  server.keepAliveTimeout = 0

  async function route(request: IncomingMessage, response: ServerResponse) {
    const path = pathBehind(secret, request.url)
    if (path === undefined) return send(response, 403, 'Forbidden')
    if (request.method === 'GET' && path === '/invocation/next') {
      if (poll !== undefined || running !== undefined) return send(response, 403, 'InvalidStateTransition')
      poll = response
      return events.onNext()
    }
    if (request.method !== 'POST') return send(response, 404, 'InvalidPath')
    if (path === '/init/error') {
      const body = await readBody(request)
      send(response, 202)
      return events.onInitError(body ?? '')
    }
    const match = /^\/invocation\/([^/]+)\/(response|error)$/.exec(path)
    if (match === null) return send(response, 404, 'InvalidPath')
    const [, requestId = '', kind] = match
    if (requestId !== running) return send(response, 400, 'InvalidRequestID')
    const body = await readBody(request)
    running = undefined
    if (body === undefined) send(response, 413, 'RequestEntityTooLarge')
    else send(response, 202)
    if (kind === 'response') events.onResponse(requestId, body)
    else events.onError(requestId, body ?? '{}')
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })

  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}/${secret}`,
    deliver(invocation) {
      const response = poll
      if (response === undefined) throw new Error('the runtime has not polled')
      poll = undefined
      running = invocation.requestId
      response.writeHead(200, {
        'content-type': 'application/json',
        'lambda-runtime-aws-request-id': invocation.requestId,
        'lambda-runtime-deadline-ms': String(invocation.deadlineMs),
        'lambda-runtime-invoked-function-arn': invocation.functionArn,
        'lambda-runtime-trace-id': invocation.traceId,
      })
      response.end(invocation.payload)
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** The part of a path after the secret and the API's version; undefined if the secret is another one. */
function pathBehind(secret: string, url = ''): string | undefined {
  const [, given = '', path] = /^\/([^/]*)\/2018-06-01\/runtime(\/.*)$/.exec(url) ?? []
  const [left, right] = [Buffer.from(given), Buffer.from(secret)]
  return left.length === right.length && timingSafeEqual(left, right) ? path : undefined
}

/** The body as text, or undefined when it is over the limit (the rest is read and thrown away). */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= responseLimit) chunks.push(chunk)
    else chunks.length = 0
  }
  return size <= responseLimit ? Buffer.concat(chunks).toString() : undefined
}

function send(response: ServerResponse, status: number, errorType?: string) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(errorType === undefined ? '{"status":"OK"}' : JSON.stringify({ errorType }))
}
