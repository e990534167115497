import { hash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { migrate, readMigrations } from '../../../lib/db/migrator.ts'
import { eraseName } from '../../../lib/imports/erase.ts'
import { moveConflicts } from '../../../lib/imports/name-store.ts'
import type { Sql, Transaction } from '../../../lib/platform/db.ts'
import { verifyFacets } from '../../../lib/profiles/facets.ts'
import { nameKey, twinKey } from '../../../lib/profiles/profile.ts'
import { askForPasses, namesAreKeyed, type RekeyContext, rekeyNames } from '../../../lib/profiles/rekey.ts'
import { deleteProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { storeProfiles } from '../../support/profiles.ts'

let database: TestDatabase
let sql: Sql
beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
})
afterAll(() => database.close())
beforeEach(async () => {
  await sql`truncate profiles, facets, name_twins, imports cascade`
  // As the migration leaves a table that holds profiles.
  await sql`
    update name_rekeying set folding = 1, began_at = null, scanned_up_to = null, changed = 0, covered_at = null,
      settled = false, asked_at = now() where id = 1`
})

/** The key by the folding of the release before, number 1. */
function formerKey(name: string): string {
  const collapsed = name
    .normalize('NFKC')
    .replace(/[\s\u0085]+/gu, ' ')
    .trim()
  const folded = collapsed.toUpperCase().toLowerCase().normalize('NFKC')
  return hash('sha256', folded, 'hex').slice(0, 32)
}

const person = {
  gender: 'female' as const,
  gender_probability: null,
  age: 30,
  country_id: 'NG',
  country_probability: null,
}

/** Stores a profile as a worker of the release before does. Returns its id, or undefined if its key is taken. */
async function storeFormerly(
  name: string,
  importId: string | null = null,
  row = 1,
): Promise<string | undefined> {
  const [stored] = await sql<{ id: string }[]>`
    insert into profiles (name_key, name, gender, age, country_id, import_id, import_row)
    values (${formerKey(name)}, ${name}, 'female', 30, 'NG', ${importId}, ${row})
    on conflict (name_key) do nothing returning id`
  if (stored)
    await sql`insert into facets values ('NG', 'female', 30, 1)
    on conflict (country_id, gender, age) do update set count = facets.count + 1`
  return stored?.id
}

const at = (context: Partial<RekeyContext> = {}) =>
  rekeyNames({ sql, remainingMs: () => 1000, moved: moveConflicts, ...context })
const atOnce = { between: 0, settledAfter: 0, overlap: 3600 }

const stored = () =>
  sql<{ name: string; id: string; name_key: string }[]>`select name, id, name_key from profiles order by id`
const twins = () =>
  sql<{ profile_id: string; name_key: string }[]>`select profile_id, name_key from name_twins order by 1`

async function expectKeyed(): Promise<void> {
  const listed = new Map((await twins()).map(({ profile_id, name_key }) => [profile_id, name_key]))
  const holders = new Set<string>()
  for (const { name, id, name_key } of await stored()) {
    const twin = listed.get(id)
    expect(twin ?? name_key, name).toBe(nameKey(name))
    if (twin === undefined) holders.add(name_key)
    else expect(name_key).toBe(twinKey(id))
  }
  for (const key of listed.values()) expect(holders).toContain(key)
  expect(await verifyFacets(sql)).toEqual([])
}

