import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sql } from '../../../lib/platform/db.ts'
import { deleteProfile, getProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
})
afterAll(() => database.close())

describe('one profile', () => {
  const ada = {
    name: 'Ada Lovelace',
    gender: 'female' as const,
    gender_probability: 0.99,
    age: 36,
    country_id: 'GB',
    country_probability: null,
  }

  it('is stored once, whoever spells its name how', async () => {
    const first = await insertProfile(sql, ada)
    const again = await insertProfile(sql, { ...ada, name: 'ADA  lovelace', age: 20 })
    expect(first).toMatchObject({ created: true, row: ada, version: expect.any(Number) })
    expect(again).toEqual({ created: false, row: first.row })
    expect(await getProfile(sql, first.row.id)).toEqual(first.row)
  })

  it('that is deleted is gone, and its name is free', async () => {
    const { row } = await insertProfile(sql, ada)
    expect(await deleteProfile(sql, row.id)).toEqual(expect.any(Number))
    expect(await deleteProfile(sql, row.id)).toBeUndefined()
    expect(await getProfile(sql, row.id)).toBeUndefined()
    const anew = await insertProfile(sql, ada)
    expect(anew.created).toBe(true)
    await deleteProfile(sql, anew.row.id)
  })
})
