import { randomBytes, randomUUID } from 'node:crypto'
import {
  assess,
  getAssessment,
  noteLateTurn,
  type RequestOptions,
  requestAssessment,
} from '../../../lib/interviews/assessments.ts'
import { interviewOwners } from '../../../lib/interviews/dead-letter.ts'
import { createInterview, type Interview } from '../../../lib/interviews/interviews.ts'
import type { Model, Prompt } from '../../../lib/interviews/model.ts'
import { sweepInterviews } from '../../../lib/interviews/sweep.ts'
import type { TaskName } from '../../../lib/interviews/tasks.ts'
import { turnId } from '../../../lib/interviews/transcript.ts'
import {
  type DeadLetterOwners,
  recordDeadLetter,
  redrive,
  type SourceQueues,
} from '../../../lib/platform/dead-letters.ts'
import { queues as names, type QueueName } from '../../../lib/platform/names.ts'
import type { SourceQueue } from '../../../lib/platform/queue.ts'
import type { Storage } from '../../../lib/platform/storage.ts'
import { freshDatabase } from '../../support/postgres.ts'

/** Deliveries before a message of this bench is a dead letter. */
export const deliveries = 3

type Asked = { task: TaskName; prompt: Prompt }
type Answer = (asked: Asked) => unknown

const embedding = { model: 'gemini-embedding-001', dimensions: 768 }

/** A model that answers by script: what is not scripted gets `usual`. */
function scriptedModel(usual: Answer) {
  const asked: Asked[] = []
  const script: Answer[] = []
  const model = {
    ask: async (task: TaskName, prompt: Prompt) => {
      asked.push({ task, prompt })
      return (script.shift() ?? usual)({ task, prompt })
    },
    embed: async (texts: readonly string[]) => ({
      ...embedding,
      vectors: texts.map(() => Array.from({ length: 768 }, (_, index) => (index === 0 ? 1 : 0))),
    }),
  } as unknown as Model
  return { asked, script, model }
}

/** An assessment that cites the first turn it may. */
export function assessmentOf({ prompt }: Asked) {
  const turn_id = prompt.citable!.turn_ids![0]!
  const ids = [...prompt.text.matchAll(/^- ([a-z\d_-]+): /gm)].map(([, id]) => id!)
  return {
    summary: 'Spoke well.',
    recommendation: 'yes',
    overall_score: 1,
    criteria: ids.map((id, index) => ({
      id,
      title: 'as the model calls it',
      score: 50 + index,
      confidence: 0.5,
      justification: 'Said so.',
      evidence: [{ turn_id, reason: 'Said so.' }],
    })),
    strengths: [],
    weaknesses: [],
    highlights: [],
    red_flags: [],
  }
}

export type AssessmentBench = Awaited<ReturnType<typeof startAssessmentBench>>

/** Interviews on a real database; the model and the queues are in the test's hands. */
export async function startAssessmentBench({ model }: { model?: Model } = {}) {
  const database = await freshDatabase()
  const { sql } = database
  const scripted = scriptedModel(assessmentOf)
  const sent: { queue: string; body: unknown }[] = []
  const source = (queue: string): SourceQueue => ({
    async sendBodies(bodies) {
      sent.push(...bodies.map((body) => ({ queue, body: JSON.parse(body) })))
    },
    depth: async () => ({ ready: 0, in_flight: 0, delayed: 0 }),
  })
  const queues = Object.fromEntries(Object.values(names).map((name) => [name, source(name)]))
  const teamName = randomUUID()
  const [team] = await sql<{ id: string }[]>`insert into teams (name) values (${teamName}) returning id`
  const [key] = await sql<{ id: string }[]>`
    insert into api_keys (team_id, role, label, hash)
    values (${team!.id}, 'recruiter', 'test', ${randomBytes(32)}) returning id`
  const owners = interviewOwners(deliveries) as unknown as DeadLetterOwners

  async function interview(
    given: Partial<Pick<Interview, 'rubric' | 'job_description' | 'recruiter_email'>> = {},
  ): Promise<Interview> {
    const [candidate] = await sql<{ id: string }[]>`
      insert into candidates (team_id, full_name, email)
      values (${team!.id}, 'Ada Obi', ${`${randomUUID()}@example.com`}) returning id`
    return sql.begin((tx) =>
      createInterview(
        tx,
        { teamId: team!.id, keyId: key!.id },
        {
          candidate_id: candidate!.id,
          role_title: 'Engineer',
          recruiter_email: 'recruiter@example.com',
          ...given,
        },
      ),
    )
  }

  async function say(interviewId: string, turns: readonly (readonly [speaker: string, content: string])[]) {
    for (const [index, [speaker, content]] of turns.entries()) {
      await sql`
        insert into turns (interview_id, sequence_no, speaker, content)
        values (${interviewId}, ${index + 1}, ${speaker}, ${content})`
    }
  }

  const conversation = [
    ['ai', 'Tell me about yourself.'],
    ['candidate', 'I build services in Go.'],
  ] as const

  return {
    sql,
    env: database.env,
    teamName,
    sent,
    queues,
    scripted,
    keyId: key!.id,
    turnId,
    interview,
    say,
    /** An interview with a short conversation, and its assessment asked for. */
    async requested(given: Parameters<typeof interview>[0] = {}): Promise<Interview> {
      const made = await interview(given)
      await say(made.id, conversation)
      await sql.begin((tx) => requestAssessment(tx, made.id))
      return made
    },
    request: (id: string, options?: RequestOptions) => sql.begin((tx) => requestAssessment(tx, id, options)),
    lateTurn: (id: string) => sql.begin((tx) => noteLateTurn(tx, id)),
    assess: (id: string, remainingMs = 60_000) =>
      assess({ sql, model: model ?? scripted.model, queues, remainingMs: () => remainingMs }, id),
    assessment: (id: string) => getAssessment(sql, id),
    emails: (id: string) => sql<{ id: string; kind: string; recipient: string }[]>`
      select id, kind, recipient from emails where interview_id = ${id} order by id`,
    waiting: (queue: string) => sql<{ body: Record<string, string> }[]>`
      select body from outbox where queue = ${queue}`,
    /** What a killed worker leaves behind: a lease that nobody ends, and that has run out. */
    expireLease: (id: string) => sql`
      update assessments set lease_until = now() - interval '1 second' where interview_id = ${id}`,
    die(queue: string, body: unknown, { sentAt = new Date() } = {}) {
      const attributes = { ApproximateReceiveCount: '4', SentTimestamp: String(sentAt.getTime()) }
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const letter = { id: randomUUID(), body: text, attributes, receiveCount: 4, sentAt }
      return recordDeadLetter(sql, queue as QueueName, owners[queue as QueueName], letter)
    },
    redrive: (queue: string) =>
      redrive({ sql, queues: queues as SourceQueues, owners }, queue as QueueName, 'every', { all: true }),
    sweep: (storage: Partial<Storage> = {}, embeddedBy = embedding) =>
      sweepInterviews({
        sql,
        storage: storage as Storage,
        queues,
        embedding: embeddedBy,
        waits: {
          stalledAfter: { stalled: 900, untried: 90, grace: 25 },
          uploadCheck: 300,
          uploadGrace: 7200,
          abandoned: 600,
        },
      }),
    async clear() {
      await sql`truncate outbox, dead_letters, webhook_events`
      sent.length = 0
      scripted.asked.length = 0
      scripted.script.length = 0
    },
    close: () => database.close(),
  }
}
