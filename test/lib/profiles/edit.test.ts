import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { insertProfiles } from '../../../lib/imports/name-store.ts'
import type { Sql } from '../../../lib/platform/db.ts'
import { createKey } from '../../../lib/platform/keys.ts'
import { editProfile, type ProfilePatch, patched } from '../../../lib/profiles/edit.ts'
import { applyFacetDeltas, verifyFacets } from '../../../lib/profiles/facets.ts'
import { type NewProfile, nameKey, type ProfileRow } from '../../../lib/profiles/profile.ts'
import { rekeyNames } from '../../../lib/profiles/rekey.ts'
import { deleteProfile, findProfileByName, getProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { storeProfiles } from '../../support/profiles.ts'

let database: TestDatabase
let sql: Sql
let by: string
beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  by = (await createKey(sql, { role: 'admin', team: 'acme', label: 'a' })).id
})
afterAll(() => database.close())
beforeEach(() => sql`truncate profiles, facets, profile_edits, name_twins`)

const ada: NewProfile = {
  name: 'Ada Obi',
  gender: 'female',
  gender_probability: 0.9,
  age: 30,
  country_id: 'NG',
  country_probability: 0.8,
}
const store = async (profile: Partial<NewProfile> = {}) =>
  (await insertProfile(sql, { ...ada, ...profile })).row
const edit = (id: string, patch: ProfilePatch, accepts: (row: ProfileRow) => boolean = () => true) =>
  editProfile(sql, id, patch, { by, accepts })
const edits = () => sql`
  select profile_id, edited_by, array_to_string(fields, ' ') as fields from profile_edits order by edited_at, id`

describe('a patch', () => {
  const row: ProfileRow = { ...ada, id: '0199c82c-c07b-7000-8000-000000000000' }

  it.each<[ProfilePatch, Partial<ProfileRow>, string[]]>([
    [{}, {}, []],
    [{ age: 30, name: 'Ada Obi' }, {}, []],
    [{ age: 31 }, { age: 31 }, ['age']],
    [{ name: 'ada obi' }, { name: 'ada obi' }, ['name']],
    [{ gender_probability: null }, { gender_probability: null }, ['gender_probability']],
    [{ gender: 'male' }, { gender: 'male', gender_probability: null }, ['gender', 'gender_probability']],
    [{ gender: 'female' }, {}, []],
    [{ gender: 'male', gender_probability: 0.9 }, { gender: 'male', gender_probability: 0.9 }, ['gender']],
    [
      { country_id: 'GH', age: 3 },
      { country_id: 'GH', age: 3, country_probability: null },
      ['age', 'country_id', 'country_probability'],
    ],
    [
      { country_id: 'GH', country_probability: 0 },
      { country_id: 'GH', country_probability: 0 },
      ['country_id', 'country_probability'],
    ],
  ])('%j changes %j', (patch, change, fields) => {
    expect(patched(row, patch)).toEqual({ row: { ...row, ...change }, fields })
  })
})

