import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { grantApplication, migrate, readMigrations } from '../../../lib/db/migrator.ts'
import type { RetryClock } from '../../../lib/platform/retry.ts'
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
  const before = { version: 9003, name: '9003_before.sql', text: 'create table kept (id int)', checksum: 'x' }
  const after = { version: 9004, name: '9004_after.sql', text: 'create table never (id int)', checksum: 'x' }
  await expect(migrate(database.sql, [before, broken, after])).rejects.toThrow(
    'The migration 9002_broken.sql failed: division by zero',
  )
  const [row] = await database.sql`
    select to_regclass('kept') as kept, to_regclass('half') as half, to_regclass('never') as never`
  expect(row).toEqual({ kept: 'kept', half: null, never: null })
  // The next deployment, mended, goes on from there.
  const mended = { ...broken, text: 'create table half (id int)' }
  expect(await migrate(database.sql, [before, mended, after])).toEqual(['9002_broken.sql', '9004_after.sql'])
})

/** A transaction that has written to a table, and is open until `finish`. */
async function openWriter(table: string): Promise<{ finish(): Promise<unknown> }> {
  const written = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const transaction = database.sql.begin(async (writer) => {
    await writer`insert into ${writer(table)} values (1)`
    written.resolve()
    await commit.promise
  })
  await Promise.race([written.promise, transaction])
  return {
    finish() {
      commit.resolve()
      return transaction
    },
  }
}

test('a table that is in use is waited for in turns, and queries go on between them', async () => {
  await database.sql`create table busy (id int)`
  const writer = await openWriter('busy')
  const seen: unknown[] = []
  const clock: RetryClock = {
    random: () => 0,
    async sleep() {
      seen.push(...(await database.sql`select count(*) from busy`))
      if (seen.length === 2) await writer.finish()
    },
  }
  const widen = {
    version: 9005,
    name: '9005_widen.sql',
    text: 'alter table busy add more int',
    checksum: 'x',
  }
  expect(await migrate(database.sql, [widen], clock)).toEqual(['9005_widen.sql'])
  expect(seen).toEqual([{ count: 0 }, { count: 0 }])
})

test('an index is built outside a transaction while others write, and again after it was cut off', async () => {
  await database.sql`create table written (id int)`
  const build = {
    version: 9006,
    name: '9006_index.sql',
    text: `-- outside a transaction
      drop index concurrently if exists written_id;
      create unique index concurrently written_id on written (id);
    `,
    checksum: 'x',
  }
  await database.sql`insert into written values (1), (1)`
  await expect(migrate(database.sql, [build])).rejects.toThrow('The migration 9006_index.sql failed')
  const state = () => database.sql`
    select indisvalid as valid from pg_index where indexrelid = to_regclass('written_id')`
  expect(await state()).toEqual([{ valid: false }])
  await database.sql`truncate written`

  const writer = await openWriter('written')
  const building = migrate(database.sql, [build])
  await expect
    .poll(
      () => database.sql`
        select from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%index concurrently%written_id%'`,
    )
    .toHaveLength(1)
  await database.sql`insert into written values (2)`
  await writer.finish()
  expect(await building).toEqual(['9006_index.sql'])
  expect(await state()).toEqual([{ valid: true }])
  expect(await migrate(database.sql, [build])).toEqual([])
})

test('a file changed after it was applied is refused', async () => {
  const [first] = await readMigrations()
  await expect(migrate(database.sql, [{ ...first!, checksum: 'other' }])).rejects.toThrow('was changed')
})

test('an older deployment leaves alone what a newer one has applied', async () => {
  const known = await readMigrations()
  const newer = { version: 9007, name: '9007_newer.sql', text: 'create table newer (id int)', checksum: 'x' }
  await migrate(database.sql, [...known, newer])
  expect(await migrate(database.sql, known)).toEqual([])
  expect(await database.sql`select to_regclass('newer') as newer`).toEqual([{ newer: 'newer' }])
  expect(await migrate(database.sql, [...known, newer])).toEqual([])
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
