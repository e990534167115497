import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { countryCodes } from '../../lib/profiles/countries.ts'
import { type SortColumn, sortColumns } from '../../lib/profiles/page.ts'
import { type Profile, toProfile } from '../../lib/profiles/profile.ts'
import { type Dimension, dimensions } from '../../lib/profiles/stats.ts'
import { type CallResult, call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { population, seldom, storeProfiles, withTimes } from '../support/profiles.ts'
import { fc } from '../support/properties.ts'

// In the population itself gender and country go together.
const rows = withTimes(
  population(400).map((person, i) => ({ ...person, gender: i % 7 < 3 ? 'male' : 'female' })),
)
const people = rows.map(toProfile)
let database: TestDatabase
let profiles: typeof import('../../functions/profiles.ts').handler
let exports: typeof import('../../functions/exports.ts').handler
let key: string

beforeAll(async () => {
  database = await freshDatabase()
  const unused = { UPLOAD_BUCKET: 'none', EXPORTS_QUEUE_URL: 'http://127.0.0.1:1/none' }
  for (const [name, value] of Object.entries({ ...database.env, ...unused })) vi.stubEnv(name, value)
  await storeProfiles(database.sql, rows)
  // What bounds on creation leave out is counted instead where it is less by the planner's histogram.
  await database.sql`analyze profiles`
  key = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'analyst' })).key
  profiles = (await import('../../functions/profiles.ts')).handler
  exports = (await import('../../functions/exports.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

const ask = (target: string) => call(profiles, `GET ${target}`, { key })
const askExport = (target: string) => call(exports, `GET ${target}`, { key })

/** The parameters of a question as they are sent. */
type Sent = Record<string, string>
/** What a condition looks at, of a profile or of one that could be. */
type Person = Pick<Profile, 'gender' | 'age' | 'age_group' | 'country_id'>

/** Questions in words, with what they mean. */
const questions: Record<string, (person: Person) => boolean> = {
  'people over 30': ({ age }) => age >= 30,
  women: ({ gender }) => gender === 'female',
  'teenagers from Ghana or Kenya': ({ age_group, country_id }) =>
    age_group === 'teenager' && ['GH', 'KE'].includes(country_id),
  'Nigerian men between 10 and 70': ({ gender, age, country_id }) =>
    gender === 'male' && age >= 10 && age <= 70 && country_id === 'NG',
}

/** Whether each parameter by itself lets a profile pass, read from its text as plainly as possible. */
const conditions: Record<string, (person: Person, text: string) => boolean> = {
  gender: ({ gender }, text) => gender === text.toLowerCase(),
  age_group: ({ age_group }, text) => text.toLowerCase().split(',').includes(age_group),
  min_age: ({ age }, text) => age >= Number(text),
  max_age: ({ age }, text) => age <= Number(text),
  country_id: ({ country_id }, text) => text.toUpperCase().split(',').includes(country_id),
  exclude_country_id: ({ country_id }, text) => !text.toUpperCase().split(',').includes(country_id),
  q: (person, text) => questions[text]!(person),
}
const conditionsOfRows: Record<string, (profile: Profile, text: string) => boolean> = {
  min_gender_probability: ({ gender_probability: p }, text) => p !== null && p >= Number(text),
  min_country_probability: ({ country_probability: p }, text) => p !== null && p >= Number(text),
  name: ({ name }, text) => name.toLowerCase() === text.trim().toLowerCase().replaceAll(/\s+/g, ' '),
  created_after: ({ created_at }, text) => Date.parse(created_at) >= Date.parse(text),
  created_before: ({ created_at }, text) => Date.parse(created_at) < Date.parse(text),
}

function passes(profile: Profile, sent: Sent): boolean {
  const all = { ...conditions, ...conditionsOfRows }
  return Object.entries(sent).every(([name, text]) => all[name]?.(profile, text) ?? true)
}

/** Whether nobody at all could pass, stored or not. */
function isContradiction(sent: Sent): boolean {
  const { created_after: after, created_before: before } = sent
  if (after !== undefined && before !== undefined && Date.parse(after) >= Date.parse(before)) return true
  const given = Object.entries(sent).filter(([name]) => name in conditions)
  for (const gender of ['male', 'female'] as const) {
    for (const country_id of countryCodes) {
      for (let age = 0; age <= 150; age++) {
        const age_group = age < 13 ? 'child' : age < 20 ? 'teenager' : age < 60 ? 'adult' : 'senior'
        const person = { gender, country_id, age, age_group } as const
        if (given.every(([name, text]) => conditions[name]!(person, text))) return false
      }
    }
  }
  return true
}

const someCountries = fc.subarray(['NG', 'gh', 'KE', 'ao', 'TV'], { minLength: 1 }).map(String)
const hours = fc.integer({ min: -1, max: 136 }).map((hour) => Date.UTC(2026, 0, 1, hour))
/** A moment in each of the forms that a bound may have. */
const moments = fc.tuple(hours, fc.nat(4)).map(([at, form]) => {
  const iso = new Date(at).toISOString()
  const later = new Date(at + 7_200_000).toISOString()
  const forms = [iso, iso.slice(0, 10), `${later.slice(0, 19)}+02:00`, iso.slice(0, 16) + iso.slice(-1)]
  return forms[form] ?? iso.toLowerCase()
})
const filters = fc
  .record({
    gender: seldom(fc.constantFrom('male', 'FEMALE')),
    age_group: seldom(fc.subarray(['child', 'Teenager', 'adult', 'SENIOR'], { minLength: 1 }).map(String)),
    ages: seldom(fc.tuple(fc.nat(95), fc.nat(95))),
    country_id: seldom(someCountries),
    exclude_country_id: seldom(someCountries),
    min_gender_probability: seldom(fc.constantFrom('0', '0.30', '.7', '1')),
    min_country_probability: seldom(fc.constantFrom('0', '0.5')),
    created_after: seldom(moments),
    created_before: seldom(moments),
    q: seldom(fc.constantFrom(...Object.keys(questions))),
    // A name leaves hardly anything to the others.
    name: seldom(seldom(fc.nat(400).map((n) => `  PERSON   ${n}`))),
  })
  .map(({ ages, ...rest }): Sent => {
    const given = Object.entries(rest).filter((entry): entry is [string, string] => entry[1] !== undefined)
    // One time in eight the ages are as they are drawn, crossed or not.
    const [one, other] = ages && ages[0] % 8 > 0 ? ages.toSorted((a, b) => a - b) : (ages ?? [])
    const range = one !== undefined && other !== undefined && { min_age: String(one), max_age: String(other) }
    return { ...Object.fromEntries(given), ...range }
  })
const sorts = fc.record({
  sort_by: fc.constantFrom<SortColumn>(...sortColumns),
  order: fc.constantFrom('asc' as const, 'desc' as const),
})
type SortSent = { sort_by: SortColumn; order: 'asc' | 'desc' }

function inOrder(matching: readonly Profile[], { sort_by, order }: SortSent): Profile[] {
  const sign = order === 'asc' ? 1 : -1
  const ids = (a: Profile, b: Profile) => (a.id < b.id ? -sign : sign)
  return matching.toSorted((a, b) => {
    if (sort_by === 'created_at') return ids(a, b)
    const [one, other] = [a[sort_by], b[sort_by]]
    if (one === null || other === null) return one === other ? ids(a, b) : one === null ? 1 : -1
    return sign * (one - other) || ids(a, b)
  })
}

/** Ways to read a list from its start: numbered pages, cursors from page 1, cursors from the start of a walk. */
const ways = fc.record({ way: fc.constantFrom('pages', 'cursors', 'walk'), size: fc.nat(400) })

/** Every page of a list, led on by its links or its cursors. */
async function readAll(query: URLSearchParams, { way, size }: { way: string; size: number }, total: number) {
  const limit = Math.max(way === 'walk' ? size : size % 51, Math.ceil(total / 12), 1)
  const found: Partial<Profile>[] = []
  const first = new URLSearchParams({ ...Object.fromEntries(query), limit: String(limit) })
  if (way === 'walk') first.set('cursor', '*')
  const route = query.has('q') && size % 2 ? '/api/profiles/search' : '/api/profiles'
  let target: string | null = `${route}?${first}`
  while (target !== null) {
    const { status, body }: CallResult = await ask(target)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      total,
      limit: Math.min(limit, way === 'walk' ? 1000 : 50),
      total_pages: Math.ceil(total / body.limit),
    })
    expect(body.page === null).toBe(target.includes('cursor='))
    found.push(...body.data)
    const cursor: string | null = body.next_cursor
    const byCursor = new URLSearchParams(first)
    byCursor.set('cursor', cursor ?? '')
    target = way === 'pages' ? body.links.next : cursor && `${route}?${byCursor}`
  }
  return found
}

