import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { grantApplication, migrate, readMigrations } from '../../../lib/db/migrator.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.close())

test('a migrated database has nothing left to apply', async () => {
  expect(await migrate(database.sql, await readMigrations())).toEqual([])
})

test('two deployments at once apply each file once', async () => {
  const extra = {
    version: 9001,
    name: '9001_both.sql',
    text: 'create table both_once (id int)',
    checksum: 'x',
  }
  const all = [...(await readMigrations()), extra]
  const results = await Promise.all([migrate(database.sql, all), migrate(database.sql, all)])
  expect(results.flat()).toEqual(['9001_both.sql'])
})

test('a failing file leaves nothing of itself and stops the rest', async () => {
  const broken = {
    version: 9002,
    name: '9002_broken.sql',
    text: 'create table half (id int); select 1/0;',
    checksum: 'x',
  }
  await expect(migrate(database.sql, [broken])).rejects.toThrow('division by zero')
  const [row] = await database.sql`select to_regclass('half') as half`
  expect(row?.half).toBeNull()
})

test('a file changed after it was applied is refused', async () => {
  const [first] = await readMigrations()
  await expect(migrate(database.sql, [{ ...first!, checksum: 'other' }])).rejects.toThrow('was changed')
})

test('a badly named or doubly numbered file is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-migrations-'))
  await writeFile(join(folder, '0001_a.sql'), 'select 1')
  await writeFile(join(folder, '0001_b.sql'), 'select 1')
  await expect(readMigrations(pathToFileURL(`${folder}/`))).rejects.toThrow('0001_b.sql')
  await rm(folder, { recursive: true })
})

test('the application role reads and writes but cannot edit the history of the schema', async () => {
  const user = `app_${Date.now()}`
  await grantApplication(database.sql, user)
  await grantApplication(database.sql, user)
  const [may] = await database.sql`
    select has_table_privilege(${user}, 'profiles', 'insert') as write,
      has_table_privilege(${user}, 'schema_migrations', 'select') as read,
      has_table_privilege(${user}, 'schema_migrations', 'update') as edit`
  expect(may).toEqual({ write: true, read: true, edit: false })
  await database.sql`drop owned by ${database.sql(user)}`
  await database.sql`drop role ${database.sql(user)}`
})
