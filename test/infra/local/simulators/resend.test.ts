import { Resend } from 'resend'
import { Webhook } from 'standardwebhooks'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SentMail, type Simulators, startSimulators } from '../../../../infra/local/simulators/index.ts'
import { createResend } from '../../../../infra/local/simulators/resend.ts'
import { type Received, type Receiver, startReceiver } from './receiver.ts'

const webhook_secret = 'whsec_c2VjcmV0IG9mIHRoZSB3ZWJob29rcw=='
const mail = {
  from: 'Insighta <interviews@example.com>',
  to: 'ada@example.com',
  subject: 'Your interview',
  html: '<p>Tomorrow</p>',
  text: 'Tomorrow',
  tags: [{ name: 'email_id', value: 'e1' }],
}

let receiver: Receiver
let simulators: Simulators
let resend: Resend
let lines: string[]
let secret: () => Record<string, string>

beforeEach(async () => {
  receiver = await startReceiver()
  lines = []
  secret = () => ({ api_key: 're_local', webhook_secret })
  simulators = await startSimulators({
    port: 0,
    key: 'test-key',
    log: (line) => lines.push(line),
    webhookWaitsMs: [1, 1, 1],
    outgoing: () => ({ gatewayUrl: receiver.url, secret: () => secret() }),
  })
  resend = new Resend('re_any', { baseUrl: simulators.environment.RESEND_URL! })
})
afterEach(async () => {
  await simulators.close()
  await receiver.close()
})

const control = { authorization: 'Bearer test-key' }
const outbox = async () => {
  const response = await fetch(`${simulators.url}/resend/outbox`, { headers: control })
  return (await response.json()) as SentMail[]
}
const send = (more: object = {}, idempotencyKey?: string) =>
  resend.emails.send({ ...mail, ...more }, idempotencyKey === undefined ? {} : { idempotencyKey })

type Event = { type: string; data: { email_id: string } & Record<string, unknown> }

/** What Svix's receiver makes of it; throws where the signature is not right. */
function opened({ path, headers, body }: Received): Event {
  expect(path).toBe('/webhooks/resend')
  const signed = {
    'webhook-id': String(headers['svix-id']),
    'webhook-timestamp': String(headers['svix-timestamp']),
    'webhook-signature': String(headers['svix-signature']),
  }
  return new Webhook(webhook_secret).verify(body, signed) as Event
}

describe('a mail', () => {
  it('is accepted, kept and shown', async () => {
    const { data, error } = await send({}, 'key-1')
    expect(error).toBeNull()
    expect(await outbox()).toEqual([
      {
        ...mail,
        to: [mail.to],
        id: data!.id,
        created_at: expect.any(String),
        idempotency_key: 'key-1',
        last_event: expect.any(String),
      },
    ])
    expect((await resend.emails.get(data!.id)).data).toMatchObject({ object: 'email', subject: mail.subject })
    expect((await resend.emails.get('other')).error).toMatchObject({ statusCode: 404, name: 'not_found' })
  })

  it('is sent once for one idempotency key, which belongs to one body', async () => {
    const first = await send({}, 'key-1')
    const again = await send({}, 'key-1')
    expect(again.data!.id).toBe(first.data!.id)
    expect((await send({ subject: 'Another' }, 'key-1')).error).toMatchObject({
      statusCode: 409,
      name: 'invalid_idempotent_request',
    })
    expect((await send({}, 'key-2')).data!.id).not.toBe(first.data!.id)
    expect(await outbox()).toHaveLength(2)
    await receiver.until(4)
  })

  it('is refused in the form of Resend where it is not right', async () => {
    const refused = async (more: object) => (await send(more)).error
    expect(await refused({ to: undefined })).toMatchObject({
      statusCode: 422,
      name: 'missing_required_field',
    })
    for (const more of [
      { to: 'nobody' },
      { from: 'Insighta' },
      { html: undefined, text: undefined },
      { tags: [{ name: 'with blank', value: 'a' }] },
    ]) {
      expect(await refused(more)).toMatchObject({ statusCode: 422, name: 'validation_error' })
    }
    const keyless = await fetch(`${simulators.url}/resend/emails`, {
      method: 'POST',
      body: JSON.stringify(mail),
    })
    expect(await keyless.json()).toMatchObject({ statusCode: 401, name: 'missing_api_key' })
    expect(await outbox()).toEqual([])
  })

  it('fails as scripted, in the form of Resend', async () => {
    const headers = { ...control, 'content-type': 'application/json' }
    const body = JSON.stringify({ path: '/resend', status: 429, retry_after: 2 })
    await fetch(`${simulators.url}/faults`, { method: 'POST', headers, body })
    const failed = await send()
    expect(failed.error).toMatchObject({ statusCode: 429, name: 'rate_limit_exceeded' })
    expect(failed.headers!['retry-after']).toBe('2')
    expect((await send()).error).toBeNull()
  })
})

