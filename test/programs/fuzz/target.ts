import { hash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { AccessToken } from 'livekit-server-sdk'
import { type Api, createApi } from '../../../clients/cli/api.ts'
import { people } from '../../../clients/cli/people.ts'
import type { Credentials } from '../../../infra/local/credentials.ts'
import { agentHeaders, resendHeaders } from '../../support/webhooks.ts'
import type { Keys, WireRequest } from './wire.ts'

/** What is to be fuzzed, with data in it. */
export type Target = {
  url: string
  keys: Keys
  /** Values that are there, by kind: see Known. */
  known: [kind: string, value: string][]
  /** The last step before a request is sent: signs webhooks, and spares what other requests are to find. */
  prepare(wire: WireRequest): Promise<WireRequest>
}

const rows = 400
const nothing = '01a1fa1b-08a3-7fce-8c86-eb62c5da8ee8'

/** A local cloud, by its credentials file, filled with profiles and an interview. Rejects where one is not ready in two minutes. */
export async function targetOf(credentials: Credentials): Promise<Target> {
  const { url, api_key } = credentials
  const api = createApi(url, api_key)
  const deadline = Date.now() + 120_000
  const until = async (what: string, condition: () => Promise<boolean>) => {
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`${what} was not ready in two minutes`)
      await setTimeout(100)
    }
  }
  const [analyst, recruiter, agent, resend, livekit] = await Promise.all([
    newKey(credentials, 'analyst'),
    newKey(credentials, 'recruiter'),
    secretOf(credentials, 'agent'),
    secretOf(credentials, 'resend'),
    secretOf(credentials, 'livekit'),
  ])
  const imported = await importPeople(api)
  await until('The import', async () => Boolean((await api.report(imported)).finished_at))
  const interview = await interviewIn(api, credentials, until)
  const { body: list } = await api.call<{ data: { id: string }[] }>('GET', '/api/profiles?limit=50')
  const kept = new RegExp(`${imported}|${interview.id}|${interview.candidate}`, 'g')

  const signers: Record<string, (body: Buffer) => object | Promise<object>> = {
    '/webhooks/agent': (body) =>
      agentHeaders(crypto.randomUUID(), body.toString(), { secret: agent.webhook_secret! }),
    '/webhooks/resend': (body) =>
      resendHeaders(crypto.randomUUID(), body.toString(), { secret: resend.webhook_secret! }),
    async '/webhooks/livekit'(body) {
      const token = new AccessToken(livekit.api_key!, livekit.api_secret!, { ttl: '5m' })
      token.sha256 = hash('sha256', body, 'base64')
      return { authorization: await token.toJwt() }
    },
  }
  return {
    url,
    keys: { admin: api_key, analyst, recruiter, nobody: null, stranger: `ins_${'A'.repeat(43)}` },
    known: [
      ['/api/imports', imported],
      ['/api/interviews', interview.id],
      ['/api/candidates', interview.candidate],
      ...list.data.map(({ id }): [string, string] => ['/api/profiles', id]),
    ],
    async prepare(wire) {
      const body = wire.body ?? Buffer.alloc(0)
      // A résumé that is begun hides the one before.
      const spoils = wire.method === 'DELETE' || (wire.method === 'POST' && wire.target.includes('/resume'))
      const target = spoils ? wire.target.replaceAll(kept, nothing) : wire.target
      const sign = signers[target]
      return {
        ...wire,
        target,
        headers: sign ? [...unsigned(wire), ...Object.entries(await sign(body))] : wire.headers,
      }
    },
  }
}

/** A token of LiveKit's stands where a key would. */
function unsigned({ headers }: WireRequest): [string, string][] {
  return headers.filter(([name]) => name !== 'authorization')
}

async function importPeople(api: Api): Promise<string> {
  const file = Buffer.concat([...people({ rows, seed: 1, dirtPerThousand: 50 }).chunks])
  return upload(api, '/api/imports', 'people.csv', file)
}

