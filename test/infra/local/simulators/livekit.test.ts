import { AccessToken, RoomServiceClient, WebhookReceiver } from 'livekit-server-sdk'
import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Simulators, startSimulators } from '../../../../infra/local/simulators/index.ts'
import { type Receiver, startReceiver } from './receiver.ts'

const secrets = {
  livekit: { api_key: 'APIlocal', api_secret: 'a secret of at least thirty-two bytes' },
  agent: { webhook_secret: 'MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u' },
  resend: {},
}

let receiver: Receiver
let simulators: Simulators
let gatewayUrl: string
beforeAll(async () => {
  simulators = await startSimulators({
    port: 0,
    key: 'test-key',
    outgoing: () => ({ gatewayUrl, secret: (name) => secrets[name] }),
  })
})
beforeEach(async () => {
  receiver = await startReceiver()
  gatewayUrl = receiver.url
})
afterEach(() => receiver.close())
afterAll(() => simulators.close())

type Sent = { id: string; status: number; error: string }
async function post(path: string, body: object, type = 'application/json') {
  const headers = { authorization: 'Bearer test-key', 'content-type': type }
  const answer = await fetch(simulators.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: answer.status, body: (await answer.json()) as Sent }
}

it('sends the events of a room as LiveKit signs them', async () => {
  const sent = await post('/livekit/send', { event: 'participant_joined', room: 'r1', participant: 'ada' })
  expect(sent).toEqual({ status: 200, body: { id: expect.stringMatching(/^EV_/), status: 202 } })
  const [{ path, headers, body }] = (await receiver.until(1)) as [(typeof receiver.received)[0]]
  expect([path, headers['content-type']]).toEqual(['/webhooks/livekit', 'application/webhook+json'])
  const { api_key, api_secret } = secrets.livekit
  const livekit = new WebhookReceiver(api_key, api_secret)
  const event = await livekit.receive(body, headers.authorization)
  expect(event.event).toBe('participant_joined')
  expect(event.id).toBe(sent.body.id)
  expect([event.room?.name, event.participant?.identity]).toEqual(['r1', 'ada'])
  expect(Math.abs(Number(event.createdAt) - Date.now() / 1000)).toBeLessThan(60)
  await expect(livekit.receive(`${body} `, headers.authorization)).rejects.toThrow('sha256')
})

it("sends the agent's events as Standard Webhooks are signed", async () => {
  receiver.answerWith(202, 503)
  const event = { type: 'turn', data: { interview_id: 'i1', sequence_no: 1, content: 'Grüße' } }
  const sent = await post('/livekit/agent', event)
  expect(sent).toEqual({ status: 200, body: { id: expect.stringMatching(/^msg_/), status: 202 } })
  expect((await post('/livekit/agent', { ...event, id: sent.body.id })).body).toEqual({
    ...sent.body,
    status: 503,
  })
  for (const { path, headers, body } of await receiver.until(2)) {
    expect(path).toBe('/webhooks/agent')
    expect(headers['webhook-id']).toBe(sent.body.id)
    const verified = new Webhook(secrets.agent.webhook_secret).verify(body, headers as Record<string, string>)
    expect(verified).toEqual({ ...event, timestamp: expect.any(String) })
  }
})

it('sends events of another time, as late ones are', async () => {
  const timestamp = '2026-01-01T00:00:00Z'
  await post('/livekit/agent', { type: 'turn', data: {}, timestamp })
  await post('/livekit/send', { event: 'room_finished', room: 'r1', timestamp })
  const [agent, room] = await receiver.until(2)
  expect(JSON.parse(agent!.body).timestamp).toBe(timestamp)
  expect(agent!.headers['webhook-timestamp']).toBe('1767225600')
  expect(JSON.parse(room!.body).createdAt).toBe('1767225600')
})

it('says what it cannot send', async () => {
  expect((await post('/livekit/send', { event: 'room_burnt', room: 'r1' })).status).toBe(422)
  expect((await post('/livekit/agent', { type: 'turn', data: {} }, 'text/plain')).status).toBe(415)
  expect((await post('/livekit/other', {})).status).toBe(404)
  const { webhook_secret } = secrets.agent
  secrets.agent.webhook_secret = ''
  const unsigned = await post('/livekit/agent', { type: 'turn', data: {} })
  secrets.agent.webhook_secret = webhook_secret
  expect(unsigned).toMatchObject({ status: 502, body: { error: expect.stringContaining('not sent') } })
  expect(receiver.received).toEqual([])
  await receiver.close()
  expect((await post('/livekit/agent', { type: 'turn', data: {} })).status).toBe(502)
  receiver = await startReceiver()
})

const { api_key, api_secret } = secrets.livekit
const rooms = (key = api_key, secret = api_secret) =>
  new RoomServiceClient(simulators.environment.LIVEKIT_URL!, key, secret, { failover: false })
async function roomList() {
  const answer = await fetch(`${simulators.url}/livekit/rooms`, {
    headers: { authorization: 'Bearer test-key' },
  })
  return (await answer.json()) as { open: string[]; closed: string[] }
}

it('closes an open room by the real SDK, and tells of it', async () => {
  await post('/livekit/send', { event: 'room_started', room: 'doomed' })
  expect((await roomList()).open).toContain('doomed')
  await rooms().deleteRoom('doomed')
  expect(await roomList()).toMatchObject({ closed: ['doomed'] })
  expect((await roomList()).open).not.toContain('doomed')
  const [, told] = await receiver.until(2)
  const event = await new WebhookReceiver(api_key, api_secret).receive(
    told!.body,
    told!.headers.authorization,
  )
  expect([event.event, event.room?.name]).toEqual(['room_finished', 'doomed'])
})

it('says of a room that is not open that there is none', async () => {
  await expect(rooms().deleteRoom('never')).rejects.toMatchObject({ status: 404, code: 'not_found' })
})

it('closes nothing without its key, or the right to', async () => {
  await post('/livekit/send', { event: 'room_started', room: 'kept' })
  await expect(rooms('APIother').deleteRoom('kept')).rejects.toMatchObject({ status: 401 })
  await expect(rooms(api_key, 'another secret of some length, too').deleteRoom('kept')).rejects.toMatchObject(
    {
      status: 401,
    },
  )
  const joining = new AccessToken(api_key, api_secret, { identity: 'ada' })
  joining.addGrant({ roomJoin: true, room: 'kept' })
  const answer = await fetch(`${simulators.url}/twirp/livekit.RoomService/DeleteRoom`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await joining.toJwt()}`, 'content-type': 'application/json' },
    body: '{"room":"kept"}',
  })
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
    403,
    'permission_denied',
  ])
  expect((await roomList()).open).toContain('kept')
  await expect(rooms().listRooms()).rejects.toMatchObject({ status: 404, code: 'bad_route' })
})