describe('the keys of stored names', () => {
  it('come to the new folding; of twins the oldest has the name and the others are listed', async () => {
    const plain = (await storeFormerly('Ada Obi'))!
    const marked = (await storeFormerly('\u200bAda Obi'))!
    const persian = (await storeFormerly('علی\u200cرضا'))!
    const joined = (await storeFormerly('علیرضا'))!
    const third = (await storeFormerly('علی\u00adرضا'))!
    await storeFormerly('Zoë')
    await storeFormerly('Işık')
    expect(await storeFormerly('IŞIK')).toBeUndefined()
    const [version] = await sql`select version from dataset`
    expect(await at()).toEqual({ looked: 6, changed: 5, twins: 3, freed: 0, ended: true })
    await expectKeyed()
    expect(await twins()).toEqual([
      { profile_id: marked, name_key: nameKey('ada obi') },
      { profile_id: joined, name_key: nameKey('علیرضا') },
      { profile_id: third, name_key: nameKey('علیرضا') },
    ])
    const keys = new Map((await stored()).map(({ id, name_key }) => [id, name_key]))
    expect([keys.get(plain), keys.get(persian)]).toEqual([nameKey('Ada Obi'), nameKey('علیرضا')])
    const [later] = await sql`select version from dataset`
    expect(later!.version).toBeGreaterThan(version!.version)
  })

  it('change places where the younger one has the key that the older one should have', async () => {
    const older = (await storeFormerly('Ada\u2060 Obi'))!
    const younger = (await storeFormerly('ada obi'))!
    await at()
    await expectKeyed()
    expect(await twins()).toEqual([{ profile_id: younger, name_key: nameKey('Ada Obi') }])
    expect((await stored())[0]).toMatchObject({ id: older, name_key: nameKey('Ada Obi') })
  })

  it('go round where each has the key of the next', async () => {
    const names = ['Zoë A', 'Zoë B', 'Zoë C']
    await storeProfiles(
      sql,
      names.map((name) => ({ ...person, name })),
    )
    const rows = await stored()
    const keys = rows.map(({ name_key }) => name_key)
    await sql`update profiles set name_key = uuidv4()`
    for (const [i, { id }] of rows.entries()) {
      await sql`update profiles set name_key = ${keys[(i + 1) % 3]!} where id = ${id}`
    }
    expect(await at({ partSize: 1 })).toMatchObject({ changed: 3, twins: 0 })
    await expectKeyed()
  })

  it('that workers of the release before write later are found by the next pass', async () => {
    await storeFormerly('Straße\u200b')
    await at({ waits: { ...atOnce, between: 60 } })
    await storeFormerly('علی\u200cرضا')
    await insertProfile(sql, { ...person, name: 'علیرضا' })
    expect(await at({ waits: { ...atOnce, between: 60 } })).toMatchObject({ looked: 0, ended: true })
    expect(await at({ waits: { ...atOnce, settledAfter: 60 }, ...once() })).toMatchObject({
      changed: 2,
      twins: 1,
    })
    await expectKeyed()
  })

  it('are left alone once a pass that began late enough changed nothing, until a deployment asks again', async () => {
    await storeFormerly('Straße\u200b')
    expect(await at({ waits: atOnce })).toMatchObject({ changed: 1, ended: true })
    expect(await sql`select settled from name_rekeying`).toEqual([{ settled: true }])
    await storeFormerly('علی\u200cرضا')
    expect(await at({ waits: atOnce })).toMatchObject({ looked: 0 })
    await askForPasses(sql)
    expect(await at({ waits: atOnce })).toMatchObject({ changed: 1 })
    await expectKeyed()
  })

  it('are brought on where a run was cut off, part by part and batch by batch', async () => {
    await storeProfiles(
      sql,
      Array.from({ length: 1300 }, (_, i) => ({ ...person, name: `Zoë\u200b ${i}` })),
    )
    await sql`update profiles set name_key = uuidv4()`
    let runs = 0
    let changed = 0
    for (let ended = false; !ended; runs++) {
      // Time for one part, of which one batch.
      const run = await at({ partSize: 700, ...once() })
      expect(run.changed).toBeLessThanOrEqual(500)
      changed += run.changed
      ended = run.ended
      if (changed < 1300) expect(await namesAreKeyed(sql)).toBe(false)
      expect(runs).toBeLessThan(20)
    }
    expect(changed).toBe(1300)
    expect(runs).toBeGreaterThan(3)
    await expectKeyed()
  })

  it('are brought on by two workers at once as by one', async () => {
    const spellings = ['Zoë', 'ZOE\u0308', 'Zo\u200bë', 'zoë\u00ad']
    const people = Array.from({ length: 600 }, (_, i) => ({
      ...person,
      name: `${spellings[i % 4]} ${i >> 2}`,
    }))
    for (const spelling of [0, 1, 2, 3]) {
      const part = people.filter((_, i) => i % 4 === spelling)
      await storeProfiles(sql, part)
      await sql`update profiles set name_key = uuidv4()`
    }
    await Promise.all([at({ partSize: 100 }), at({ partSize: 100 }), at({ partSize: 100 })])
    await at()
    await expectKeyed()
    expect(await twins()).toHaveLength(450)
  })

  it('give way to an import that takes the same names, and find what it took', async () => {
    const older = (await storeFormerly('Zoë\u200b'))!
    const taken = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    const take = (tx: Transaction, key: string) => tx`
      insert into profiles (name_key, name, gender, age, country_id) values (${key}, 'Zoë', 'female', 30, 'NG')
      on conflict do nothing`
    const importing = sql.begin(async (tx) => {
      await take(tx, nameKey('Zoë'))
      taken.resolve()
      await goOn.promise
      // The profile that is being keyed has it, and waits for this transaction: neither may be ended.
      await take(tx, formerKey('Zoë\u200b'))
      await tx`update facets set count = count + 1 where country_id = 'NG'`
    })
    await taken.promise
    const rekeying = at()
    await waiting()
    goOn.resolve()
    await importing
    await rekeying
    await expectKeyed()
    expect((await stored())[0]).toMatchObject({ id: older, name_key: nameKey('Zoë') })
  })

  it('stay as they are where newer code has brought them further', async () => {
    await storeFormerly('Straße\u200b')
    await sql`update name_rekeying set folding = 99`
    expect(await at()).toMatchObject({ looked: 0, ended: true })
    expect(await namesAreKeyed(sql)).toBe(false)
  })
})

