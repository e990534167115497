import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAwsApi } from '../../../infra/local/aws-api.ts'
import { randomFreePort } from '../../../infra/local/ports.ts'
import { generateSecret, openSecrets, type SecretStore } from '../../../infra/local/secrets.ts'

let folder: string
let store: SecretStore
let server: Awaited<ReturnType<typeof startAwsApi>>
let client: SecretsManagerClient

const connect = (accessKeyId: string) =>
  new SecretsManagerClient({
    endpoint: server.url,
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey: 'secret' },
    maxAttempts: 1,
  })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-secrets-'))
  store = await openSecrets(folder, 'us-east-1', '000000000000')
  server = await startAwsApi({
    port: await randomFreePort(),
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
    secrets: store,
    lambda: { handle: async () => {}, invokeAsync: () => {}, close: () => {} },
    log: () => {},
  })
  client = connect('AKIATEST')
})
afterAll(async () => {
  client.destroy()
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

test('a secret is read by the SDK with its attached fields, by ARN and by name', async () => {
  const generate = {
    SecretStringTemplate: '{"username":"admin"}',
    GenerateStringKey: 'password',
    PasswordLength: 30,
  }
  const { arn } = await store.create('db', generate, undefined)
  await store.attach(arn, { host: '127.0.0.1', port: 5432 })
  const answer = await client.send(new GetSecretValueCommand({ SecretId: arn }))
  expect(JSON.parse(answer.SecretString ?? '')).toEqual({
    username: 'admin',
    password: expect.stringMatching(/^.{30}$/),
    host: '127.0.0.1',
    port: 5432,
  })
  expect(answer.VersionStages).toEqual(['AWSCURRENT'])
  const description = await client.send(new DescribeSecretCommand({ SecretId: 'db' }))
  expect(description).toMatchObject({ ARN: arn, Name: 'db' })
  expect(description.CreatedDate).toBeInstanceOf(Date)
})

test('an unknown secret is the error that the SDK knows', async () => {
  await expect(client.send(new GetSecretValueCommand({ SecretId: 'none' }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  })
})

test('another access key is refused', async () => {
  const stranger = connect('AKIAOTHER')
  await expect(stranger.send(new GetSecretValueCommand({ SecretId: 'db' }))).rejects.toMatchObject({
    name: 'UnrecognizedClientException',
  })
  stranger.destroy()
})

test('secrets are kept in a file for their owner alone and found again', async () => {
  const before = await store.create('kept', undefined, 'value')
  const again = await openSecrets(folder, 'us-east-1', '000000000000')
  expect(await again.create('kept', undefined, 'another')).toEqual(before)
  expect((await stat(join(folder, 'secrets.json'))).mode & 0o777).toBe(0o600)
})

test('generated secrets hold every kind of character that is not excluded', () => {
  for (let round = 0; round < 50; round++) {
    const text = generateSecret({
      PasswordLength: 8,
      ExcludeCharacters: 'abc"@/\\',
      ExcludePunctuation: false,
    })
    expect(text).toHaveLength(8)
    expect(text).not.toMatch(/[abc"@/\\]/)
    for (const kind of [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/]) expect(text).toMatch(kind)
  }
  expect(generateSecret({ ExcludePunctuation: true, ExcludeNumbers: true })).toMatch(/^[A-Za-z]{32}$/)
})
