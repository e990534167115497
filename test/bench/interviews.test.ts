import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applyEvent } from '../../lib/interviews/events.ts'
import { createInterview } from '../../lib/interviews/interviews.ts'
import { readTranscript } from '../../lib/interviews/transcript.ts'
import { verifyWebhook } from '../../lib/interviews/webhook-signatures.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { testSecrets, webhookKeys } from '../support/webhooks.ts'
import { type AgentEvent, agentSigner, scrambledEvents, turnEvent, turnsOf } from './interviews-events.ts'
import { sendWebhooks } from './interviews-load.ts'
import { countFaults } from './interviews-part.ts'
import { type Source, sources, storeTranscript } from './interviews-transcripts.ts'

const sign = agentSigner(webhookKeys.agent.webhook_secret)
const someId = '01980000-0000-7000-8000-000000000001'

describe('the events of the burst', () => {
  const turns = turnsOf(someId, 100, 1)
  const events = scrambledEvents(turns, 10, 1)

  it('are all turns and some of them twice, as they were or under another id, the same in every run', () => {
    expect(events).toHaveLength(110)
    const numbers = events.map(({ data }) => (data as (typeof turns)[number]).sequence_no)
    expect(new Set(numbers).size).toBe(100)
    expect(new Set(events.map(({ id }) => id)).size).toBe(105)
    expect(numbers).not.toEqual(numbers.toSorted((a, b) => a - b))
    expect(scrambledEvents(turnsOf(someId, 100, 1), 10, 1)).toEqual(events)
  })

  it('have the signature of the agent', async () => {
    const { headers, body } = sign(events[0]!)
    expect(await verifyWebhook('agent', body, headers, testSecrets)).toBe(events[0]!.id)
  })
})

describe('the load', () => {
  const webhooks = turnsOf(someId, 40, 1).map((turn) => sign(turnEvent(turn)))
  let handle: (request: IncomingMessage, response: ServerResponse) => void
  // Asked for first by every load, to warm up.
  const server = createServer((request, response) => {
    if (request.method === 'GET') response.writeHead(404).end()
    else handle(request, response)
  })
  let url: string

  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  it('goes on while nothing is answered, and measures from when each was due, also where it is late', async () => {
    const waiting: ServerResponse[] = []
    handle = (_, response) => {
      waiting.push(response)
      if (waiting.length === webhooks.length) for (const each of waiting) each.writeHead(202).end()
    }
    // All are due at once, and each is sent a moment after the one before.
    const samples = await sendWebhooks(url, webhooks, { perSecond: 1_000_000 })
    expect(samples.map(({ status }) => status)).toEqual(webhooks.map(() => 202))
    expect(samples.at(-1)!.ms).toBeGreaterThan(samples[0]!.ms / 2)
  })

  it('has no more on their way at once than it is told, each as it was signed', async () => {
    let [running, most] = [0, 0]
    const verified: string[] = []
    handle = async (request, response) => {
      most = Math.max(most, ++running)
      const headers = request.headers as Record<string, string>
      verified.push(await verifyWebhook('agent', await text(request), headers, testSecrets))
      // As long as it takes others to come.
      await setTimeout(10)
      running--
      response.writeHead(202).end()
    }
    await sendWebhooks(url, webhooks, { atOnce: 2 })
    expect(verified.toSorted()).toEqual(webhooks.map(({ headers }) => headers['webhook-id']).toSorted())
    expect(most).toBeLessThanOrEqual(2)
  })

  it('says what was refused and what was not answered', async () => {
    handle = (request, response) => {
      if (request.headers['webhook-id'] === webhooks[0]!.headers['webhook-id']) request.destroy()
      else response.writeHead(503).end()
    }
    const samples = await sendWebhooks(url, webhooks.slice(0, 2), { atOnce: 1 })
    expect(samples.map(({ status }) => status)).toEqual([0, 503])
  })
})

describe('what is stored', () => {
  let database: TestDatabase
  let interview: () => Promise<string>

  beforeAll(async () => {
    database = await freshDatabase()
    const { sql } = database
    const [team] = await sql`insert into teams (name) values ('acme') returning id`
    const [key] = await sql`
      insert into api_keys (team_id, label, role, hash)
      values (${team!.id}, 'bench', 'recruiter', ${Buffer.alloc(32)}) returning id`
    const [person] = await sql`
      insert into candidates (team_id, full_name, email) values (${team!.id}, 'Ada', 'ada@example.com') returning id`
    const owner = { teamId: team!.id, keyId: key!.id }
    interview = async () => {
      const details = { candidate_id: person!.id, role_title: 'Engineer' }
      return (await sql.begin((tx) => createInterview(tx, owner, details))).id
    }
  })
  afterAll(() => database.close())

  function apply(event: AgentEvent) {
    const storage = { read: () => Promise.reject(new Error('no body is that large')) }
    const { body } = sign(event)
    const message = { source: 'agent' as const, id: event.id, received_at: new Date().toISOString(), body }
    return applyEvent({ sql: database.sql, storage, queues: {} }, message)
  }

  it('is compared with what was sent, turn by turn', async () => {
    const { sql } = database
    const turns = [await interview(), await interview()].flatMap((id, seed) => turnsOf(id, 20, seed))
    for (const event of scrambledEvents(turns, 10, 1)) await apply(event)
    expect(await countFaults(sql, turns)).toEqual({ lost: 0, doubled: 0 })

    const { interview_id, content } = turns[0]!
    await sql`
      insert into turns (interview_id, sequence_no, speaker, content) values (${interview_id}, 21, 'ai', ${content})`
    await sql`delete from turns where interview_id = ${interview_id} and sequence_no in (2, 3)`
    await sql`update turns set content = 'something else' where interview_id = ${interview_id} and sequence_no = 4`
    expect(await countFaults(sql, turns)).toEqual({ lost: 3, doubled: 1 })
  })

  it.each(Object.keys(sources) as Source[])(
    'makes a whole transcript from its source: %s',
    async (source) => {
      const id = await interview()
      const said = turnsOf(id, 30, 1)
      await storeTranscript(database.sql, said, source)
      const transcript = await readTranscript(database.sql, id)
      expect(transcript.source).toBe(source)
      expect(transcript.turns.map(({ content }) => content)).toEqual(said.map(({ content }) => content))
    },
  )
})
