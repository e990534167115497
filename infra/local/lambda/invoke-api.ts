import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SignedBody } from '../sigv4/signed-body.ts'
import { isLambdaError, isTooManyRequests, LambdaError } from './errors.ts'
import type { Lambda } from './functions.ts'

const path = /^\/2015-03-31\/functions\/([^/?]+)\/invocations(?:\?.*)?$/
/** The largest event of an asynchronous invocation, in bytes. */
const asyncLimit = 1024 * 1024
const syncLimit = 6 * 1024 * 1024

export type InvokeApiOptions = {
  /** Milliseconds before the second and the third attempt of an asynchronous invocation: 1 and 2 minutes. */
  retryDelaysMs?: number[]
  /** Called with the event once an asynchronous invocation has failed for good. */
  onDropped?(functionName: string, payload: string, reason: string): void
}

/**
 * Lambda's own HTTP API as far as invoking goes, so that `@aws-sdk/client-lambda` and `aws lambda invoke` work
 * with an `endpoint`.
 */
export type InvokeApi = {
  /** Serves a request for which isInvocation is true, of which the signature has been checked. */
  handle(request: IncomingMessage, body: SignedBody, response: ServerResponse): Promise<void>
  /** Invokes like an event: at once when possible, again after a failure or a throttle. */
  invokeAsync(name: string, payload: string): void
  /** Drops what still waits for its next attempt. */
  close(): void
}

export function isInvocation({ method, url = '' }: IncomingMessage): boolean {
  return method === 'POST' && path.test(url)
}

export function serveInvokeApi(lambda: Lambda, options: InvokeApiOptions = {}): InvokeApi {
  const delays = options.retryDelaysMs ?? [60_000, 120_000]
  const timers = new Set<NodeJS.Timeout>()

  async function attempt(name: string, payload: string, failures: number, throttles: number) {
    try {
      const { functionError, payload: answer } = await lambda.invoke(name, payload)
      if (functionError === undefined) return
      const delay = delays[failures]
      if (delay === undefined) return options.onDropped?.(name, payload, answer)
      later(delay, () => attempt(name, payload, failures + 1, throttles))
    } catch (error) {
      if (!isTooManyRequests(error)) return options.onDropped?.(name, payload, String(error))
      // AWS waits 1 s, then longer and longer up to 5 minutes.
      later(Math.min(1000 * 2 ** throttles, 300_000), () => attempt(name, payload, failures, throttles + 1))
    }
  }

  function later(delayMs: number, work: () => void) {
    const timer = setTimeout(() => {
      timers.delete(timer)
      work()
    }, delayMs)
    timers.add(timer.unref())
  }

  async function handle(request: IncomingMessage, body: SignedBody, response: ServerResponse) {
    const name = path.exec(request.url ?? '')?.[1] ?? ''
    try {
      await answer(functionNameOf(decodeURIComponent(name)), request, body, response)
    } catch (error) {
      sendError(response, isLambdaError(error) ? error : new LambdaError('ServiceException', String(error)))
    }
  }

  async function answer(name: string, request: IncomingMessage, body: SignedBody, response: ServerResponse) {
    const type = String(request.headers['x-amz-invocation-type'] ?? 'RequestResponse')
    const limit = type === 'Event' ? asyncLimit : syncLimit
    const payload = payloadOf(body, limit, type)
    if (!lambda.names().includes(name)) {
      throw new LambdaError('ResourceNotFoundException', `Function not found: ${lambda.arnOf(name)}`)
    }
    if (type === 'DryRun') return void response.writeHead(204).end()
    if (type === 'Event') {
      void attempt(name, payload, 0, 0)
      return void response.writeHead(202).end()
    }
    if (type !== 'RequestResponse') {
      throw new LambdaError('InvalidRequestContentException', `Unknown invocation type: ${type}`)
    }
    const result = await lambda.invoke(name, payload)
    response.writeHead(200, {
      'content-type': 'application/json',
      'x-amz-executed-version': '$LATEST',
      ...(result.functionError !== undefined && { 'x-amz-function-error': result.functionError }),
    })
    response.end(result.payload)
  }

  return {
    handle,
    invokeAsync(name, payload) {
      void attempt(name, payload, 0, 0)
    },
    close() {
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
    },
  }
}

/** A name, a partial ARN (`123456789012:function:name`) or a whole one, each with or without a qualifier. */
function functionNameOf(reference: string): string {
  return /(?:^|:function:)([^:]+)(?::[^:]+)?$/.exec(reference)?.[1] ?? reference
}

function payloadOf({ bytes, size }: SignedBody, limit: number, type: string): string {
  if (size > limit) {
    const message = `${size} byte payload is too large for the ${type} invocation type (limit ${limit} bytes)`
    throw new LambdaError('RequestTooLargeException', message)
  }
  const text = bytes.toString() || '{}'
  try {
    JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new LambdaError(
      'InvalidRequestContentException',
      `Could not parse request body into json: ${reason}`,
    )
  }
  return text
}

function sendError(response: ServerResponse, error: LambdaError) {
  response.writeHead(error.status, { 'content-type': 'application/json', 'x-amzn-errortype': error.type })
  response.end(
    JSON.stringify({
      Type: error.status < 500 ? 'User' : 'Service',
      Message: error.message,
      message: error.message,
    }),
  )
}
