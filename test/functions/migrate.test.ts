import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { mockClient } from 'aws-sdk-client-mock'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { handler } from '../../functions/migrate.ts'
import { readMigrations } from '../../lib/db/migrator.ts'
import { nameKey } from '../../lib/profiles/profile.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

const secrets = mockClient(SecretsManagerClient)
let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
  const { hostname, port, pathname, username, password } = new URL(database.url)
  const master = { host: hostname, port, dbname: pathname.slice(1), username, password }
  secrets.on(GetSecretValueCommand).resolves({ SecretString: JSON.stringify(master) })
  vi.stubEnv('DATABASE_SECRET_ARN', 'master')
  vi.stubEnv('PGSSLMODE', 'disable')
})
afterAll(async () => {
  secrets.restore()
  vi.unstubAllEnvs()
  await database.close()
})

it('a deployment brings the keys of stored names to the folding of the code', async () => {
  const { sql } = database
  await sql`
    insert into profiles (name_key, name, gender, age, country_id) values (uuidv4(), 'Zoë', 'female', 30, 'FR')`
  await sql`update name_rekeying set folding = 1, covered_at = null`
  expect(await handler()).toMatchObject({ applied: [], names: { looked: 1, changed: 1, ended: true } })
  expect(await sql`select name_key from profiles`).toEqual([{ name_key: nameKey('ZOË') }])
  // Whatever a worker of the release before still writes is found after the next deployment, too.
  await sql`update profiles set name_key = uuidv4()`
  expect(await handler()).toMatchObject({ names: { changed: 1 } })
})

it('a deployment leaves names to the sweep when its time is nearly over', async () => {
  const names = { looked: 0, changed: 0, ended: false }
  expect(await handler({}, { getRemainingTimeInMillis: () => 59_000 })).toMatchObject({ names })
})

it('a migration that fails makes the function throw with its name, and the data stay as they were', async () => {
  const [first] = await readMigrations()
  await database.sql`insert into teams (name) values ('acme')`
  // Applied once more it finds its own tables.
  await database.sql`delete from schema_migrations where version = ${first!.version}`
  const state = () => database.sql`
    select (select count(*) from schema_migrations) as migrations, (select count(*) from teams) as teams,
      (select count(*) from pg_class where relnamespace = 'public'::regnamespace) as relations`
  const before = await state()
  await expect(handler()).rejects.toThrow(`The migration ${first!.name} failed: `)
  expect(await state()).toEqual(before)
})
