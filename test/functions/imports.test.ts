import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { finish } from '../../lib/imports/finish.ts'
import { insertSlice } from '../../lib/imports/insert.ts'
import { uploadKey } from '../../lib/imports/messages.ts'
import { splitImport } from '../../lib/imports/split.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { queueVariables } from '../../lib/platform/names.ts'
import { call } from '../support/http-event.ts'
import { heldQueue } from '../support/imports.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'

let folder: string
let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sqs: Sqs
let api: typeof import('../../functions/imports.ts').handler
const keys = { admin: '', analyst: '', other: '' }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-imports-'))
  ;[database, bucket] = await Promise.all([freshDatabase(), startStorage()])
  sqs = await startSqs({ dataDir: folder, region: bucket.region, credentials: bucket.credentials })
  const environment = {
    ...database.env,
    ...bucket.env,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    UPLOAD_BUCKET: 'uploads',
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  for (const [name, { source }] of Object.entries(queueVariables)) {
    vi.stubEnv(source, sqs.createQueue(`insighta-test-${name}`).url)
  }
  keys.admin = (await createKey(database.sql, { role: 'admin', team: 'acme', label: 'a' })).key
  keys.analyst = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'b' })).key
  keys.other = (await createKey(database.sql, { role: 'admin', team: 'other', label: 'c' })).key
  api = (await import('../../functions/imports.ts')).handler
})
beforeEach(async () => {
  await database.sql`truncate imports, profiles, facets cascade`
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), bucket.close(), sqs.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

const ask = (target: string, body?: unknown, { key = keys.admin, headers = {} } = {}) =>
  call(api, target, { key, headers, ...(body !== undefined && { body }) })

/** A text is sent as it is: what JSON.stringify would mend or leave out. */
const begin = (body: unknown, idempotency?: string) =>
  ask(
    'POST /api/imports',
    typeof body === 'string' ? body : { filename: 'people.csv', size: 1, ...Object(body) },
    {
      ...(idempotency !== undefined && { headers: { 'idempotency-key': idempotency } }),
    },
  )

const withOptions = (json: string) => `{"filename":"people.csv","size":1,${json}}`
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`v${n}`, 'male']))

async function storedOptions(): Promise<unknown[]> {
  const rows = await database.sql<{ options: unknown }[]>`select options from imports order by created_at`
  return rows.map(({ options }) => options)
}

