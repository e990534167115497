import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type LocalS3, startS3 } from '../../../infra/local/s3/index.ts'
import { type Sqs, startSqs } from '../../../infra/local/sqs.ts'
import { type WebhookSource, webhookSources } from '../../../lib/interviews/webhook-signatures.ts'
import {
  receiveWebhook,
  type WebhookMessage,
  type WebhookReceiver,
} from '../../../lib/interviews/webhooks.ts'
import { ConfigurationError } from '../../../lib/platform/errors.ts'
import { logger } from '../../../lib/platform/log.ts'
import { createQueue } from '../../../lib/platform/queue.ts'
import { createStorage, type Storage } from '../../../lib/platform/storage.ts'
import { agentHeaders, livekitHeaders, resendHeaders, testSecrets } from '../../support/webhooks.ts'

const region = 'eu-west-1'
const credentials = { accessKeyId: 'TESTTESTTESTTESTTEST', secretAccessKey: 'secret' }
let folder: string
let sqs: Sqs
let s3: LocalS3
let storage: Storage
let receiver: WebhookReceiver
let queueArn: string
const clients: { destroy(): void }[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-webhooks-'))
  sqs = await startSqs({ dataDir: join(folder, 'sqs'), region, credentials })
  s3 = await startS3({
    dataDir: join(folder, 's3'),
    region,
    credentials,
    publish: async () => {},
    log: () => {},
  })
  await s3.putBucket('uploads', {})
  const s3Client = new S3Client({
    endpoint: s3.url,
    region,
    credentials,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
  const sqsClient = new SQSClient({ endpoint: sqs.url, region, credentials, useQueueUrlAsEndpoint: false })
  clients.push(s3Client, sqsClient)
  storage = createStorage('uploads', s3Client)
  const { url, arn } = sqs.createQueue('interview-events')
  queueArn = arn
  receiver = { secrets: testSecrets, queue: createQueue(url, sqsClient), storage: async () => storage }
})
beforeEach(messages)
afterEach(() => void vi.restoreAllMocks())
afterAll(async () => {
  for (const client of clients) client.destroy()
  await Promise.all([sqs.close(), s3.close()])
  await rm(folder, { recursive: true, force: true })
})

/** The messages that were sent since the last time. */
async function messages(): Promise<WebhookMessage[]> {
  const received = await sqs.receive(queueArn, { max: 10, waitSeconds: 0 })
  sqs.deleteMessages(
    queueArn,
    received.map(({ receiptHandle }) => receiptHandle),
  )
  return received.map(({ body }) => JSON.parse(body))
}

type Sent = {
  body: string
  headers: Record<string, string>
  base64?: boolean
  with?: Partial<WebhookReceiver>
}

const receive = (source: WebhookSource, { body, headers, base64 = false, with: given }: Sent) =>
  receiveWebhook(
    source,
    { headers, body: base64 ? Buffer.from(body).toString('base64') : body, isBase64Encoded: base64 },
    { ...receiver, ...given },
  )

const said = {
  interview_id: '0198f000-0000-7000-8000-000000000001',
  sequence_no: 1,
  speaker: 'candidate',
  content: 'Zoë: “你好” 🎉',
}
const turnOf = (content: string) => JSON.stringify({ type: 'turn', data: { ...said, content } })
const turn = turnOf(said.content)
const roomEvent = (fields: object = {}) =>
  JSON.stringify({
    id: 'EV_1',
    event: 'room_started',
    createdAt: String(Math.floor(Date.now() / 1000)),
    ...fields,
  })
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000)
const refused = { code: 'invalid_signature', status: 401 }

