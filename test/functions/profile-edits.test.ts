import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { verifyFacets } from '../../lib/profiles/facets.ts'
import { type CallOptions, call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let handler: typeof import('../../functions/profiles.ts').handler
let admin: { key: string; id: string }
let analyst: string

beforeAll(async () => {
  database = await freshDatabase()
  for (const [name, value] of Object.entries(database.env)) vi.stubEnv(name, value)
  admin = await createKey(database.sql, { role: 'admin', team: 'acme', label: 'admin' })
  analyst = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'analyst' })).key
  handler = (await import('../../functions/profiles.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

const ask = (target: string, options: CallOptions = {}) =>
  call(handler, target, { key: admin.key, ...options })

const ada = { name: 'Ada Lovelace', gender: 'female', age: 36, country_id: 'GB', gender_probability: 0.98 }
let at: string
let etag: string
beforeEach(async () => {
  await database.sql`truncate profiles, facets, profile_edits, name_twins`
  await ask('POST /api/profiles', { body: { ...ada, name: 'Bo Taken' } })
  const { headers } = await ask('POST /api/profiles', { body: ada })
  at = headers.location!
  etag = (await ask(`GET ${at}`)).headers.etag!
})

const patch = (body: unknown, headers: Record<string, string> = {}, key = admin.key) =>
  ask(`PATCH ${at}`, { body, headers, key })
const stored = async () => (await ask(`GET ${at}`)).body.data

describe('PATCH /api/profiles/{id}', () => {
  it('changes what the patch names, and lists and totals follow at once', async () => {
    expect((await ask('GET /api/profiles?country_id=GB')).body.total).toBe(2)
    const before = await stored()
    const { status, body, headers } = await patch({ age: 12, country_id: 'fr', country_probability: 0.5 })
    expect(status).toBe(200)
    expect(body.data).toEqual({
      ...before,
      age: 12,
      age_group: 'child',
      country_id: 'FR',
      country_name: 'France',
      country_probability: 0.5,
    })
    expect(await ask(`GET ${at}`)).toMatchObject({ body, headers: { etag: headers.etag } })
    expect((await ask('GET /api/profiles?country_id=GB')).body.total).toBe(1)
    expect((await ask('GET /api/profiles?country_id=FR')).body.data).toEqual([body.data])
    expect(await verifyFacets(database.sql)).toEqual([])
    const written = await database.sql`
      select edited_by, array_to_string(fields, ' ') as fields from profile_edits where profile_id = ${before.id}`
    expect(written).toEqual([{ edited_by: admin.id, fields: 'age country_id country_probability' }])
  })

  it('empties a probability by null, and where its value changes without it', async () => {
    expect((await patch({ gender_probability: null })).body.data).toMatchObject({ gender_probability: null })
    await patch({ gender_probability: 0.7, country_probability: 0.6 })
    expect((await patch({ gender: 'male', age: 37 })).body.data).toMatchObject({
      gender: 'male',
      gender_probability: null,
      country_probability: 0.6,
    })
    expect((await patch({ country_id: 'NG' })).body.data).toMatchObject({ country_probability: null })
  })

  it.each([
    'application/json',
    'application/merge-patch+json',
    'Application/Merge-Patch+JSON; charset=utf-8',
  ])('takes a body of %s', async (type) => {
    expect((await patch({ age: 40 }, { 'content-type': type })).status).toBe(200)
  })

  it('refuses a body of another type', async () => {
    const result = await patch({ age: 40 }, { 'content-type': 'application/json-patch+json' })
    expect(result).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
  })

  it.each([
    ['an unknown field', { colour: 'red' }, 400, 'invalid_body', 'colour'],
    ['a derived field', { age_group: 'child' }, 400, 'invalid_body', 'age_group'],
    ['the other derived field', { country_name: 'France' }, 400, 'invalid_body', 'country_name'],
    ['an id', { id: '0199c82c-c07b-7000-8000-000000000000' }, 400, 'invalid_body', 'id'],
    ['a time of creation', { created_at: '2026-01-01T00:00:00Z' }, 400, 'invalid_body', 'created_at'],
    ['null for age', { age: null }, 422, 'invalid_value', 'age'],
    ['null for name', { name: null }, 422, 'invalid_value', 'name'],
    ['null for gender', { gender: null }, 422, 'invalid_value', 'gender'],
    ['null for country_id', { country_id: null }, 422, 'invalid_value', 'country_id'],
    ['a name of nothing that can be seen', { name: '\u3164\u200b' }, 422, 'invalid_value', 'name'],
    ['a name that lost a letter', { name: 'Ad\ufffd' }, 422, 'invalid_value', 'name'],
    ['an age of 151', { age: 151 }, 422, 'invalid_value', 'age'],
    ['an age as text', { age: '36' }, 422, 'invalid_value', 'age'],
    ['a country that is none', { country_id: 'XX' }, 422, 'invalid_value', 'country_id'],
    ['a probability above 1', { gender_probability: 1.5 }, 422, 'invalid_value', 'gender_probability'],
    ['a name another profile has', { name: 'BO  TAKEN' }, 409, 'name_taken', 'name'],
  ])('refuses %s, and nothing changes', async (_, body, status, code, field) => {
    const before = await stored()
    const result = await patch({ age: 50, ...body })
    expect(result).toMatchObject({ status, body: { status: 'error', code } })
    expect(result.body.details).toContainEqual(expect.objectContaining({ field }))
    expect(await stored()).toEqual(before)
  })

  it.each([[[]], ['"text"'], ['null'], ['42']])('refuses %j as a body', async (body) => {
    expect((await patch(body)).status).toBe(422)
  })

  it('of a profile that is not there is 404, whatever If-Match says', async () => {
    const target = 'PATCH /api/profiles/00000000-0000-4000-8000-000000000000'
    for (const headers of [{}, { 'if-match': '*' }, { 'if-match': etag }]) {
      expect((await ask(target, { body: { age: 1 }, headers })).status).toBe(404)
    }
  })

  it("is an admin's", async () => {
    expect(await patch({ age: 1 }, {}, analyst)).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  })
})

describe('If-Match', () => {
  it('lets a change of that very state through, once', async () => {
    expect(etag).toMatch(/^"[\w-]+"$/)
    const first = await patch({ age: 37 }, { 'if-match': etag })
    expect(first.status).toBe(200)
    expect(await patch({ age: 38 }, { 'if-match': etag })).toMatchObject({
      status: 412,
      body: { code: 'precondition_failed' },
    })
    expect(await patch({ age: 38 }, { 'if-match': `"other", ${first.headers.etag}` })).toMatchObject({
      status: 200,
    })
  })

  it('with * takes any state', async () => {
    expect((await patch({ age: 37 }, { 'if-match': ' * ' })).status).toBe(200)
  })

  it.each([
    ['a weak tag', () => `W/${etag}`],
    ['a weak tag among others', () => `"other", W/${etag}`],
    ['a tag without quotes', () => etag.slice(1, -1)],
    ['another tag', () => '"other"'],
    ['nothing', () => ''],
  ])('refuses %s', async (_, header) => {
    expect((await patch({ age: 37 }, { 'if-match': header() })).status).toBe(412)
    expect(await stored()).toMatchObject({ age: 36 })
  })
})

describe('lists by updated_after', () => {
  it('have what was edited and not what was only written', async () => {
    const since = new Date(Date.now() - 60_000).toISOString()
    const list = () => ask(`GET /api/profiles?updated_after=${since}&sort_by=age`)
    expect((await list()).body).toMatchObject({ total: 0, data: [] })
    const { body } = await patch({ age: 41 })
    expect((await list()).body).toMatchObject({ total: 1, data: [body.data] })
    expect((await ask(`GET /api/profiles/stats?updated_after=${since}`)).body).toMatchObject({
      total: 1,
      filter: { updated_after: since },
    })
    await ask(`DELETE ${at}`)
    expect((await list()).body.total).toBe(0)
  })

  it('have whatever was edited at all, since the beginning of time', async () => {
    await patch({ age: 41 })
    for (const since of ['0000-01-01', '1969-12-31T23:59:59Z', '1970-01-01']) {
      expect((await ask(`GET /api/profiles?updated_after=${since}`)).body.total).toBe(1)
    }
    expect((await ask('GET /api/profiles?updated_after=9999-12-31')).body.total).toBe(0)
  })

  it('refuse what is no instant', async () => {
    const result = await ask('GET /api/profiles?updated_after=yesterday')
    expect(result).toMatchObject({ status: 422, body: { details: [{ field: 'updated_after' }] } })
  })
})

describe('POST /api/profiles', () => {
  it.each([
    [{ ...ada, name: ' ada\u200b LOVELACE' }, ['name']],
    [ada, []],
    [{ ...ada, age: 12, gender: 'MALE', gender_probability: 0.5 }, ['gender', 'gender_probability', 'age']],
    [{ ...ada, country_id: 'FR', gender_probability: null }, ['country_id']],
    [{ name: ada.name }, []],
  ])('of a profile that is there, as %j, lists what differs', async (body, differs) => {
    expect(await ask('POST /api/profiles', { body })).toMatchObject({
      status: 200,
      body: { differs, data: ada },
    })
  })
})
