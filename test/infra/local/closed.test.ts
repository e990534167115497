import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { ListQueuesCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAwsApi } from '../../../infra/local/aws-api.ts'
import { startGateway } from '../../../infra/local/gateway.ts'
import type { Lambda } from '../../../infra/local/lambda/functions.ts'
import { serveInvokeApi } from '../../../infra/local/lambda/invoke-api.ts'
import { randomFreePort } from '../../../infra/local/ports.ts'
import { type LocalS3, startS3 } from '../../../infra/local/s3/index.ts'
import { openSecrets } from '../../../infra/local/secrets.ts'
import { type Simulators, startSimulators } from '../../../infra/local/simulators/index.ts'
import { type Sqs, startSqs } from '../../../infra/local/sqs.ts'
import { signedHeaders } from '../../support/sigv4.ts'
import { send } from './s3/fixture.ts'

const region = 'eu-west-1'
const keys = { accessKeyId: 'AKIATESTTESTTESTTEST', secretAccessKey: 'test-secret' }

let folder: string
let s3: LocalS3
let sqs: Sqs
let api: Awaited<ReturnType<typeof startAwsApi>>
let gateway: Awaited<ReturnType<typeof startGateway>>
let simulators: Simulators
const invoked: string[] = []
let published = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-closed-'))
  const log = () => {}
  s3 = await startS3({
    dataDir: join(folder, 's3'),
    region,
    credentials: keys,
    log,
    publish: async () => void published++,
  })
  await s3.putBucket('uploads', {})
  sqs = await startSqs({ dataDir: folder, region, credentials: keys })
  sqs.createQueue('work')
  const secrets = await openSecrets(folder, region, '000000000000')
  await secrets.create('hidden', undefined, 'the value')
  const lambda: Pick<Lambda, 'names' | 'arnOf' | 'invoke'> = {
    names: () => ['keys'],
    arnOf: (name) => name,
    async invoke(_name, payload) {
      invoked.push(payload)
      return { payload: '"done"' }
    },
  }
  const port = await randomFreePort()
  api = await startAwsApi({
    port,
    region,
    credentials: keys,
    secrets,
    lambda: serveInvokeApi(lambda as Lambda),
    log,
  })
  simulators = await startSimulators({ port: 0, key: 'control' })
  gateway = await startGateway({
    api: {
      apiId: 'api',
      name: 'api',
      stage: '$default',
      routes: [{ routeKey: '$default', functionName: 'keys' }],
      routeThrottles: new Map(),
    },
    accountId: '000000000000',
    port: 0,
    invoke: lambda.invoke,
    log,
  })
})
afterAll(async () => {
  await Promise.all([s3, sqs, api, simulators, gateway].map((server) => server.close()))
  await rm(folder, { recursive: true, force: true })
})

type Listener = {
  name: string
  service: string
  request(): { method: string; url: string; headers?: Record<string, string>; body?: string }
  /** The name of each refusal, which clients show. */
  errors: { missing: string; malformed: string; key: string; mismatch: string; skew: string; scope: string }
}