describe('a signed webhook is kept as it came', () => {
  it.each([false, true])('from the agent, in base64: %s', async (base64) => {
    const answer = await receive('agent', { body: turn, headers: agentHeaders('msg_1', turn), base64 })
    expect(answer).toMatchObject({ status: 202, body: { status: 'success', id: 'msg_1' } })
    expect(await messages()).toEqual([
      { source: 'agent', id: 'msg_1', received_at: expect.stringMatching(/^\d{4}-.*Z$/), body: turn },
    ])
  })

  it('from Resend', async () => {
    const body = '{"type":"email.delivered"}'
    await receive('resend', { body, headers: resendHeaders('msg_2', body) })
    expect(await messages()).toMatchObject([{ source: 'resend', id: 'msg_2', body }])
  })

  it.each([
    ['by its own id', { id: 'EV_1' }, 'EV_1'],
    ['by the hash of its body where it has none', { id: undefined }, expect.stringMatching(/^[\da-f]{64}$/)],
  ])('from LiveKit, %s', async (_, fields, id) => {
    const body = roomEvent(fields)
    await receive('livekit', { body, headers: await livekitHeaders(body), base64: true })
    expect(await messages()).toMatchObject([{ source: 'livekit', id, body }])
  })

  it.each([
    ['of a type of theirs that nobody here knows', '{"type":"weather.changed"}'],
    ['with what XML cannot hold', '{"type":"email.sent","a":"\u007f\ufffe\uffff"}'],
  ])('with a body %s', async (_, body) => {
    expect(await receive('resend', { body, headers: resendHeaders('msg', body) })).toMatchObject({
      status: 202,
    })
    expect(await messages()).toMatchObject([{ body }])
  })

  it('and again when it is sent again, for the worker to see', async () => {
    const headers = agentHeaders('msg_1', turn)
    const answers = [
      await receive('agent', { body: turn, headers }),
      await receive('agent', { body: turn, headers }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([202, 202])
    expect((await messages()).map(({ id }) => id)).toEqual(['msg_1', 'msg_1'])
  })

  it('where one of several signatures holds', async () => {
    const headers = agentHeaders('msg_1', turn)
    const signature = `v1a,AAAA v1 v1,${Buffer.alloc(32).toString('base64')} ${headers['webhook-signature']}`
    expect(
      await receive('agent', { body: turn, headers: { ...headers, 'webhook-signature': signature } }),
    ).toMatchObject({ status: 202 })
  })

  it.each(['whsec_b2xk', 'whsec_bmV3'])('while the secret is replaced, signed by %s', async (secret) => {
    const agent = async () => ({ webhook_secret: 'whsec_b2xk whsec_bmV3' })
    const headers = agentHeaders('msg_1', turn, { secret })
    expect(
      await receive('agent', { body: turn, headers, with: { secrets: { ...testSecrets, agent } } }),
    ).toMatchObject({ status: 202 })
  })

  it('4 minutes after it was signed, and by a clock that is 4 minutes ahead', async () => {
    for (const at of [ago(240), ago(-240)]) {
      expect(
        await receive('agent', { body: turn, headers: agentHeaders('msg_1', turn, { at }) }),
      ).toMatchObject({
        status: 202,
      })
    }
  })
})

describe('a body too large for a message', () => {
  it.each([
    ['1 MB', turnOf('x'.repeat(1024 * 1024))],
    ['fewer bytes, of which each takes two in JSON', turnOf('"'.repeat(60 * 1024))],
  ])('goes to S3: %s', async (_, body) => {
    expect(await receive('agent', { body, headers: agentHeaders('msg_1', body) })).toMatchObject({
      status: 202,
    })
    const [message] = (await messages()) as [WebhookMessage & { body_key: string }]
    expect(message).toEqual({
      source: 'agent',
      id: 'msg_1',
      received_at: expect.any(String),
      body_key: expect.stringMatching(/^webhooks\/agent\/[\da-f]{64}$/),
    })
    expect(await text(await storage.read(message.body_key))).toBe(body)
  })

  it('is refused over 6 MB, whatever its signature', async () => {
    const body = 'x'.repeat(7 * 1024 * 1024)
    await expect(receive('agent', { body, headers: {} })).rejects.toMatchObject({ status: 413 })
    expect(await messages()).toEqual([])
  })
})

describe('a webhook is refused', () => {
  const good = agentHeaders('msg_1', turn)
  it.each<[string, Record<string, string>]>([
    ['without headers', {}],
    ['without an id', { ...good, 'webhook-id': '' }],
    ['under another id', { ...good, 'webhook-id': 'msg_2' }],
    ['without a timestamp', { ...good, 'webhook-timestamp': '' }],
    ['with a timestamp that is none', { ...good, 'webhook-timestamp': 'now' }],
    [
      'at another time than signed',
      { ...good, 'webhook-timestamp': String(Math.floor(Date.now() / 1000) - 9) },
    ],
    ['without a signature', { ...good, 'webhook-signature': '' }],
    ['with a signature that is none', { ...good, 'webhook-signature': 'v1' }],
    [
      'with a signature of another version',
      { ...good, 'webhook-signature': good['webhook-signature']!.replace('v1', 'v2') },
    ],
    ['signed by another secret', agentHeaders('msg_1', turn, { secret: 'whsec_b3RoZXI=' })],
    ['6 minutes after it was signed', agentHeaders('msg_1', turn, { at: ago(360) })],
    ['6 minutes before it was signed', agentHeaders('msg_1', turn, { at: ago(-360) })],
    ['under the headers of another sender', resendHeaders('msg_1', turn)],
  ])('%s', async (_, headers) => {
    const warned = vi.spyOn(logger, 'warn')
    await expect(receive('agent', { body: turn, headers })).rejects.toMatchObject(refused)
    expect(await messages()).toEqual([])
    expect(warned).toHaveBeenCalledWith('Webhook refused', { source: 'agent', check: expect.any(String) })
  })

  it('where its body was altered', async () => {
    await expect(receive('agent', { body: `${turn} `, headers: good })).rejects.toMatchObject(refused)
    const signed = await livekitHeaders(roomEvent())
    await expect(
      receive('livekit', { body: roomEvent({ id: 'EV_2' }), headers: signed }),
    ).rejects.toMatchObject(refused)
  })

  it('of LiveKit where its token is missing, of another secret, or its event old', async () => {
    const body = roomEvent()
    const old = roomEvent({ createdAt: String(Math.floor(Date.now() / 1000) - 360) })
    for (const sent of [
      { body, headers: {} },
      { body, headers: await livekitHeaders(body, { secret: 'another secret, of the same length' }) },
      { body: old, headers: await livekitHeaders(old) },
    ]) {
      await expect(receive('livekit', sent)).rejects.toMatchObject(refused)
    }
  })

  it('all the same way: what was wrong is for the operator alone', async () => {
    const answers: unknown[] = []
    for (const headers of [
      {},
      agentHeaders('msg_1', turn, { at: ago(360) }),
      agentHeaders('msg_1', 'other'),
    ]) {
      await receive('agent', { body: turn, headers }).catch(({ code, status, message, details }) =>
        answers.push({ code, status, message, details }),
      )
    }
    expect(answers).toHaveLength(3)
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
  })
})

describe('a webhook is to be sent again', () => {
  const sent = { body: turn, headers: agentHeaders('msg_1', turn) }
  const unavailable = { status: 503, headers: { 'Retry-After': expect.stringMatching(/^\d+$/) } }

  it.each<[string, () => Promise<{ webhook_secret: string }>]>([
    ['is missing', () => Promise.reject(new ConfigurationError('The secret lacks webhook_secret'))],
    ['cannot be read', () => Promise.reject(new Error('AccessDenied'))],
    ['is empty', async () => ({ webhook_secret: '' })],
    ['is blank', async () => ({ webhook_secret: '  ' })],
    ['has nothing after its prefix', async () => ({ webhook_secret: 'whsec_' })],
    ['is no base64', async () => ({ webhook_secret: 'whsec_%%%' })],
  ])('where the secret %s: nobody is let in', async (_, agent) => {
    const secrets = { ...testSecrets, agent }
    await expect(receive('agent', { ...sent, with: { secrets } })).rejects.toMatchObject(unavailable)
    expect(await messages()).toEqual([])
  })

  it('where the queue does not take it', async () => {
    const queue = { send: () => Promise.reject(new Error('ECONNREFUSED')) }
    await expect(receive('agent', { ...sent, with: { queue } })).rejects.toMatchObject(unavailable)
  })

  it('where S3 does not take its body', async () => {
    const body = turnOf('x'.repeat(300_000))
    const put = () => Promise.reject(new Error('InternalError'))
    const large = { body, headers: agentHeaders('msg_1', body), with: { storage: async () => ({ put }) } }
    await expect(receive('agent', large)).rejects.toMatchObject(unavailable)
    expect(await messages()).toEqual([])
  })
})

it('an id with characters that PostgreSQL cannot store is one that it can', async () => {
  const body = roomEvent({ id: 'EV\0' })
  const answer = await receive('livekit', { body, headers: await livekitHeaders(body) })
  expect(answer.body).toMatchObject({ id: expect.stringMatching(/^[\da-f]{64}$/) })
})

it('an id of any length is one that an index can hold', async () => {
  const id = 'i'.repeat(5000)
  const { body } = await receive('agent', { body: turn, headers: agentHeaders(id, turn) })
  expect(body).toMatchObject({ id: expect.stringMatching(/^[\da-f]{64}$/) })
})

const typeMessage = 'must be turn or session.completed'
it.each<[string, object, { field: string; message: string }]>([
  [
    'a turn without text',
    { type: 'turn', data: { ...said, content: 7 } },
    { field: 'data.content', message: 'must be a string' },
  ],
  ['a turn without data', { type: 'turn' }, { field: 'data', message: 'must be an object' }],
  [
    'an end of no interview',
    { type: 'session.completed', data: { interview_id: 'room-1' } },
    { field: 'data.interview_id', message: 'must be a UUID' },
  ],
  ['without a type', { data: said }, { field: 'type', message: typeMessage }],
  ['of a type that is no text', { type: 7, data: said }, { field: 'type', message: typeMessage }],
  ['of a type that no agent sends', { type: 'turns', data: said }, { field: 'type', message: typeMessage }],
  ['of a type that objects have', { type: 'constructor' }, { field: 'type', message: typeMessage }],
])("the agent's event is 422 if it is %s, with the field, and is not kept", async (_what, event, detail) => {
  const body = JSON.stringify(event)
  await expect(receive('agent', { body, headers: agentHeaders('msg_1', body) })).rejects.toMatchObject({
    status: 422,
    details: [detail],
  })
  expect(await messages()).toEqual([])
})

describe('a signed body that is no event', () => {
  const signed = {
    agent: async (body: string) => agentHeaders('msg_1', body),
    resend: async (body: string) => resendHeaders('msg_1', body),
    livekit: (body: string) => livekitHeaders(body),
  }
  const bodies = [
    ['no JSON', 'hello', 'body'],
    ['empty', '', 'body'],
    ['half of one', turn.slice(0, -9), 'body'],
    ['a list', '[]', 'body'],
    ['null', 'null', 'body'],
    ['without a type', '{"data":{}}', 'type'],
  ] as const
  const cases = webhookSources.flatMap((source) => bodies.map((row) => [source, ...row] as const))

  it.each(cases)('of %s is 422 with the field, and is not kept: %s', async (source, _what, body, field) => {
    const text = source === 'livekit' && field === 'type' ? roomEvent({ event: undefined }) : body
    const sent = receive(source, { body: text, headers: await signed[source](text) })
    await expect(sent).rejects.toMatchObject({
      status: 422,
      details: [{ field: source === 'livekit' && field === 'type' ? 'event' : field }],
    })
    expect(await messages()).toEqual([])
  })

  it('is 401 if it is not signed: only a sender is told what is wrong', async () => {
    for (const source of webhookSources) {
      const headers = await signed[source]('another body')
      await expect(receive(source, { body: 'hello', headers })).rejects.toMatchObject(refused)
    }
  })

  it("is 422 if LiveKit's library cannot read it", async () => {
    const body = roomEvent({ room: 'none' })
    await expect(receive('livekit', { body, headers: await livekitHeaders(body) })).rejects.toMatchObject({
      status: 422,
      details: [{ field: 'body', message: 'is no event of LiveKit' }],
    })
  })
})