describe('what is said with a new import', () => {
  it.each([
    ['encoding', { encoding: 'klingon' }],
    ['encoding', { encoding: 'utf-32' }],
    ['encoding', { encoding: 'iso-2022-jp' }],
    ['encoding', { encoding: ' CSISO2022JP ' }],
    ['encoding', { encoding: 'replacement' }],
    ['encoding', { encoding: 'hz-gb-2312' }],
    ['encoding', { encoding: 'x-user-defined' }],
    ['encoding', { encoding: 'utf-8\0' }],
    ['encoding', { encoding: 8 }],
    ['encoding', { encoding: null }],
    ['accept', { accept: 'loose' }],
    ['accept', { accept: true }],
    ['columns', { columns: 'name' }],
    ['columns', { columns: ['name'] }],
    ['columns', { columns: null }],
    ['columns', { columns: { nickname: 'Apodo' } }],
    ['columns', { columns: { name: 'Nombre', nickname: 'Apodo' } }],
    ['columns', { columns: { Nombre: 'name', Apodo: 'nickname' } }],
    ['columns', { columns: { Nombre: 'name', age: 'Edad' } }],
    ['columns', { columns: { name: 'Nombre', gender: 'Nombre' } }],
    ['columns', { columns: { name: 'Full Name', gender: ' full-name' } }],
    ['columns', { columns: { Nombre: 'name', Apellido: 'name' } }],
    ['columns', { columns: { name: '' } }],
    ['columns', { columns: { name: ' \u200b' } }],
    ['columns', { columns: { '': 'name' } }],
    ['columns', { columns: { name: 'x'.repeat(256) } }],
    ['columns', { columns: { name: 'a\0b' } }],
    ['columns', withOptions(String.raw`"columns":{"name":"half\ud83d"}`)],
    ['columns', withOptions('"columns":{"__proto__":"nickname"}')],
    ['columns', { columns: { constructor: 'Apodo' } }],
    ['columns', { columns: { name: 5 } }],
    ['columns', { columns: { name: { header: 'Nombre' } } }],
    ['values', { values: 'male' }],
    ['values', { values: { name: { A: 'Ada' } } }],
    ['values', { values: { sex: { H: 'male' } } }],
    ['values', withOptions('"values":{"__proto__":{"H":"male"}}')],
    ['values', { values: { gender: ['male'] } }],
    ['values', { values: { gender: { H: 'man' } } }],
    ['values', { values: { gender: { H: '' } } }],
    ['values', { values: { gender: { H: null } } }],
    ['values', { values: { gender: { '': 'male' } } }],
    ['values', { values: { gender: { ['x'.repeat(256)]: 'male' } } }],
    ['values', { values: { gender: { 'a\0': 'male' } } }],
    ['values', withOptions(String.raw`"values":{"gender":{"\udc00":"male"}}`)],
    ['values', { values: { age: { twenty: '20.0' } } }],
    ['values', { values: { age: { old: '151' } } }],
    ['values', { values: { country_id: { Nigeria: 'NGA' } } }],
    ['values', { values: { gender_probability: { sure: '1.1' } } }],
    ['filename', withOptions(String.raw`"filename":"nul\u0000name.csv"`)],
    ['filename', withOptions(String.raw`"filename":"half\ud83d.csv"`)],
    ['filename', withOptions(String.raw`"filename":"people.csv\n"`)],
    ['filename', withOptions(String.raw`"filename":"\u0085people.csv"`)],
    ['filename', withOptions(String.raw`"filename":"\u001b[31mred.csv"`)],
  ])('is refused with 422 naming %s and leaves no import: %j', async (field, body) => {
    const { status, body: error } = await begin(body)
    expect({
      status,
      fields: [...new Set(error.details.map((detail: { field: string }) => detail.field))],
    }).toEqual({
      status: 422,
      fields: [field],
    })
    expect(await storedOptions()).toEqual([])
  })

  it.each([
    [{ encoding: ' Shift_JIS ' }, { encoding: 'shift_jis' }],
    [{ encoding: 'utf-16' }, { encoding: 'utf-16le' }],
    [{ encoding: 'latin1' }, { encoding: 'windows-1252' }],
    [{ encoding: 'IBM866' }, { encoding: 'ibm866' }],
    [{ accept: 'strict' }, {}],
    [{ accept: 'lenient' }, { accept: 'lenient' }],
    [{ columns: {}, values: {} }, {}],
    [{ values: { gender: {} } }, {}],
    [
      { columns: { name: 'Nombre completo', country_id: 'País' } },
      { columns: { name: 'Nombre completo', country_id: 'País' } },
    ],
    [
      { columns: { 'Nombre completo': 'name', País: 'country_id' } },
      { columns: { name: 'Nombre completo', country_id: 'País' } },
    ],
    [{ columns: { name: 'gender', gender: 'name' } }, { columns: { name: 'gender', gender: 'name' } }],
    [withOptions('"columns":{"__proto__":"name"}'), { columns: { name: '__proto__' } }],
    [
      {
        values: { gender: { H: 'Male', M: 'female' }, country_id: { España: 'es' }, age: { veinte: '020' } },
      },
      { values: { age: { veinte: '20' }, gender: { H: 'male', M: 'female' }, country_id: { España: 'ES' } } },
    ],
    [
      { values: { gender_probability: { unknown: '', sure: '1' } } },
      { values: { gender_probability: { sure: '1', unknown: '' } } },
    ],
    [
      withOptions('"values":{"gender":{"__proto__":"male","constructor":"female"}}'),
      JSON.parse('{"values":{"gender":{"__proto__":"male","constructor":"female"}}}'),
    ],
  ])('is stored in one form: %j', async (body, options) => {
    expect((await begin(body)).status).toBe(201)
    expect(JSON.stringify(await storedOptions())).toBe(JSON.stringify([options]))
  })

  it.each([1001, 600])('takes 1,000 values and no more, as of %i a column', async (count) => {
    const both =
      count < 1000 ? { age: Object.fromEntries(Object.keys(many(count)).map((key) => [key, '7'])) } : {}
    const refused = await begin({ values: { gender: many(count), ...both } })
    expect(refused.body.details).toEqual([{ field: 'values', message: 'must have at most 1000 entries' }])
    expect((await begin({ values: { gender: many(1000) } })).status).toBe(201)
  })

  it('names the place that is wrong', async () => {
    const { body } = await begin({
      columns: { name: 'Full name', gender: 'full_name' },
      values: { gender: { H: 'man' } },
      encoding: 'iso-2022-jp',
    })
    expect(body.details).toEqual([
      {
        field: 'encoding',
        message: expect.stringContaining('iso-2022-jp'),
      },
      { field: 'columns', message: 'names the header "full_name" twice' },
      { field: 'values', message: 'gender of "H" must be a string that a strict import accepts as gender' },
    ])
  })

  it('belongs to what an Idempotency-Key stands for, in whatever order', async () => {
    const said = { columns: { name: 'N', age: 'A' }, accept: 'lenient', encoding: 'latin1' }
    const first = await begin(said, 'key-1')
    const again = await begin(
      { encoding: 'windows-1252', columns: { A: 'age', N: 'name' }, accept: 'lenient' },
      'key-1',
    )
    expect([first.status, again.status, again.body.id]).toEqual([201, 200, first.body.id])
    for (const other of [
      {},
      { ...said, accept: 'strict' },
      { ...said, columns: { name: 'N' } },
      { ...said, dry_run: true },
    ]) {
      expect(await begin(other, 'key-1')).toMatchObject({
        status: 409,
        body: { code: 'idempotency_conflict' },
      })
    }
    expect(await storedOptions()).toHaveLength(1)
  })
})