/** Begins an upload and makes it. Resolves with the id of what was begun. */
async function upload(api: Api, path: string, filename: string, file: Buffer<ArrayBuffer>): Promise<string> {
  const asked = await api.call<{ id: string; upload: { url: string; headers: Record<string, string> } }>(
    'POST',
    path,
    { filename, size: file.length },
  )
  const { url, headers } = asked.body.upload
  const put = await fetch(url, { method: 'PUT', headers, body: file })
  if (!put.ok) throw new Error(`The upload of ${filename} was refused: ${put.status}`)
  return asked.body.id
}

type Until = (what: string, condition: () => Promise<boolean>) => Promise<void>

/** A candidate with a résumé and an interview that is over and assessed. */
async function interviewIn(
  api: Api,
  { simulators, simulators_key }: Credentials,
  until: Until,
): Promise<{ id: string; candidate: string }> {
  const made = async (path: string, body: object) =>
    (await api.call<{ data: { id: string } }>('POST', path, body)).body.data.id
  const candidate = await made('/api/candidates', {
    full_name: 'Ada Example',
    email: `${crypto.randomUUID()}@people.example`,
  })
  const id = await made('/api/interviews', {
    candidate_id: candidate,
    role_title: 'Engineer',
    job_description: 'Reliable systems with TypeScript and PostgreSQL.',
    recruiter_email: 'recruiter@people.example',
  })
  await api.call('POST', `/api/interviews/${id}/questions`, { kind: 'plan' })
  await api.call('POST', `/api/interviews/${id}/confirm`)
  const transcript = ['What have you built?', 'A queue that forgets nothing, and a page that shows it.'].map(
    (content, at) => ({
      sequence_no: at + 1,
      speaker: at % 2 === 0 ? 'ai' : 'candidate',
      content,
      timestamp_sec: 10 * at,
      is_ai_question: at % 2 === 0,
    }),
  )
  const events = [
    ...transcript.map((turn) => ({ type: 'turn', data: { interview_id: id, ...turn } })),
    { type: 'session.completed', data: { interview_id: id, transcript } },
  ]
  for (const event of events) {
    const sent = await fetch(`${simulators}/livekit/agent`, {
      method: 'POST',
      headers: { authorization: `Bearer ${simulators_key}`, 'content-type': 'application/json' },
      body: JSON.stringify(event),
    })
    if (!sent.ok) throw new Error(`The simulated agent: ${sent.status} ${await sent.text()}`)
  }
  const resume = Buffer.from('Ada Example\nSix years of TypeScript and PostgreSQL.\n')
  await upload(api, `/api/candidates/${candidate}/resume`, 'resume.txt', resume)
  await until('The résumé', async () => {
    const { body } = await api.call<{ state: string }>('GET', `/api/candidates/${candidate}/resume`)
    return body.state === 'completed'
  })
  // There is no assessment before the end of the session has arrived.
  for (const part of ['transcript', 'assessment']) {
    await until(`The ${part}`, async () => {
      const { body } = await api.call<{ state: string }>('GET', `/api/interviews/${id}/${part}`)
      return body.state === 'completed'
    })
  }
  return { id, candidate }
}

function awsOf({ aws }: Credentials, endpoint: string) {
  const credentials = { accessKeyId: aws.access_key_id, secretAccessKey: aws.secret_access_key }
  return { region: aws.region, endpoint, credentials }
}

async function newKey(credentials: Credentials, role: string): Promise<string> {
  const client = new LambdaClient(awsOf(credentials, credentials.aws.endpoint_lambda))
  const request = { action: 'create', role, team: 'local', label: 'fuzz', rate_limit: null }
  const { Payload } = await client.send(
    new InvokeCommand({ FunctionName: credentials.keys_function, Payload: JSON.stringify(request) }),
  )
  client.destroy()
  return JSON.parse(Payload?.transformToString() ?? '').key
}

async function secretOf(
  credentials: Credentials,
  name: 'agent' | 'livekit' | 'resend',
): Promise<Record<string, string>> {
  const client = new SecretsManagerClient(awsOf(credentials, credentials.aws.endpoint_secretsmanager))
  const { SecretString } = await client.send(
    new GetSecretValueCommand({ SecretId: `insighta-local-${name}` }),
  )
  client.destroy()
  return JSON.parse(SecretString ?? '')
}
