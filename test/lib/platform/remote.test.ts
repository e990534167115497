import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { LambdaError } from '../../../infra/local/lambda/errors.ts'
import {
  ConfigurationError,
  InsightaError,
  InvalidAnswerError,
  UnavailableError,
  UpstreamInvalidError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from '../../../lib/platform/errors.ts'
import { beginLog, correlate, correlationId, logger } from '../../../lib/platform/log.ts'
import { callRemote, remoteFunction } from '../../../lib/platform/remote.ts'
import { RetryLaterError } from '../../../lib/platform/retry.ts'
import { startTestAws, type TestAws, type TestFunction } from '../../support/aws.ts'
import { lambdaContext } from '../../support/http-event.ts'

let aws: TestAws
let work: (remainingMs: () => number) => Promise<unknown>
beforeAll(async () => {
  aws = await startTestAws()
  for (const [name, value] of Object.entries(aws.environment)) vi.stubEnv(name, value)
  aws.functions.remote = remoteFunction(z.strictObject({ ask: z.string() }), (_request, { remainingMs }) =>
    work(remainingMs),
  ) as TestFunction
})
afterAll(async () => {
  await aws.close()
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})
beforeEach(() => {
  vi.spyOn(logger, 'warn').mockImplementation(() => {})
})

afterEach(() => {
  aws.lambdaAnswers = undefined
})

type Options = { remainingMs?(): number; signal?: AbortSignal }

const call = (request: object = { ask: 'x' }, options?: Options) =>
  callRemote({ functionName: 'remote', name: 'Ask', request, result: z.number() }, options)

it('answers what the other function did', async () => {
  work = async () => 5
  expect(await call()).toBe(5)
})

it('writes its lines with the id of what the caller is about', async () => {
  work = async () => (correlationId() === 'interview-1' ? 1 : 0)
  correlate('interview-1')
  expect(await call()).toBe(1)
  // That invocation was in this process, and is over.
  beginLog(lambdaContext())
  expect(await call()).toBe(0)
})

it.each<[Error, Error]>([
  [new UpstreamInvalidError('Agify'), new UpstreamInvalidError('Agify')],
  [new InvalidAnswerError('Gemini', 'cut'), new InvalidAnswerError('Gemini', 'cut')],
  [new UpstreamRefusedError('Resend', '422 x'), new UpstreamRefusedError('Resend', '422 x')],
  [
    new UpstreamRefusedError('Gemini', '403 x', 'account'),
    new UpstreamRefusedError('Gemini', '403 x', 'account'),
  ],
  [
    new UpstreamUnavailableError('Gemini is out', { retryAfterMs: 7000 }),
    new UpstreamUnavailableError('Gemini is out', { retryAfterMs: 7000 }),
  ],
  [new UnavailableError('AWS is out'), new UpstreamUnavailableError('AWS is out', { retryAfterMs: 5000 })],
  [new RetryLaterError('Gemini', 42, undefined), new RetryLaterError('Ask', 42, undefined)],
  [new ConfigurationError('No secret'), new ConfigurationError('No secret')],
])('%s keeps its meaning on the way', async (thrown, expected) => {
  work = () => Promise.reject(thrown)
  const error = await call().catch((rejected: unknown) => rejected)
  expect(error).toBeInstanceOf(expected.constructor)
  expect({ ...(error as object) }).toEqual({ ...expected })
  expect((error as Error).message).toBe(expected.message)
})

it('a wait that is handed back says what was wrong', async () => {
  work = () =>
    Promise.reject(new RetryLaterError('Gemini', 42, new UpstreamUnavailableError('Gemini is out')))
  await expect(call()).rejects.toMatchObject({
    waitSeconds: 42,
    cause: new UpstreamUnavailableError('Gemini is out'),
  })
})

it('an error of the program is one of the invocation, without its message', async () => {
  work = () => Promise.reject(new TypeError('Ada Obi is not a function'))
  await expect(call()).rejects.toThrow('remote failed (Unhandled, TypeError)')
})

it.each([
  ['killed', { errorType: 'Runtime.ExitError', errorMessage: 'RequestId: 1 Error: Runtime exited: killed' }],
  ['out of memory', { errorType: 'Runtime.OutOfMemory', errorMessage: 'RequestId: 1 Error: out of memory' }],
  [
    'out of time',
    { errorType: 'Sandbox.Timedout', errorMessage: 'RequestId: 1 Error: Task timed out after 3 s' },
  ],
  [
    'out of time, as Lambda said before',
    { errorMessage: '2026-11-28T21:00:00Z 1 Task timed out after 3.00 seconds' },
  ],
])('a function that is %s was a dependency that is down', async (_, failure) => {
  aws.lambdaAnswers = async () => ({ functionError: 'Unhandled', payload: JSON.stringify(failure) })
  await expect(call()).rejects.toMatchObject({
    name: 'UpstreamUnavailableError',
    status: 503,
    retryable: true,
    headers: { 'Retry-After': '5' },
    message: 'A function ended before it answered; try again',
  })
})

it.each(['Runtime.ImportModuleError', 'Runtime.HandlerNotFound', 'Runtime.NodeJsExit', 'TypeError', 'Error'])(
  'a function that fails by %s is a defect, which no retry heals',
  async (errorType) => {
    const errorMessage = 'Ada said: "errorType":"Sandbox.Timedout", Task timed out after 3 seconds'
    const payload = JSON.stringify({ errorMessage, errorType })
    aws.lambdaAnswers = async () => ({ functionError: 'Unhandled', payload })
    const error = await call().catch((rejected: unknown) => rejected)
    expect(error).not.toBeInstanceOf(InsightaError)
    expect((error as Error).message).toBe(`remote failed (Unhandled, ${errorType})`)
  },
)

it.each(['TooManyRequestsException', 'ServiceException'] as const)(
  'a function that Lambda does not run for %s is unavailable',
  async (type) => {
    aws.lambdaAnswers = () => Promise.reject(new LambdaError(type, 'Rate Exceeded.'))
    await expect(call()).rejects.toMatchObject({ name: 'UpstreamUnavailableError', status: 503 })
  },
)

it('a function that is being updated is unavailable for a while', async () => {
  const server = createServer((_, response) => {
    response.writeHead(409, { 'x-amzn-errortype': 'ResourceConflictException' }).end('{"Type":"User"}')
  })
  const port = await listening(server)
  await expect(throughPort(port)).rejects.toMatchObject({ name: 'UpstreamUnavailableError', status: 503 })
  server.close()
})

it('a connection that is cut in a call is a dependency that is down', async () => {
  const server = createServer((request) => request.socket.destroy())
  const port = await listening(server)
  await expect(throughPort(port)).rejects.toMatchObject({ name: 'UpstreamUnavailableError', status: 503 })
  server.close()
})

it('a function that hangs keeps its caller no longer than the caller has', async () => {
  let answer = () => {}
  aws.lambdaAnswers = () => new Promise((resolve) => (answer = () => resolve({ payload: '{}' })))
  await expect(call({ ask: 'x' }, { remainingMs: () => 400 })).rejects.toMatchObject({
    name: 'UpstreamUnavailableError',
    message: 'A function did not answer in time; try again',
  })
  answer()
})

it('a caller that gives up hears its own reason', async () => {
  let answer = () => {}
  const caller = new AbortController()
  aws.lambdaAnswers = () => {
    caller.abort(new Error('the client is gone'))
    return new Promise((resolve) => (answer = () => resolve({ payload: '{}' })))
  }
  const options = { signal: caller.signal, remainingMs: () => 60_000 }
  await expect(call({ ask: 'x' }, options)).rejects.toThrow('the client is gone')
  answer()
})

it('refuses a request that is not of its schema', async () => {
  await expect(call({ ask: 1 })).rejects.toThrow('remote failed (Unhandled, ZodError)')
  await expect(call({ ask: 'x', more: 1 })).rejects.toThrow('ZodError')
})

it('has until its own deadline, or that of its caller where it is sooner', async () => {
  work = async (remainingMs) => remainingMs()
  expect(await call()).toBe(11_750)
  // Both ends keep a quarter of a second.
  expect(await call({ ask: 'x' }, { remainingMs: () => 3000 })).toBeLessThanOrEqual(2500)
  expect(await call({ ask: 'x' }, { remainingMs: () => 60_000 })).toBe(11_750)
})

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** A call by another copy of the module, whose client has not been made yet, to what listens there. */
async function throughPort(port: number): Promise<unknown> {
  vi.stubEnv('AWS_ENDPOINT_URL_LAMBDA', `http://127.0.0.1:${port}`)
  vi.resetModules()
  try {
    const { invokeFunction } = await import('../../../lib/platform/invoke.ts')
    return await invokeFunction('remote', {})
  } finally {
    vi.stubEnv('AWS_ENDPOINT_URL_LAMBDA', aws.environment.AWS_ENDPOINT_URL_LAMBDA!)
  }
}
