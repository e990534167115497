import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type RuntimeApi, startRuntimeApi } from '../../../../infra/local/lambda/runtime-api.ts'
import { send } from '../s3/fixture.ts'
import { startTestLambda } from './handlers.ts'

const events = { onNext: vi.fn(), onResponse: vi.fn(), onError: vi.fn(), onInitError: vi.fn() }
let api: RuntimeApi
beforeEach(async () => {
  vi.clearAllMocks()
  api = await startRuntimeApi(events)
})
afterEach(() => api.close())

const ask = async (method: string, path: string, address = api.address) => {
  const response = await fetch(`http://${address}/2018-06-01/runtime${path}`, {
    method,
    ...(method === 'POST' && { body: '{}' }),
  })
  return { status: response.status, body: await response.text() }
}
const invocation = (requestId: string) => ({
  requestId,
  payload: '{"n":1}',
  deadlineMs: 0,
  functionArn: 'arn',
  traceId: 'trace',
})
const polled = (times: number) => vi.waitFor(() => expect(events.onNext).toHaveBeenCalledTimes(times))

describe('the Runtime API of an environment', () => {
  it.each([
    ['no secret', () => ''],
    ['a wrong secret', (secret: string) => `/${'0'.repeat(secret.length)}`],
    ['a part of the secret', (secret: string) => `/${secret.slice(0, -1)}`],
  ])('gives nothing to a process that has %s', async (_, path) => {
    const [host = '', secret = ''] = api.address.split('/')
    expect(secret).toMatch(/^[0-9a-f]{64}$/)
    for (const [method, target] of [
      ['GET', '/invocation/next'],
      ['POST', '/invocation/1/response'],
      ['POST', '/invocation/1/error'],
      ['POST', '/init/error'],
    ] as const) {
      expect(await ask(method, target, host + path(secret))).toEqual({
        status: 403,
        body: '{"errorType":"Forbidden"}',
      })
    }
    for (const event of Object.values(events)) expect(event).not.toHaveBeenCalled()
  })

  it('is not served under a foreign Host', async () => {
    const url = `http://${api.address}/2018-06-01/runtime/invocation/next`
    const answer = await send({ method: 'GET', url, headers: { host: 'rebound.example' } })
    expect(answer.status).toBe(403)
    expect(events.onNext).not.toHaveBeenCalled()
  })

  it('takes one poll at a time, and none while an invocation runs', async () => {
    const first = ask('GET', '/invocation/next')
    await polled(1)
    const refusal = { status: 403, body: '{"errorType":"InvalidStateTransition"}' }
    expect(await ask('GET', '/invocation/next')).toEqual(refusal)
    api.deliver(invocation('1'))
    expect(await first).toEqual({ status: 200, body: '{"n":1}' })
    expect(await ask('GET', '/invocation/next')).toEqual(refusal)
    expect(events.onNext).toHaveBeenCalledTimes(1)

    expect(await ask('POST', '/invocation/2/response')).toMatchObject({ status: 400 })
    expect(await ask('POST', '/invocation/1/response')).toMatchObject({ status: 202 })
    expect(await ask('POST', '/invocation/1/response')).toMatchObject({ status: 400 })
    expect(events.onResponse.mock.calls).toEqual([['1', '{}']])

    const second = ask('GET', '/invocation/next')
    await polled(2)
    api.deliver(invocation('2'))
    expect(await second).toMatchObject({ status: 200 })
  })

  it.runIf(process.platform === 'linux')(
    'is told to the process of the environment in its variables alone',
    async () => {
      const functions = await startTestLambda()
      await functions.define(
        'look',
        `import { readFileSync } from 'node:fs'
       export const handler = async () => ({
         address: process.env.AWS_LAMBDA_RUNTIME_API,
         commandLine: readFileSync('/proc/self/cmdline', 'utf8'),
       })`,
      )
      const { payload } = await functions.lambda.invoke('look', '{}')
      await functions.close()
      const { address, commandLine } = JSON.parse(payload)
      const [, secret] = address.split('/')
      expect(secret).toMatch(/^[0-9a-f]{64}$/)
      expect(commandLine).not.toContain(secret)
    },
  )
})
