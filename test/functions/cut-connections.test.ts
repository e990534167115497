import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { queueVariables } from '../../lib/platform/names.ts'
import { startTestLambda } from '../infra/local/lambda/handlers.ts'
import { httpEvent } from '../support/http-event.ts'
import { type Line, lineTo } from '../support/line.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'

let folder: string
let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sqs: Sqs
let lambda: Awaited<ReturnType<typeof startTestLambda>>
let line: Line
let key: string
/** The packet to the database with which every connection is cut; 0 for none. */
let cutAt = 0
let packets = 0

const modules = new URL('../..', import.meta.url)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-cuts-'))
  ;[database, bucket, lambda] = await Promise.all([freshDatabase(), startStorage(), startTestLambda()])
  sqs = await startSqs({ dataDir: folder, region: bucket.region, credentials: bucket.credentials })
  line = await lineTo(database.url, 1, async () => {
    if (++packets === cutAt) line.cut()
  })
  key = (await createKey(database.sql, { role: 'admin', team: 'acme', label: 'a' })).key
  const environment: Record<string, string> = {
    ...database.env,
    PGPORT: String(line.port),
    ...bucket.env,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    UPLOAD_BUCKET: 'uploads',
  }
  for (const [name, { source }] of Object.entries(queueVariables))
    environment[source] = sqs.createQueue(`insighta-test-${name}`).url
  await lambda.define(
    'imports',
    `import { handler as imports } from '${new URL('functions/imports.ts', modules)}'
     export const handler = async (...call) => ({ ...(await imports(...call)), pid: process.pid })`,
    { environment },
  )
  await lambda.define(
    'worker',
    `import { connect } from '${new URL('lib/platform/db.ts', modules)}'
     import { queueFunction } from '${new URL('lib/platform/queue-function.ts', modules)}'
     const worker = queueFunction((body) => connect().begin(async (tx) => {
       await tx\`insert into applied values (\${body.n})\`
       await tx\`select 1\`
     }))
     export const handler = async (...call) => ({ ...(await worker(...call)), pid: process.pid })`,
    { environment },
  )
  await database.sql`create table applied (n integer)`
})
afterAll(async () => {
  await line?.close()
  await lambda?.close()
  await Promise.all([database?.close(), bucket?.close(), sqs?.close()])
  await rm(folder, { recursive: true, force: true })
})

async function invoke(name: string, event: unknown) {
  packets = 0
  const { payload, functionError } = await lambda.lambda.invoke(name, JSON.stringify(event))
  expect(functionError, payload).toBeUndefined()
  return JSON.parse(payload)
}

/** Each packet of a call is cut in its turn, over and over. */
async function cutting(calls: number, call: (n: number) => Promise<unknown>): Promise<void> {
  for (let n = 1; n <= calls; n++) {
    cutAt = 1 + (n % 7)
    await call(n)
    cutAt = 0
  }
}

describe('a function whose connection to the database is cut', () => {
  test('answers 503 with Retry-After, or as ever, in one process for hundreds of cuts', async () => {
    const statuses = new Map<number, number>()
    const pids = new Set<number>()
    await cutting(180, async (n) => {
      const begin = httpEvent('POST /api/imports', {
        key,
        headers: { 'idempotency-key': `cut-${n}` },
        body: { filename: 'people.csv', size: 1 },
      })
      for (let isCut = true; isCut; ) {
        const { statusCode, headers, body, pid } = await invoke('imports', begin)
        statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
        pids.add(pid)
        isCut = statusCode === 503
        if (isCut) {
          expect(headers).toMatchObject({ 'Retry-After': expect.stringMatching(/^\d+$/) })
          expect(JSON.parse(body)).toMatchObject({ status: 'error', code: 'unavailable' })
        }
        cutAt = 0
      }
    })
    expect([...statuses.keys()].filter((status) => ![200, 201, 503].includes(status))).toEqual([])
    expect(statuses.get(503)).toBeGreaterThan(40)
    expect(pids.size).toBe(1)
    // What was cut and asked for again is there once.
    const [imports] = await database.sql`select count(*) from imports`
    expect(imports).toEqual({ count: 180 })
  })

  test('gives its message back and no other, and applies it once when it comes again', async () => {
    const pids = new Set<number>()
    let failures = 0
    await cutting(120, async (n) => {
      const record = {
        messageId: String(n),
        body: JSON.stringify({ n }),
        attributes: { ApproximateReceiveCount: '1' },
      }
      for (let isCut = true; isCut; ) {
        const { batchItemFailures, pid } = await invoke('worker', { Records: [record] })
        pids.add(pid)
        isCut = batchItemFailures.length > 0
        if (isCut) failures++
        cutAt = 0
      }
    })
    expect(failures).toBeGreaterThan(30)
    expect(pids.size).toBe(1)
    const [applied] = await database.sql`select count(distinct n) as distinct, count(*) as all from applied`
    // A commit whose answer is cut may have been one: a worker's own message bears that.
    expect(applied!.distinct).toBe(120)
  })
})
