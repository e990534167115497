import { Webhook } from 'standardwebhooks'
import { type Random, randomFrom } from '../faults/random.ts'

/** A turn as the agent tells it. Its content is nobody else's of its interview. */
export type Turn = {
  interview_id: string
  sequence_no: number
  speaker: 'ai' | 'candidate'
  content: string
  timestamp_sec: number
  is_ai_question: boolean
}

export type AgentEvent = { id: string; type: 'turn' | 'session.completed'; data: object }

export type SignedWebhook = { path: string; headers: Record<string, string>; body: string }

const sentences = [
  'Every message carries the id of its payment, so a second one changes nothing.',
  'We moved the nightly job to a queue and let it grow with the backlog.',
  'The index was right but the planner took the other one, and the page waited for a second.',
  'I would first ask what the customer sees while it is down.',
  'Then a deploy doubled the retries, and PostgreSQL ran out of connections.',
  'We wrote down what happened, without names, and bounded the pool.',
  'A dead-letter queue without anybody who looks into it is a bin.',
  'I like to draw both ways on one page and put a price on each.',
  'The tests ran against a real database, since the mock had been wrong before.',
  'It took two weeks, and nobody noticed, which was the point.',
]

/** An interview of so many turns, questions and answers in turns; the same in every run. */
export function turnsOf(interviewId: string, count: number, seed: number): Turn[] {
  const random = randomFrom(seed)
  return Array.from({ length: count }, (_, index) => {
    const sequence_no = index + 1
    const asks = index % 2 === 0
    const said = Array.from({ length: random.whole(1, 4) }, () => random.pick(sentences))
    return {
      interview_id: interviewId,
      sequence_no,
      speaker: asks ? 'ai' : 'candidate',
      content: `${sequence_no}. ${said.join(' ')}`,
      timestamp_sec: 12 * index,
      is_ai_question: asks,
    }
  })
}

export function turnEvent(turn: Turn): AgentEvent {
  return { id: `${turn.interview_id}-${turn.sequence_no}`, type: 'turn', data: turn }
}

/**
 * The events of these turns and `doubled` more in an order by lot: of the doubled ones every second comes again
 * as it was, the others under an id of their own, as from an agent that forgot that it had sent them.
 */
export function scrambledEvents(turns: readonly Turn[], doubled: number, seed: number): AgentEvent[] {
  const random = randomFrom(seed)
  const events = turns.map(turnEvent)
  const again = shuffled(events, random)
    .slice(0, doubled)
    .map((event, index) => (index % 2 === 0 ? event : { ...event, id: `${event.id}-again` }))
  return shuffled([...events, ...again], random)
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const keyed = list.map((item) => ({ item, key: random.share() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
}

/** Signs what an agent sends, as of now: it is good for five minutes. */
export function agentSigner(secret: string): (event: AgentEvent) => SignedWebhook {
  const webhook = new Webhook(secret)
  return ({ id, type, data }) => {
    const at = new Date()
    const body = JSON.stringify({ type, timestamp: at.toISOString(), data })
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': webhook.sign(id, at, body),
    }
    return { path: '/webhooks/agent', headers, body }
  }
}
