import { setTimeout as wait } from 'node:timers/promises'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { Sql } from '../../lib/platform/db.ts'
import type { BenchCloud } from './cloud.ts'
import { type AgentEvent, agentSigner, type SignedWebhook, type Turn } from './interviews-events.ts'

export type InterviewSizes = {
  /** Sent before anything is measured. */
  warmUpWebhooks: number
  /** Of webhooks at a fixed rate. */
  receiveSeconds: number
  /** Webhooks of the burst, with those that come twice. */
  burstEvents: number
  /** How often each transcript is asked for. */
  transcriptAsks: number
  assessments: number
}

export type InterviewPartOptions = InterviewSizes & {
  cloud: BenchCloud
  sign(event: AgentEvent): SignedWebhook
}

/** A signer with the secret that the local agent has. */
export async function localAgentSigner({ credentials }: BenchCloud): Promise<ReturnType<typeof agentSigner>> {
  const { endpoint_secretsmanager, region, access_key_id, secret_access_key } = credentials.aws
  const client = new SecretsManagerClient({
    endpoint: endpoint_secretsmanager,
    region,
    credentials: { accessKeyId: access_key_id, secretAccessKey: secret_access_key },
  })
  try {
    const { SecretString } = await client.send(
      new GetSecretValueCommand({ SecretId: 'insighta-local-agent' }),
    )
    return agentSigner((JSON.parse(SecretString!) as { webhook_secret: string }).webhook_secret)
  } finally {
    client.destroy()
  }
}

type Created = { data: { id: string } }

/** Interviews of one new candidate, each a draft with a job description. */
export async function createInterviews({ api }: BenchCloud, count: number): Promise<string[]> {
  const { body } = await api.call<Created>('POST', '/api/candidates', {
    full_name: 'Somebody Invented',
    email: `bench.${crypto.randomUUID()}@candidates.example`,
  })
  const ids: string[] = []
  for (let n = 0; n < count; n++) {
    const { body: created } = await api.call<Created>('POST', '/api/interviews', {
      candidate_id: body.data.id,
      role_title: 'Backend engineer',
      job_description:
        'Builds reliable serverless systems with TypeScript and PostgreSQL, and explains decisions.',
    })
    ids.push(created.data.id)
  }
  return ids
}

/** How far the events of some interviews are. */
type Progress = { handled: number; last: Date | null }

/**
 * Waits until so many different events of the interviews are handled and the queue is empty, or until it is
 * empty without them. Answers when the last one was handled; null where none was.
 */
export async function drained(
  cloud: BenchCloud,
  interviewIds: readonly string[],
  events: number,
): Promise<Date | null> {
  let before = -1
  for (;;) {
    const { handled, last } = await progress(cloud.sql, interviewIds)
    // The inspection reads every message: only where nothing moves any more.
    if ((handled >= events || handled === before) && queueIsEmpty(cloud)) return last
    before = handled
    await wait(200)
  }
}

async function progress(sql: Sql, interviewIds: readonly string[]): Promise<Progress> {
  const [row] = await sql<Progress[]>`
    select count(*)::int as handled, max(processed_at) as last from webhook_events
    where interview_id in (select value::uuid from jsonb_array_elements_text(${sql.json([...interviewIds])}))`
  return row!
}

function queueIsEmpty({ sqs }: BenchCloud): boolean {
  const queue = sqs.inspect('insighta-local-interview-events')!
  return queue.ready.length + queue.delayed.length + queue.inFlight.length === 0
}

/** Of turns that were sent: how many are not stored as they were said, and how many are stored twice. */
export async function countFaults(
  sql: Sql,
  turns: readonly Turn[],
): Promise<{ lost: number; doubled: number }> {
  const [row] = await sql<{ lost: number; doubled: number }[]>`
    with sent as (
      select * from jsonb_to_recordset(${sql.json([...turns])}) as turn (interview_id uuid, sequence_no int, content text)
    ), stored as (
      select * from turns where interview_id in (select interview_id from sent)
    )
    select
      (select count(*)::int from sent left join stored using (interview_id, sequence_no)
        where stored.content is distinct from sent.content) as lost,
      (select (count(*) - count(distinct (interview_id, content)))::int from stored) as doubled`
  return row!
}
