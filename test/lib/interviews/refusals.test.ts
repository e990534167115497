import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrate, readMigrations } from '../../../lib/db/migrator.ts'
import { countRefused } from '../../../lib/interviews/refused.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

describe('what the release before was refused', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await freshDatabase()
    const migrations = await readMigrations()
    await database.sql.unsafe('drop schema public cascade; create schema public')
    await migrate(
      database.sql,
      migrations.filter(({ version }) => version < 24),
    )
    const failure = (message: string) => JSON.stringify({ code: 'refused', message })
    await database.sql`
      with team as (insert into teams (name) values ('a') returning id),
        person as (insert into candidates (team_id, full_name, email) select id, 'a', 'a@b.c' from team returning *),
        mail as (
          insert into emails (team_id, kind, recipient, data, state, failure)
          select id, 'welcome', 'a@b.c', '{}', 'failed', failure::jsonb from team, (values
            (${failure('Resend refused the call: 403 validation_error')}),
            (${failure('Resend refused the call: 422 validation_error')})) as given (failure))
      insert into resumes (candidate_id, filename, content_type, size, object_key, state, upload_expires_at, failure)
      select id, 'a', 'text/plain', 1, failure, 'failed', now(), failure::jsonb from person, (values
        (${failure('Gemini refused the call: 404 NOT_FOUND')}),
        (${failure('Gemini refused the call: 400 INVALID_ARGUMENT')}),
        (${failure('Gemini refused the call: the prompt was blocked (SAFETY)')})) as given (failure)`
    await migrate(database.sql, migrations)
  })
  afterAll(() => database.close())

  it('can be tried again too, as far as it says that it was for the account', async () => {
    const none = { assessments: 0, emails: 0, resumes: 0, embeddings: 0 }
    expect(await countRefused(database.sql)).toMatchObject([
      { service: 'gemini', counts: { ...none, resumes: 1 } },
      { service: 'resend', counts: { ...none, emails: 1 } },
    ])
  })
})
