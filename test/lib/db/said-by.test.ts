import { afterAll, beforeAll, expect, it } from 'vitest'
import { migrate, readMigrations } from '../../../lib/db/migrator.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

const migrations = await readMigrations()
let old: TestDatabase
beforeAll(async () => {
  old = await freshDatabase()
  await old.sql.unsafe('drop schema public cascade; create schema public')
  await migrate(
    old.sql,
    migrations.filter(({ version }) => version < 36),
  )
})
afterAll(() => old.close())

it('takes what a résumé says too for its word, the rest for a person’s, and gives suppressions to their teams', async () => {
  const { sql } = old
  await sql`insert into teams (name) values ('acme'), ('other')`
  const [candidate] = await sql<{ id: string }[]>`
    insert into candidates (team_id, full_name, email, current_title, years_of_experience, skills, location)
    select id, 'Ada', 'Ada@example.com', 'Engineer', 7.1, '{Go}', 'Kano' from teams where name = 'acme' returning id`
  await sql`
    insert into candidates (team_id, full_name, email)
    select id, 'Bo', 'bo@example.com' from teams where name = 'other'`
  const extracted = {
    current_title: ' Engineer ',
    years_of_experience: 7.1,
    skills: ['Go'],
    location: 'Lagos',
  }
  const [resume] = await sql<{ id: string }[]>`
    insert into resumes (candidate_id, filename, content_type, size, object_key, state, extracted, completed_at,
      upload_expires_at)
    values (${candidate!.id}, 'cv.txt', 'text/plain', 1, 'resumes/1/file', 'completed', ${sql.json(extracted)}, now(), now())
    returning id`
  await sql`
    insert into email_suppressions (address, reason) values
      ('ada@example.com', 'bounced'), ('bo@example.com', 'complained'), ('no-one@example.com', 'bounced')`
  await migrate(
    sql,
    migrations.filter(({ version }) => version >= 36),
  )

  const [row] = await sql<{ said_by: Record<string, unknown> }[]>`
    select said_by from candidates where id = ${candidate!.id}`
  const person = { by: 'person', key_id: null, at: expect.any(String) }
  const read = { by: 'resume', resume_id: resume!.id, at: expect.any(String) }
  expect(row!.said_by).toEqual({
    full_name: person,
    email: person,
    current_title: read,
    years_of_experience: read,
    skills: read,
    location: person,
  })
  expect(
    await sql`
      select t.name, s.address, s.reason from suppressed_addresses s join teams t on t.id = s.team_id order by 1`,
  ).toEqual([
    { name: 'acme', address: 'ada@example.com', reason: 'bounced' },
    { name: 'other', address: 'bo@example.com', reason: 'complained' },
  ])
  expect(await sql`select from email_suppressions`).toHaveLength(0)
})
