import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { disconnect } from '../../lib/platform/db.ts'
import { verifyFacets } from '../../lib/profiles/facets.ts'
import { insertProfile } from '../../lib/profiles/store.ts'
import { lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { population, storeProfiles } from '../support/profiles.ts'

const people = population(400)
let database: TestDatabase
let handler: typeof import('../../functions/facets.ts').handler

beforeAll(async () => {
  database = await freshDatabase()
  for (const [name, value] of Object.entries(database.env)) vi.stubEnv(name, value)
  await storeProfiles(database.sql, people)
  handler = (await import('../../functions/facets.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

const run = (event: unknown) => handler(event, lambdaContext())

describe('the facets function', () => {
  it('finds nothing wrong where nothing is', async () => {
    expect(await run({ action: 'verify' })).toMatchObject({ status: 'success', differences: 0, cells: [] })
  })

  it('names the cells that are wrong, and rebuild mends them', async () => {
    const { sql } = database
    await sql`update facets set count = count + 3 where (country_id, gender, age) = (select country_id, gender, age from facets limit 1)`
    await sql`delete from facets where (country_id, gender, age) = (select country_id, gender, age from facets order by age desc limit 1)`
    await sql`insert into facets values ('TV', 'male', 7, 5)`
    const found = await run({ action: 'verify' })
    expect(found).toMatchObject({ status: 'success', differences: 3 })
    expect(found).toMatchObject({
      cells: expect.arrayContaining([{ country_id: 'TV', gender: 'male', age: 7, stored: 5, actual: 0 }]),
    })
    expect(await run({ action: 'rebuild' })).toMatchObject({ status: 'success', differences: 0 })
  })

  it('rebuilds beside writers, each of which is counted once', async () => {
    const { sql } = database
    const batches = Array.from({ length: 6 }, (_, batch) =>
      population(50).map((person) => ({ ...person, name: `${person.name} of batch ${batch}` })),
    )
    const single = { ...people[0]!, name: 'One alone' }
    await Promise.all([
      ...batches.slice(0, 3).map((batch) => storeProfiles(sql, batch)),
      run({ action: 'rebuild' }),
      insertProfile(sql, single),
      ...batches.slice(3).map((batch) => storeProfiles(sql, batch)),
      run({ action: 'rebuild' }),
    ])
    expect(await verifyFacets(sql)).toEqual([])
    const [row] = await sql<{ count: number }[]>`select sum(count)::bigint as count from facets`
    expect(row!.count).toBe(400 + 300 + 1)
  })

  it.each([undefined, {}, { action: 'drop' }, { action: 'verify', table: 'x' }])(
    'refuses %j',
    async (event) => {
      expect(await run(event)).toMatchObject({ status: 'error', code: 'invalid_value' })
    },
  )
})