const json = { 'content-type': 'application/x-amz-json-1.0' }
const jsonErrors = {
  missing: 'MissingAuthenticationTokenException',
  malformed: 'IncompleteSignatureException',
  key: 'UnrecognizedClientException',
  mismatch: 'InvalidSignatureException',
  skew: 'InvalidSignatureException',
  scope: 'InvalidSignatureException',
}
const queryErrors = {
  missing: 'MissingAuthenticationToken',
  malformed: 'IncompleteSignature',
  key: 'InvalidClientTokenId',
  mismatch: 'SignatureDoesNotMatch',
  skew: 'SignatureDoesNotMatch',
  scope: 'SignatureDoesNotMatch',
}
const listeners: Listener[] = [
  {
    name: 'S3',
    service: 's3',
    request: () => ({ method: 'PUT', url: `${s3.url}/uploads/planted`, body: 'x' }),
    errors: {
      missing: 'AccessDenied',
      malformed: 'AuthorizationHeaderMalformed',
      key: 'InvalidAccessKeyId',
      mismatch: 'SignatureDoesNotMatch',
      skew: 'RequestTimeTooSkewed',
      scope: 'AuthorizationHeaderMalformed',
    },
  },
  {
    name: "SQS's JSON protocol",
    service: 'sqs',
    request: () => ({
      method: 'POST',
      url: `${sqs.url}/`,
      headers: { ...json, 'x-amz-target': 'AmazonSQS.SendMessage' },
      body: JSON.stringify({ QueueUrl: `${sqs.url}/000000000000/work`, MessageBody: 'x' }),
    }),
    errors: jsonErrors,
  },
  {
    name: "SQS's query protocol",
    service: 'sqs',
    request: () => ({
      method: 'POST',
      url: `${sqs.url}/000000000000/work`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'Action=SendMessage&MessageBody=x',
    }),
    errors: queryErrors,
  },
  {
    name: "Lambda's invoke API",
    service: 'lambda',
    request: () => ({
      method: 'POST',
      url: `${api.url}/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A0%3Afunction%3Akeys/invocations`,
      body: '{"action":"create"}',
    }),
    errors: jsonErrors,
  },
  {
    name: 'Secrets Manager',
    service: 'secretsmanager',
    request: () => ({
      method: 'POST',
      url: `${api.url}/`,
      headers: { ...json, 'x-amz-target': 'secretsmanager.GetSecretValue' },
      body: '{"SecretId":"hidden"}',
    }),
    errors: jsonErrors,
  },
]

/** What has come of requests so far. */
const effects = () => ({
  invoked: invoked.length,
  published,
  messages: sqs.inspect('work')?.ready.length,
})

