import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type LocalS3, startS3 } from '../../infra/local/s3/index.ts'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { queues, queueVariables } from '../../lib/platform/names.ts'
import { lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

let folder: string
let database: TestDatabase
let sqs: Sqs
let s3: LocalS3
let sweep: () => Promise<unknown>
const printed: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-sweep-'))
  const credentials = { accessKeyId: 'TESTTESTTESTTESTTEST', secretAccessKey: 'secret' }
  const region = 'eu-west-1'
  database = await freshDatabase()
  sqs = await startSqs({ dataDir: join(folder), region, credentials })
  s3 = await startS3({
    dataDir: join(folder, 's3'),
    region,
    credentials,
    publish: async () => {},
    log: () => {},
  })
  await s3.putBucket('uploads', {})
  const environment = {
    ...database.env,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    UPLOAD_BUCKET: 'uploads',
    LIVEKIT_FUNCTION_NAME: 'livekit',
    POWERTOOLS_METRICS_DISABLED: 'false',
    POWERTOOLS_METRICS_NAMESPACE: 'Insighta',
    POWERTOOLS_SERVICE_NAME: 'sweep',
    POWERTOOLS_DEV: 'true',
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  for (const [name, { source }] of Object.entries(queueVariables)) {
    vi.stubEnv(source, sqs.createQueue(`insighta-test-${name}`).url)
  }
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line))
  const { handler } = await import('../../functions/sweep.ts')
  sweep = async () => handler({}, lambdaContext())
})
beforeEach(() => {
  printed.length = 0
})
afterAll(async () => {
  vi.restoreAllMocks()
  await disconnect()
  await Promise.all([database.close(), sqs.close(), s3.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const deadLetter = (queue: string, cause: string) => database.sql`
  insert into dead_letters (queue, message_id, body, receive_count, error, cause, last_seen_at)
  values (${queue}, ${randomUUID()}, '{"n":1}', 5, 'x', ${cause}, now() - interval '1 hour')`

function openLetters(): Record<string, number> {
  const lines = printed.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
  const points = lines.filter((line) => 'DeadLetters' in line)
  return Object.fromEntries(points.map(({ Queue, DeadLetters }) => [Queue, [DeadLetters].flat()[0]]))
}

test('counts the open dead letters of every queue, none too, and redrives those of an outage', async () => {
  await deadLetter('import-slices', 'defect')
  await deadLetter('import-slices', 'dependency')
  await sweep()
  const none = Object.fromEntries(Object.values(queues).map((queue) => [queue, 0]))
  expect(openLetters()).toEqual({ ...none, 'import-slices': 1 })
  expect(sqs.inspect('insighta-test-import-slices')?.ready.map(({ body }) => body)).toEqual(['{"n":1}'])
})

test('fails aloud when a part fails, and does the others', async () => {
  await database.sql`alter table import_slices rename to import_slices_away`
  await expect(sweep()).rejects.toThrow('Parts of the sweep failed')
  expect(openLetters()).toMatchObject({ 'import-slices': 1 })
  await database.sql`alter table import_slices_away rename to import_slices`
})