const csv = 'name,gender,age,country_id\nAda,female,36,NG\nBob,x,36,NG\n'

/** A trial that has come to its end by the real steps. */
async function aTrial(idempotency?: string): Promise<string> {
  const { sql } = database
  const { storage } = bucket
  const { body } = await begin({ size: csv.length, dry_run: true }, idempotency)
  await storage.put(uploadKey(body.id), csv, 'text/csv')
  const { etag } = await storage.head(uploadKey(body.id))
  const slices = heldQueue<{ slice_no: number }>()
  const context = { sql, storage, finish: heldQueue(), self: heldQueue(), slices, remainingMs: () => 60_000 }
  await splitImport(context, body.id, etag)
  for (const { slice_no } of slices.messages) await insertSlice(context, body.id, slice_no)
  await finish({ sql, storage }, body.id)
  return body.id
}

describe('POST /api/imports/{id}/commit', () => {
  const commit = (id: string, key = keys.admin) => ask(`POST /api/imports/${id}/commit`, undefined, { key })

  it('returns the report of the import that the trial has become, once', async () => {
    const id = await aTrial('trial-1')
    const answers = await Promise.all([commit(id), commit(id)])
    const [done, refused] = answers.sort((a, b) => a.status - b.status)
    expect(done).toMatchObject({
      status: 200,
      body: {
        id,
        state: 'inserting',
        dry_run: false,
        total_rows: 0,
        finished_at: null,
        rejects_url: null,
        trial: { inserted: 1, skipped: 1, reasons: { invalid_gender: 1 } },
      },
    })
    expect(refused).toMatchObject({ status: 409, body: { code: 'already_committed' } })
    const { arn } = sqs.queues().find(({ name }) => name === 'insighta-test-import-objects')!
    const sent = await sqs.receive(arn, { max: 10, waitSeconds: 0 })
    expect(sent.map(({ body }) => JSON.parse(body))).toEqual([{ continue_import_id: id }])
    const trial = { size: csv.length, dry_run: true }
    expect(await begin(trial, 'trial-1')).toMatchObject({ status: 200, body: { id, upload: null } })
    expect(await begin({ ...trial, dry_run: false }, 'trial-1')).toMatchObject({ status: 409 })
  })

  it("is an admin's, of the own team, on what is there", async () => {
    const id = await aTrial()
    expect((await commit(id, keys.analyst)).status).toBe(403)
    expect((await commit(id, keys.other)).status).toBe(404)
    expect((await commit(randomUUID())).status).toBe(404)
  })

  it('says why it cannot be', async () => {
    const id = await aTrial()
    await bucket.storage.remove(uploadKey(id))
    expect(await commit(id)).toMatchObject({ status: 409, body: { code: 'upload_expired' } })
    const { body } = await begin({})
    expect(await commit(body.id)).toMatchObject({ status: 409, body: { code: 'not_a_trial' } })
  })
})