describe.each(listeners)('$name', ({ service, request, errors }) => {
  type Change = Partial<Parameters<typeof signedHeaders>[0]>
  const signed = (change: Change = {}) =>
    signedHeaders({ ...request(), keys, region, service, ...change }).headers
  const answerTo = async (headers: Record<string, string>, change: { body?: string } = {}) => {
    const { method, url, body } = { ...request(), ...change }
    const answer = await send({
      method,
      url,
      headers,
      ...(body !== undefined && { body: Buffer.from(body) }),
    })
    return { status: answer.status, headers: answer.headers, text: answer.body.toString() }
  }
  const anHour = 3_600_000

  it.each<[what: string, reason: keyof Listener['errors'], headers: () => Record<string, string>]>([
    ['no signature', 'missing', () => request().headers ?? {}],
    ['a junk signature', 'mismatch', () => junk(signed(), 'Signature=', '0'.repeat(64))],
    ['a signature that is no hexadecimal number', 'mismatch', () => junk(signed(), 'Signature=', 'zz')],
    [
      'a header without a signature',
      'malformed',
      () => ({ ...signed(), authorization: 'AWS4-HMAC-SHA256 Credential=x' }),
    ],
    ['an unknown key', 'key', () => signed({ keys: { ...keys, accessKeyId: 'AKIAOTHEROTHEROTHERO' } })],
    ['a wrong secret', 'mismatch', () => signed({ keys: { ...keys, secretAccessKey: 'wrong' } })],
    ['a signature of an hour ago', 'skew', () => signed({ at: new Date(Date.now() - anHour) })],
    ['a signature of an hour from now', 'skew', () => signed({ at: new Date(Date.now() + anHour) })],
    ['a signature for another service', 'scope', () => signed({ service: 'sts' })],
    ['a signature for another region', 'scope', () => signed({ region: 'us-west-2' })],
  ])('refuses %s', async (_, reason, headers) => {
    const before = effects()
    const { status, headers: got, text } = await answerTo(headers())
    expect([400, 403]).toContain(status)
    expect(`${text} ${got['x-amzn-errortype'] ?? ''}`).toContain(errors[reason])
    if (service === 'sqs') {
      const code = queryErrors[reason]
      expect([got['x-amzn-query-error'] ?? `${code};Sender`, text]).toEqual([
        `${code};Sender`,
        expect.stringMatching(/^(?:\{"__type":"com\.amazon\.coral\.service#|<\?xml)/),
      ])
    }
    expect(text).not.toContain('the value')
    expect(effects()).toEqual(before)
  })

  it('refuses a body, a path and a Host other than those that were signed', async () => {
    const before = effects()
    const body = (request().body ?? '').replace(/\w(?=\W*$)/, 'y')
    const answers = [
      await answerTo(signed(), { body }),
      await answerTo(signed({ url: `${request().url}x` })),
      await answerTo({ ...signed(), host: 'localhost:1' }),
    ]
    for (const { status } of answers) expect([400, 403]).toContain(status)
    expect(effects()).toEqual(before)
  })

  it('refuses a foreign Host, though it is signed for', async () => {
    const before = effects()
    for (const host of [
      'rebound.example',
      'rebound.example:4000',
      '127.0.0.1.rebound.example',
      'localhost.rebound.example',
    ]) {
      const answer = await answerTo(signed({ headers: { ...request().headers, host } }))
      expect([answer.status, answer.text]).toEqual([403, expect.stringContaining('Forbidden')])
    }
    expect(effects()).toEqual(before)
  })

  it('takes a signed request, by each name of this machine', async () => {
    for (const name of ['127.0.0.1', 'LOCALHOST', '[::1]']) {
      const host = `${name}:${new URL(request().url).port}`
      const answer = await answerTo(signed({ headers: { ...request().headers, host } }))
      expect([host, answer.status]).toEqual([host, 200])
    }
  })
})

function junk(headers: Record<string, string>, field: string, value: string): Record<string, string> {
  const { authorization = '' } = headers
  return { ...headers, authorization: authorization.slice(0, authorization.indexOf(field)) + field + value }
}

describe('what asks for another proof', () => {
  it.each([
    ['the API', () => gateway.url],
    ['the simulators', () => simulators.url],
  ])('is not served under a foreign Host: %s', async (_, url) => {
    const before = effects()
    for (const path of ['/', '/api/profiles', '/dashboards', '/agify?name=ada', '/faults']) {
      const headers = { host: 'rebound.example', authorization: 'Bearer control' }
      expect((await send({ method: 'GET', url: url() + path, headers })).status).toBe(403)
    }
    expect(effects()).toEqual(before)
  })
})

describe('the SDKs', () => {
  const clients = (credentials: typeof keys) => {
    const common = { region, credentials, maxAttempts: 1 }
    return {
      s3: new S3Client({ ...common, endpoint: s3.url, forcePathStyle: true }),
      sqs: new SQSClient({ ...common, endpoint: sqs.url }),
      lambda: new LambdaClient({ ...common, endpoint: api.url }),
      secrets: new SecretsManagerClient({ ...common, endpoint: api.url }),
    }
  }
  const callsOf = (credentials: typeof keys) => {
    const { s3, sqs, lambda, secrets } = clients(credentials)
    return [
      () => s3.send(new ListBucketsCommand({})),
      () => sqs.send(new ListQueuesCommand({})),
      () => lambda.send(new InvokeCommand({ FunctionName: 'keys', Payload: '{}' })),
      () => secrets.send(new GetSecretValueCommand({ SecretId: 'hidden' })),
    ]
  }
  const names = (credentials: typeof keys) =>
    Promise.all(
      callsOf(credentials).map((call) =>
        call().then(
          () => 'ok',
          (error: Error) => error.name,
        ),
      ),
    )

  it('work with the key, and name what is wrong with another one', async () => {
    expect(await names(keys)).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(await names({ ...keys, secretAccessKey: 'wrong' })).toEqual([
      'SignatureDoesNotMatch',
      'SignatureDoesNotMatch',
      'InvalidSignatureException',
      'InvalidSignatureException',
    ])
    expect(await names({ ...keys, accessKeyId: 'AKIAOTHEROTHEROTHERO' })).toEqual([
      'InvalidAccessKeyId',
      'InvalidClientTokenId',
      'UnrecognizedClientException',
      'UnrecognizedClientException',
    ])
  })

  it('send and receive any text by a signed body', async () => {
    const client = new SQSClient({ region, credentials: keys, endpoint: sqs.url })
    const { url: QueueUrl } = sqs.createQueue('texts')
    const MessageBody = 'Größe 💡 + & = % \u00a0\n'.repeat(1000)
    await client.send(new SendMessageCommand({ QueueUrl, MessageBody }))
    const { Messages } = await client.send(new ReceiveMessageCommand({ QueueUrl }))
    expect(Messages?.[0]?.Body).toBe(MessageBody)
    client.destroy()
  })
})
