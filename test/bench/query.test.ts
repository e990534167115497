import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKey } from '../../lib/platform/keys.ts'
import { filterKey } from '../../lib/profiles/filter.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { population, storeProfiles } from '../support/profiles.ts'
import { type HandlerUnderTest, loadHandler } from './query-handler.ts'
import { goalTable } from './query-part.ts'
import { mixQuestions, zipf } from './query-questions.ts'
import { type Rival, startRival } from './rival.ts'

describe('the questions of the mix', () => {
  it('differ in meaning, and are the same in every run', () => {
    const questions = mixQuestions(1000, 1)
    const meanings = questions.map(({ filter, sort, page, limit }) =>
      JSON.stringify([filterKey(filter), sort, page, limit]),
    )
    expect(new Set(meanings).size).toBe(1000)
    expect(mixQuestions(1000, 1)).toEqual(questions)
    const kinds = Object.groupBy(questions, ({ kind }) => kind)
    expect(kinds.filters).toHaveLength(600)
    expect(kinds['plain English']).toHaveLength(350)
    expect(kinds.probability).toHaveLength(50)
  })

  it('are drawn by their rank', () => {
    const draw = zipf(1000, 1, 1)
    const drawn = Array.from({ length: 50_000 }, draw)
    const share = (rank: number) => drawn.filter((place) => place === rank - 1).length / drawn.length
    // The sum of 1/n up to 1,000 is 7.485.
    expect(share(1)).toBeCloseTo(1 / 7.485, 2)
    expect(share(10)).toBeCloseTo(1 / 74.85, 2)
    expect(Math.min(...drawn)).toBe(0)
    expect(Math.max(...drawn)).toBeLessThan(1000)
  })
})

describe('the two that are compared', () => {
  let database: TestDatabase
  let handler: HandlerUnderTest
  let rival: Rival
  let key: string
  let now = 1000

  beforeAll(async () => {
    database = await freshDatabase()
    await storeProfiles(database.sql, population(3000))
    key = (await createKey(database.sql, { role: 'analyst', team: 'acme', label: 'bench' })).key
    handler = await loadHandler(database.url, key)
    rival = await startRival(database.url, () => now)
  })
  afterAll(async () => {
    await rival.close()
    await handler.close()
    await database.close()
  })

  const askRival = async (path: string) => {
    const response = await fetch(rival.url + path)
    const { total, data } = (await response.json()) as { total: number; data: { id: string }[] }
    return { total, ids: data.map(({ id }) => id), cache: response.headers.get('x-cache') }
  }

  it('answer alike', async () => {
    await handler.forget()
    let matched = 0
    for (const { path } of mixQuestions(80, 3)) {
      const { total, ids } = await handler.ask(path)
      expect(await askRival(path), path).toMatchObject({ total, ids })
      if (ids.length > 0) matched++
    }
    expect(matched).toBeGreaterThan(20)
  })

  it('differ in what they remember: one until something is written, the other for five minutes', async () => {
    const path = '/api/profiles?gender=female'
    await handler.forget()
    const { total, cache, timings } = await handler.ask(path)
    expect(cache).toBe('miss')
    expect(Object.keys(timings)).toEqual(expect.arrayContaining(['total', 'page', 'query']))
    expect((await handler.ask(path)).cache).toBe('hit')
    await askRival(path)

    const [one] = population(1)
    await storeProfiles(database.sql, [{ ...one!, name: 'Somebody New', gender: 'female' }])
    await handler.forget()
    expect(await handler.ask(path)).toMatchObject({ cache: 'miss', total: total + 1 })
    now += 5 * 60_000 - 1
    expect(await askRival(path)).toMatchObject({ cache: 'hit', total })
    now += 2
    expect(await askRival(path)).toMatchObject({ cache: 'miss', total: total + 1 })
  })

  it('goes on after its queries were dropped', async () => {
    await rival.drop()
    expect((await askRival('/api/profiles?gender=male&limit=50')).ids).toHaveLength(50)
  })
})

it('the table of goals says of each whether it was met', () => {
  const goals = [
    { name: 'page', value: 12.34, limit: 50, unit: 'ms' },
    { name: 'ratio', value: 8, limit: 10, unit: 'x', atLeast: true as const },
  ]
  expect(goalTable(goals).split('\n').slice(2)).toEqual([
    '| page | <= 50 ms | 12.3 ms | 0.25 | yes |',
    '| ratio | >= 10 x | 8 x | 0.80 | no |',
  ])
})
