import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import { mockClient } from 'aws-sdk-client-mock'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { handler } from '../../functions/migrate.ts'
import { readMigrations } from '../../lib/db/migrator.ts'
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