function tally<Key>(keys: readonly Key[]): Map<Key, number> {
  const counts = new Map<Key, number>()
  for (const one of keys) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}
const sum = (counts: readonly { count: number }[]) => counts.reduce((all, { count }) => all + count, 0)
const columnOf = { gender: 'gender', age: 'age', country: 'country_id' } as const

describe('any question', () => {
  it('lists what plain JavaScript makes of it, in every order, by pages and cursors, with the fields asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        filters,
        sorts,
        ways,
        fc.subarray(Object.keys(people[0]!)),
        async (sent, sort, way, fields) => {
          const query = new URLSearchParams({ ...sent, ...sort })
          if (fields.length > 0) query.set('fields', fields.toReversed().join())
          if (isContradiction(sent)) {
            expect(await ask(`/api/profiles?${query}`)).toMatchObject({
              status: 422,
              body: { code: 'invalid_value' },
            })
            return
          }
          const expected = inOrder(
            people.filter((profile) => passes(profile, sent)),
            sort,
          )
          const pick = (profile: Profile) =>
            Object.fromEntries(Object.entries(profile).filter(([name]) => fields.includes(name)))
          expect(await readAll(query, way, expected.length)).toEqual(
            fields.length > 0 ? expected.map(pick) : expected,
          )
        },
      ),
      { numRuns: 200 },
    )
  })

  it('is counted, exported and pasted back as the same profiles', async () => {
    const pairs = fc.shuffledSubarray<Dimension>([...dimensions], { minLength: 2, maxLength: 2 })
    await fc.assert(
      fc.asyncProperty(
        filters,
        sorts,
        pairs,
        fc.constantFrom('csv', 'jsonl'),
        async (sent, sort, pair, format) => {
          const query = new URLSearchParams(sent)
          const targets = [`/api/profiles/stats?${query}&by=${pair}`, `/api/profiles?${query}`] as const
          const exported = `/api/profiles/export?${query}&${new URLSearchParams({ ...sort, format })}`
          const [stats, list, file] = [
            await ask(targets[0]),
            await ask(targets[1]),
            await askExport(exported),
          ]
          if (isContradiction(sent)) {
            expect([stats.status, list.status, file.status]).toEqual([422, 422, 422])
            return
          }
          const expected = people.filter((profile) => passes(profile, sent))
          expect(list.body.total).toBe(expected.length)

          const { by_gender, by_age_group, by_country, age_histogram, counts, total, filter, by } = stats.body
          expect([total, by]).toEqual([expected.length, pair])
          expect(by_gender.female + by_gender.male).toBe(total)
          expect(Object.values<number>(by_age_group).reduce((all, count) => all + count, 0)).toBe(total)
          expect([sum(by_country), sum(age_histogram), sum(counts)]).toEqual([total, total, total])
          const [one, other] = [columnOf[pair[0]!], columnOf[pair[1]!]]
          const told = counts.map((entry: Profile & { count: number }) => [
            `${entry[one]} ${entry[other]}`,
            entry.count,
          ])
          expect(new Map(told)).toEqual(tally(expected.map((profile) => `${profile[one]} ${profile[other]}`)))

          const ids =
            format === 'csv'
              ? (parse(file.text, { columns: true }) as Profile[]).map(({ id }) => id)
              : file.text.split('\n').flatMap((line) => (line ? [JSON.parse(line).id] : []))
          expect(ids).toEqual(inOrder(expected, sort).map(({ id }) => id))

          const answers = [stats, list].map(({ body }) => body)
          for (const { interpreted, interpreted_query } of answers) {
            expect(interpreted).toEqual(sent.q === undefined ? undefined : filter)
            if (sent.q === undefined) continue
            expect(file.headers['x-interpreted-query']).toBe(interpreted_query)
            const pasted = await ask(`/api/profiles?${interpreted_query}`)
            expect([pasted.body.total, pasted.body.data]).toEqual([total, list.body.data])
            expect(pasted.headers['x-cache']).toMatch(/hit|stale/)
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})