describe('lists of imports', () => {
  const wide = 65_000

  it('stay small whatever headers and failures imports had', async () => {
    const { sql } = database
    const [team] = await sql<{ id: string }[]>`select id from teams where name = 'acme'`
    const name = '\u0001"é漢'.repeat(50)
    await sql`
      insert into imports (id, team_id, filename, size, object_key, upload_expires_at, state, ignored_columns, failure,
        sample, hints)
      select gen_random_uuid(), ${team!.id}, ${'é'.repeat(255)}, 1, 'object ' || n, now(), 'completed_with_failures',
        list.wide, jsonb_build_object('code', 'missing_columns', 'message', ${name.repeat(100)}::text,
          'details', list.some, 'header', jsonb_build_object('line', 1, 'delimiter', ',', 'encoding', 'utf-8',
            'names', list.some)),
        ${sql.json([{ row: 1, name }])}, ${sql.json(['A hint that stays.'])}
      from generate_series(1, 51) n, (
        select jsonb_agg(case when i <= 60 then ${name}::text || i else 'column ' || i end order by i) as wide,
          jsonb_agg(${name}::text || i) filter (where i <= 60) as some
        from generate_series(1, ${wide}) i) list`
    await sql`
      insert into import_slices (import_id, slice_no, byte_start, byte_end, first_row, first_line, record_count, state,
        error)
      select id, n, n, n + 1, n * 10, n, 10, 'failed', ${name.repeat(2)}
      from imports, generate_series(1, 3000) n where object_key <= 'object 15'`
    const answer = await ask('GET /api/imports?limit=100')
    expect(answer.status).toBe(200)
    expect(answer.body.data).toHaveLength(50)
    // As the function returns it: a text inside JSON.
    expect(Buffer.byteLength(JSON.stringify({ body: answer.text }))).toBeLessThan(4 * 1024 * 1024)
    const [item] = answer.body.data
    expect(item).toMatchObject({ ignored_columns_total: wide, hints: ['A hint that stays.'] })
    expect(item.ignored_columns).toHaveLength(50)
    expect([...item.ignored_columns[0]]).toHaveLength(80)
    expect(item).not.toHaveProperty('sample')

    const [failing] = await sql<{ id: string }[]>`select id from imports where object_key = 'object 1'`
    const single = await ask(`GET /api/imports/${failing!.id}`)
    expect(Buffer.byteLength(JSON.stringify({ body: single.text }))).toBeLessThan(5 * 1024 * 1024)
    expect(single.body).toMatchObject({
      ignored_columns_total: wide,
      failed_ranges_total: 3000,
      sample: [{ row: 1 }],
    })
    // A thousand of them, which failed alike.
    expect(single.body.failed_ranges).toMatchObject([{ last_row: 10_009 }])
  })

  it('list the first 20 ranges of each import and count all', async () => {
    const { sql } = database
    const { body } = await begin({})
    await sql`
      insert into import_slices (import_id, slice_no, byte_start, byte_end, first_row, first_line, record_count, state,
        error)
      select ${body.id}, n, n, n + 1, n * 10, n, 10, 'failed', 'x' from generate_series(1, 21) n`
    const { data } = (await ask('GET /api/imports')).body
    expect(data[0]).toMatchObject({ failed_ranges_total: 21 })
    expect(data[0].failed_ranges).toHaveLength(20)
  })
})
