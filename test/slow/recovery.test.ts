import { rm } from 'node:fs/promises'
import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { PurgeQueueCommand, SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import postgres from 'postgres'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Cloud, startCloud } from '../../infra/local/cloud.ts'
import { uploadKey } from '../../lib/imports/messages.ts'
import type { QueueName } from '../../lib/platform/names.ts'
import { apiOf, dataFolder, importsOf, until } from '../e2e/cloud.ts'

let dataDir: string
let cloud: Cloud
let call: ReturnType<typeof apiOf>
let imports: ReturnType<typeof importsOf>
let sqs: SQSClient
let s3: S3Client
let sql: postgres.Sql

beforeAll(async () => {
  dataDir = await dataFolder()
  cloud = await startCloud({ dataDir, port: 0, context: { timeouts: 'short', sliceRecords: '10' } })
  const { region, endpoint_s3, endpoint_sqs, access_key_id, secret_access_key } = cloud.credentials.aws
  const credentials = { accessKeyId: access_key_id, secretAccessKey: secret_access_key }
  sqs = new SQSClient({ region, credentials, endpoint: endpoint_sqs })
  s3 = new S3Client({ region, credentials, endpoint: endpoint_s3 })
  sql = postgres(cloud.credentials.database_url, { max: 1 })
  call = apiOf(cloud.url, cloud.credentials.api_key)
  imports = importsOf(call)
  for (const { url } of cloud.sqs.queues()) await set(url, { VisibilityTimeout: '2' })
})
beforeEach(() => delaySlices(0))
afterAll(async () => {
  sqs?.destroy()
  s3?.destroy()
  await sql?.end({ timeout: 2 })
  await cloud?.close()
  await rm(dataDir, { recursive: true, force: true })
})

const Bucket = 'insighta-local-data-uploads'
const header = 'name,gender,age,country_id\n'
const people = (name: string) =>
  header + Array.from({ length: 25 }, (_, n) => `${name} ${n},male,${n},NG\n`).join('')

const set = (QueueUrl: string, Attributes: Record<string, string>) =>
  sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes }))

function urlOf(name: string): string {
  const found = cloud.sqs.queues().find((queue) => queue.name === `insighta-local-${name}`)
  if (!found) throw new Error(`No queue ${name}`)
  return found.url
}

/** Slices sent from now on arrive late: time for what is to go wrong before. */
const delaySlices = (seconds: number) => set(urlOf('import-slices'), { DelaySeconds: String(seconds) })

const sweep = () => cloud.lambda.invoke('Insighta-local-recovery-Sweep', '{}')

async function inserting(name: string): Promise<string> {
  await delaySlices(3)
  const id = await imports.upload(people(name))
  await until(async () => (await imports.report(id)).state === 'inserting')
  return id
}

async function queueNamed(name: QueueName) {
  const { body } = await call('GET /api/ops/queues')
  return body.data.find(({ queue }: { queue: string }) => queue === name)
}

/** A defect of the database: no row of an import goes in. */
async function refuseRowsOf(id: string): Promise<void> {
  await sql.unsafe(`
    create function refuse_row() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
    create trigger refuse_row before insert on profiles for each row
      when (new.import_id = '${id}') execute function refuse_row()`)
}

test('slices that fail each time end as dead letters and named ranges, and a retry mends the import', async () => {
  const id = await inserting('Poison')
  await refuseRowsOf(id)
  const failed = await imports.finished(id)
  expect(failed).toMatchObject({ state: 'completed_with_failures', total_rows: 0, inserted: 0 })
  expect(failed.failed_ranges).toMatchObject([
    { first_row: 1, last_row: 10, error: 'The database answered with error P0001' },
    { first_row: 11, last_row: 20 },
    { first_row: 21, last_row: 25 },
  ])
  expect(await queueNamed('import-slices')).toMatchObject({
    ready: 0,
    in_flight: 0,
    dead_letters: { open: 3, oldest_age_seconds: expect.any(Number) },
  })
  const letters = await call('GET /api/ops/dead-letters/import-slices?limit=2')
  expect(letters.body.data).toMatchObject([{ cause: 'defect' }, { owner: { type: 'import', id } }])

  await sql`drop function refuse_row cascade`
  expect((await call(`POST /api/imports/${id}/retry`)).body).toMatchObject({ finished_at: null })
  expect(await imports.finished(id)).toMatchObject({ state: 'completed', inserted: 25, total_rows: 25 })
  expect(await queueNamed('import-slices')).toMatchObject({ dead_letters: { open: 0 } })
})

