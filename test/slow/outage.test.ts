import { rm } from 'node:fs/promises'
import { SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errorSchema } from '../../lib/platform/http/envelope.ts'
import { dataFolder, startTestCloud, type TestCloud, until } from '../e2e/cloud.ts'

let dataDir: string
let cloud: TestCloud
beforeAll(async () => {
  dataDir = await dataFolder()
  cloud = await startTestCloud(dataDir)
})
afterAll(async () => {
  await cloud?.close()
  await rm(dataDir, { recursive: true, force: true })
})

const header = 'name,gender,age,country_id\n'
const rows = (count: number, name: string, country: string) =>
  header + Array.from({ length: count }, (_, n) => `${name} ${n},male,${n % 90},${country}\n`).join('')

/** Messages that fail come back within seconds, where the template says minutes. */
async function redeliverSoon(): Promise<void> {
  const { region, endpoint_sqs, access_key_id, secret_access_key } = cloud.credentials.aws
  const credentials = { accessKeyId: access_key_id, secretAccessKey: secret_access_key }
  const sqs = new SQSClient({ region, credentials, endpoint: endpoint_sqs })
  for (const { name, url } of cloud.sqs.queues()) {
    if (name.endsWith('-dlq')) continue
    const Attributes = { VisibilityTimeout: '3' }
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl: url, Attributes }))
  }
  sqs.destroy()
}

const splits = () => cloud.metric('Invocations', { FunctionName: 'Insighta-local-imports-Split' })

describe('while the database is out', () => {
  let during: Awaited<ReturnType<TestCloud['imports']['create']>>
  const content = rows(3, 'During', 'BE')

  beforeAll(async () => {
    await redeliverSoon()
    during = await cloud.imports.create(content.length)
    expect((await cloud.call('GET /api/profiles')).status).toBe(200)
    await cloud.database.stop()
  })

  test('the API answers 503 with Retry-After and the envelope, to keys it knows and to others', async () => {
    for (const call of [{}, { key: `ins_${'B'.repeat(43)}` }]) {
      for (const target of ['GET /api/profiles?country_id=BE', 'GET /api/imports']) {
        const { status, headers, body } = await cloud.call(target, call)
        expect([status, body.code]).toEqual([503, 'unavailable'])
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
        errorSchema.parse(body)
      }
    }
  })

  test('health says which dependency is down', async () => {
    const { status, headers, body } = await cloud.call('GET /api/health', { key: null })
    expect(status).toBe(503)
    expect(body.dependencies.database).toEqual({ status: 'down', latency_ms: null })
    expect(headers.get('retry-after')).not.toBeNull()
  })

  test('uploads are taken, and imported once it is back', async () => {
    const before = splits()
    expect((await cloud.imports.put(during.upload, Buffer.from(content))).status).toBe(200)
    await until(() => splits() > before)
    await cloud.database.start()
    expect((await cloud.call('GET /api/imports')).status).toBe(200)
    expect(await cloud.call('GET /api/health', { key: null })).toMatchObject({
      status: 200,
      body: { dependencies: { database: { status: 'up' } } },
    })
    expect(await cloud.imports.finished(during.id)).toMatchObject({
      state: 'completed',
      total_rows: 3,
      inserted: 3,
    })
  })
})

test('an import that a database outage cuts off loses and doubles nothing', async () => {
  const id = await cloud.imports.upload(rows(60_000, 'Cut', 'NL'))
  await until(async () => (await cloud.imports.report(id)).progress.slices_done > 0)
  await cloud.database.stop()
  await cloud.database.start()
  const report = await cloud.imports.finished(id)
  expect(report).toMatchObject({ state: 'completed', total_rows: 60_000, inserted: 60_000, skipped: 0 })
  expect((await cloud.call('GET /api/profiles?country_id=NL')).body.total).toBe(60_000)
  for (const { name } of cloud.sqs.queues().filter(({ name }) => name.endsWith('-dlq'))) {
    expect(cloud.sqs.inspect(name)?.ready, name).toEqual([])
  }
})

test('what failed meanwhile is in the logs without the name of anybody', async () => {
  const logs = await cloud.logs()
  expect(logs.get('Insighta-local-imports-Split.log')).toMatch(/ECONNREFUSED|CONNECTION_|57P0/)
  for (const [name, text] of logs) expect(text, name).not.toMatch(/\b(?:During|Cut) \d/)
})

test('a restart keeps profiles, keys and imports, and goes on with what was going on', async () => {
  const before = await cloud.call('GET /api/profiles?limit=50')
  const imports = await cloud.call('GET /api/imports')
  const { key } = await cloud.newKey('analyst')
  const id = await cloud.imports.upload(rows(60_000, 'Across', 'FI'))
  await until(async () => (await cloud.imports.report(id)).progress.slices_done > 0)
  await cloud.close()
  cloud = await startTestCloud(dataDir)
  expect((await cloud.call('GET /api/me', { key })).body.key.role).toBe('analyst')
  const report = await cloud.imports.finished(id)
  expect(report).toMatchObject({ state: 'completed', total_rows: 60_000, inserted: 60_000, skipped: 0 })
  expect((await cloud.call('GET /api/profiles?limit=50')).body.data).toEqual(before.body.data)
  const [newest, ...others] = (await cloud.call('GET /api/imports')).body.data
  expect(newest.id).toBe(id)
  expect(others).toEqual(imports.body.data)
  expect(await cloud.imports.rejects(id)).toEqual([])
  expect(await cloud.imports.run(rows(1, 'After', 'SE'))).toMatchObject({ inserted: 1 })
})
