import { createHash, randomUUID } from 'node:crypto'
import { AccessToken } from 'livekit-server-sdk'
import { Webhook } from 'standardwebhooks'
import * as z from 'zod'
import { env } from '../../../lib/platform/names.ts'
import { isJson, jsonOf, type SimulatedAnswer, type SimulatedRequest, type Simulator } from './simulator.ts'
import type { WebhookSender } from './webhook-sender.ts'

/** The id and the moment of an event that is sent again, or too late. */
const again = {
  id: z.string().min(1).optional(),
  timestamp: z.iso.datetime({ offset: true }).optional(),
}

const roomEventSchema = z.strictObject({
  event: z.enum(['room_started', 'room_finished', 'participant_joined', 'participant_left']),
  room: z.string().min(1),
  /** The identity. */
  participant: z.string().min(1).optional(),
  ...again,
})
type RoomEvent = z.output<typeof roomEventSchema>

const agentEventSchema = z.strictObject({
  type: z.string().min(1),
  data: z.record(z.string(), z.unknown()),
  ...again,
})

/**
 * What LiveKit and the agent in its rooms send. Nobody calls them: `POST /livekit/send` and `POST /livekit/agent`
 * have them send one signed webhook, and answer with its id and the status that it got.
 */
export function createLivekit(webhooks: WebhookSender): Simulator {
  /** https://docs.livekit.io/home/server/webhooks/ */
  async function sendRoomEvent(event: RoomEvent): Promise<SimulatedAnswer> {
    const id = event.id ?? `EV_${randomUUID().replaceAll('-', '').slice(0, 12)}`
    const body = JSON.stringify(roomEventBody(event, id))
    const status = await webhooks.send({ from: 'livekit', body, sign: (secret) => roomHeaders(secret, body) })
    return { status: 200, body: { id, status } }
  }

  /** https://www.standardwebhooks.com */
  async function sendAgentEvent(event: z.output<typeof agentEventSchema>): Promise<SimulatedAnswer> {
    const { type, data, id = `msg_${randomUUID()}`, timestamp = new Date().toISOString() } = event
    const body = JSON.stringify({ type, timestamp, data })
    const at = new Date(timestamp)
    const status = await webhooks.send({
      from: 'agent',
      body,
      sign: (secret) => ({
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': new Webhook(secret.webhook_secret ?? '').sign(id, at, body),
      }),
    })
    return { status: 200, body: { id, status } }
  }

  async function answer(request: SimulatedRequest): Promise<SimulatedAnswer> {
    const { method, path } = request
    if (method !== 'POST') return { status: 405, body: { error: 'POST' } }
    if (!isJson(request)) return { status: 415, body: { error: 'JSON is needed' } }
    const given = jsonOf(request.body)
    try {
      if (path === '/send') return await sendRoomEvent(roomEventSchema.parse(given))
      if (path === '/agent') return await sendAgentEvent(agentEventSchema.parse(given))
    } catch (error) {
      if (error instanceof z.ZodError) return { status: 422, body: { error: error.message } }
      return { status: 502, body: { error: `The webhook was not sent: ${String(error)}` } }
    }
    return { status: 404, body: { error: '/send or /agent' } }
  }

  return { prefix: '/livekit', variable: env.livekitUrl, isControl: () => true, answer }
}

/** As protobuf writes JSON: 64-bit numbers are texts. */
function roomEventBody({ event, room, participant, timestamp }: RoomEvent, id: string): object {
  const at = timestamp === undefined ? Date.now() : Date.parse(timestamp)
  const createdAt = String(Math.floor(at / 1000))
  return {
    event,
    room: { sid: sidOf('RM', room), name: room, creationTime: createdAt },
    ...(participant !== undefined && {
      participant: { sid: sidOf('PA', participant), identity: participant, joinedAt: createdAt },
    }),
    id,
    createdAt,
  }
}

/** One room or person has the same id in each event. */
function sidOf(kind: string, name: string): string {
  return `${kind}_${createHash('sha256').update(name).digest('hex').slice(0, 12)}`
}

async function roomHeaders(secret: Record<string, string>, body: string): Promise<Record<string, string>> {
  const token = new AccessToken(secret.api_key, secret.api_secret, { ttl: '5m' })
  token.sha256 = createHash('sha256').update(body).digest('base64')
  return { 'content-type': 'application/webhook+json', authorization: await token.toJwt() }
}