/** Resolves when a session waits for another's transaction. */
async function waiting(): Promise<void> {
  for (;;) {
    const [row] = await sql`select from pg_locks where not granted and locktype = 'transactionid'`
    if (row) return
  }
}

/** Time for one step. */
function once(): Pick<RekeyContext, 'remainingMs'> {
  let asked = 0
  return { remainingMs: () => (asked++ === 0 ? 1000 : 0) }
}

describe('a twin', () => {
  async function pair(): Promise<{ older: string; twin: string }> {
    const older = (await storeFormerly('Zoë Obi'))!
    const twin = (await storeFormerly('Zoë\u200b Obi'))!
    await at()
    return { older, twin }
  }

  it('gets the name when the older profile is deleted', async () => {
    const { older, twin } = await pair()
    await deleteProfile(sql, older)
    expect(await at()).toMatchObject({ freed: 1 })
    expect(await twins()).toEqual([])
    expect(await stored()).toEqual([{ id: twin, name: 'Zoë\u200b Obi', name_key: nameKey('zoë obi') }])
  })

  it('that is deleted is listed no longer', async () => {
    const { twin } = await pair()
    await deleteProfile(sql, twin)
    expect(await twins()).toEqual([])
    await expectKeyed()
  })

  it('is erased with its name, and no name is erased before every profile is found by it', async () => {
    await storeFormerly('Zoë Obi')
    const erase = () => sql.begin((tx) => eraseName(tx, [], 'ZOË OBI'))
    await expect(erase()).rejects.toMatchObject({ code: 'unavailable', status: 503 })
    await sql`truncate profiles, facets, name_twins`
    await pair()
    expect(await erase()).toMatchObject({ profiles: 2 })
    expect(await stored()).toEqual([])
  })
})

describe('a conflict of an import at work', () => {
  it('follows the profile that holds its name', async () => {
    const id = crypto.randomUUID()
    const [team] = await sql`insert into teams (name) values (${id}) returning id`
    await sql`insert into imports (id, team_id, filename, size, object_key, upload_expires_at)
      values (${id}, ${team!.id}, 'x', 1, ${id}, now())`
    await storeFormerly('Zoë\u200b', id, 7)
    await sql`insert into import_conflicts (import_id, row_no, slice_no, name_key, profile) values
      (${id}, 3, 1, ${formerKey('ZOË\u200b')}, ${sql.json({ ...person, name: 'ZOË\u200b' })})`
    await at()
    expect(await sql`select name_key from import_conflicts`).toEqual([{ name_key: nameKey('Zoë') }])
    await expectKeyed()
  })
})

describe('the migration', () => {
  it.each([
    ['with profiles', 1, false],
    ['without any', 0, true],
  ])('of a table %s says whether its names have their keys', async (_, count, keyed) => {
    const old = await freshDatabase()
    try {
      await old.sql.unsafe('drop schema public cascade; create schema public')
      const migrations = await readMigrations()
      await migrate(
        old.sql,
        migrations.filter(({ version }) => version < 13),
      )
      await old.sql`
        insert into profiles (name_key, name, gender, age, country_id)
        select ${formerKey('Zoë\u200b')}, ${'Zoë\u200b'}, 'female', 30, 'NG' from generate_series(1, ${count}::int)`
      await migrate(old.sql, migrations)
      expect(await namesAreKeyed(old.sql)).toBe(keyed)
      expect(await at({ sql: old.sql })).toMatchObject({ changed: count, ended: true })
      expect(await namesAreKeyed(old.sql)).toBe(true)
    } finally {
      await old.close()
    }
  })
})
