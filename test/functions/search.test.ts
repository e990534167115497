import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { disconnect } from '../../lib/platform/db.ts'
import { errorSchema } from '../../lib/platform/http/index.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { searchSchema } from '../../lib/profiles/list.ts'
import { type CallOptions, type CallResult, call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { population, storeProfiles } from '../support/profiles.ts'

const people = population(200)
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

async function search(q: string, rest = '', options: CallOptions = {}): Promise<CallResult> {
  const target = `GET /api/profiles/search?q=${encodeURIComponent(q)}${rest}`
  const result = await call(handler, target, { key, ...options })
  if (result.status === 200) searchSchema.parse(result.body)
  if (result.status >= 400) errorSchema.parse(result.body)
  return result
}

describe('GET /api/profiles/search', () => {
  it('gives three ways to ask one question one answer, from one entry of the cache', async () => {
    const first = await search('Nigerian females between ages 20 and 45')
    const matching = people.filter(
      ({ gender, country_id, age }) => gender === 'female' && country_id === 'NG' && age >= 20 && age <= 45,
    )
    expect(first.body).toMatchObject({
      total: matching.length,
      interpreted: { gender: 'female', country_id: ['NG'], min_age: 20, max_age: 45 },
    })
    expect(matching.length).toBeGreaterThan(3)
    const second = await search('Women aged 20–45 living in Nigeria')
    const third = await call(handler, 'GET /api/profiles?gender=female&country_id=ng&min_age=20&max_age=45', {
      key,
    })
    expect([first, second, third].map(({ headers }) => headers['x-cache'])).toEqual(['miss', 'hit', 'hit'])
    expect(second.body.data).toEqual(first.body.data)
    expect(third.body.data).toEqual(first.body.data)
    expect(third.body.interpreted).toBeUndefined()
  })

  it('keeps the question in its links and leads to every match exactly once, in the order asked for', async () => {
    const q = 'men or women over 30 from Kenya & Ghana'
    const ages: number[] = []
    let target: string | null =
      `/api/profiles/search?q=${encodeURIComponent(q)}&sort_by=age&order=desc&limit=7`
    while (target) {
      const { status, body }: CallResult = await call(handler, `GET ${target}`, { key })
      expect(status).toBe(200)
      expect(new URLSearchParams(body.links.self.split('?')[1]).get('q')).toBe(q)
      ages.push(...body.data.map((profile: { age: number }) => profile.age))
      target = body.links.next
    }
    const expected = people.filter(({ country_id, age }) => ['KE', 'GH'].includes(country_id) && age >= 30)
    expect(ages).toEqual(expected.map(({ age }) => age).sort((a, b) => b - a))
  })

  it('walks by cursor, which the list of the same filter takes too', async () => {
    const { body } = await search('teenagers', '&limit=2')
    const { links, next_cursor } = body
    const second = await call(handler, `GET ${links.next}`, { key })
    const byCursor = await search('13 to 19 years old', `&limit=2&cursor=${next_cursor}`)
    expect(byCursor.body.data).toEqual(second.body.data)
    const listed = await call(handler, `GET /api/profiles?age_group=teenager&limit=2&cursor=${next_cursor}`, {
      key,
    })
    expect(listed.body.data).toEqual(second.body.data)
    expect((await search('adults', `&cursor=${next_cursor}`)).body.code).toBe('invalid_cursor')
  })

  it('says 304 to who has the answer already', async () => {
    const { etag = '' } = (await search('young males')).headers
    const again = await search('young males', '', { headers: { 'if-none-match': etag } })
    expect(again).toMatchObject({ status: 304, text: '', headers: { etag, 'x-cache': 'hit' } })
    expect(again.headers['server-timing']).toContain('query;dur=')
  })

  it('names each word that it does not understand', async () => {
    const { status, body } = await search('rich males from Atlantis')
    expect(status).toBe(400)
    expect(body).toMatchObject({
      code: 'uninterpretable_query',
      message: 'Unable to interpret query',
      details: [
        { field: 'q', message: '"rich" is not understood' },
        { field: 'q', message: '"Atlantis" is not understood' },
        { field: 'q', message: expect.stringContaining('docs/querying.md') },
      ],
    })
  })

  it.each([
    ['', '', 400, 'invalid_query', 'q'],
    [' ', '', 400, 'invalid_query', 'q'],
    ['men\u0000', '', 400, 'uninterpretable_query', 'q'],
    ["men' or 1=1 --", '', 400, 'uninterpretable_query', 'q'],
    ['men '.repeat(2560), '', 422, 'invalid_value', 'q'],
    ['young females above 30', '', 422, 'invalid_value', 'q'],
    ['men', '&gender=female', 422, 'invalid_value', 'q'],
    ['men', '&colour=red', 400, 'invalid_query', 'colour'],
    ['men', '&q=women', 400, 'invalid_query', 'q'],
    ['men', '&limit=0', 422, 'invalid_value', 'limit'],
    ['men', '&sort_by=name', 422, 'invalid_value', 'sort_by'],
  ])('refuses q=%j%s with %i %s, %s named', async (q, rest, status, code, field) => {
    const result = await search(q, rest)
    expect(result).toMatchObject({ status, body: { status: 'error', code } })
    expect(result.body.details[0].field).toBe(field)
  })

  it('needs a question', async () => {
    const { status, body } = await call(handler, 'GET /api/profiles/search', { key })
    expect(status).toBe(400)
    expect(body.details).toEqual([{ field: 'q', message: 'is required' }])
  })
})
