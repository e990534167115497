import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { z } from 'zod'
import { disconnect } from '../../lib/platform/db.ts'
import { errorSchema } from '../../lib/platform/http/index.ts'
import { createKey, revokeKey } from '../../lib/platform/keys.ts'
import { verifyFacets } from '../../lib/profiles/facets.ts'
import { type CallOptions, type CallResult, call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { population, storeProfiles } from '../support/profiles.ts'

const people = population(120)
let database: TestDatabase
let handler: typeof import('../../functions/profiles.ts').handler
let admin: string
let analyst: string

beforeAll(async () => {
  database = await freshDatabase()
  for (const [name, value] of Object.entries(database.env)) vi.stubEnv(name, value)
  await storeProfiles(database.sql, people)
  admin = (await createKey(database.sql, { role: 'admin', team: 'acme', label: 'admin' })).key
  analyst = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'analyst' })).key
  handler = (await import('../../functions/profiles.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

/** Calls and holds the answer to the schema that its route declares. */
async function ask(target: string, options: CallOptions = {}): Promise<CallResult> {
  const result = await call(handler, target, { key: admin, ...options })
  if (result.status >= 400) {
    errorSchema.parse(result.body)
    return result
  }
  const [method, path] = target.split(/[ ?]/) as [string, string]
  const key = path === '/api/profiles' ? `${method} ${path}` : `${method} /api/profiles/{id}`
  const route = handler.routes[key as keyof typeof handler.routes]!
  const schema = (route.answers as Record<number, z.ZodType | null>)[result.status]
  if (schema === undefined) throw new Error(`${key} does not declare ${result.status}`)
  if (schema) schema.parse(result.body)
  else expect(result.text).toBe('')
  return result
}

describe('GET /api/profiles', () => {
  it('answers ten profiles, oldest first, with exact totals and links', async () => {
    const { status, body, headers } = await ask('GET /api/profiles', { key: analyst })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      status: 'success',
      page: 1,
      limit: 10,
      total: 120,
      total_pages: 12,
      links: { self: '/api/profiles?page=1&limit=10', next: '/api/profiles?page=2&limit=10', prev: null },
    })
    expect(body.data.map((profile: { name: string }) => profile.name)).toEqual(
      people.slice(0, 10).map((p) => p.name),
    )
    expect(headers['server-timing']).toMatch(/total;dur=.*page;dur=.*query;dur=/)
    expect(headers['cache-control']).toBe('private, no-cache')
  })

  it('keeps the filters in its links and leads to every match exactly once', async () => {
    const expected = people
      .filter((p) => p.gender === 'female' && p.age >= 20 && p.age <= 59)
      .map((p) => p.name)
    const names: string[] = []
    let target: string | null = '/api/profiles?gender=Female&age_group=adult&limit=7'
    while (target) {
      const { body } = await ask(`GET ${target}`)
      expect(body.total).toBe(expected.length)
      names.push(...body.data.map((profile: { name: string }) => profile.name))
      target = body.links.next
      if (target) expect(target).toContain('gender=Female&age_group=adult')
    }
    expect(names).toEqual(expected)
  })

  it('walks by cursor, its page then null, to the same end', async () => {
    const names: string[] = []
    let cursor: string | null = null
    do {
      const at: string = cursor ? `&cursor=${cursor}` : ''
      const { body } = await ask(`GET /api/profiles?sort_by=gender_probability&order=desc&limit=50${at}`)
      expect(body.page).toBe(cursor ? null : 1)
      if (cursor && body.next_cursor) expect(body.links.next).toContain(`cursor=${body.next_cursor}`)
      names.push(...body.data.map((profile: { name: string }) => profile.name))
      cursor = body.next_cursor
    } while (cursor)
    expect(new Set(names).size).toBe(120)
    expect(names).toHaveLength(120)
  })

  it('clamps the limit and answers an empty page past the end', async () => {
    expect((await ask('GET /api/profiles?limit=200')).body).toMatchObject({ limit: 50, total_pages: 3 })
    const { body } = await ask('GET /api/profiles?page=13')
    expect(body).toMatchObject({ page: 13, total: 120, next_cursor: null, data: [], links: { next: null } })
    expect((await ask('GET /api/profiles?country_id=TV')).body).toMatchObject({
      total: 0,
      total_pages: 0,
      data: [],
    })
  })

  it('leads on by the header Link, also from beyond the end, which the last page is before', async () => {
    const { headers, body } = await ask('GET /api/profiles?gender=Male&limit=9&page=2')
    const links = {
      next: '/api/profiles?gender=Male&page=3&limit=9',
      prev: '/api/profiles?gender=Male&page=1&limit=9',
    }
    expect(body.links).toMatchObject(links)
    expect(headers.link).toBe(`<${links.next}>; rel="next", <${links.prev}>; rel="prev"`)
    expect((await ask('GET /api/profiles?country_id=TV')).headers).not.toHaveProperty('link')
    for (const [beyond, last] of [
      ['page=900&limit=50', 'page=3&limit=50'],
      ['page=4&limit=50', 'page=3&limit=50'],
      ['country_id=TV&page=7', 'country_id=TV&page=1&limit=10'],
    ]) {
      const result = await ask(`GET /api/profiles?${beyond}`)
      expect(result.body.links).toMatchObject({ next: null, prev: `/api/profiles?${last}` })
    }
  })

  it('gives one page in any coding, and HEAD its headers', async () => {
    const target = '/api/profiles?limit=50&min_age=7'
    const plain = await ask(`GET ${target}`)
    for (const coding of ['br', 'gzip']) {
      const packed = await ask(`GET ${target}`, { headers: { 'accept-encoding': coding } })
      expect(packed.headers['content-encoding']).toBe(coding)
      expect(packed.text).toBe(plain.text)
      const tag = packed.headers.etag!
      expect(tag).toBe(plain.headers.etag!.replace(/"$/, `-${coding}"`))
      expect((await ask(`GET ${target}`, { headers: { 'if-none-match': tag } })).status).toBe(304)
    }
    const head = await call(handler, `HEAD ${target}`, { key: admin })
    expect(head).toMatchObject({
      status: 200,
      headers: { etag: plain.headers.etag, link: plain.headers.link },
    })
  })

  it('says hit or miss, and 304 to who has the answer already', async () => {
    const target = 'GET /api/profiles?gender=male&min_age=33'
    const first = await ask(target)
    const etag = first.headers.etag!
    expect(first.headers['x-cache']).toBe('miss')
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await ask(target, { headers: { 'if-none-match': tag } })
      expect(again).toMatchObject({ status: 304, text: '', headers: { etag, 'x-cache': 'hit' } })
    }
    expect((await ask(target, { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  it.each([
    ['colour=red', 400, 'invalid_query'],
    ['gender=', 400, 'invalid_query'],
    ['gender=male&gender=female', 400, 'invalid_query'],
    ['gender=robot', 422, 'invalid_value'],
    ['age_group=baby', 422, 'invalid_value'],
    ['country_id=XX', 422, 'invalid_value'],
    ['min_age=abc', 422, 'invalid_value'],
    ['min_age=30&max_age=20', 422, 'invalid_value'],
    ['age_group=child&min_age=30', 422, 'invalid_value'],
    ['min_gender_probability=1.5', 422, 'invalid_value'],
    ['limit=0', 422, 'invalid_value'],
    ['page=-1', 422, 'invalid_value'],
    ['page=0', 422, 'invalid_value'],
    ['sort_by=name', 422, 'invalid_value'],
    ['order=sideways', 422, 'invalid_value'],
    ['page=5001&limit=10', 422, 'use_cursor'],
    ['cursor=abc', 422, 'invalid_cursor'],
    ['cursor=abc&page=1', 422, 'invalid_value'],
    ['cursor=*&page=1', 422, 'invalid_value'],
    ['fields=name,colour', 400, 'invalid_query'],
    ['fields=name,', 400, 'invalid_query'],
    ['age_group=child,baby', 422, 'invalid_value'],
    ['age_group=child,senior&min_age=20&max_age=40', 422, 'invalid_value'],
    ['exclude_country_id=XX', 422, 'invalid_value'],
    ['exclude_country_id=NG,GH&country_id=NG', 422, 'invalid_value'],
    ['created_after=tomorrow', 422, 'invalid_value'],
    ['created_before=2026-11-31', 422, 'invalid_value'],
    ['created_after=2026-11-02&created_before=2026-11-01', 422, 'invalid_value'],
    ['created_after=2026-11-01&created_before=2026-11-01', 422, 'invalid_value'],
    ['name=%00', 422, 'invalid_value'],
    [`name=${'x'.repeat(201)}`, 422, 'invalid_value'],
    ['q=rich%20men', 400, 'uninterpretable_query'],
    ['q=women&gender=male', 422, 'invalid_value'],
    ['q=teenagers&min_age=20', 422, 'invalid_value'],
    ['q=Nigerians&country_id=gh', 422, 'invalid_value'],
    ['q=Nigerians&exclude_country_id=ng', 422, 'invalid_value'],
  ])('refuses %j with %i %s', async (query, status, code) => {
    const result = await ask(`GET /api/profiles?${query}`)
    expect(result).toMatchObject({ status, body: { status: 'error', code } })
    expect(result.body.details[0].field).toBe(query.split('=')[0])
  })

  it('says what contradicts what, and which field no profile has', async () => {
    const message = async (query: string) => (await ask(`GET /api/profiles?${query}`)).body.details[0].message
    expect(await message('q=women&gender=male')).toBe(
      'q asks for gender female, which contradicts gender male',
    )
    expect(await message('q=teenagers&age_group=child,senior')).toBe(
      'q asks for ages 13 to 19, which contradicts ages 0 to 12 or 60 and over',
    )
    expect(await message('q=Nigerians&country_id=gh,ke')).toBe(
      'q asks for country_id NG, which contradicts country_id GH,KE',
    )
    expect(await message('fields=Name,Colour')).toContain('"colour" is no field of a profile')
  })

  it('takes a question beside filters, and says what both mean together, to be pasted back', async () => {
    const { body } = await ask(
      'GET /api/profiles?q=women+over+20&country_id=ng,gh&max_age=60&sort_by=age&limit=3',
    )
    expect(body.interpreted).toEqual({ country_id: ['GH', 'NG'], gender: 'female', min_age: 20, max_age: 60 })
    expect(body.interpreted_query).toBe('country_id=GH,NG&gender=female&min_age=20&max_age=60')
    const pasted = await ask(`GET /api/profiles?${body.interpreted_query}&sort_by=age&limit=3`)
    expect(pasted.body).toMatchObject({ total: body.total, data: body.data })
    expect(pasted.headers['x-cache']).toBe('hit')
    expect(pasted.body).not.toHaveProperty('interpreted')
    const next = await ask(`GET ${body.links.next}`)
    expect(next.body).toMatchObject({ total: body.total, interpreted: body.interpreted })
    expect((await ask('GET /api/profiles?q=everybody')).body).toMatchObject({
      total: 120,
      interpreted: {},
      interpreted_query: '',
    })
  })

  it('finds the one profile of a name, in any case and Unicode form', async () => {
    for (const name of ['Person 7', '  person   7 ', 'ＰＥＲＳＯＮ 7']) {
      const { body } = await ask(`GET /api/profiles?name=${encodeURIComponent(name)}`)
      expect([body.total, body.data.map((profile: { name: string }) => profile.name)]).toEqual([
        1,
        ['Person 7'],
      ])
    }
    expect((await ask('GET /api/profiles?name=Person&sort_by=age')).body).toMatchObject({
      total: 0,
      data: [],
    })
    expect((await ask('GET /api/profiles?name=Person 7&country_id=TV')).body.total).toBe(0)
    // Profiles from before such names were refused can still be found.
    expect((await ask('GET /api/profiles?name=Ad%EF%BF%BD')).body.total).toBe(0)
  })

  it('counts created_after in and created_before out, so that months have no profile in common', async () => {
    const all = (await ask('GET /api/profiles?limit=50')).body.data
    const at = all[20].created_at
    const [before, since] = [
      await ask(`GET /api/profiles?created_before=${at}`),
      await ask(`GET /api/profiles?created_after=${at}`),
    ]
    expect(before.body.total + since.body.total).toBe(120)
    expect(since.body.data[0].created_at).toBe(at)
    expect(before.body.total).toBe(
      all.filter((profile: { created_at: string }) => profile.created_at < at).length,
    )
  })

  it('has in data the fields asked for, from one entry of the cache and under a tag of its own', async () => {
    const target = 'GET /api/profiles?min_age=21&limit=4'
    const whole = await ask(target)
    const some = await ask(`${target}&fields=Name,ID,name`)
    const data = whole.body.data.map(({ id, name }: { id: string; name: string }) => ({ id, name }))
    expect(some.body).toMatchObject({ total: whole.body.total, next_cursor: whole.body.next_cursor })
    expect(some.body.data).toEqual(data)
    expect(some.body.links.next).toContain('fields=Name%2CID%2Cname')
    expect(some.headers['x-cache']).toBe('hit')
    expect(some.headers.etag).not.toBe(whole.headers.etag)
    const again = await ask(`${target}&fields=Name,ID,name`, {
      headers: { 'if-none-match': some.headers.etag! },
    })
    expect(again.status).toBe(304)
  })

  it('walks from the cursor * by its links, a page as large as asked for', async () => {
    const first = await ask('GET /api/profiles?cursor=*&limit=70&sort_by=age&order=desc')
    expect(first.body).toMatchObject({ page: null, limit: 70, total: 120, total_pages: 2, prev_cursor: null })
    const self = '/api/profiles?sort_by=age&order=desc&cursor=*&limit=70'
    expect(first.body.links).toMatchObject({ self, prev: null, next: expect.stringContaining('cursor=') })
    const second = await ask(`GET ${first.body.links.next}`)
    expect(second.body).toMatchObject({ limit: 70, next_cursor: null, links: { next: null } })
    expect(second.body.data).toHaveLength(50)
    expect((await ask(`GET ${second.body.links.prev}`)).body.data).toEqual(first.body.data)
    expect((await ask('GET /api/profiles?cursor=*&limit=1001')).body.limit).toBe(1000)
  })

  it('takes words in any case', async () => {
    const [plain, loud] = await Promise.all(
      ['sort_by=gender_probability&order=desc', 'sort_by=Gender_Probability&order=DESC'].map((query) =>
        ask(`GET /api/profiles?gender=female&age_group=adult&country_id=NG&${query}`),
      ),
    )
    expect(loud!.body.data).toEqual(plain!.body.data)
  })

  it.each([
    ['country_id=NG,UK', ['"UK" is not an ISO 3166-1 alpha-2 code: did you mean GB?']],
    ['country_id=Nigeria', ['"Nigeria" is not an ISO 3166-1 alpha-2 code: did you mean NG?']],
    [
      'country_id=gh,XX,,nga',
      [
        '"XX" is not an ISO 3166-1 alpha-2 code',
        'has an empty element',
        '"nga" is not an ISO 3166-1 alpha-2 code: did you mean NG?',
      ],
    ],
    ['sort_by=name', ['must be created_at, age or gender_probability']],
    ['order=up', ['must be asc or desc']],
  ])('says of %s which part is wrong, and what may be meant', async (query, messages) => {
    const { status, body } = await ask(`GET /api/profiles?${query}`)
    const field = query.split('=')[0]
    expect([status, body.details]).toEqual([422, messages.map((message) => ({ field, message }))])
  })

  it('refuses a cursor of another list', async () => {
    const { body } = await ask('GET /api/profiles?gender=male')
    const result = await ask(`GET /api/profiles?gender=female&cursor=${body.next_cursor}`)
    expect(result).toMatchObject({ status: 422, body: { code: 'invalid_cursor' } })
  })
})

describe('one profile', () => {
  const ada = { name: 'Ada Lovelace', gender: 'female', age: 36, country_id: 'gb', gender_probability: 0.98 }

  it('is created, found again, read, listed and deleted, and the facets follow', async () => {
    const created = await ask('POST /api/profiles', { body: ada })
    expect(created.status).toBe(201)
    const { data } = created.body
    expect(data).toMatchObject({
      ...ada,
      country_id: 'GB',
      country_name: 'United Kingdom',
      age_group: 'adult',
    })
    expect(data.country_probability).toBeNull()
    expect(created.headers.location).toBe(`/api/profiles/${data.id}`)

    const again = await ask('POST /api/profiles', { body: { ...ada, name: ' ADA LOVELACE', age: 12 } })
    expect(again).toMatchObject({ status: 200, body: { message: 'Profile already exists', data } })
    const read = await ask(`GET /api/profiles/${data.id}`, { key: analyst })
    expect(read.body.data).toEqual(data)
    const unchanged = { headers: { 'if-none-match': read.headers.etag! } }
    expect(await ask(`GET /api/profiles/${data.id}`, unchanged)).toMatchObject({ status: 304, text: '' })
    expect((await ask('GET /api/profiles?country_id=GB')).body).toMatchObject({ total: 1, data: [data] })

    expect(await ask(`DELETE /api/profiles/${data.id}`)).toMatchObject({ status: 204, text: '' })
    expect((await ask(`GET /api/profiles/${data.id}`)).status).toBe(404)
    expect((await ask(`DELETE /api/profiles/${data.id}`)).status).toBe(404)
    const noted = await database.sql`
      select subject, counts, triggered_by, t.name as team, k.label from deletions d
      join teams t on t.id = d.team_id join api_keys k on k.id = requested_by where subject_id = ${data.id}`
    expect(noted).toEqual([
      { subject: 'profile', counts: {}, triggered_by: 'request', team: 'acme', label: 'admin' },
    ])
    expect((await ask('GET /api/profiles?country_id=GB')).body.total).toBe(0)
    expect(await verifyFacets(database.sql)).toEqual([])
  })

  it.each(['42', '00000000-0000-4000-8000-000000000000', "'%20or%201=1"])('named %s is 404', async (id) => {
    expect(await ask(`GET /api/profiles/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  it.each([
    [{ ...ada, name: '' }, 400, 'name'],
    [{ ...ada, name: undefined }, 400, 'name'],
    [{ ...ada, age_group: 'adult' }, 400, 'age_group'],
    [{ ...ada, name: 5 }, 422, 'name'],
    [{ ...ada, name: 'a\u0000b' }, 422, 'name'],
    [{ ...ada, name: 'x'.repeat(201) }, 422, 'name'],
    [{ ...ada, name: 'Ad\ufffd Lovelace' }, 422, 'name'],
    [{ name: 'Ad\ufffd Lovelace' }, 422, 'name'],
    [{ ...ada, gender: 'robot' }, 422, 'gender'],
    [{ ...ada, age: '36' }, 422, 'age'],
    [{ ...ada, age: 151 }, 422, 'age'],
    [{ ...ada, age: 3.5 }, 422, 'age'],
    [{ ...ada, country_id: 'XX' }, 422, 'country_id'],
    [{ ...ada, gender_probability: 2 }, 422, 'gender_probability'],
  ])('like %j is refused with %i, %s named', async (body, status, field) => {
    const result = await ask('POST /api/profiles', { body })
    expect(result.status).toBe(status)
    expect(result.body.details).toContainEqual(expect.objectContaining({ field }))
  })
})

describe('keys', () => {
  const list = (key?: string) => call(handler, 'GET /api/profiles', key === undefined ? {} : { key })

  it('are needed', async () => {
    for (const result of [await list(), await list('x'), await list(`ins_${'x'.repeat(43)}`)]) {
      expect(result).toMatchObject({ status: 401, body: { status: 'error', code: 'unauthorized' } })
    }
  })

  it('that were revoked or have expired are refused', async () => {
    const { sql } = database
    const revoked = await createKey(sql, { role: 'admin', team: 'acme', label: 'old' })
    await revokeKey(sql, revoked.id)
    expect((await list(revoked.key)).status).toBe(401)
    const expired = await createKey(sql, {
      role: 'admin',
      team: 'acme',
      label: 'old',
      expiresAt: new Date(1000),
    })
    expect((await list(expired.key)).status).toBe(401)
  })

  it('open what their role is for', async () => {
    const recruiter = await createKey(database.sql, { role: 'recruiter', team: 'acme', label: 'r' })
    expect((await list(recruiter.key)).status).toBe(403)
    const post = await call(handler, 'POST /api/profiles', { key: analyst, body: {} })
    expect(post).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  })
})