test('an upload that is deleted ends its import at once, and a retry says what is missing', async () => {
  const id = await inserting('Gone')
  await s3.send(new DeleteObjectCommand({ Bucket, Key: uploadKey(id) }))
  const failed = await imports.finished(id)
  expect(failed).toMatchObject({ state: 'completed_with_failures', total_rows: 0, inserted: 0 })
  const error = 'The uploaded file was deleted before it was read'
  expect(failed.failed_ranges?.map((range) => range.error)).toEqual([error, error, error])
  expect(await queueNamed('import-slices')).toMatchObject({ dead_letters: { open: 0 } })
  expect((await call(`POST /api/imports/${id}/retry`)).body).toMatchObject({ code: 'not_retryable' })
})

test('a cancelled import takes no further rows, and still has its file of skipped rows', async () => {
  const id = await inserting('Cancelled')
  expect((await call(`POST /api/imports/${id}/cancel`)).body).toMatchObject({ state: 'cancelled' })
  expect((await call(`POST /api/imports/${id}/cancel`)).status).toBe(200)
  await until(async () => {
    const { ready, in_flight, delayed } = await queueNamed('import-slices')
    return ready + in_flight + delayed === 0 && (await imports.report(id)).rejects_url !== null
  })
  expect(await imports.report(id)).toMatchObject({ state: 'cancelled', inserted: 0, total_rows: 0 })
  expect(await imports.rejects(id)).toEqual([])
  expect((await call(`POST /api/imports/${id}/retry`)).body).toMatchObject({ code: 'not_retryable' })
})

test('an upload that never came expires', async () => {
  const { id } = await imports.create(100)
  await sql`
    update imports set upload_expires_at = now() - interval '1 hour', touched_at = now() - interval '1 hour'
    where id = ${id}`
  await sweep()
  expect(await imports.report(id)).toMatchObject({ state: 'failed', failure: { code: 'upload_expired' } })
})

test('an outage of the database that outlasts every delivery is made good without anybody', async () => {
  const id = await inserting('Outage')
  await cloud.database.stop()
  await until(() => {
    const dead = cloud.sqs.inspect('insighta-local-import-slices-dlq')
    return dead !== undefined && dead.ready.length + dead.inFlight.length === 3
  })
  await cloud.database.start()
  await until(async () => {
    await sweep()
    const { status, body } = await call(`GET /api/imports/${id}`)
    return status === 200 && body.state === 'completed'
  })
  expect(await imports.report(id)).toMatchObject({ inserted: 25, total_rows: 25 })
  const { body } = await call('GET /api/ops/dead-letters/import-slices?state=redriven')
  expect(body.data[0]).toMatchObject({ cause: 'dependency', automatic_redrives: 1 })
}, 90_000)

test('messages that got lost are sent again by the schedule alone', async () => {
  const id = await inserting('Lost')
  await sqs.send(new PurgeQueueCommand({ QueueUrl: urlOf('import-slices') }))
  expect(await queueNamed('import-slices')).toMatchObject({ ready: 0, in_flight: 0, delayed: 0 })
  await delaySlices(0)
  expect(await imports.finished(id)).toMatchObject({ state: 'completed', inserted: 25 })
}, 150_000)

test('the open dead letters of every queue are a metric', () => {
  const series = cloud.metrics.list().filter(({ metric }) => metric === 'DeadLetters')
  expect(series.map(({ dimensions }) => dimensions.Queue).sort()).toEqual([
    'assessments',
    'emails',
    'exports',
    'import-finish',
    'import-objects',
    'import-removals',
    'import-slices',
    'interview-events',
    'resumes',
  ])
})
