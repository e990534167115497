import { createHash, randomUUID } from 'node:crypto'
import { AccessToken, TokenVerifier } from 'livekit-server-sdk'
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

const deleteRoomSchema = z.object({ room: z.string().min(1) })

/**
 * LiveKit's server and the agent in its rooms. `POST /livekit/send` and `POST /livekit/agent` have them send one
 * signed webhook, and answer with its id and the status that it got; `GET /livekit/rooms` lists the rooms that are
 * open, by their events, and those that were closed by LiveKit's API. That is on the address as a whole, as the SDK
 * has it: `POST /twirp/livekit.RoomService/DeleteRoom`.
 */
export function createLivekit(webhooks: WebhookSender): readonly Simulator[] {
  const open = new Set<string>()
  const closed: string[] = []

  /** https://docs.livekit.io/home/server/webhooks/ */
  async function sendRoomEvent(event: RoomEvent): Promise<SimulatedAnswer> {
    if (event.event === 'room_finished') open.delete(event.room)
    else if (event.event !== 'participant_left') open.add(event.room)
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
    if (method === 'GET' && path === '/rooms') return { status: 200, body: { open: [...open], closed } }
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
    return { status: 404, body: { error: '/send, /agent or /rooms' } }
  }

  /** https://docs.livekit.io/reference/other/roomservice-api/#deleteroom */
  async function deleteRoom({ headers, body }: SimulatedRequest): Promise<SimulatedAnswer> {
    const token = /^Bearer (\S+)$/.exec(headers.authorization?.toString() ?? '')?.[1] ?? ''
    const { api_key = '', api_secret = '' } = webhooks.secret('livekit')
    const grants = await new TokenVerifier(api_key, api_secret).verify(token).catch(() => undefined)
    if (!grants) return twirpError(401, 'unauthenticated', 'invalid token')
    if (!grants.video?.roomCreate) return twirpError(403, 'permission_denied', 'permissions denied')
    const parsed = deleteRoomSchema.safeParse(jsonOf(body))
    if (!parsed.success) return twirpError(400, 'malformed', 'the request could not be decoded')
    const { room } = parsed.data
    if (!open.delete(room)) return twirpError(404, 'not_found', 'requested room does not exist')
    closed.push(room)
    const id = `EV_${randomUUID().replaceAll('-', '').slice(0, 12)}`
    const event = JSON.stringify(roomEventBody({ event: 'room_finished', room }, id))
    const sign = (secret: Record<string, string>) => roomHeaders(secret, event)
    return {
      status: 200,
      body: {},
      afterwards: () => void webhooks.deliver({ from: 'livekit', body: event, sign }),
    }
  }

  function answerTwirp(request: SimulatedRequest): SimulatedAnswer | Promise<SimulatedAnswer> {
    const { method, path } = request
    if (method !== 'POST' || path !== '/livekit.RoomService/DeleteRoom') {
      return twirpError(404, 'bad_route', `no handler for path ${path}`)
    }
    return isJson(request) ? deleteRoom(request) : twirpError(404, 'bad_route', 'unexpected Content-Type')
  }

  const variable = env.livekitUrl
  return [
    { prefix: '/twirp', variable, answer: answerTwirp },
    { prefix: '/livekit', variable, isControl: () => true, answer },
  ]
}

/** The SDK reads an error with this very content type alone. */
function twirpError(status: number, code: string, msg: string): SimulatedAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: { code, msg } }
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
