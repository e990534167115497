import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ListBody } from '../../lib/profiles/list.ts'
import { startTestCloud, type TestCloud } from './cloud.ts'

/** 2,026 profiles that come with the specification and not with this repository. */
const seedFile = resolve(import.meta.dirname, '../../../shared/data/seed_profiles.json')
const present = existsSync(seedFile)
if (!present) console.warn(`${seedFile} is not there: its tests are skipped`)

type Person = {
  name: string
  gender: 'male' | 'female'
  gender_probability: number
  age: number
  age_group: string
  country_id: string
  country_name: string
  country_probability: number
}

const columns = [
  'name',
  'gender',
  'gender_probability',
  'age',
  'country_id',
  'country_probability',
  'age_group',
] as const

describe.runIf(present)('the seed', () => {
  let cloud: TestCloud
  let people: Person[]
  let csv: string
  beforeAll(async () => {
    people = JSON.parse(await readFile(seedFile, 'utf8')).profiles
    const quoted = (value: string | number) => `"${String(value).replaceAll('"', '""')}"`
    const lines = people.map((person) => columns.map((column) => quoted(person[column])).join(','))
    csv = `${[columns.join(','), ...lines].join('\r\n')}\r\n`
    cloud = await startTestCloud()
  })
  afterAll(() => cloud?.close())

  const list = async (query: string): Promise<ListBody> => {
    const { status, body } = await cloud.call(`GET ${query}`)
    expect(status).toBe(200)
    return body
  }

  test('imports whole, and a second time not a row of it', async () => {
    const all = { state: 'completed', total_rows: 2026, encoding: 'utf-8', ignored_columns: ['age_group'] }
    const first = await cloud.imports.run(csv)
    expect(first).toMatchObject({ ...all, inserted: 2026, skipped: 0, reasons: {} })
    expect(await cloud.imports.rejects(first.id)).toEqual([])
    const second = await cloud.imports.run(csv)
    expect(second).toMatchObject({ ...all, inserted: 0, skipped: 2026, reasons: { duplicate_name: 2026 } })
    const rejects = await cloud.imports.rejects(second.id)
    expect(rejects.map(({ value }) => value)).toEqual(people.map(({ name }) => name))
    expect((await list('/api/profiles')).total).toBe(2026)
  })

  const filters: [query: string, match: (person: Person) => boolean][] = [
    ['', () => true],
    ['gender=FEMALE', ({ gender }) => gender === 'female'],
    ['age_group=teenager', ({ age_group }) => age_group === 'teenager'],
    ['country_id=ng', ({ country_id }) => country_id === 'NG'],
    ['country_id=KE,tz', ({ country_id }) => country_id === 'KE' || country_id === 'TZ'],
    ['min_age=60', ({ age }) => age >= 60],
    ['max_age=12', ({ age }) => age <= 12],
    ['min_age=33&max_age=33', ({ age }) => age === 33],
    ['min_gender_probability=0.9', (person) => person.gender_probability >= 0.9],
    ['min_country_probability=0.5', (person) => person.country_probability >= 0.5],
    [
      'gender=female&country_id=NG&min_age=20&max_age=45',
      ({ gender, country_id, age }) => gender === 'female' && country_id === 'NG' && age >= 20 && age <= 45,
    ],
    [
      'gender=male&age_group=adult&country_id=NG,KE,GH,TZ,ZA&min_age=25&max_age=50&min_gender_probability=0.6&min_country_probability=0.2',
      ({ gender, age_group, country_id, age, ...given }) =>
        gender === 'male' &&
        age_group === 'adult' &&
        ['NG', 'KE', 'GH', 'TZ', 'ZA'].includes(country_id) &&
        age >= 25 &&
        age <= 50 &&
        given.gender_probability >= 0.6 &&
        given.country_probability >= 0.2,
    ],
    ['country_id=AQ', () => false],
    ['age_group=child,SENIOR', ({ age_group }) => age_group === 'child' || age_group === 'senior'],
    ['exclude_country_id=NG,ke', ({ country_id }) => country_id !== 'NG' && country_id !== 'KE'],
    [
      'age_group=child,adult&max_age=40&exclude_country_id=NG&country_id=ng,gh,za',
      ({ age_group, age, country_id }) =>
        (age_group === 'child' || age_group === 'adult') &&
        age <= 40 &&
        (country_id === 'GH' || country_id === 'ZA'),
    ],
    ['created_after=2020-01-01&gender=male', ({ gender }) => gender === 'male'],
    ['created_before=2020-01-01T00:00:00%2B01:00', () => false],
    [
      'q=women+over+30&country_id=NG,GH',
      ({ gender, age, country_id }) =>
        gender === 'female' && age >= 30 && (country_id === 'NG' || country_id === 'GH'),
    ],
  ]
  const sorts: [query: string, value: (person: Person) => number, sign: 1 | -1][] = [
    ['', () => 0, 1],
    ['sort_by=created_at&order=desc', () => 0, -1],
    ['sort_by=age', ({ age }) => age, 1],
    ['sort_by=age&order=desc', ({ age }) => age, -1],
    ['sort_by=gender_probability&order=asc', (person) => person.gender_probability, 1],
    ['sort_by=gender_probability&order=desc', (person) => person.gender_probability, -1],
  ]
  /** What a filter and an order must give: where the value decides nothing, the order of the file does. */
  function expected(
    match: (person: Person) => boolean,
    value: (person: Person) => number,
    sign: 1 | -1,
  ): Person[] {
    return people
      .map((person, at) => ({ person, at }))
      .filter(({ person }) => match(person))
      .sort((a, b) => sign * (value(a.person) - value(b.person) || a.at - b.at))
      .map(({ person }) => person)
  }

  const stored = (data: ListBody['data']) => data.map(({ id: _, created_at: __, ...person }) => person)

  test.each(filters)(
    'filtered by "%s" is in every order what JavaScript makes of it',
    async (filter, match) => {
      for (const [sort, value, sign] of sorts) {
        const wanted = expected(match, value, sign)
        const query = [filter, sort].filter((part) => part !== '').join('&')
        let next: string | null = `/api/profiles?${query}${query && '&'}limit=50`
        const found: ListBody['data'] = []
        while (next !== null) {
          const page: ListBody = await list(next)
          expect(page).toMatchObject({
            total: wanted.length,
            total_pages: Math.ceil(wanted.length / 50),
            limit: 50,
          })
          found.push(...page.data)
          const cursor: string | null = page.next_cursor
          next = cursor && `/api/profiles?${query}${query && '&'}limit=50&cursor=${cursor}`
        }
        expect(stored(found)).toEqual(wanted)
        expect(new Set(found.map(({ id }) => id)).size).toBe(wanted.length)
      }
    },
  )

  test('has pages that links lead through, forwards and back, and that never overlap', async () => {
    const wanted = expected(
      ({ gender }) => gender === 'male',
      ({ age }) => age,
      -1,
    )
    const first = '/api/profiles?gender=male&sort_by=age&order=desc&page=1&limit=37'
    const pages: ListBody[] = []
    for (let at: string | null = first; at !== null; at = pages.at(-1)!.links.next) pages.push(await list(at))
    expect(stored(pages.flatMap(({ data }) => data))).toEqual(wanted)
    expect(pages).toHaveLength(pages[0]!.total_pages)
    expect(pages.map(({ page }) => page)).toEqual(pages.map((_, index) => index + 1))
    expect(pages[0]!.links).toMatchObject({ self: first, prev: null })
    for (const [index, { links }] of pages.entries()) {
      if (index > 0) expect(await list(links.prev!)).toEqual(pages[index - 1])
    }
    expect(await list(`${first.replace('page=1&', `page=${pages.length + 1}&`)}`)).toMatchObject({
      total: wanted.length,
      data: [],
      next_cursor: null,
    })
  })

  test('is walked in three large pages from the cursor *, with the fields asked for', async () => {
    const names: (string | undefined)[] = []
    let at: string | null = '/api/profiles?cursor=*&limit=1001&fields=name'
    while (at !== null) {
      const page: ListBody = await list(at)
      expect(page).toMatchObject({ page: null, limit: 1000, total: 2026, total_pages: 3 })
      expect(page.data.every((profile) => Object.keys(profile).join() === 'name')).toBe(true)
      names.push(...page.data.map(({ name }) => name))
      at = page.links.next
    }
    expect(names).toEqual(people.map(({ name }) => name))
  })

  test('finds each person by the whole name, and counts all by two dimensions', async () => {
    for (const person of people.filter((_, n) => n % 400 === 0)) {
      const { total, data } = await list(
        `/api/profiles?name=${encodeURIComponent(person.name.toUpperCase())}`,
      )
      expect([total, stored(data)]).toEqual([1, [person]])
    }
    const { body } = await cloud.call('GET /api/profiles/stats?by=country,gender')
    const told = body.counts.map((pair: Person & { count: number }) => [
      `${pair.country_id} ${pair.gender}`,
      pair.count,
    ])
    const expected = Object.entries(Object.groupBy(people, (p) => `${p.country_id} ${p.gender}`))
    expect(Object.fromEntries(told)).toEqual(
      Object.fromEntries(expected.map(([pair, group]) => [pair, group?.length])),
    )
  })

  test('answers 304 to its own ETag, a hit from the cache, and neither after a write', async () => {
    const path = 'GET /api/profiles?country_id=NG&sort_by=age&limit=7'
    const first = await cloud.call(path)
    const etag = first.headers.get('etag') ?? ''
    const same = await cloud.call('GET /api/profiles?limit=7&sort_by=age&country_id=ng')
    expect(first.headers.get('x-cache')).toBe('miss')
    // Stale where the second in which it may be served is nearly over.
    expect(same.headers.get('x-cache')).toMatch(/^(?:hit|stale)$/)
    expect(same.body.data).toEqual(first.body.data)
    const again = await cloud.call(path, { headers: { 'if-none-match': etag } })
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag])

    const newcomer = { name: 'New Born', gender: 'female', age: 0, country_id: 'NG' }
    const made = await cloud.call('POST /api/profiles', { body: newcomer })
    expect(made.status).toBe(201)
    const changed = await cloud.call(path, { headers: { 'if-none-match': etag } })
    expect([changed.status, changed.headers.get('x-cache')]).toEqual([200, 'miss'])
    expect(changed.body.total).toBe(first.body.total + 1)
    expect((await cloud.call(`DELETE /api/profiles/${made.body.data.id}`)).status).toBe(204)
    expect((await cloud.call(path, { headers: { 'if-none-match': etag } })).status).toBe(304)
  })
})
