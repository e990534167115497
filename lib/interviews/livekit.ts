import { hash } from 'node:crypto'
import { UnauthorizedError } from '../platform/errors.ts'
import { unreadableBody } from './agent-events.ts'

export type LivekitKeys = { apiKey: string; apiSecret: string }

/** Seconds that a join token is good for at the most. */
const longestToken = 2 * 60 * 60

/** Who somebody is in a room. */
export const joinKinds = ['candidate', 'recruiter', 'agent'] as const
export type JoinKind = (typeof joinKinds)[number]

export type Join = LivekitKeys & {
  room: string
  /** Unique in the room: a second one with it puts the first one out. */
  identity: string
  /** As the others in the room see it. */
  name: string
  /** Seconds to join in; at most two hours. */
  ttlSeconds: number
  /** Whether it is the interviewer, as LiveKit shows it to the others. */
  isAgent?: boolean
  /** The agent that LiveKit calls into the room if this token opens it; the metadata is what it is told. */
  dispatch?: { agentName: string; metadata: string } | undefined
}

/** A token with which one person can join one room, to speak and to listen. */
export async function joinToken({
  apiKey,
  apiSecret,
  room,
  identity,
  name,
  ttlSeconds,
  isAgent = false,
  dispatch,
}: Join): Promise<string> {
  const { AccessToken, RoomAgentDispatch, RoomConfiguration } = await import('livekit-server-sdk')
  const ttl = Math.min(ttlSeconds, longestToken)
  const token = new AccessToken(apiKey, apiSecret, { identity, name, ttl })
  token.addGrant({ roomJoin: true, room, canPublish: true, canSubscribe: true })
  if (isAgent) token.kind = 'agent'
  // https://docs.livekit.io/agents/server/agent-dispatch/#dispatch-on-participant-connection
  if (dispatch) token.roomConfig = new RoomConfiguration({ agents: [new RoomAgentDispatch(dispatch)] })
  return token.toJwt()
}

/** Seconds that a token is good for, unless the interview ends sooner; a late one can still be joined. */
const tokenSeconds = { most: 60 * 60, least: 10 * 60 }
/** Seconds that an interview may take longer than planned. */
const overrun = 30 * 60

/** Seconds for which a token lets somebody in: none is good for long after the interview's planned end. */
export function joinSeconds(
  { scheduled_at, duration_minutes }: { scheduled_at: Date | null; duration_minutes: number },
  now: number,
): number {
  const { most, least } = tokenSeconds
  if (scheduled_at === null) return most
  const end = scheduled_at.getTime() / 1000 + duration_minutes * 60 + overrun
  return Math.floor(Math.min(most, Math.max(least, end - now / 1000)))
}

/** Seconds that an event may be old, or ahead of our clock. */
const tolerance = 5 * 60

export type LivekitEvent = import('livekit-server-sdk').WebhookEvent

/**
 * The event in a webhook of LiveKit, whose Authorization header is a token over the hash of the raw body.
 * Rejects with UnauthorizedError where the token is not of these keys, not for this body, or out of date, and with
 * UnprocessableError for a body that LiveKit signed and its library cannot read.
 */
export async function verifyLivekitWebhook(
  rawBody: string,
  authorization: string | undefined,
  { apiKey, apiSecret }: LivekitKeys,
): Promise<LivekitEvent> {
  const { TokenVerifier, WebhookReceiver } = await import('livekit-server-sdk')
  let event: LivekitEvent
  try {
    event = await new WebhookReceiver(apiKey, apiSecret).receive(rawBody, authorization)
  } catch {
    // It says by words alone which of the two went wrong.
    if (await isSigned(new TokenVerifier(apiKey, apiSecret), rawBody, authorization)) {
      throw unreadableBody('is no event of LiveKit')
    }
    throw new UnauthorizedError('The signature of the webhook is not valid')
  }
  const age = Date.now() / 1000 - Number(event.createdAt)
  if (Math.abs(age) > tolerance) throw new UnauthorizedError('The webhook is too old, or from the future')
  return event
}

async function isSigned(
  verifier: import('livekit-server-sdk').TokenVerifier,
  body: string,
  authorization: string | undefined,
): Promise<boolean> {
  try {
    const { sha256 } = await verifier.verify(authorization ?? '')
    return sha256 === hash('sha256', body, 'base64')
  } catch {
    return false
  }
}
