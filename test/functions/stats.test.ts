import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { population, storeProfiles } from '../support/profiles.ts'

const people = population(120)
let database: TestDatabase
let handler: typeof import('../../functions/profiles.ts').handler
let key: string

beforeAll(async () => {
  database = await freshDatabase()
  for (const [name, value] of Object.entries(database.env)) vi.stubEnv(name, value)
  await storeProfiles(database.sql, people)
  key = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'analyst' })).key
  handler = (await import('../../functions/profiles.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

const ask = (target: string, headers: Record<string, string> = {}) => call(handler, target, { key, headers })

describe('GET /api/profiles/stats', () => {
  it('answers exact counts, the filter in its canonical form, and where they came from', async () => {
    const women = people.filter(({ gender, age }) => gender === 'female' && age >= 20 && age <= 59)
    const { status, body, headers } = await ask('GET /api/profiles/stats?gender=Female&age_group=adult')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      status: 'success',
      filter: { gender: 'female', min_age: 20, max_age: 59 },
      total: women.length,
      by_gender: { female: women.length, male: 0 },
      by_age_group: { child: 0, teenager: 0, adult: women.length, senior: 0 },
    })
    expect(body.by_country[0]).toMatchObject({ country_name: expect.any(String), count: expect.any(Number) })
    expect(headers['server-timing']).toMatch(/stats;dur=.*query;dur=/)
    expect(headers['x-cache']).toBe('miss')
    const same = 'GET /api/profiles/stats?min_age=20&max_age=59&gender=female'
    expect(await ask(same, { 'if-none-match': headers.etag! })).toMatchObject({
      status: 304,
      text: '',
      headers: { 'x-cache': 'hit' },
    })
  })

  it('agrees with the total of the list, with bounds on probabilities too', async () => {
    for (const query of ['country_id=ng,gh', 'min_gender_probability=0.5', 'country_id=TV']) {
      const { body } = await ask(`GET /api/profiles/stats?${query}`)
      expect(body.total).toBe((await ask(`GET /api/profiles?${query}`)).body.total)
    }
  })

  it('counts by two of its dimensions together, in the order asked for', async () => {
    const count = (country_id: string, age: number) => ({
      country_id,
      age,
      count: people.filter((person) => person.country_id === country_id && person.age === age).length,
    })
    const { body } = await ask('GET /api/profiles/stats?country_id=ng,gh&max_age=30&by=country,age')
    const ages = Array.from({ length: 31 }, (_, age) => age)
    const expected = ['GH', 'NG'].flatMap((code) => ages.map((age) => count(code, age)))
    expect(body).toMatchObject({
      by: ['country', 'age'],
      counts: expected.filter((pair) => pair.count > 0),
    })
    expect(body.counts.length).toBeGreaterThan(20)
    const turned = await ask('GET /api/profiles/stats?country_id=ng,gh&max_age=30&by=AGE,%20country')
    expect(turned.body.counts).toEqual(
      body.counts.toSorted((a: { age: number }, b: { age: number }) => a.age - b.age),
    )
    const plain = await ask('GET /api/profiles/stats')
    expect(plain.body).not.toHaveProperty('counts')
  })

  it('counts what a question and filters mean together', async () => {
    const { body } = await ask('GET /api/profiles/stats?q=women+from+Nigeria+or+Ghana&exclude_country_id=GH')
    expect(body).toMatchObject({
      filter: { country_id: ['NG'], gender: 'female' },
      interpreted: { country_id: ['NG'], gender: 'female' },
      interpreted_query: 'country_id=NG&gender=female',
      by_gender: { male: 0 },
    })
    expect(body.total).toBe(people.filter((p) => p.gender === 'female' && p.country_id === 'NG').length)
  })

  it.each([
    ['by=gender', 422],
    ['by=gender,age,country', 422],
    ['by=age,age', 422],
    ['by=age,name', 422],
    ['fields=name', 400],
    ['q=men&gender=female', 422],
    ['page=1', 400],
    ['limit=5', 400],
    ['gender=robot', 422],
    ['min_age=3&max_age=2', 422],
  ])('refuses %j with %i', async (query, status) => {
    expect((await ask(`GET /api/profiles/stats?${query}`)).status).toBe(status)
  })
})

describe('a walk by cursor through the API', () => {
  it('turns round by the links and comes back to the page it came from', async () => {
    const first = await ask('GET /api/profiles?gender=female&sort_by=gender_probability&order=desc&limit=9')
    expect(first.body.prev_cursor).toBeNull()
    const cursor = `&cursor=${first.body.next_cursor}`
    const query = 'gender=female&sort_by=gender_probability&order=desc&limit=9'
    const second = await ask(`GET /api/profiles?${query}${cursor}`)
    const third = await ask(`GET ${second.body.links.next}`)
    const back = await ask(`GET ${third.body.links.prev}`)
    expect(back.body.data).toEqual(second.body.data)
    const start = await ask(`GET ${back.body.links.prev}`)
    expect(start.body).toMatchObject({ page: null, data: first.body.data, prev_cursor: null })
    expect(start.body.links).toMatchObject({ prev: null, next: expect.stringContaining('cursor=') })
    expect((await ask(`GET ${start.body.links.next}`)).body.data).toEqual(second.body.data)
  })

  it('may begin backwards at any page', async () => {
    const { body } = await ask('GET /api/profiles?page=4&limit=10')
    const before = await ask(`GET /api/profiles?limit=10&cursor=${body.prev_cursor}`)
    expect(before.body.data).toEqual((await ask('GET /api/profiles?page=3&limit=10')).body.data)
  })
})
