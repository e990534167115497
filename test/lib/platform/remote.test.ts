import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import * as z from 'zod'
import {
  ConfigurationError,
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

const call = (request: object = { ask: 'x' }, options?: { remainingMs(): number }) =>
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

it('refuses a request that is not of its schema', async () => {
  await expect(call({ ask: 1 })).rejects.toThrow('remote failed (Unhandled, ZodError)')
  await expect(call({ ask: 'x', more: 1 })).rejects.toThrow('ZodError')
})

it('has until its own deadline, or that of its caller where it is sooner', async () => {
  work = async (remainingMs) => remainingMs()
  expect(await call()).toBe(11_750)
  expect(await call({ ask: 'x' }, { remainingMs: () => 3000 })).toBeLessThanOrEqual(2750)
  expect(await call({ ask: 'x' }, { remainingMs: () => 60_000 })).toBe(11_750)
})
