import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { secretJson } from '../../../lib/platform/secrets.ts'
import { startTestAws, type TestAws } from '../../support/aws.ts'

const schema = z.object({ api_key: z.string().min(1), url: z.string().min(1) })
let aws: TestAws
beforeAll(async () => {
  aws = await startTestAws()
  for (const [name, value] of Object.entries(aws.environment)) vi.stubEnv(name, value)
})
afterAll(async () => {
  await aws.close()
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

const create = async (name: string, value: string) => (await aws.secrets.create(name, undefined, value)).arn

describe('a secret', () => {
  it('is read once in five minutes, however many ask', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const arn = await create('kept', '{"api_key":"a","url":"u","more":1}')
    const ask = () => secretJson(arn, schema)
    expect(await Promise.all([ask(), ask()])).toEqual([
      { api_key: 'a', url: 'u' },
      { api_key: 'a', url: 'u' },
    ])
    await aws.secrets.attach(arn, { api_key: 'b' })
    vi.advanceTimersByTime(4 * 60_000)
    expect((await ask()).api_key).toBe('a')
    vi.advanceTimersByTime(2 * 60_000)
    expect((await ask()).api_key).toBe('b')
    vi.useRealTimers()
  })

  it.each([
    ['lacks', '{"api_key":"hush"}'],
    ['has an empty one of', '{"api_key":"hush","url":""}'],
  ])('that %s a field names it and how to set it, and is right as soon as it is set', async (how, value) => {
    const arn = await create(`half-${how.length}`, value)
    const error = await secretJson(arn, schema).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'configuration',
      message:
        `The secret ${arn} lacks url: aws secretsmanager put-secret-value --secret-id ${arn} ` +
        `--secret-string '{"url":"..."}' (all its fields)`,
    })
    await aws.secrets.attach(arn, { url: 'u' })
    expect(await secretJson(arn, schema)).toEqual({ api_key: 'hush', url: 'u' })
  })

  it.each(['hush', '"hush"', ''])('that is %j is refused without a word of it', async (value) => {
    const arn = await create(`odd-${value.length}`, value)
    const error = await secretJson(arn, schema).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'configuration',
      message: expect.stringContaining('is not a JSON object'),
    })
    expect(String(error)).not.toContain('hush')
  })

  it('that is not there is a matter of configuration, too', async () => {
    await expect(secretJson('absent', schema)).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining('The secret absent has no value'),
    })
    const arn = await create('absent', '{"api_key":"a","url":"u"}')
    expect(await secretJson('absent', schema)).toEqual(await secretJson(arn, schema))
  })
})

it('while Secrets Manager is out, the work is to come back', async () => {
  const gone = await startTestAws()
  vi.resetModules()
  vi.stubEnv('AWS_ENDPOINT_URL_SECRETS_MANAGER', gone.environment.AWS_ENDPOINT_URL_SECRETS_MANAGER)
  await gone.close()
  const { secretJson: ask } = await import('../../../lib/platform/secrets.ts')
  await expect(ask('any', schema)).rejects.toMatchObject({ code: 'unavailable', retryable: true })
})