describe('what becomes of it is told by signed webhooks', () => {
  it.each([
    ['ada@example.com', ['sent', 'delivered']],
    ['Bo <bounce.1@example.com>', ['sent', 'bounced']],
    ['complain@example.com', ['sent', 'delivered', 'complained']],
    ['delay@example.com', ['sent', 'delivery_delayed', 'delivered']],
  ])('of %s', async (to, fate) => {
    const { data } = await send({ to })
    const events = (await receiver.until(fate.length)).map(opened)
    expect(events.map(({ type }) => type)).toEqual(fate.map((each) => `email.${each}`))
    expect(events[0]!.data).toEqual({
      email_id: data!.id,
      message_id: expect.any(String),
      created_at: expect.any(String),
      from: mail.from,
      to: [to],
      subject: mail.subject,
      tags: { email_id: 'e1' },
    })
    const bounced = events.find(({ type }) => type === 'email.bounced')
    if (bounced) expect(bounced.data.bounce).toMatchObject({ type: 'Permanent', subType: 'General' })
    expect((await outbox())[0]!.last_event).toBe(fate.at(-1))
  })

  it('of an address that bounced is that nothing more is sent there, until it is taken off the list', async () => {
    const to = 'Bounce.2@example.com'
    await send({ to })
    await receiver.until(2)
    await send({ to })
    const event = opened((await receiver.until(3))[2]!)
    expect(event).toMatchObject({
      type: 'email.suppressed',
      data: { suppressed: { type: 'OnAccountSuppressionList', message: expect.any(String) } },
    })
    expect((await resend.suppressions.remove('bounce.2@example.com')).data).toMatchObject({ deleted: true })
    expect((await resend.suppressions.remove(to)).error).toMatchObject({ statusCode: 404 })
    await send({ to })
    expect((await receiver.until(5)).slice(3).map((each) => opened(each).type)).toEqual([
      'email.sent',
      'email.bounced',
    ])
  })

  it('of suppress… is that it is not sent, until that is taken off the list', async () => {
    const to = 'suppress@example.com'
    await send({ to })
    expect(opened((await receiver.until(1))[0]!).type).toBe('email.suppressed')
    await resend.suppressions.remove(to)
    await send({ to })
    expect((await receiver.until(3)).slice(1).map((each) => opened(each).type)).toContain('email.delivered')
  })

  it('once the mail itself is answered', async () => {
    const told: string[] = []
    const deliver = async ({ body }: { body: string }) => void told.push(JSON.parse(body).type)
    const { answer } = createResend({
      deliver,
      send: () => Promise.reject(new Error('not by Resend')),
      secret: () => ({}),
    })
    const request = { method: 'POST', path: '/emails', query: new URLSearchParams() }
    const headers = { authorization: 'Bearer any' }
    const { status, afterwards } = await answer({
      ...request,
      headers,
      body: Buffer.from(JSON.stringify(mail)),
    })
    expect([status, told]).toEqual([200, []])
    afterwards!()
    await expect.poll(() => told).toEqual(['email.sent', 'email.delivered'])
  })

  it('again where one was not taken, the same but for its signature', async () => {
    receiver.answerWith(503)
    await send()
    const received = await receiver.until(3)
    const sent = received.filter((each) => opened(each).type === 'email.sent')
    expect(sent).toHaveLength(2)
    expect(sent[1]!.headers['svix-id']).toBe(sent[0]!.headers['svix-id'])
    expect(sent[1]!.body).toBe(sent[0]!.body)
  })

  it('until it is given up', async () => {
    receiver.answerWith(...new Array(8).fill(500))
    await send()
    await receiver.until(8)
    await expect.poll(() => lines.filter((line) => line.endsWith('is given up'))).toHaveLength(2)
    expect(receiver.received).toHaveLength(8)
  })

  it('not at all where there is no secret, which is said', async () => {
    secret = () => {
      throw new Error('There is no secret')
    }
    expect((await send()).error).toBeNull()
    await expect.poll(() => lines).toHaveLength(2)
    expect(lines[0]).toContain('There is no secret')
    expect(receiver.received).toEqual([])
  })

  it('no more when the cloud closes, which waits for none', async () => {
    receiver.hang()
    await send()
    await receiver.until(1)
    await simulators.close()
    await receiver.untilIdle()
    expect(receiver.received).toHaveLength(1)
    expect(lines).toEqual([])
    simulators = await startSimulators({ port: 0, key: 'test-key' })
  })
})
