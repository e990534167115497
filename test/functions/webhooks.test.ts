import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { mockClient } from 'aws-sdk-client-mock'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { metrics } from '../../lib/platform/metrics.ts'
import { type CallResult, call } from '../support/http-event.ts'
import { agentHeaders, livekitHeaders, resendHeaders, webhookKeys } from '../support/webhooks.ts'

let folder: string
let sqs: Sqs
let queueArn: string
let webhooks: typeof import('../../functions/webhooks.ts').handler
const secrets = mockClient(SecretsManagerClient)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-webhooks-'))
  sqs = await startSqs({
    dataDir: folder,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  })
  const { url, arn } = sqs.createQueue('interview-events')
  queueArn = arn
  vi.stubEnv('AWS_ENDPOINT_URL_SQS', sqs.url)
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  vi.stubEnv('UPLOAD_BUCKET', 'uploads')
  vi.stubEnv('INTERVIEW_EVENTS_QUEUE_URL', url)
  for (const name of ['agent', 'resend', 'livekit'] as const) {
    vi.stubEnv(`${name.toUpperCase()}_SECRET_ARN`, name)
    const SecretString = JSON.stringify(webhookKeys[name])
    secrets.on(GetSecretValueCommand, { SecretId: name }).resolves({ SecretString })
  }
  webhooks = (await import('../../functions/webhooks.ts')).handler
})
beforeEach(async () => {
  const received = await sqs.receive(queueArn, { max: 10, waitSeconds: 0 })
  sqs.deleteMessages(
    queueArn,
    received.map(({ receiptHandle }) => receiptHandle),
  )
})
afterAll(async () => {
  secrets.restore()
  await sqs.close()
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const turn = JSON.stringify({
  type: 'turn',
  data: {
    interview_id: '0198f000-0000-7000-8000-000000000001',
    sequence_no: 1,
    speaker: 'candidate',
    content: 'Hello',
  },
})
const post = (
  source: string,
  body: string,
  headers: Record<string, string>,
  base64 = false,
): Promise<CallResult> => call(webhooks, `POST /webhooks/${source}`, { body, headers, base64 })
const queued = () => sqs.inspect('interview-events')!.ready.map(({ body }) => JSON.parse(body))

it('each sender is verified by its own secret, and its event is queued', async () => {
  const room = JSON.stringify({ id: 'EV_1', event: 'room_started', createdAt: Math.floor(Date.now() / 1000) })
  const answers = [
    await post('agent', turn, agentHeaders('msg_1', turn)),
    await post('agent', turn, agentHeaders('msg_2', turn), true),
    await post('resend', turn, resendHeaders('msg_3', turn)),
    await post('livekit', room, await livekitHeaders(room), true),
  ]
  expect(answers.map(({ status, body }) => [status, body])).toEqual(
    ['msg_1', 'msg_2', 'msg_3', 'EV_1'].map((id) => [202, { status: 'success', id }]),
  )
  expect(queued()).toMatchObject([
    { source: 'agent', id: 'msg_1', body: turn },
    { source: 'agent', id: 'msg_2', body: turn },
    { source: 'resend', id: 'msg_3', body: turn },
    { source: 'livekit', id: 'EV_1', body: room },
  ])
})

it('a bad signature is 401, and a body over 6 MB 413, in the envelope of every other error', async () => {
  const forged = await post('agent', `${turn} `, agentHeaders('msg_1', turn))
  expect(forged).toMatchObject({ status: 401, body: { status: 'error', code: 'invalid_signature' } })
  const large = 'x'.repeat(7 * 1024 * 1024)
  expect(await post('agent', large, agentHeaders('msg_1', large))).toMatchObject({
    status: 413,
    body: { code: 'too_large' },
  })
  expect(queued()).toEqual([])
})

it('a body under a content coding is 415, which names what is read', async () => {
  const headers = { ...agentHeaders('msg_1', turn), 'content-encoding': 'gzip' }
  expect(await post('agent', turn, headers)).toMatchObject({
    status: 415,
    headers: { 'accept-encoding': 'identity' },
    body: { code: 'unsupported_media_type' },
  })
  expect(queued()).toEqual([])
})

it('where a secret is missing it is 503, with when to come back and no word of the secret', async () => {
  secrets.on(GetSecretValueCommand, { SecretId: 'without' }).resolves({ SecretString: '{}' })
  vi.stubEnv('RESEND_SECRET_ARN', 'without')
  const unset = await post('resend', turn, resendHeaders('msg_1', turn))
  expect(unset).toMatchObject({ status: 503, headers: { 'retry-after': '60' } })
  expect(unset.text).not.toContain('without')
  expect(queued()).toEqual([])
})

it('what was taken in, refused and how long it took is counted by sender', async () => {
  const real = metrics.singleMetric.bind(metrics)
  const counted: string[] = []
  const spy = vi.spyOn(metrics, 'singleMetric').mockImplementation(() => {
    const single = real()
    let of = ''
    single.addDimension = (name, value) => {
      of = `${name}=${value}`
      return single
    }
    single.addMetric = (name) => {
      counted.push(`${name} ${of}`)
      return single
    }
    return single
  })
  await post('agent', turn, agentHeaders('msg_1', turn))
  await post('resend', turn, {})
  spy.mockRestore()
  expect(counted).toEqual([
    'WebhooksReceived Source=agent',
    'WebhookDuration Source=agent',
    'WebhooksRefused Source=resend',
    'WebhookDuration Source=resend',
  ])
})
