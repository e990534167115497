import { describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import {
  BadRequestError,
  ConflictError,
  UnavailableError,
  UpstreamInvalidError,
} from '../../../lib/platform/errors.ts'
import { logger } from '../../../lib/platform/log.ts'
import { isRetryLater, RetryLaterError, type RetryOptions, retry } from '../../../lib/platform/retry.ts'
import { parseRetryAfter, retryAfterOf } from '../../../lib/platform/retry-after.ts'
import { watchRetries } from '../../support/retries.ts'

const { warned, failed, counted } = watchRetries()

const down = (fields: object = {}) => Object.assign(new Error('connection refused'), fields)

/** Fails as often as told, on a clock that only sleeping moves; answers the waits and the calls made. */
async function run(failures: unknown[], options: Partial<RetryOptions> & { deadline?: number } = {}) {
  let now = 0
  let calls = 0
  const waits: number[] = []
  const { deadline, ...rest } = options
  const outcome = retry(
    {
      name: 'Generate assessment',
      ...(deadline !== undefined && { remainingMs: () => deadline - now }),
      clock: {
        async sleep(ms) {
          waits.push(ms)
          now += ms
        },
        random: () => 0.5,
      },
      ...rest,
    },
    async () => {
      const failure = failures[calls++]
      if (failure !== undefined) throw failure
      return 'done'
    },
  )
  const result = await outcome.catch((error: unknown) => ({ error }))
  return { result, waits, calls }
}

describe('retry', () => {
  it('answers a first success without a wait or a word', async () => {
    expect(await run([])).toEqual({ result: 'done', waits: [], calls: 1 })
    expect([warned, failed, counted]).toEqual([[], [], []])
  })

  it('recovers on the second attempt and says so', async () => {
    expect(await run([down()])).toEqual({ result: 'done', waits: [2000], calls: 2 })
    expect(warned).toEqual([
      'Attempt 1/3 failed for Generate assessment: connection refused. Retrying in 2.00s...',
    ])
    expect(failed).toEqual([])
    expect(counted).toEqual([
      'RetryAttempts Call=Generate assessment',
      'RetryRecoveries Call=Generate assessment',
    ])
  })

  it('gives up after three attempts with the last error, and does not wait after it', async () => {
    const last = down({ last: true })
    expect(await run([down(), down(), last])).toEqual({
      result: { error: last },
      waits: [2000, 4000],
      calls: 3,
    })
    expect(warned).toEqual([
      'Attempt 1/3 failed for Generate assessment: connection refused. Retrying in 2.00s...',
      'Attempt 2/3 failed for Generate assessment: connection refused. Retrying in 4.00s...',
    ])
    expect(failed).toEqual(['All 3 attempts failed for Generate assessment'])
    expect(logger.error).toHaveBeenCalledWith(expect.anything(), { error: last })
    expect(counted.at(-1)).toBe('RetryExhaustions Call=Generate assessment')
  })

  const five = [down(), down(), down(), down(), down()]
  it.each<[string, Partial<RetryOptions>, number[]]>([
    ['grows by its factor', { attempts: 4, initialDelay: 100, factor: 3 }, [100, 300, 900]],
    ['is bounded', { attempts: 6, initialDelay: 1000, maxDelay: 3000 }, [1000, 2000, 3000, 3000, 3000]],
    ['is any part of the delay under full jitter', { jitter: 'full' }, [1000, 2000]],
    ['is constant with factor 1', { factor: 1 }, [2000, 2000]],
    ['never comes with one attempt', { attempts: 1 }, []],
  ])('its wait %s', async (_says, options, waits) => {
    expect((await run(five, options)).waits).toEqual(waits)
  })

  it('logs the real wait: the jittered one, or the one that was asked for', async () => {
    await run([down()], { jitter: 'full' })
    await run([down({ retryAfterMs: 7250 })])
    expect(warned.map((line) => line.split('Retrying')[1])).toEqual([' in 1.00s...', ' in 7.25s...'])
  })

  it.each<[string, unknown]>([
    ['a bad request', new BadRequestError('no')],
    ['a conflict', new ConflictError('no')],
    ['an invalid answer', new UpstreamInvalidError('Agify')],
    ['a validation error', z.string().safeParse(1).error],
    ['a programming error', new TypeError('x is not a function')],
    ['an unknown name', new ReferenceError('x is not defined')],
    ['broken JSON', new SyntaxError('Unexpected token')],
    ['a 404 of an SDK', down({ status: 404 })],
    ['a 403 of AWS', down({ $metadata: { httpStatusCode: 403 } })],
  ])('never repeats after %s', async (_what, error) => {
    expect(await run([error])).toEqual({ result: { error }, waits: [], calls: 1 })
    expect([warned, failed, counted]).toEqual([[], [], []])
  })

  it.each<[string, unknown]>([
    ['a 503', down({ status: 503 })],
    ['a 429', down({ statusCode: 429 })],
    ['a dependency that is out', new UnavailableError('out')],
    ['a connection that fetch lost', new TypeError('fetch failed', { cause: down({ code: 'ECONNRESET' }) })],
    ['something that is no Error', 'odd'],
  ])('repeats after %s', async (_what, error) => {
    expect(await run([error])).toMatchObject({ result: 'done', calls: 2 })
  })

  it('asks its predicate, but not about validation and programming errors', async () => {
    const retryOn = vi.fn(() => true)
    expect(await run([down({ status: 404 })], { retryOn })).toMatchObject({ result: 'done' })
    expect(await run([new TypeError('x')], { retryOn })).toMatchObject({ calls: 1 })
    expect(retryOn).toHaveBeenCalledTimes(1)
    expect(await run([down()], { retryOn: () => false })).toMatchObject({ calls: 1 })
  })

  it('waits as long as Retry-After says, never shorter', async () => {
    expect((await run([down({ retryAfterMs: 9000 }), down({ retryAfterMs: 10 })])).waits).toEqual([
      9000, 4000,
    ])
  })

  it('hands back a wait over its maximum instead of cutting it short', async () => {
    const { result, waits, calls } = await run([down({ retryAfterMs: 90_500 })])
    expect({ waits, calls }).toEqual({ waits: [], calls: 1 })
    expect(result).toMatchObject({
      error: { waitSeconds: 91, status: 503, headers: { 'Retry-After': '91' } },
    })
  })

  it('never sleeps past the deadline: the message comes back after the wait instead', async () => {
    const { result, waits } = await run([down(), down()], { deadline: 6500 })
    expect(waits).toEqual([2000])
    expect(isRetryLater((result as { error: unknown }).error)).toBe(true)
    expect(result).toMatchObject({ error: { waitSeconds: 4, retryable: true } })
    expect(warned[1]).toContain(
      'Attempt 2/3 failed for Generate assessment: connection refused. Retrying in 4.00s...',
    )
    expect(failed).toEqual([])
    expect(counted).toEqual(['RetryAttempts Call=Generate assessment'])
    expect(await run([down(), down()], { deadline: 7500 })).toMatchObject({ result: 'done' })
  })

  it('passes on a wait that an inner retry has handed back', async () => {
    const inner = new RetryLaterError('Gemini', 3, undefined)
    expect(await run([inner])).toEqual({ result: { error: inner }, waits: [], calls: 1 })
  })

  it('stops where it is told to, before an attempt, in one and in a wait', async () => {
    const stop = new Error('stopped')
    expect(await run([], { signal: AbortSignal.abort(stop) })).toMatchObject({
      result: { error: stop },
      calls: 0,
    })
    const during = new AbortController()
    const attempt = retry({ name: 'x', signal: during.signal }, async () => {
      during.abort(stop)
      throw down()
    })
    await expect(attempt).rejects.toThrow('connection refused')
    const waiting = new AbortController()
    const wait = retry(
      { name: 'x', signal: waiting.signal, initialDelay: 60_000, maxDelay: 60_000 },
      async () => {
        setImmediate(() => waiting.abort(stop))
        throw down()
      },
    )
    await expect(wait).rejects.toBe(stop)
  })
})

describe('Retry-After', () => {
  const now = Date.parse('2026-11-20T12:00:00Z')
  it.each([
    ['5', 5000],
    [' 120 ', 120_000],
    ['0', 0],
    ['Fri, 20 Nov 2026 12:00:30 GMT', 30_000],
    ['Fri, 20 Nov 2026 11:59:30 GMT', 0],
    ['Friday, 20-Nov-26 12:00:10 GMT', 10_000],
    ['soon', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['', undefined],
    [null, undefined],
  ])('%j is %j ms', (value, wait) => {
    expect(parseRetryAfter(value, now)).toBe(wait)
  })

  it('of our own answers is for our callers', () => {
    expect(retryAfterOf(new UnavailableError('out'))).toBeUndefined()
  })

  it.each<[string, object]>([
    ['fetch', { headers: new Headers({ 'Retry-After': '3' }) }],
    ['a plain object', { headers: { 'retry-after': 3 } }],
    ['a response', { response: { headers: { 'Retry-After': '3' } } }],
    ['AWS', { $response: { headers: { 'retry-after': '3' } } }],
    ['our own', { retryAfterMs: 3000 }],
  ])('is found on an error with headers as of %s', (_what, fields) => {
    expect(retryAfterOf(down(fields), now)).toBe(3000)
  })
})
