import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { Credentials } from '../../infra/local/credentials.ts'
import type { SentMail } from '../../infra/local/simulators/index.ts'
import type { AssessmentAnswer } from '../../lib/interviews/assessments.ts'
import { type apiOf, until } from './cloud.ts'

export type Turn = {
  sequence_no: number
  speaker: 'ai' | 'candidate'
  content: string
  timestamp_sec: number
  is_ai_question: boolean
}

/** The model's path on the simulators: all of its tasks but résumés, and no embeddings. */
export const modelPath = '/gemini/v1beta/models/gemini-flash-latest'

/** Questions and answers as the agent tells them: numbered from 1, half a minute each. */
export function turnsOf(said: readonly (readonly [question: string, answer: string])[]): Turn[] {
  return said.flatMap(([question, answer], at): Turn[] => [
    {
      sequence_no: 2 * at + 1,
      speaker: 'ai',
      content: question,
      timestamp_sec: 30 * at,
      is_ai_question: true,
    },
    {
      sequence_no: 2 * at + 2,
      speaker: 'candidate',
      content: answer,
      timestamp_sec: 30 * at + 12,
      is_ai_question: false,
    },
  ])
}

/** The event of a turn, as the agent words it. */
export const turnEvent = (interview_id: string, turn: Turn) => ({
  type: 'turn',
  data: { interview_id, ...turn },
})

/** The simulated third parties of a cloud: what they are to do, and what they got. */
export function outsideOf({
  simulators,
  simulators_key,
}: Pick<Credentials, 'simulators' | 'simulators_key'>) {
  async function ask<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(simulators + path, {
      method,
      headers: {
        authorization: `Bearer ${simulators_key}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} of the simulators: ${response.status} ${text}`)
    return JSON.parse(text) as T
  }
  /** Has one signed webhook sent; throws where the API does not take it. */
  async function send(path: string, event: object): Promise<void> {
    const { status } = await ask<{ status: number }>('POST', path, event)
    if (status !== 202) throw new Error(`${path}: the webhook was answered ${status}`)
  }
  return {
    fault: (fault: object) => ask('POST', '/faults', fault),
    calm: () => ask('DELETE', '/faults'),
    /** Whether somebody has met everything that was scripted. */
    async metAll(): Promise<boolean> {
      const { faults } = await ask<{ faults: object[] }>('GET', '/faults')
      return faults.length === 0
    },
    /** Those to one address. */
    async mails(address: string): Promise<SentMail[]> {
      const all = await ask<SentMail[]>('GET', '/resend/outbox')
      return all.filter(({ to }) => to.some((each) => each.includes(address)))
    },
    agent: (event: object) => send('/livekit/agent', event),
    room: (event: object) => send('/livekit/send', event),
    rooms: () => ask<{ open: string[]; closed: string[] }>('GET', '/livekit/rooms'),
  }
}

/** What the webhooks of a cloud are signed with, from its Secrets Manager. */
export async function secretOf({ aws }: Pick<Credentials, 'aws'>, name: 'agent' | 'resend' | 'livekit') {
  const client = new SecretsManagerClient({
    region: aws.region,
    endpoint: aws.endpoint_secretsmanager,
    credentials: { accessKeyId: aws.access_key_id, secretAccessKey: aws.secret_access_key },
  })
  const { SecretString } = await client.send(
    new GetSecretValueCommand({ SecretId: `insighta-local-${name}` }),
  )
  client.destroy()
  return JSON.parse(SecretString ?? '') as Record<string, string>
}

/** Interviews by the API of one cloud, under one key, all by HTTP. */
export function interviewsOf(call: ReturnType<typeof apiOf>) {
  async function make(target: string, body: object): Promise<string> {
    const made = await call(target, { body })
    if (made.status !== 201) throw new Error(`${target}: ${made.status} ${made.text}`)
    return made.body.data.id
  }
  const transcript = async (id: string) => (await call(`GET /api/interviews/${id}/transcript`)).body
  const assessment = async (id: string): Promise<AssessmentAnswer> =>
    (await call(`GET /api/interviews/${id}/assessment`)).body
  return {
    transcript,
    assessment,
    meet: (full_name: string, email: string) => make('POST /api/candidates', { full_name, email }),
    draft: (candidate_id: string, details: object = {}) =>
      make('POST /api/interviews', { candidate_id, role_title: 'Engineer', ...details }),
    /** Resolves once the interview has so many turns. */
    heard: (id: string, turns: number) => until(async () => (await transcript(id)).total_turns === turns),
    /** Resolves once the assessment is in one of the states. */
    assessed: (id: string, ...states: AssessmentAnswer['state'][]) =>
      until(async () => states.includes((await assessment(id)).state)),
  }
}