describe('an edit', () => {
  it('moves the profile to its new cell, makes a new version, and writes down who did it', async () => {
    const { id } = await store()
    const first = await edit(id, { age: 31, country_id: 'GH' })
    const second = await edit(id, { name: 'Ada Okafor' })
    expect(second.row).toEqual({
      ...ada,
      id,
      name: 'Ada Okafor',
      age: 31,
      country_id: 'GH',
      country_probability: null,
    })
    expect(await getProfile(sql, id)).toEqual(second.row)
    expect(second.version).toBe(first.version! + 1)
    expect(await verifyFacets(sql)).toEqual([])
    expect(await findProfileByName(sql, 'ada obi')).toBeUndefined()
    expect((await findProfileByName(sql, 'ADA OKAFOR'))?.id).toBe(id)
    expect(await edits()).toEqual([
      { profile_id: id, edited_by: by, fields: 'age country_id country_probability' },
      { profile_id: id, edited_by: by, fields: 'name' },
    ])
  })

  it('that changes nothing is none', async () => {
    const row = await store()
    const [before] = await sql`select version from dataset`
    expect(await edit(row.id, { age: 30, gender: 'female' })).toEqual({ row })
    expect(await sql`select version from dataset`).toEqual([before])
    expect(await edits()).toEqual([])
  })

  it('of a profile that is not there, or not as it was, does nothing', async () => {
    const { id } = await store()
    await expect(edit(crypto.randomUUID(), { age: 1 })).rejects.toMatchObject({ code: 'not_found' })
    await expect(edit(id, { age: 1 }, (row) => row.age === 31)).rejects.toMatchObject({
      code: 'precondition_failed',
    })
    expect(await edits()).toEqual([])
    expect(await getProfile(sql, id)).toEqual({ ...ada, id })
  })

  it('cannot take the name of another profile, in any spelling', async () => {
    const { id } = await store()
    const other = await store({ name: 'Bo Obi' })
    await expect(edit(id, { name: 'BO\u200b  obi', age: 1 })).rejects.toMatchObject({
      code: 'name_taken',
      status: 409,
      details: [{ field: 'name', message: `is the name of the profile ${other.id}` }],
    })
    expect(await getProfile(sql, id)).toEqual({ ...ada, id })
    expect(await verifyFacets(sql)).toEqual([])
  })

  it('goes with its profile', async () => {
    const { id } = await store()
    await edit(id, { age: 31 })
    await deleteProfile(sql, id)
    expect(await edits()).toEqual([])
  })

  it('of a twin leaves it a twin until it is called otherwise', async () => {
    const older = await store()
    const twin = await store({ name: 'Other' })
    await sql`update profiles set name = ${'Ada\u200b Obi'}, name_key = uuidv4() where id = ${twin.id}`
    await sql`update name_rekeying set folding = 1`
    const rekey = () => rekeyNames({ sql, remainingMs: () => 1000, moved: async () => {} })
    expect(await rekey()).toMatchObject({ twins: 1 })
    await edit(twin.id, { age: 5, name: 'ADA OBI' })
    expect(await sql`select profile_id from name_twins`).toEqual([{ profile_id: twin.id }])
    expect((await findProfileByName(sql, 'ada obi'))?.id).toBe(older.id)
    await edit(twin.id, { name: 'Ada Obi the younger' })
    expect(await sql`select from name_twins`).toHaveLength(0)
    expect((await findProfileByName(sql, 'ada obi the younger'))?.id).toBe(twin.id)
  })
})

/** An import's transaction that takes names in the order of their keys, and goes on when it is told to. */
function importing(names: readonly string[]) {
  const taken = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const profiles = names.map((name, i) => ({ row: i + 1, key: nameKey(name), profile: { ...ada, name } }))
  const done = sql.begin(async (tx) => {
    const [first, ...others] = profiles.sort((a, b) => (a.key < b.key ? -1 : 1))
    const lost = await insertProfiles(tx, crypto.randomUUID(), [first!])
    taken.resolve()
    await goOn.promise
    for (const row of await insertProfiles(tx, crypto.randomUUID(), others)) lost.add(row)
    const inserted = profiles.filter(({ row }) => !lost.has(row))
    await applyFacetDeltas(
      tx,
      inserted.map(({ profile }) => ({ ...profile, delta: 1 })),
    )
    return inserted.map(({ profile }) => profile.name)
  })
  return { taken: taken.promise, goOn: () => goOn.resolve(), done }
}

/** Resolves when a session waits for another's transaction. */
async function waiting(): Promise<void> {
  for (;;) {
    const [row] = await sql`select from pg_locks where not granted and locktype = 'transactionid'`
    if (row) return
  }
}

