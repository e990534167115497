import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type LocalS3, startS3 } from '../../infra/local/s3/index.ts'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { openApiDocument } from '../../lib/platform/http/openapi.ts'
import { createKey } from '../../lib/platform/keys.ts'
import type { NewProfile } from '../../lib/profiles/profile.ts'
import { call, lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { population, storeProfiles } from '../support/profiles.ts'

let folder: string
let database: TestDatabase
let sqs: Sqs
let s3: LocalS3
let queue: { url: string; arn: string }
const keys = { analyst: '', other: '', recruiter: '' }
let api: typeof import('../../functions/exports.ts').handler
let profiles: typeof import('../../functions/profiles.ts').handler
let worker: (event: SQSEvent) => Promise<SQSBatchResponse>

/** As many as are answered at once. */
const people = population(25_000)
const one: NewProfile = { ...people[0]!, name: 'One Too Many', country_id: 'TD' }
const hostile = ['=cmd|A1', '+1', '-1', '@x', 'Bo "Bee", Example', 'two\nlines', '李小龍']

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-exports-'))
  const credentials = { accessKeyId: 'TESTTESTTESTTESTTEST', secretAccessKey: 'secret' }
  const region = 'eu-west-1'
  database = await freshDatabase()
  sqs = await startSqs({ dataDir: folder, region, credentials })
  s3 = await startS3({
    dataDir: join(folder, 's3'),
    region,
    credentials,
    publish: async () => {},
    log: () => {},
  })
  await s3.putBucket('uploads', {})
  queue = sqs.createQueue('insighta-test-exports')
  const environment = {
    ...database.env,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    AWS_ENDPOINT_URL_S3: s3.url,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    UPLOAD_BUCKET: 'uploads',
    EXPORTS_QUEUE_URL: queue.url,
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  await storeProfiles(database.sql, people)
  keys.analyst = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'a' })).key
  keys.other = (await createKey(database.sql, { role: 'analyst', team: 'other', label: 'b' })).key
  keys.recruiter = (await createKey(database.sql, { role: 'recruiter', team: 'acme', label: 'c' })).key
  api = (await import('../../functions/exports.ts')).handler
  profiles = (await import('../../functions/profiles.ts')).handler
  const { handler } = await import('../../functions/export.ts')
  worker = async (event) => (await handler(event, lambdaContext())) as SQSBatchResponse
})
beforeEach(async () => {
  await database.sql`truncate exports cascade`
  await messages()
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), sqs.close(), s3.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const ask = (target: string, key = keys.analyst) => call(api, target, { key })

/** Takes what is in the queue. */
async function messages(): Promise<string[]> {
  const received = await sqs.receive(queue.arn, { max: 10, waitSeconds: 0 })
  sqs.deleteMessages(
    queue.arn,
    received.map(({ receiptHandle }) => receiptHandle),
  )
  return received.map(({ body }) => body)
}

const deliver = (body: string) =>
  worker({ Records: [{ messageId: '1', body, attributes: { ApproximateReceiveCount: '1' } }] } as SQSEvent)

const rowsOf = (csv: string): Record<string, string>[] => parse(csv, { columns: true })

/** The work of a request that is too large for one answer, delivered `times` times. */
async function exported(target: string, times = 1): Promise<string> {
  const { status, body, headers } = await ask(target)
  expect(status).toBe(202)
  expect(headers.location).toBe(`/api/exports/${body.id}`)
  const [message] = await messages()
  for (let n = 0; n < times; n++) expect(await deliver(message!)).toEqual({ batchItemFailures: [] })
  return body.id
}

async function fetched(id: string) {
  const { status, headers } = await ask(`GET /api/exports/${id}/file`)
  expect(status).toBe(302)
  return fetch(headers.location!)
}

describe('HEAD /api/profiles/export', () => {
  it('has the headers of the file, and the errors of GET', async () => {
    const small = await ask('HEAD /api/profiles/export?format=JSONL&min_age=90')
    expect(small).toMatchObject({ status: 200, text: '', headers: { 'content-type': 'application/jsonl' } })
    expect(small.headers['content-disposition']).toMatch(
      /^attachment; filename="profiles_\d{8}_\d{6}\.jsonl"$/,
    )
    const asked = '/api/profiles/export?q=women+over+80'
    const prefer = { key: keys.analyst, headers: { prefer: 'respond-async' } }
    for (const options of [{ key: keys.analyst }, prefer]) {
      const head = await call(api, `HEAD ${asked}`, options)
      expect(head.headers).toMatchObject({
        vary: expect.stringContaining('Prefer'),
        'x-interpreted-query': 'gender=female&min_age=80',
      })
      expect(head.status).toBe('headers' in options ? 202 : 200)
    }
    expect([await messages(), (await ask('GET /api/exports')).body.total]).toEqual([[], 0])
    expect((await ask('HEAD /api/profiles/export?format=xml')).status).toBe(422)
    expect((await ask('HEAD /api/profiles/export', keys.recruiter)).status).toBe(403)
  })
})

describe('GET /api/profiles/export', () => {
  it('answers the profiles of the list, in its order, as CSV', async () => {
    const query = 'gender=female&age_group=senior&country_id=ao&sort_by=gender_probability&order=desc'
    const { status, headers, text } = await ask(`GET /api/profiles/export?format=csv&${query}`)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    expect(headers['content-disposition']).toMatch(/^attachment; filename="profiles_\d{8}_\d{6}\.csv"$/)
    const { body } = await call(profiles, `GET /api/profiles?limit=50&${query}`, { key: keys.analyst })
    const rows = rowsOf(text)
    expect(rows).toHaveLength(body.total)
    const cells = (profile: Record<string, unknown>) =>
      Object.fromEntries(Object.entries(profile).map(([name, value]) => [name, String(value ?? '')]))
    expect(rows.slice(0, 50)).toEqual(body.data.map(cells))
  })

  it('answers them as JSON Lines', async () => {
    const { headers, text } = await ask('GET /api/profiles/export?format=jsonl&max_age=1')
    expect(headers['content-type']).toBe('application/jsonl')
    expect(headers['content-disposition']).toContain('.jsonl"')
    const { body } = await call(profiles, 'GET /api/profiles?limit=50&max_age=1', { key: keys.analyst })
    const objects = text.trimEnd().split('\n')
    expect(objects).toHaveLength(body.total)
    expect(objects.slice(0, 50).map((line) => JSON.parse(line))).toEqual(body.data)
  })

  it('takes a question beside filters, and says in a header what both mean together', async () => {
    const asked = 'q=women+over+80&country_id=ao,gh&exclude_country_id=gh'
    const { status, headers, text } = await ask(`GET /api/profiles/export?${asked}`)
    expect(status).toBe(200)
    expect(headers['x-interpreted-query']).toBe('country_id=AO&gender=female&min_age=80')
    const found = people.filter(
      ({ gender, age, country_id }) => gender === 'female' && age >= 80 && country_id === 'AO',
    )
    expect(rowsOf(text).map(({ name }) => name)).toEqual(found.map(({ name }) => name))
    const many = await ask('GET /api/profiles/export?format=jsonl&q=everybody')
    expect([many.status, many.headers['x-interpreted-query']]).toEqual([202, ''])
    expect((await ask('GET /api/profiles/export?country_id=ao')).headers).not.toHaveProperty(
      'x-interpreted-query',
    )
  })

  it('is CSV unless told, with a header alone where nobody matches', async () => {
    const { status, text } = await ask('GET /api/profiles/export?country_id=AQ')
    expect([status, text]).toEqual([200, expect.stringMatching(/^id,name,[^\r]*created_at\r\n$/)])
  })

  it('brings back every name, and none that a spreadsheet calculates', async () => {
    await storeProfiles(
      database.sql,
      hostile.map((name) => ({ ...one, name, country_id: 'VA' })),
    )
    const names = rowsOf((await ask('GET /api/profiles/export?country_id=va')).text).map(({ name }) => name)
    expect(names).toEqual(hostile.map((name) => (/^[=+\-@]/.test(name) ? `'${name}` : name)))
    const lines = (await ask('GET /api/profiles/export?country_id=va&format=jsonl')).text
      .trimEnd()
      .split('\n')
    expect(lines.map((line) => JSON.parse(line).name)).toEqual(hostile)
  })

  it.each([
    ['format=xlsx', 422, 'format'],
    ['gender=x', 422, 'gender'],
    ['min_age=40&max_age=30', 422, 'min_age'],
    ['sort_by=name', 422, 'sort_by'],
    ['page=2', 400, 'page'],
    ['limit=5', 400, 'limit'],
    ['cursor=x', 400, 'cursor'],
    ['fields=name', 400, 'fields'],
    ['q=rich+women', 400, 'q'],
    ['q=women&gender=male', 422, 'q'],
    ['created_after=2026-11-02&created_before=2026-11-01', 422, 'created_after'],
    ['format=', 400, 'format'],
  ])('refuses %s', async (query, status, field) => {
    const answer = await ask(`GET /api/profiles/export?${query}`)
    expect(answer.status).toBe(status)
    expect(answer.body.details).toContainEqual(expect.objectContaining({ field }))
  })

  it('is for analysts', async () => {
    expect((await ask('GET /api/profiles/export', keys.recruiter)).status).toBe(403)
    expect((await ask('GET /api/exports', keys.recruiter)).status).toBe(403)
  })
})

describe('Prefer: respond-async', () => {
  const prefer = (value: string) =>
    call(api, 'GET /api/profiles/export?country_id=ao&max_age=5', {
      key: keys.analyst,
      headers: { prefer: value },
    })

  it.each([
    'respond-async',
    'Respond-Async, wait=10',
    'return=minimal,respond-async;x=1',
    'a="b, c", respond-async=""',
  ])('makes an export of few profiles too: %s', async (value) => {
    const { status, headers, body } = await prefer(value)
    expect([status, headers['preference-applied'], headers.vary]).toEqual([
      202,
      'respond-async',
      'Prefer, Accept-Encoding, Origin',
    ])
    expect(headers.location).toBe(`/api/exports/${body.id}`)
    expect(await messages()).toHaveLength(1)
  })

  it.each([
    '',
    'wait=10',
    'respond-async=no',
    'respond-asynchronously',
    'a="b, respond-async, c"',
    'a="\\", respond-async',
  ])('is not asked for by %s', async (value) => {
    const { status, headers } = await prefer(value)
    expect([status, headers['preference-applied'], headers.vary]).toEqual([
      200,
      undefined,
      'Prefer, Accept-Encoding, Origin',
    ])
    expect(await messages()).toEqual([])
  })

  it('is not said to be followed if there were too many profiles anyway', async () => {
    const { status, headers } = await ask('GET /api/profiles/export?format=jsonl')
    expect([status, headers['preference-applied']]).toEqual([202, undefined])
  })
})

describe('POST /api/exports', () => {
  const post = (
    body: unknown,
    { key = keys.analyst, ...headers }: { key?: string; 'idempotency-key'?: string } = {},
  ) => call(api, 'POST /api/exports', { key, body, headers })

  it('begins an export of what the query of the same names gives', async () => {
    const { status, body, headers } = await post({
      gender: 'Female',
      country_id: ['ao', 'NG'],
      min_age: 60,
      min_gender_probability: 1e-7,
      sort_by: 'age',
      order: 'DESC',
      format: 'jsonl',
    })
    expect([status, headers.location]).toEqual([202, `/api/exports/${body.id}`])
    const filter = { gender: 'female', country_id: ['AO', 'NG'], min_age: 60, min_gender_probability: 1e-7 }
    expect(body).toMatchObject({ state: 'queued', filter, sort_by: 'age', order: 'desc', format: 'jsonl' })
    await deliver((await messages())[0]!)
    const query =
      'gender=female&country_id=ao,ng&min_age=60&min_gender_probability=1e-7&sort_by=age&order=desc'
    const inline = await ask(`GET /api/profiles/export?format=jsonl&${query}`)
    expect(inline.status).toBe(200)
    expect(await (await fetched(body.id)).text()).toBe(inline.text)
  })

  it('takes all profiles without a filter, and writes what GET would export in the background', async () => {
    const { status, body } = await post({})
    expect([status, body.filter, body.format, body.compression]).toEqual([202, {}, 'csv', 'none'])
    const got = await call(api, 'GET /api/profiles/export', {
      key: keys.analyst,
      headers: { prefer: 'respond-async' },
    })
    expect(got.body.id).toBe(body.id)
    expect(await messages()).toHaveLength(1)
  })

  it('returns the export of an Idempotency-Key, and refuses the key for another', async () => {
    const first = await post({ country_id: 'ao' }, { 'idempotency-key': 'nightly' })
    await database.sql`update exports set state = 'failed'`
    const again = await post({ country_id: ['AO'] }, { 'idempotency-key': 'nightly' })
    expect([again.status, again.body.id]).toEqual([202, first.body.id])
    const other = await post({ country_id: 'gh' }, { 'idempotency-key': 'nightly' })
    expect([other.status, other.body.code]).toEqual([409, 'idempotency_conflict'])
    const bad = await post({}, { 'idempotency-key': 'two words' })
    expect([bad.status, bad.body.details[0].field]).toEqual([400, 'Idempotency-Key'])
  })

  it.each([
    [{ colour: 'red' }, 400, 'colour', 'is not known here'],
    [{ page: 1 }, 400, 'page', 'is not known here'],
    [{ gender: '' }, 400, 'gender', 'must not be empty'],
    [{ gender: 'x' }, 422, 'gender', 'must be male or female'],
    [{ gender: null }, 422, 'gender', 'must be a string'],
    [{ gender: ['male'] }, 422, 'gender', 'must be a string'],
    [{ min_age: '20' }, 422, 'min_age', 'must be a number'],
    [{ min_age: 20.5 }, 422, 'min_age', 'must be a whole number from 0 to 150'],
    [{ min_age: 40, max_age: 30 }, 422, 'min_age', 'min_age 40 is greater than max_age 30'],
    [{ country_id: [] }, 422, 'country_id', 'must not be empty'],
    [{ country_id: [7] }, 422, 'country_id', 'must be a string or a list of strings'],
    [{ country_id: 'NG,'.repeat(4000) }, 422, 'country_id', 'must have at most 10000 characters'],
    [{ compression: 'br' }, 422, 'compression', 'must be none or gzip'],
    [{ bom: 'true' }, 422, 'bom', 'must be true or false'],
    [{ bom: 1 }, 422, 'bom', 'must be true or false'],
    [{ bom: true, format: 'jsonl' }, 422, 'bom', 'bom is for csv files, and format is jsonl'],
    [[], 422, undefined, 'must be one JSON object'],
    ['null', 422, undefined, 'must be one JSON object'],
  ])('refuses %j', async (body, status, field, message) => {
    const answer = await post(body)
    expect([answer.status, answer.body.details]).toEqual([status, [{ ...(field && { field }), message }]])
    expect(await messages()).toEqual([])
  })

  it('is for analysts', async () => {
    expect((await post({}, { key: keys.recruiter })).status).toBe(403)
  })

  it('has each parameter of the query, those that take several values as lists too', () => {
    const described = openApiDocument(api.routes).paths!
    const parameters = described['/api/profiles/export']!.get!.parameters as { in: string; name: string }[]
    const body = described['/api/exports']!.post!.requestBody as {
      content: Record<string, { schema: { properties: Record<string, object> } }>
    }
    const { properties } = body.content['application/json']!.schema
    const names = parameters.filter((each) => each.in === 'query').map(({ name }) => name)
    expect(Object.keys(properties)).toEqual(names)
    const lists = names.filter((name) => 'anyOf' in properties[name]!)
    expect(lists).toEqual(names.filter((name) => /^(?:age_group|(?:exclude_)?country_id)$/.test(name)))
    expect(lists).toContain('country_id')
  })
})

describe('compression=gzip', () => {
  it('is a file of gzip, at once and in the background', async () => {
    const plain = await ask('GET /api/profiles/export?country_id=ao&max_age=20')
    const small = await ask('GET /api/profiles/export?country_id=ao&max_age=20&compression=GZIP')
    expect(small.headers).toMatchObject({
      'content-type': 'application/gzip',
      'content-disposition': expect.stringMatching(/filename="profiles_\d{8}_\d{6}\.csv\.gz"/),
    })
    expect(small.headers['content-encoding']).toBeUndefined()
    expect(gunzipSync(Buffer.from(small.text, 'base64')).toString()).toBe(plain.text)

    const { body } = await call(api, 'POST /api/exports', {
      key: keys.analyst,
      body: { country_id: 'ao', max_age: 20, compression: 'gzip' },
    })
    await deliver((await messages())[0]!)
    const file = await fetched(body.id)
    expect(file.headers.get('content-type')).toBe('application/gzip')
    expect(file.headers.get('content-encoding')).toBeNull()
    expect(file.headers.get('content-disposition')).toMatch(/\.csv\.gz"$/)
    expect(gunzipSync(Buffer.from(await file.arrayBuffer())).toString()).toBe(plain.text)
  })

  it('is named by what the worker has written, which may be of the release before', async () => {
    const { body } = await call(api, 'POST /api/exports', { key: keys.analyst, body: { country_id: 'ao' } })
    await deliver((await messages())[0]!)
    await database.sql`update exports set gzip = true`
    const file = await fetched(body.id)
    expect(file.headers.get('content-disposition')).toMatch(/\.csv"$/)
    expect(file.headers.get('content-type')).toContain('text/csv')
  })
})

describe('bom=true', () => {
  const asked = '/api/profiles/export?country_id=ao&max_age=20'

  it('puts a byte order mark before a CSV file, at once and in the background, compressed or not', async () => {
    const plain = await ask(`GET ${asked}`)
    const marked = await ask(`GET ${asked}&bom=TRUE`)
    expect(marked.text).toBe(`\ufeff${plain.text}`)
    expect(marked.headers['content-type']).toBe(plain.headers['content-type'])
    expect((await ask(`GET ${asked}&bom=false`)).text).toBe(plain.text)
    const small = await ask(`GET ${asked}&bom=true&compression=gzip`)
    expect(gunzipSync(Buffer.from(small.text, 'base64')).toString()).toBe(marked.text)

    for (const compression of ['none', 'gzip']) {
      const { body } = await call(api, 'POST /api/exports', {
        key: keys.analyst,
        body: { country_id: 'ao', max_age: 20, bom: true, compression },
      })
      expect(body).toMatchObject({ bom: true, compression })
      await deliver((await messages())[0]!)
      const bytes = Buffer.from(await (await fetched(body.id)).arrayBuffer())
      expect((compression === 'gzip' ? gunzipSync(bytes) : bytes).toString()).toBe(marked.text)
    }
    const { body: list } = await ask('GET /api/exports')
    expect(list.data.map(({ bom }: { bom: boolean }) => bom)).toEqual([true, true])
  })

  it('is another export than one without, also under an Idempotency-Key', async () => {
    const post = (body: object) =>
      call(api, 'POST /api/exports', { key: keys.analyst, body, headers: { 'idempotency-key': 'marked' } })
    const first = await post({ country_id: 'ao', bom: true })
    expect((await post({ country_id: 'ao', bom: true, compression: 'none' })).body.id).toBe(first.body.id)
    for (const other of [{}, { bom: false }, { bom: true, compression: 'gzip' }]) {
      const { status, body } = await post({ country_id: 'ao', ...other })
      expect([status, body.code]).toEqual([409, 'idempotency_conflict'])
    }
    expect((await ask(`GET ${asked}`)).status).toBe(200)
    const plain = await call(api, 'POST /api/exports', { key: keys.analyst, body: { country_id: 'ao' } })
    expect([plain.body.id === first.body.id, plain.body.bom]).toEqual([false, false])
  })

  it('is refused for JSON Lines and for any other word', async () => {
    const message = 'bom is for csv files, and format is jsonl'
    for (const query of ['&bom=true&format=jsonl', '&format=jsonl&bom=true&compression=gzip']) {
      const { status, body } = await ask(`GET ${asked}${query}`)
      expect([status, body.details]).toEqual([422, [{ field: 'bom', message }]])
      expect((await ask(`HEAD ${asked}${query}`)).status).toBe(422)
    }
    expect((await ask(`GET ${asked}&bom=false&format=jsonl`)).status).toBe(200)
    const { status, body } = await ask(`GET ${asked}&bom=yes`)
    expect([status, body.details]).toEqual([422, [{ field: 'bom', message: 'must be true or false' }]])
  })
})

describe('at the limits of an answer', () => {
  const filter = 'country_id=AO,GH,KE,NG,TD'

  it('25,000 profiles are one, and with one more they are an export, which HEAD does not begin', async () => {
    const whole = await ask(`GET /api/profiles/export?${filter}`)
    expect(whole.status).toBe(200)
    expect(rowsOf(whole.text)).toHaveLength(25_000)
    expect(await messages()).toEqual([])
    await storeProfiles(database.sql, [one])
    const head = await ask(`HEAD /api/profiles/export?${filter}`)
    expect([head.status, head.text, head.headers.location]).toEqual([202, '', undefined])
    expect([await messages(), (await ask('GET /api/exports')).body.total]).toEqual([[], 0])
    const id = await exported(`GET /api/profiles/export?${filter}`)
    const { body } = await ask(`GET /api/exports/${id}`)
    expect(body).toMatchObject({
      state: 'completed',
      format: 'csv',
      filter: { country_id: ['AO', 'GH', 'KE', 'NG', 'TD'] },
      sort_by: 'created_at',
      order: 'asc',
      rows_done: 25_001,
      rows_total: 25_001,
      file_url: `/api/exports/${id}/file`,
    })
    const file = await fetched(id)
    expect(file.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
    expect(file.headers.get('content-disposition')).toMatch(/filename="profiles_\d{8}_\d{6}\.csv"/)
    expect(Number(file.headers.get('content-length'))).toBe(body.size)
    const text = await file.text()
    expect(text.startsWith(whole.text.slice(0, 1_000_000))).toBe(true)
    expect(rowsOf(text)).toHaveLength(25_001)
    await database.sql`delete from profiles where name = ${one.name}`
    await database.sql`update facets set count = 0 where country_id = 'TD'`
  })

  it('fewer that are too many bytes for Lambda are an export too', async () => {
    const id = await exported(`GET /api/profiles/export?format=jsonl&${filter}`, 2)
    const file = await fetched(id)
    expect(file.headers.get('content-type')).toBe('application/jsonl')
    const lines = (await file.text()).trimEnd().split('\n')
    expect(new Set(lines.map((line) => JSON.parse(line).id)).size).toBe(25_000)
  })
})

describe('an export', () => {
  const large = 'GET /api/profiles/export?format=jsonl'

  it('that is asked for twice is one, and one message', async () => {
    const first = await ask(`${large}&country_id=ng,gh,ke,ao`)
    const again = await ask(`${large}&country_id=AO,KE,GH,NG&sort_by=created_at`)
    expect([first.status, again.status]).toEqual([202, 202])
    expect(again.body.id).toBe(first.body.id)
    expect(await messages()).toHaveLength(1)
    const other = await ask(`${large}&country_id=ng,gh,ke,ao`, keys.other)
    expect(other.body.id).not.toBe(first.body.id)
  })

  it("is its team's own", async () => {
    const { body } = await ask(large)
    for (const path of ['', '/file']) {
      expect((await ask(`GET /api/exports/${body.id}${path}`, keys.other)).status).toBe(404)
    }
    expect((await ask('GET /api/exports', keys.other)).body).toMatchObject({ total: 0, data: [] })
    expect((await ask('GET /api/exports?limit=1')).body).toMatchObject({
      page: 1,
      limit: 1,
      total: 1,
      total_pages: 1,
      data: [{ id: body.id, state: 'queued' }],
    })
  })

  it('names the address of its file for a client that asks for JSON', async () => {
    const id = await exported(large)
    const headers = { accept: 'application/json' }
    const {
      status,
      body,
      headers: own,
    } = await call(api, `GET /api/exports/${id}/file`, {
      key: keys.analyst,
      headers,
    })
    expect([status, own.location, own['cache-control']]).toEqual([200, undefined, 'no-store'])
    expect(Date.parse(body.expires_at) - Date.now()).toBeLessThanOrEqual(300_000)
    const file = await fetch(body.url)
    expect(file.status).toBe(200)
    expect((await file.text()).trimEnd().split('\n')).toHaveLength(
      (await ask(`GET /api/exports/${id}`)).body.rows_done,
    )
  })

  it('has no file before it is completed, nor once it has expired', async () => {
    const { body } = await ask(large)
    const early = await ask(`GET /api/exports/${body.id}/file`)
    expect([early.status, early.body.code]).toEqual([409, 'not_finished'])
    await deliver((await messages())[0]!)
    await database.sql`update exports set expires_at = now() - interval '1 second'`
    expect((await ask(`GET /api/exports/${body.id}`)).body.state).toBe('expired')
    const late = await ask(`GET /api/exports/${body.id}/file`)
    expect([late.status, late.body.message]).toEqual([404, expect.stringContaining('expired')])
  })

  it('is taken on also while the queue is away', async () => {
    vi.stubEnv('EXPORTS_QUEUE_URL', `${queue.url}-away`)
    vi.resetModules()
    const { handler } = await import('../../functions/exports.ts')
    const { status, body } = await call(handler, large, { key: keys.analyst })
    vi.stubEnv('EXPORTS_QUEUE_URL', queue.url)
    expect([status, body.state]).toEqual([202, 'queued'])
    const { disconnect } = await import('../../lib/platform/db.ts')
    await disconnect()
  })
})
