import { readFile } from 'node:fs/promises'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startAwsApi } from '../../../../infra/local/aws-api.ts'
import { type InvokeApi, serveInvokeApi } from '../../../../infra/local/lambda/invoke-api.ts'
import { randomFreePort } from '../../../../infra/local/ports.ts'
import { openSecrets } from '../../../../infra/local/secrets.ts'
import { startTestLambda, until } from './handlers.ts'

let functions: Awaited<ReturnType<typeof startTestLambda>>
let api: InvokeApi
let server: Awaited<ReturnType<typeof startAwsApi>>
let client: LambdaClient
const region = 'eu-west-1'
const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
const dropped: string[] = []

beforeEach(async () => {
  dropped.length = 0
  functions = await startTestLambda({ maxConcurrency: 2 })
  api = serveInvokeApi(functions.lambda, {
    retryDelaysMs: [1, 1],
    onDropped: (name, payload) => dropped.push(`${name} ${payload}`),
  })
  server = await startAwsApi({
    port: await randomFreePort(),
    region,
    credentials,
    secrets: await openSecrets(functions.dir, region, '000000000000'),
    lambda: api,
    log: () => {},
  })
  client = new LambdaClient({
    endpoint: server.url,
    region,
    credentials,
    maxAttempts: 1,
  })
})

afterEach(async () => {
  client.destroy()
  api.close()
  await server.close()
  await functions.close()
})

test('the SDK invokes by name and by ARN, and gets the answer', async () => {
  await functions.define('echo', 'export const handler = async (event) => ({ got: event })')
  for (const FunctionName of ['echo', functions.lambda.arnOf('echo'), 'echo:$LATEST']) {
    const { StatusCode, Payload, FunctionError } = await client.send(
      new InvokeCommand({ FunctionName, Payload: '{"name":"Zoë"}' }),
    )
    expect([StatusCode, FunctionError, Payload?.transformToString()]).toEqual([
      200,
      undefined,
      '{"got":{"name":"Zoë"}}',
    ])
  }
})

test('a function that throws is 200 with FunctionError', async () => {
  await functions.define('thrower', `export const handler = async () => { throw new Error('no') }`)
  const { StatusCode, Payload, FunctionError } = await client.send(
    new InvokeCommand({ FunctionName: 'thrower' }),
  )
  expect([StatusCode, FunctionError]).toEqual([200, 'Unhandled'])
  expect(JSON.parse(Payload?.transformToString() ?? '')).toMatchObject({ errorMessage: 'no' })
})

test('refusals have the names AWS gives them', async () => {
  await functions.define(
    'never',
    'export const handler = () => new Promise(() => setInterval(() => {}, 1000))',
  )
  const invoke = (FunctionName: string, Payload: string) =>
    client.send(new InvokeCommand({ FunctionName, Payload })).catch((error: Error) => error.name)
  expect(await invoke('nobody', '{}')).toBe('ResourceNotFoundException')
  expect(await invoke('never', 'not json')).toBe('InvalidRequestContentException')
  expect(await invoke('never', JSON.stringify('x'.repeat(6 * 1024 * 1024)))).toBe('RequestTooLargeException')
  const held = [1, 2].map(() => functions.lambda.invoke('never', '{}'))
  expect(await invoke('never', '{}')).toBe('TooManyRequestsException')
  await Promise.all([functions.lambda.close(), Promise.allSettled(held)])
})

test('an event is accepted at once and tried three times', async () => {
  await functions.define(
    'failing',
    `import { appendFileSync } from 'node:fs'
     export const handler = async () => {
       appendFileSync(${JSON.stringify(functions.dir)} + '/tries', 'x')
       throw new Error('never')
     }`,
  )
  const { StatusCode } = await client.send(
    new InvokeCommand({ FunctionName: 'failing', InvocationType: 'Event', Payload: '{"n":1}' }),
  )
  expect(StatusCode).toBe(202)
  await until(() => dropped.length > 0)
  expect(dropped).toEqual(['failing {"n":1}'])
  expect(await readFile(`${functions.dir}/tries`, 'utf8')).toBe('xxx')
})

test('what is not served is named', async () => {
  const response = await fetch(`${server.url}/2015-03-31/functions`)
  expect([response.status, await response.json()]).toEqual([
    404,
    {
      __type: 'UnknownOperationException',
      message: '/2015-03-31/functions is not served by the local cloud',
    },
  ])
})
