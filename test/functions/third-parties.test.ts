import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { geminiFromEnvironment } from '../../lib/interviews/gemini.ts'
import {
  type Mailer,
  type Model,
  mailerFromEnvironment,
  modelFromEnvironment,
} from '../../lib/interviews/model.ts'
import { resendFromEnvironment } from '../../lib/interviews/resend.ts'
import { webhookSecrets } from '../../lib/interviews/webhook-signatures.ts'
import { logger } from '../../lib/platform/log.ts'
import { startTestAws, type TestAws, type TestFunction } from '../support/aws.ts'
import { startThirdParties, type ThirdParties } from '../support/third-parties.ts'

let aws: TestAws
let parties: ThirdParties
let model: Model
let mailer: Mailer
beforeAll(async () => {
  aws = await startTestAws()
  parties = await startThirdParties()
  const secret = async (name: string, value: object) =>
    (await aws.secrets.create(name, undefined, JSON.stringify(value))).arn
  const variables = {
    ...aws.environment,
    ...parties.environment,
    GEMINI_FUNCTION_NAME: 'gemini',
    MAILER_FUNCTION_NAME: 'mailer',
    GEMINI_SECRET_ARN: await secret('gemini', { api_key: 'key' }),
    RESEND_SECRET_ARN: await secret('resend', { api_key: 're_key', webhook_secret: 'whsec_x' }),
    MAIL_FROM: 'Insighta <interviews@example.com>',
  }
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  aws.functions.gemini = (await import('../../functions/gemini.ts')).handler as TestFunction
  aws.functions.mailer = (await import('../../functions/mailer.ts')).handler as TestFunction
  model = modelFromEnvironment()
  mailer = mailerFromEnvironment()
})
afterAll(async () => {
  await aws.close()
  await parties.close()
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})
let logged: string
beforeEach(() => {
  logged = ''
  vi.spyOn(logger, 'warn').mockImplementation((...line) => {
    logged += line.map((part) => (part instanceof Object ? JSON.stringify(part) : part)).join()
  })
})

describe('the gemini function', () => {
  const prompt = { system: 'Answer.', text: '<question>What did Ada Obi build?</question>' }

  it('answers a task by its schema', async () => {
    expect(await model.ask('chat', prompt)).toMatchObject({ found: false, turn_ids: [] })
  })

  it('answers a résumé or a plan with more than is stored of it', async () => {
    const says = (answer: object) => {
      const content = { role: 'model', parts: [{ text: JSON.stringify(answer) }] }
      const body = { candidates: [{ content, finishReason: 'STOP', index: 0 }] }
      return parties.fault({ path: '/gemini', status: 200, body })
    }
    const facts = { summary: 'Sells.', current_title: null, years_of_experience: null, location: null }
    const skills = Array.from({ length: 101 }, (_, number) => `skill ${number}`)
    await says({ ...facts, skills, employment: [], education: [] })
    const resume = await model.ask('resume', prompt)
    expect(resume).toMatchObject({ summary: 'Sells.', skills: skills.slice(0, 100), shortened: 1 })
    const question = { question: 'why '.repeat(251), follow_up_hint: 'More' }
    await says({ intro: 'Hello', questions: [question], closing: 'Bye' })
    const plan = await model.ask('plan', prompt)
    expect(plan.questions[0]!.question.length).toBeLessThanOrEqual(1000)
    expect(plan.shortened).toBe(1)
    expect(await parties.unmet()).toEqual([])
  })

  it('answers vectors, more than one call takes', async () => {
    const { vectors, ...by } = await model.embed(
      Array.from({ length: 60 }, (_, i) => `text ${i}`),
      'document',
    )
    expect(vectors).toHaveLength(60)
    expect(by).toEqual({ model: 'gemini-embedding-001', dimensions: 768 })
    expect(Math.hypot(...(vectors[59] ?? []))).toBeCloseTo(1)
    const asked = [...parties.asked].filter(([path]) => path.includes('mbed'))
    expect(asked).toEqual([['/gemini/v1beta/models/gemini-embedding-001:batchEmbedContents', 2]])
  })

  it('says why not, and nothing of what it was asked', async () => {
    await parties.fault({ path: '/gemini', status: 400 })
    await expect(model.ask('chat', prompt)).rejects.toMatchObject({
      code: 'refused',
      message: 'Gemini refused the call: 400 INVALID_ARGUMENT',
    })
    await parties.fault({ path: '/gemini', status: 429, retry_after: 600 })
    await expect(model.ask('chat', prompt)).rejects.toMatchObject({
      name: 'RetryLaterError',
      waitSeconds: 600,
    })
    expect(logged).toContain('A call to a third party failed')
    expect(logged).not.toContain('Ada')
  })
})

describe('the mailer function', () => {
  const mail = { id: 'mail-1', to: 'ada@example.com', subject: 'Hello', html: '<p>Hi</p>', text: 'Hi' }

  it('sends once, however often it is asked to', async () => {
    const sent = await mailer.send(mail)
    expect(sent).toEqual({ provider_id: expect.any(String) })
    expect(await mailer.send(mail)).toEqual(sent)
  })

  it('says why not, and nothing of whom it was to write to', async () => {
    await parties.fault({ path: '/resend', status: 422 })
    await expect(mailer.send({ ...mail, id: 'mail-2' })).rejects.toMatchObject({
      code: 'refused',
      message: 'Resend refused the call: 422 validation_error',
    })
    expect(logged).not.toContain('ada')
  })
})

describe('without its secret', () => {
  it.each<[string, string, object, string, () => Promise<unknown>]>([
    [
      'Gemini',
      'GEMINI_SECRET_ARN',
      { api_key: '' },
      'api_key',
      () => geminiFromEnvironment().embed(['text'], 'query'),
    ],
    [
      'Resend',
      'RESEND_SECRET_ARN',
      { webhook_secret: 'whsec_x' },
      'api_key',
      () =>
        resendFromEnvironment().send({ id: 'mail-3', to: 'a@b.example', subject: 's', html: 'h', text: 't' }),
    ],
    [
      'the webhooks of Resend',
      'RESEND_SECRET_ARN',
      { api_key: 're' },
      'webhook_secret',
      () => webhookSecrets().resend(),
    ],
    ['the webhooks of the agent', 'AGENT_SECRET_ARN', {}, 'webhook_secret', () => webhookSecrets().agent()],
    [
      'the webhooks of LiveKit',
      'LIVEKIT_SECRET_ARN',
      { api_key: 'k', api_secret: '' },
      'api_secret',
      () => webhookSecrets().livekit(),
    ],
  ])('%s says which field is missing and how to set it', async (who, variable, value, field, use) => {
    const { arn } = await aws.secrets.create(who.replaceAll(' ', '-'), undefined, JSON.stringify(value))
    const before = process.env[variable]
    vi.stubEnv(variable, arn)
    await expect(use()).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining(
        `The secret ${arn} lacks ${field}: aws secretsmanager put-secret-value --secret-id ${arn}`,
      ),
    })
    vi.stubEnv(variable, before)
  })
})