describe('edits beside other writers', () => {
  it('of one profile happen one after the other', async () => {
    const { id } = await store()
    const ages = Array.from({ length: 12 }, (_, i) => i)
    await Promise.all(ages.map((age) => edit(id, { age, country_id: age % 2 ? 'GH' : 'KE' })))
    expect(await verifyFacets(sql)).toEqual([])
    expect(await edits()).toHaveLength(12)
  })

  it('bound to the same state let one through', async () => {
    const { id } = await store()
    const unchanged = (row: ProfileRow) => row.age === 30
    const results = await Promise.allSettled([1, 2, 3, 4].map((age) => edit(id, { age }, unchanged)))
    const codes = results
      .map((result) => (result.status === 'fulfilled' ? 'done' : result.reason.code))
      .sort()
    expect(codes).toEqual(['done', 'precondition_failed', 'precondition_failed', 'precondition_failed'])
    expect(await verifyFacets(sql)).toEqual([])
  })

  it('that want one name leave it to one of them', async () => {
    const rows = await Promise.all(['A', 'B', 'C'].map((name) => store({ name })))
    const results = await Promise.allSettled(rows.map(({ id }) => edit(id, { name: 'Wanted' })))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))).toEqual([
      'name_taken',
      'name_taken',
    ])
  })

  it('that want each other’s names are refused both', async () => {
    const [a, b] = [await store({ name: 'A' }), await store({ name: 'B' })]
    const results = await Promise.allSettled([edit(a.id, { name: 'B' }), edit(b.id, { name: 'A' })])
    for (const result of results) expect(result).toMatchObject({ reason: { code: 'name_taken' } })
    expect(await verifyFacets(sql)).toEqual([])
  })

  it('beside a deletion come before it or find nothing', async () => {
    for (let round = 0; round < 10; round++) {
      const { id } = await store()
      const [edited, deleted] = await Promise.allSettled([edit(id, { age: 40 }), deleteProfile(sql, id)])
      expect(deleted.status).toBe('fulfilled')
      if (edited.status === 'rejected') expect(edited.reason).toMatchObject({ code: 'not_found' })
      expect(await verifyFacets(sql)).toEqual([])
    }
    expect(await edits()).toEqual([])
  })

  it('give way to an import that has the new name and wants the old one', async () => {
    // An import takes its names in the order of their keys.
    const earlier = Array.from({ length: 50 }, (_, i) => `Bo ${i}`).find(
      (name) => nameKey(name) < nameKey('Ada Obi'),
    )!
    const { id } = await store()
    const file = importing([earlier, 'Ada Obi'])
    await file.taken
    const editing = edit(id, { name: earlier, age: 50 })
    const refused = expect(editing).rejects.toMatchObject({ code: 'name_taken' })
    await waiting()
    file.goOn()
    expect(await file.done).toEqual([earlier])
    await refused
    expect(await getProfile(sql, id)).toEqual({ ...ada, id })
    expect(await verifyFacets(sql)).toEqual([])
  })

  it('are to be tried again where an import holds the name for long', async () => {
    const { id } = await store()
    const file = importing(['Bo'])
    await file.taken
    const editing = editProfile(sql, id, { name: 'Bo' }, { by, accepts: () => true, attempts: 1 })
    await expect(editing).rejects.toMatchObject({ code: 'unavailable', status: 503 })
    file.goOn()
    expect(await file.done).toEqual(['Bo'])
    expect(await getProfile(sql, id)).toEqual({ ...ada, id })
  })

  it('take the name once an import that had it is undone', async () => {
    const { id } = await store()
    const taken = Promise.withResolvers<void>()
    const undo = Promise.withResolvers<void>()
    const undone = sql.begin(async (tx) => {
      await insertProfiles(tx, crypto.randomUUID(), [
        { row: 1, key: nameKey('Bo'), profile: { ...ada, name: 'Bo' } },
      ])
      taken.resolve()
      await undo.promise
      throw new Error('undone')
    })
    await taken.promise
    const editing = edit(id, { name: 'Bo' })
    await waiting()
    undo.resolve()
    await expect(undone).rejects.toThrow('undone')
    expect((await editing).row.name).toBe('Bo')
  })

  it('of many hands beside imports of the same names leave facets exact and nobody waiting', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `Person ${i}`)
    await storeProfiles(
      sql,
      names.slice(0, 20).map((name) => ({ ...ada, name })),
    )
    const rows = await sql<{ id: string }[]>`select id from profiles`
    const imports = Array.from({ length: 6 }, async () => {
      const file = importing(names)
      file.goOn()
      await file.done
    })
    const hands = rows.map(async ({ id }, i) => {
      for (const name of [names[39 - i]!, names[(i * 7) % 40]!, `Free ${i}`]) {
        await edit(id, { name, age: (i * 13) % 90 }).catch((error) => expect(error.code).toBe('name_taken'))
      }
    })
    await Promise.all([...imports, ...hands])
    expect(await verifyFacets(sql)).toEqual([])
    const stored = await sql<{ name: string; name_key: string }[]>`select name, name_key from profiles`
    for (const { name, name_key } of stored) expect(name_key).toBe(nameKey(name))
  })

  it('are not undone by an import of the same name', async () => {
    const { id } = await store()
    await edit(id, { age: 55 })
    const file = importing(['ADA OBI'])
    file.goOn()
    expect(await file.done).toEqual([])
    expect(await getProfile(sql, id)).toMatchObject({ age: 55 })
  })
})
