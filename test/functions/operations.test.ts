import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { z } from 'zod'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { errorSchema } from '../../lib/platform/http/index.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { type QueueName, queues, queueVariables } from '../../lib/platform/names.ts'
import type { Role } from '../../lib/platform/routes.ts'
import { type CallOptions, call, lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'

let folder: string
let database: TestDatabase
let sqs: Sqs
let bucket: Awaited<ReturnType<typeof startStorage>>
let admin: string
let analyst: string
/** An admin of acme who is nothing else, one of another team, and an operator who is nothing else. */
const only = { admin: '', other: '', operator: '' }
let operations: typeof import('../../functions/operations.ts').handler
let imports: typeof import('../../functions/imports.ts').handler
let deadLetters: (event: SQSEvent) => Promise<SQSBatchResponse>

const arn = (name: string) => `arn:aws:sqs:eu-west-1:000000000000:insighta-test-${name}`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-operations-'))
  database = await freshDatabase()
  bucket = await startStorage()
  sqs = await startSqs({ dataDir: folder, region: bucket.region, credentials: bucket.credentials })
  for (const [name, value] of Object.entries({ ...database.env, ...bucket.env })) vi.stubEnv(name, value)
  vi.stubEnv('AWS_ENDPOINT_URL_SQS', sqs.url)
  vi.stubEnv('UPLOAD_BUCKET', 'uploads')
  for (const [name, { source, deadLetters }] of Object.entries(queueVariables)) {
    vi.stubEnv(source, sqs.createQueue(`insighta-test-${name}`).url)
    vi.stubEnv(deadLetters, sqs.createQueue(`insighta-test-${name}-dlq`).url)
  }
  const key = async (role: Role | Role[], team: string) =>
    (await createKey(database.sql, { role, team, label: 'x' })).key
  admin = await key(['admin', 'operator'], 'acme')
  only.admin = await key('admin', 'acme')
  only.other = await key('admin', 'other')
  only.operator = await key('operator', 'platform')
  analyst = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'analyst' })).key
  operations = (await import('../../functions/operations.ts')).handler
  imports = (await import('../../functions/imports.ts')).handler
  const { handler } = await import('../../functions/dead-letters.ts')
  deadLetters = async (event) => (await handler(event, lambdaContext())) as SQSBatchResponse
})
beforeEach(async () => {
  await database.sql`truncate dead_letters, imports cascade`
  for (const { arn } of sqs.queues()) {
    const received = await sqs.receive(arn, { max: 10, waitSeconds: 0 })
    sqs.deleteMessages(
      arn,
      received.map(({ receiptHandle }) => receiptHandle),
    )
  }
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), sqs.close(), bucket.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

/** Calls and holds the answer to the schema that its route declares. */
async function ask(target: string, options: CallOptions = {}) {
  const handler = target.includes('/api/ops/') ? operations : imports
  const result = await call(handler, target, { key: admin, ...options })
  if (result.status >= 400) {
    errorSchema.parse(result.body)
    return result
  }
  const [method, path = ''] = target.split(/[ ?]/) as [string, string]
  const key = `${method} ${path.replace(/(dead-letters|imports)\/[^/]+/, (_, name) => `${name}/{${name === 'imports' ? 'id' : 'queue'}}`)}`
  const route = handler.routes[key as keyof typeof handler.routes]!
  const schema = (route.answers as Record<number, z.ZodType>)[result.status]
  if (!schema) throw new Error(`${key} does not declare ${result.status}`)
  schema.parse(result.body)
  return result
}

type Message = { queue?: string; id?: string; body: unknown }

/** The event in which Lambda brings these dead letters. */
function batch(messages: Message[]): SQSEvent {
  return {
    Records: messages.map(({ queue = 'import-slices', id = randomUUID(), body }) => ({
      messageId: id,
      receiptHandle: 'handle',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      attributes: {
        ApproximateReceiveCount: '6',
        SentTimestamp: String(Date.now()),
        SenderId: 'test',
        ApproximateFirstReceiveTimestamp: String(Date.now()),
      },
      messageAttributes: {},
      md5OfBody: '',
      eventSource: 'aws:sqs',
      eventSourceARN: arn(`${queue}-dlq`),
      awsRegion: 'eu-west-1',
    })),
  }
}

/** An import of acme in inserting, with so many slices pending. */
async function anImport(slices: number): Promise<string> {
  const id = randomUUID()
  await database.sql`
    insert into imports (id, team_id, filename, size, object_key, upload_expires_at, state, slices_total)
    select ${id}, id, 'people.csv', 1, ${id}, now(), 'inserting', ${slices} from teams where name = 'acme'`
  await database.sql`
    insert into import_slices (import_id, slice_no, byte_start, byte_end, first_row, first_line, record_count)
    select ${id}, n, 0, 1, n * 10 + 1, 1, 10 from generate_series(0, ${slices - 1}::integer) n`
  await bucket.storage.put(id, 'x', 'text/csv')
  return id
}

const waiting = (name: QueueName) =>
  sqs.inspect(`insighta-test-${name}`)?.ready.map(({ body }) => JSON.parse(body))

describe('the handler of the dead-letter queues', () => {
  it('records each letter, fails its slice, and asks for the end once the last one has ended', async () => {
    const id = await anImport(2)
    const slice = (slice_no: number) => ({ body: { import_id: id, slice_no } })
    expect(await deadLetters(batch([slice(0)]))).toEqual({ batchItemFailures: [] })
    expect(waiting('import-finish')).toEqual([])
    await deadLetters(batch([slice(1), { body: 'nonsense' }]))
    expect(waiting('import-finish')).toEqual([{ import_id: id }])
    const { body } = await ask(`GET /api/imports/${id}`)
    expect(body.failed_ranges.map(({ first_row }: { first_row: number }) => first_row)).toEqual([1, 11])
  })

  it('asks for the end again when its letter comes again', async () => {
    const id = await anImport(1)
    const letter = batch([{ body: { import_id: id, slice_no: 0 } }])
    await deadLetters(letter)
    await deadLetters(letter)
    expect(waiting('import-finish')).toHaveLength(2)
    expect((await ask('GET /api/ops/dead-letters/import-slices')).body.data).toHaveLength(1)
  })

  it('leaves what it cannot record in the queue, and only that', async () => {
    const known = { id: 'known', body: {} }
    const foreign = { id: 'foreign', queue: 'orders', body: {} }
    expect(await deadLetters(batch([foreign, known]))).toEqual({
      batchItemFailures: [{ itemIdentifier: 'foreign' }],
    })
    await disconnect()
    vi.stubEnv('PGPORT', '1')
    expect(await deadLetters(batch([{ id: 'later', body: {} }]))).toEqual({
      batchItemFailures: [{ itemIdentifier: 'later' }],
    })
    await disconnect()
    vi.stubEnv('PGPORT', database.env.PGPORT!)
  })
})

describe('the operations routes', () => {
  it('are for admins and operators', async () => {
    for (const target of ['GET /api/ops/queues', 'GET /api/ops/dead-letters/import-slices']) {
      expect((await ask(target, { key: analyst })).status).toBe(403)
    }
  })

  it('tell of every queue what is in it, and what died', async () => {
    sqs.sendMessage(arn('import-slices'), '{}')
    sqs.sendMessage(arn('import-slices-dlq'), '{}')
    await deadLetters(batch([{ queue: 'import-finish', body: {} }]))
    const { body } = await ask('GET /api/ops/queues')
    expect(body.data.map(({ queue }: { queue: string }) => queue)).toEqual(Object.values(queues))
    expect(body.data[1]).toMatchObject({
      ready: 1,
      in_flight: 0,
      delayed: 0,
      dead_letters: { waiting: 1, open: 0, oldest_age_seconds: null },
    })
    expect(body.data[2]).toMatchObject({ ready: 0, dead_letters: { open: 1, oldest_age_seconds: 0 } })
  })

  it('list letters newest first, page by page, without taking any', async () => {
    for (const n of [1, 2, 3]) await deadLetters(batch([{ id: `m${n}`, body: { n } }]))
    const first = await ask('GET /api/ops/dead-letters/import-slices?limit=2')
    const cursor = first.body.next_cursor
    const second = await ask(`GET /api/ops/dead-letters/import-slices?limit=2&cursor=${cursor}`)
    const ids = [...first.body.data, ...second.body.data].map(({ message_id }) => message_id)
    expect(ids).toEqual(['m3', 'm2', 'm1'])
    expect(second.body.next_cursor).toBeNull()
    expect(first.body.data[0]).toMatchObject({
      body: null,
      receive_count: 6,
      owner: null,
      state: 'open',
    })
  })

  it('redrive the chosen ones or all, as they came', async () => {
    const id = await anImport(3)
    await deadLetters(batch([0, 1, 2].map((slice_no) => ({ body: { import_id: id, slice_no } }))))
    const { body } = await ask('GET /api/ops/dead-letters/import-slices')
    const chosen = { ids: [body.data[0].id] }
    const target = 'POST /api/ops/dead-letters/import-slices/redrive'
    expect((await ask(target, { body: chosen })).body).toMatchObject({
      redriven: 1,
      skipped: 0,
      remaining: 0,
    })
    expect((await ask(target, { body: chosen })).body).toMatchObject({ redriven: 0, skipped: 1 })
    expect((await ask(target, { body: { all: true } })).body).toMatchObject({ redriven: 2 })
    expect(waiting('import-slices')).toHaveLength(3)
    expect((await ask(`GET /api/imports/${id}`)).body.failed_ranges).toBeUndefined()
    const redriven = await ask('GET /api/ops/dead-letters/import-slices?state=redriven')
    expect(redriven.body.data).toHaveLength(3)
  })

  it('discard what nobody will ever redrive', async () => {
    await deadLetters(batch([{ body: 'nonsense' }]))
    const { body } = await ask('GET /api/ops/dead-letters/import-slices')
    const chosen = { ids: [body.data[0].id, randomUUID()] }
    const { body: answer } = await ask('POST /api/ops/dead-letters/import-slices/discard', { body: chosen })
    expect(answer).toMatchObject({ discarded: 1, skipped: 1 })
    expect((await ask('GET /api/ops/dead-letters/import-slices')).body.data).toEqual([])
  })

  it.each([
    ['GET /api/ops/dead-letters/orders', undefined, 404],
    ['POST /api/ops/dead-letters/orders/redrive', { all: true }, 404],
    ['POST /api/ops/dead-letters/import-slices/redrive', undefined, 400],
    ['POST /api/ops/dead-letters/import-slices/redrive', { ids: ['x'] }, 422],
    ['POST /api/ops/dead-letters/import-slices/redrive', { ids: [] }, 422],
    ['POST /api/ops/dead-letters/import-slices/redrive', { all: false }, 422],
    ['GET /api/ops/dead-letters/import-slices?state=lost', undefined, 422],
    ['GET /api/ops/dead-letters/import-slices?limit=0', undefined, 422],
    ['GET /api/ops/dead-letters/import-slices?since=x', undefined, 400],
  ])('answer %s with %j by %i', async (target, body, status) => {
    expect((await ask(target, { ...(body && { body }) })).status).toBe(status)
  })
})

describe('dead letters of teams', () => {
  const list = 'GET /api/ops/dead-letters/import-slices'
  const redrive = 'POST /api/ops/dead-letters/import-slices/redrive'
  const discard = 'POST /api/ops/dead-letters/import-slices/discard'

  /** One open letter of acme and one of no team, by their ids. */
  async function twoLetters() {
    const id = await anImport(1)
    await deadLetters(batch([{ body: { import_id: id, slice_no: 0 } }]))
    await deadLetters(batch([{ body: 'nonsense' }]))
    const { body } = await ask(list)
    const [unowned, owned] = body.data
    return { import_id: id, unowned, owned }
  }
  const idsFor = async (key: string) =>
    (await ask(list, { key })).body.data.map(({ id }: { id: string }) => id)

  it("are seen by the team's admins with their message, by operators without, and by no other team", async () => {
    const { import_id, owned, unowned } = await twoLetters()
    expect(unowned.team_id).toBeNull()
    const [own] = (await ask(list, { key: only.admin })).body.data
    expect(own).toMatchObject({ id: owned.id, team_id: owned.team_id, owner: { id: import_id } })
    expect(JSON.parse(own.body)).toEqual({ import_id, slice_no: 0 })
    expect(await idsFor(only.admin)).toEqual([owned.id])
    expect(await idsFor(only.other)).toEqual([])
    const seen = (await ask(list, { key: only.operator })).body.data
    expect(seen).toEqual([unowned, { ...owned, body: null }])
    expect(await ask(`${list}?state=open&cursor=${unowned.id}`, { key: only.other })).toMatchObject({
      body: { data: [], next_cursor: null },
    })
  })

  it.each([redrive, discard])("are no one else's for %s: 404, as one that is not there", async (target) => {
    const { owned, unowned } = await twoLetters()
    for (const id of [owned.id, unowned.id, randomUUID()]) {
      const { status, body } = await ask(target, { key: only.other, body: { ids: [id] } })
      expect([status, body.message]).toEqual([404, 'Dead letter not found'])
    }
    const { status } = await ask(target, { key: only.admin, body: { ids: [unowned.id] } })
    expect(status).toBe(404)
    expect(await idsFor(only.operator)).toEqual([unowned.id, owned.id])
  })

  it('beside those of another team are left out of what is done to some', async () => {
    const { owned, unowned } = await twoLetters()
    const ids = [owned.id, unowned.id]
    expect((await ask(discard, { key: only.admin, body: { ids } })).body).toMatchObject({
      discarded: 1,
      skipped: 1,
    })
    expect(await idsFor(only.operator)).toEqual([unowned.id])
  })

  it('are all redriven within the team, and by operators in all teams', async () => {
    const { import_id } = await twoLetters()
    const all = { all: true }
    expect((await ask(redrive, { key: only.other, body: all })).body).toMatchObject({
      redriven: 0,
      remaining: 0,
    })
    expect(waiting('import-slices')).toEqual([])
    expect((await ask(redrive, { key: only.admin, body: all })).body).toMatchObject({
      redriven: 1,
      remaining: 0,
    })
    expect(waiting('import-slices')).toEqual([{ import_id, slice_no: 0 }])
    await anotherLetter()
    expect((await ask(redrive, { key: only.operator, body: all })).body).toMatchObject({ redriven: 2 })
  })

  async function anotherLetter(): Promise<void> {
    await deadLetters(batch([{ body: { import_id: await anImport(1), slice_no: 0 } }]))
  }

  it('are counted within the team, and how full a queue is only operators are told', async () => {
    await twoLetters()
    const slices = async (key: string) => (await ask('GET /api/ops/queues', { key })).body.data[1]
    expect(await slices(only.admin)).toMatchObject({ ready: null, dead_letters: { waiting: null, open: 1 } })
    expect(await slices(only.other)).toMatchObject({
      ready: null,
      in_flight: null,
      delayed: null,
      dead_letters: { waiting: null, open: 0, oldest_age_seconds: null },
    })
    expect(await slices(only.operator)).toMatchObject({ ready: 0, dead_letters: { waiting: 0, open: 2 } })
  })

  it('are discarded by someone who is written down, in the team of the letter', async () => {
    const { owned, unowned } = await twoLetters()
    for (const key of [only.admin, only.operator]) {
      await ask(discard, { key, body: { ids: [owned.id, unowned.id] } })
    }
    const noted = await database.sql`
      select subject_id, t.name as team, k.roles::text, counts, triggered_by, d.created_at > now() - interval '1 minute' as now
      from deletions d join teams t on t.id = d.team_id join api_keys k on k.id = requested_by
      where subject = 'dead_letter' and subject_id in (${owned.id}, ${unowned.id}) order by d.id`
    const written = { counts: {}, triggered_by: 'request', now: true }
    expect(noted).toEqual([
      { subject_id: owned.id, team: 'acme', roles: '{admin}', ...written },
      { subject_id: unowned.id, team: 'platform', roles: '{operator}', ...written },
    ])
  })

  it('are discarded by one of two who try at once, and written down once', async () => {
    const { owned } = await twoLetters()
    const body = { ids: [owned.id] }
    const both = await Promise.all([ask(discard, { key: only.admin, body }), ask(discard, { body })])
    expect(both.map(({ body }) => body.discarded).sort()).toEqual([0, 1])
    const noted = await database.sql`select id from deletions where subject_id = ${owned.id}`
    expect(noted).toHaveLength(1)
    const change = database.sql`update deletions set subject_id = uuidv4() where id = ${noted[0]!.id}`
    await expect(change).rejects.toThrow('never changed')
    await expect(database.sql`delete from deletions where id = ${noted[0]!.id}`).rejects.toThrow(
      'never changed',
    )
  })
})

describe('retry and cancel', () => {
  it('of an import answer its report, and 409 where there is nothing to do', async () => {
    const id = await anImport(1)
    expect((await ask(`POST /api/imports/${id}/retry`)).body.code).toBe('not_retryable')
    await database.sql`update import_slices set state = 'failed', error = 'x' where import_id = ${id}`
    await database.sql`
      update imports set state = 'completed_with_failures', finished_at = now() where id = ${id}`
    expect((await ask(`POST /api/imports/${id}/cancel`)).body.code).toBe('not_cancellable')
    const retried = await ask(`POST /api/imports/${id}/retry`)
    expect(retried.body).toMatchObject({ state: 'inserting', finished_at: null })
    expect(waiting('import-slices')).toEqual([{ import_id: id, slice_no: 0 }])
    expect((await ask(`POST /api/imports/${id}/retry`)).status).toBe(200)
    expect(waiting('import-slices')).toHaveLength(1)
    for (const _ of [1, 2]) {
      const cancelled = await ask(`POST /api/imports/${id}/cancel`)
      expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelled'])
    }
    expect((await ask(`POST /api/imports/${randomUUID()}/cancel`)).status).toBe(404)
    expect((await ask(`POST /api/imports/${id}/cancel`, { key: analyst })).status).toBe(403)
  })

  it('hold although the queue does not take their messages: the sweep sends them', async () => {
    const id = await anImport(1)
    const original = process.env.IMPORT_FINISH_QUEUE_URL!
    vi.stubEnv('IMPORT_FINISH_QUEUE_URL', `${original}-gone`)
    vi.resetModules()
    const { handler } = await import('../../functions/imports.ts')
    const { status, body } = await call(handler, `POST /api/imports/${id}/cancel`, { key: admin })
    expect([status, body.state]).toEqual([200, 'cancelled'])
    await (await import('../../lib/platform/db.ts')).disconnect()
    vi.stubEnv('IMPORT_FINISH_QUEUE_URL', original)
  })
})
