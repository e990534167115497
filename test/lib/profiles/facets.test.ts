import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../../../lib/platform/db.ts'
import {
  applyFacetDeltas,
  countByFacets,
  mergeDeltas,
  rebuildFacets,
  verifyFacets,
} from '../../../lib/profiles/facets.ts'
import { canonicalFilter } from '../../../lib/profiles/filter.ts'
import { deleteProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { filters, population, satisfies, storeProfiles } from '../../support/profiles.ts'
import { fc } from '../../support/properties.ts'

const people = population(400)
let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  await storeProfiles(sql, people)
})
afterAll(() => database.close())

async function datasetVersion(sql: Sql): Promise<number> {
  const [dataset] = await sql<{ version: number }[]>`select version from dataset`
  return dataset!.version
}

describe('facets', () => {
  it('count any filter on country, gender and age as a scan does', async () => {
    await fc.assert(
      fc.asyncProperty(filters, async (input) => {
        const { country_id, exclude_country_id, gender, age_group, min_age, max_age } = input
        const filter = canonicalFilter({
          country_id,
          exclude_country_id,
          gender,
          age_group,
          min_age,
          max_age,
        })
        const { matches, cells } = await countByFacets(sql, filter)
        const expected = people.filter((person) => satisfies(person, filter))
        expect(matches).toBe(expected.length)
        expect(cells).toBe(new Set(expected.map((p) => `${p.country_id}${p.gender}${p.age}`)).size)
      }),
    )
  })

  it('equal a full count after creates and deletes that run at once, and each write is one version', async () => {
    const before = await datasetVersion(sql)
    const made = await Promise.all(
      people.slice(0, 60).map((person, i) => insertProfile(sql, { ...person, name: `Twin ${i % 40}` })),
    )
    const created = made.filter((one) => one.created)
    expect(created).toHaveLength(40)
    const gone = await Promise.all(
      [...created, ...created.slice(0, 10)].slice(5).map(({ row }) => deleteProfile(sql, row.id)),
    )
    expect(await verifyFacets(sql)).toEqual([])
    const deletes = gone.filter((version) => version !== undefined)
    expect(await datasetVersion(sql)).toBe(before + created.length + deletes.length)
    const versions = [...created.map((one) => one.version), ...deletes]
    expect(new Set(versions).size).toBe(versions.length)
  })

  it('add up the changes of one cell, in key order, and drop those that cancel out', () => {
    const cell = (country_id: string, age: number, delta: number) => ({
      country_id,
      gender: 'male' as const,
      age,
      delta,
    })
    expect(
      mergeDeltas([
        cell('NG', 30, 1),
        cell('AO', 5, 2),
        cell('NG', 9, 1),
        cell('NG', 30, 1),
        cell('GH', 1, 1),
        cell('GH', 1, -1),
      ]),
    ).toEqual([cell('AO', 5, 2), cell('NG', 9, 1), cell('NG', 30, 2)])
  })

  it('count a version even where nothing changes', async () => {
    const before = await datasetVersion(sql)
    expect(await sql.begin((tx) => applyFacetDeltas(tx, []))).toBe(before + 1)
  })

  it('refuse to fall below zero, and the whole transaction with them', async () => {
    const before = await datasetVersion(sql)
    const cell = { country_id: 'TV', gender: 'male' as const, age: 1, delta: -1 }
    await expect(sql.begin((tx) => applyFacetDeltas(tx, [cell]))).rejects.toThrow('facets_count_check')
    expect(await datasetVersion(sql)).toBe(before)
  })

  it('that are damaged are found and mended, a writer in flight included', async () => {
    await sql`update facets set count = count + 3 where country_id = 'NG' and gender = 'male'`
    await sql`delete from facets where country_id = 'GH'`
    const differences = await verifyFacets(sql)
    expect(differences.length).toBeGreaterThan(10)
    expect(differences).toContainEqual(expect.objectContaining({ country_id: 'GH', stored: 0 }))

    const cell = { country_id: 'KE', gender: 'female' as const, age: 44 }
    let rebuilt: Promise<void> | undefined
    await sql.begin(async (tx) => {
      await tx`
        insert into profiles (name_key, name, gender, age, country_id)
        values (gen_random_uuid(), 'In flight', ${cell.gender}, ${cell.age}, ${cell.country_id})`
      rebuilt = rebuildFacets(sql)
      await rebuilt
      await applyFacetDeltas(tx, [{ ...cell, delta: 1 }])
    })
    await rebuilt
    expect(await verifyFacets(sql)).toEqual([])
  })
})
