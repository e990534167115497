import { hash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createExport } from '../../lib/exports/store.ts'
import { disconnect, type Sql } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { ObjectMissingError } from '../../lib/platform/storage.ts'
import { applyFacetDeltas, verifyFacets } from '../../lib/profiles/facets.ts'
import { foldName } from '../../lib/profiles/names.ts'
import { nameKey } from '../../lib/profiles/profile.ts'
import { insertProfile } from '../../lib/profiles/store.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'

let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sql: Sql
let api: typeof import('../../functions/candidates.ts').handler
const keys = { admin: '', recruiter: '', other: '', operator: '', otherOperator: '' }

beforeAll(async () => {
  ;[database, bucket] = await Promise.all([freshDatabase(), startStorage()])
  sql = database.sql
  const environment = {
    ...database.env,
    ...bucket.env,
    UPLOAD_BUCKET: 'uploads',
    UPLOAD_RETENTION_DAYS: '45',
    RESUMES_QUEUE_URL: 'http://127.0.0.1:1/none',
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  keys.admin = (await createKey(sql, { role: 'admin', team: 'acme', label: 'a' })).key
  keys.recruiter = (await createKey(sql, { role: 'recruiter', team: 'acme', label: 'b' })).key
  keys.other = (await createKey(sql, { role: 'admin', team: 'other', label: 'c' })).key
  keys.operator = (await createKey(sql, { role: 'operator', team: 'platform', label: 'd' })).key
  keys.otherOperator = (await createKey(sql, { role: 'operator', team: 'platform', label: 'e' })).key
  api = (await import('../../functions/candidates.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), bucket.close()])
  vi.unstubAllEnvs()
})

const erase = (body: unknown, key = keys.admin) => call(api, 'POST /api/erasures', { key, body })

type Person = { email: string; name: string; mark: string; resumeKey: string; profile: string }

/** Somebody of a team with a row wherever a row may be about a person; every text holds `mark`. */
async function seed(team: string, mark: string): Promise<Person> {
  const email = `${mark}@example.com`
  const name = `${mark} Obi`
  const resumeKey = `resumes/${randomUUID()}/file`
  const [owner] = await sql<{ id: string }[]>`select id from teams where name = ${team}`
  const team_id = owner!.id
  const [candidate] = await sql<{ id: string }[]>`
    insert into candidates (team_id, full_name, email, skills) values (${team_id}, ${name}, ${email}, ${`{${mark}}`})
    returning id`
  const [resume] = await sql<{ id: string }[]>`
    insert into resumes (candidate_id, filename, content_type, size, object_key, state, content, upload_expires_at)
    values (${candidate!.id}, ${`${mark}.txt`}, 'text/plain', 3, ${resumeKey}, 'completed', ${mark}, now())
    returning id`
  await sql`insert into resume_chunks values (${resume!.id}, 1, ${mark}, '{1}')`
  await sql`insert into invitations_sent values (${team_id}, ${Buffer.from(hashOf(email), 'hex')}, current_date, 1)`
  await bucket.storage.put(resumeKey, mark, 'text/plain')
  const [interview] = await sql<{ id: string }[]>`
    insert into interviews (team_id, candidate_id, role_title, plan, recruiter_email, state)
    values (${team_id}, ${candidate!.id}, 'Engineer', ${sql.json({ intro: mark })}, 'r@example.com', 'completed')
    returning id`
  const interview_id = interview!.id
  await sql`
    insert into interviews (team_id, candidate_id, role_title, recruiter_email)
    select team_id, id, 'Engineer', ${email.toUpperCase()} from candidates
    where team_id = ${team_id} and email = 'bystander@example.com'`
  await sql`
    insert into sessions (interview_id, transcript_json, report_json) values (${interview_id}, ${mark}, ${mark})`
  await sql`insert into turns (interview_id, sequence_no, speaker, content) values (${interview_id}, 1, 'ai', ${mark})`
  await sql`insert into turn_texts values (${interview_id}, ${team_id}, 1, ${mark})`
  await sql`insert into assessments (interview_id, content) values (${interview_id}, ${sql.json({ summary: mark })})`
  await sql`
    insert into assessment_generations values (${interview_id}, 1, ${sql.json({ summary: mark })}, now())`
  await sql`
    insert into verdicts (interview_id, generation, decision, note, given_by)
    select ${interview_id}, 1, 'hold', ${mark}, id from api_keys limit 1`
  await sql`
    insert into consents (candidate_id, kind, version, how, happened_at, recorded_by)
    select ${candidate!.id}, 'consent', ${mark}, 'by_word', now(), id from api_keys limit 1`
  await sql`
    insert into chat_messages (interview_id, sequence_no, role, content) values (${interview_id}, 1, 'user', ${mark})`
  await sql`
    insert into emails (team_id, interview_id, kind, recipient, data) values
      (${team_id}, ${interview_id}, 'invite', ${email}, ${sql.json({ candidate_name: name })}),
      (${team_id}, null, 'welcome', ${email.toUpperCase()}, '{}')`
  await sql`
    insert into suppressed_addresses (team_id, address, reason, created_at)
    values (${team_id}, ${email}, 'bounced', now())`
  const mentioning = await anotherInterview(team_id)
  const mention = JSON.stringify({ to: email })
  await sql`
    insert into webhook_events (source, event_id, type, outcome, interview_id, body, received_at) values
      ('agent', ${randomUUID()}, 'turn', 'ignored', ${interview_id}, ${mark}, now()),
      ('agent', ${randomUUID()}, 'turn', 'ignored', ${mentioning}, ${mention}, now())`
  await sql`
    insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id) values
      ('interview-events', ${randomUUID()}, ${mark}, 5, 'x', 'defect', 'interview', ${interview_id}),
      ('interview-events', ${randomUUID()}, ${mention}, 5, 'x', 'defect', 'interview', ${mentioning})`
  const { row } = await insertProfile(sql, {
    name,
    gender: 'female',
    gender_probability: null,
    age: 30,
    country_id: 'NG',
    country_probability: null,
  })
  await storeTwin(name)
  const asked = {
    filter: { name: foldName(name) },
    sort: { by: 'created_at', order: 'asc' },
    format: 'csv',
    compression: 'none',
    bom: false,
  } as const
  const [key] = await sql<{ id: string }[]>`select id from api_keys where team_id = ${team_id} limit 1`
  await createExport(sql, { teamId: team_id, keyId: key!.id }, asked, 1)
  // A team has no more than ten under way.
  await sql`update exports set state = 'completed' where team_id = ${team_id}`
  await sql`insert into profile_edits (profile_id, edited_at, fields) values (${row.id}, now(), '{name}')`
  const import_id = randomUUID()
  await sql`
    insert into imports (id, team_id, filename, size, object_key, upload_expires_at)
    values (${import_id}, ${team_id}, 'people.csv', 1, ${import_id}, now())`
  await seedFileWords(import_id, name)
  for (const [row_no, displaced] of [
    [1, null],
    [2, 7],
  ] as const) {
    await sql`
      insert into import_conflicts (import_id, row_no, slice_no, name_key, profile, displaced_row)
      values (${import_id}, ${row_no}, 1, ${nameKey(name)}, ${sql.json({ name })}, ${displaced})`
  }
  await sql`insert into import_trial_names values (${import_id}, ${nameKey(name)}, 1)`
  return { email, name, mark, resumeKey, profile: row.id }
}

/** An interview of the team with somebody else. */
async function anotherInterview(team_id: string): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    with other as (
      insert into candidates (team_id, full_name, email)
      values (${team_id}, 'Somebody Else', ${`${randomUUID()}@example.org`}) returning id)
    insert into interviews (team_id, candidate_id, role_title) select ${team_id}, id, 'Engineer' from other
    returning id`
  return row!.id
}

/** What an import holds of the words of its file, with the name among them as a file may have it. */
async function seedFileWords(import_id: string, name: string): Promise<void> {
  const written = name.toUpperCase().replace(' ', '  ')
  const failure = {
    code: 'missing_columns',
    message: `The header lacks name. It was read as: "${written}", age`,
    details: ['name'],
    header: { line: 1, delimiter: ',', encoding: 'utf-8', names: [written, 'age'] },
  }
  const sample = [
    { row: 1, name: written, age: '30' },
    { row: 2, name: 'Kept One', gender: written },
    { row: 3, name: 'Kept Two' },
  ]
  await sql`
    update imports set sample = ${sql.json(sample)}, ignored_columns = ${sql.json(['notes', written])},
      sample_keys = array[${nameKey(name)}, ${nameKey('Kept Two')}]::uuid[], failure = ${sql.json(failure)},
      header = ${`notes;"${written}";"a;b"`}, delimiter = ';', hints = ${sql.json([`Is ${written} a name?`, 'Kept.'])},
      options = ${sql.json({
        encoding: 'utf-8',
        columns: { name: written, age: 'Edad' },
        values: { gender: { [written]: 'female', H: 'male' } },
      })}
    where id = ${import_id}`
  const unread = {
    gender: [
      { value: written, count: 2 },
      { value: 'X', count: 1 },
    ],
    age: [{ value: 'old', count: 3 }],
  }
  await sql`
    insert into import_slices (import_id, slice_no, byte_start, byte_end, first_row, first_line, record_count, unread)
    values (${import_id}, 1, 0, 1, 1, 1, 1, ${sql.json(unread)}), (${import_id}, 2, 0, 1, 1, 1, 1, null)`
}

/** What an address is counted under. */
const hashOf = (email: string) => hash('sha256', email)

/** Another profile of a name, as an earlier folding of names let in. */
async function storeTwin(name: string): Promise<void> {
  await sql.begin(async (tx) => {
    const [twin] = await tx`
      insert into profiles (name_key, name, gender, age, country_id)
      values (uuidv4(), ${`\u200b${name}`}, 'female', 30, 'NG') returning id`
    await tx`insert into name_twins (profile_id, name_key) values (${twin!.id}, ${nameKey(name)})`
    await applyFacetDeltas(tx, [{ country_id: 'NG', gender: 'female', age: 30, delta: 1 }])
  })
}

/** Tables with a row that holds the text in any of its columns, whatever their type and case. */
async function holding(text: string): Promise<string[]> {
  const found: string[] = []
  for (const table of await tables()) {
    const [row] =
      await sql`select from ${sql(table)} t where strpos(lower(t::text), lower(${text})) > 0 limit 1`
    if (row) found.push(table)
  }
  return found
}

async function tables(): Promise<string[]> {
  const rows = await sql<{ table_name: string }[]>`
    select table_name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' order by table_name`
  return rows.map(({ table_name }) => table_name)
}

/** Tables that refer to candidates, and those that refer to these. */
async function aboutCandidates(): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    with recursive about(id) as (
      select 'candidates'::regclass::oid
      union select c.conrelid from pg_constraint c join about on c.confrelid = about.id and c.contype = 'f')
    select id::regclass::text as name from about order by 1`
  return rows.map(({ name }) => name)
}

/** Tables with a column in which, by its name, a person's address, name or words may stand. */
async function withPersonalColumns(): Promise<string[]> {
  const rows = await sql<{ table_name: string }[]>`
    select distinct c.table_name from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and t.table_type = 'BASE TABLE'
      and c.column_name ~ 'e_?mail|recipient|address|phone|name|content|body|transcript|profile'
    order by c.table_name`
  return rows.map(({ table_name }) => table_name)
}

/**
 * What their columns name are teams, queues and versions, not people; the last one is of the release before, and
 * nothing writes to it.
 */
const impersonal = ['teams', 'outbox', 'schema_migrations', 'email_suppressions']

describe('the erasure of a person', () => {
  it('leaves nothing in any table, none of the files, and all of somebody else', async () => {
    const [acme] = await sql<{ id: string }[]>`select id from teams where name = 'acme'`
    await sql`insert into candidates (team_id, full_name, email) values (${acme!.id}, 'By', 'bystander@example.com')`
    const person = await seed('acme', 'zqxada')
    const namesake = await seed('other', 'zqxbo')
    const [other] = await sql<{ id: string }[]>`select id from teams where name = 'other'`
    await sql`
      insert into candidates (team_id, full_name, email) values (${other!.id}, 'Kept', ${person.email})`

    const seeded = await holding(person.mark)
    const keyed = await holding(nameKey(person.name))
    const counted = await holding(hashOf(person.email))
    const identified = await holding(person.profile)
    expect(identified).toEqual(['profile_edits', 'profiles'])
    const missing = [...(await aboutCandidates()), ...(await withPersonalColumns())].filter(
      (table) => ![...seeded, ...keyed, ...counted, ...identified, ...impersonal].includes(table),
    )
    expect(missing).toEqual([])
    const before = await holding(namesake.mark)

    const answer = await erase({ email: person.email.toUpperCase(), name: person.name.toUpperCase() })
    expect(answer).toMatchObject({
      status: 200,
      body: {
        counts: {
          candidates: 1,
          resumes: 1,
          interviews: 1,
          turns: 1,
          chat_messages: 1,
          assessments: 1,
          verdicts: 1,
          emails: 2,
          webhook_events: 2,
          dead_letters: 1,
          recruiter_addresses: 1,
          profiles: 2,
          // Three rows to be settled, two of a sample, and once each: an ignored column, a column of a failure,
          // a field of a header, what was said of a column and of a value, and a value that could not be read.
          import_rows: 11,
        },
        not_searched: ['other_teams', 'messages_of_no_team'],
        not_reached: expect.arrayContaining([{ what: 'rejects', expires_after_days: 45 }]),
      },
    })
    const kept = await sql`
      delete from candidates where team_id = ${other!.id} and email = ${person.email} returning full_name`
    expect(kept).toEqual([{ full_name: 'Kept' }])
    expect(await holding(person.mark)).toEqual(['suppressed_addresses'])
    expect(await holding(nameKey(person.name))).toEqual([])
    expect(await holding(hashOf(person.email))).toEqual([])
    expect(await holding(person.profile)).toEqual([])
    await expect(bucket.storage.head(person.resumeKey)).rejects.toThrow(ObjectMissingError)

    expect(await holding(namesake.mark)).toEqual(before)
    await bucket.storage.head(namesake.resumeKey)
    expect(await sql`select from candidates where email = 'bystander@example.com'`).toHaveLength(1)
    expect(await verifyFacets(sql)).toEqual([])
  })

  it('leaves the other words of a file as they were', async () => {
    const { name } = await seed('acme', 'zqxwords')
    await erase({ name })
    const [left] = await sql`
      select sample, sample_keys::text, ignored_columns, failure, header, hints, options, unread
      from imports i join import_slices s on s.import_id = i.id and s.slice_no = 1
      order by i.created_at desc limit 1`
    expect(left).toEqual({
      sample: [{ row: 3, name: 'Kept Two' }],
      sample_keys: `{${nameKey('Kept Two')}}`,
      ignored_columns: ['notes'],
      failure: {
        code: 'missing_columns',
        message: 'The header lacks name. It was read as: "", age',
        details: ['name'],
        header: { line: 1, delimiter: ',', encoding: 'utf-8', names: ['age'] },
      },
      header: 'notes;;"a;b"',
      hints: ['Kept.'],
      options: { encoding: 'utf-8', columns: { age: 'Edad' }, values: { gender: { H: 'male' } } },
      unread: { gender: [{ value: 'X', count: 1 }], age: [{ value: 'old', count: 3 }] },
    })
  })

  it('finds a name that was cut, and none that only begins alike', async () => {
    const [acme] = await sql<{ id: string }[]>`select id from teams where name = 'acme'`
    const id = randomUUID()
    const name = `Zqx ${'é'.repeat(150)}`
    const columns = [name.slice(0, 80), `${name.slice(0, 79)}…`, 'Zqx', `${name.slice(0, 78)}x`]
    await sql`
      insert into imports (id, team_id, filename, size, object_key, upload_expires_at, ignored_columns)
      values (${id}, ${acme!.id}, 'people.csv', 1, ${id}, now(), ${sql.json(columns)})`
    expect((await erase({ name: name.toUpperCase() })).body.counts).toMatchObject({ import_rows: 2 })
    expect(await sql`select ignored_columns from imports where id = ${id}`).toEqual([
      { ignored_columns: columns.slice(2) },
    ])
  })

  it('finds a name behind the apostrophe of an export, which its row was read without', async () => {
    const [acme] = await sql<{ id: string }[]>`select id from teams where name = 'acme'`
    const id = randomUUID()
    const sample = ["'=Zqx Formula", '=ZQX  formula', "''=Zqx Formula", "'Zqx Formula"].map((name, at) => ({
      row: at + 1,
      name,
    }))
    await sql`
      insert into imports (id, team_id, filename, size, object_key, upload_expires_at, sample)
      values (${id}, ${acme!.id}, 'people.csv', 1, ${id}, now(), ${sql.json(sample)})`
    expect((await erase({ name: '=Zqx Formula' })).body.counts).toMatchObject({ import_rows: 2 })
    expect(await sql`select sample from imports where id = ${id}`).toEqual([{ sample: sample.slice(2) }])
  })

  it('is written down without the person, and finds nothing the second time', async () => {
    const { email, name } = await seed('acme', 'zqxtwice')
    const first = await erase({ email, name })
    const [version] = await sql`select version from dataset`
    const second = await erase({ email, name })
    expect(second.status).toBe(200)
    expect(Object.values(second.body.counts).every((count) => count === 0)).toBe(true)
    expect(await sql`select version from dataset`).toEqual([version])
    const noted = await sql`
      select d.subject, d.subject_id = d.id as own, d.counts, d.triggered_by, k.label from deletions d
      join api_keys k on k.id = d.requested_by where d.id in (${first.body.id}, ${second.body.id}) order by d.id`
    expect(noted).toEqual(
      [first, second].map(({ body }) => ({
        subject: 'person',
        own: true,
        counts: body.counts,
        triggered_by: 'request',
        label: 'a',
      })),
    )
  })

  it('by the e-mail alone leaves the profile, by the name alone the candidate', async () => {
    const byEmail = await seed('acme', 'zqxmail')
    const byName = await seed('acme', 'zqxname')
    await erase({ email: byEmail.email })
    await erase({ name: byName.name })
    const left = await sql`
      select (select count(*)::int from profiles where id in (${byEmail.profile}, ${byName.profile})) as profiles,
        (select count(*)::int from candidates where email in (${byEmail.email}, ${byName.email})) as candidates`
    expect(left).toEqual([{ profiles: 1, candidates: 1 }])
    expect(await holding(byEmail.mark)).toEqual([
      'exports',
      'import_conflicts',
      'import_slices',
      'imports',
      'profiles',
      'suppressed_addresses',
    ])
  })

  it('does nothing where the files cannot be deleted, and all of it when asked again', async () => {
    const { email, name, mark, resumeKey } = await seed('acme', 'zqxlater')
    const before = await holding(mark)
    bucket.s3.injectFault(({ method }) => (method === 'DELETE' ? { status: 503 } : undefined))
    const refused = await erase({ email, name })
    expect(refused).toMatchObject({ status: 503 })
    expect(await holding(mark)).toEqual(before)
    bucket.s3.injectFault(undefined)
    expect((await erase({ email, name })).status).toBe(200)
    expect(await holding(mark)).toEqual(['suppressed_addresses'])
    await expect(bucket.storage.head(resumeKey)).rejects.toThrow(ObjectMissingError)
  })

  it("is an admin's, of the own team", async () => {
    const { email, mark } = await seed('acme', 'zqxhidden')
    expect((await erase({ email }, keys.recruiter)).status).toBe(403)
    expect((await erase({ email }, keys.other)).body.counts).toMatchObject({ candidates: 0, interviews: 0 })
    expect(await holding(mark)).toContain('turns')
  })

  it.each([
    [{}],
    [{ email: 'a@example.com', teams: 'some' }],
    [{ email: 'a@example.com', confirm: 'x' }],
    [{ email: 'ada' }],
    [{ name: '' }],
    [{ phone: '1' }],
  ])('refuses %j', async (body) => {
    expect([400, 422]).toContain((await erase(body)).status)
  })
})

/** Every row of every table that is not about the erasures themselves, as text. */
async function everything(): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {}
  for (const table of await tables()) {
    if (table === 'deletions') continue
    const rows = await sql<{ text: string }[]>`select t::text as text from ${sql(table)} as t order by 1`
    found[table] = rows.map(({ text }) => text)
  }
  return found
}

describe('the erasure of a person of two teams', () => {
  it('by e-mail leaves all that the other team has, and tells nothing of it', async () => {
    await seed('acme', 'zqxonlyacme')
    const before = await everything()
    const known = await erase({ email: 'zqxonlyacme@example.com' }, keys.other)
    const unknown = await erase({ email: 'zqxnobody@example.com' }, keys.other)
    expect(await everything()).toEqual(before)
    const told = ({ body: { id: _, ...rest }, status }: typeof known) => ({ status, rest })
    expect(told(known)).toEqual(told(unknown))
    expect(told(known).rest.not_searched).toEqual(['other_teams', 'messages_of_no_team'])
  })

  it('by name takes the profile, and leaves the rows of imports and the exports of the other team', async () => {
    const mine = await seed('acme', 'zqxshared')
    const key = nameKey(mine.name)
    const [other] = await sql<{ id: string }[]>`select id from teams where name = 'other'`
    const theirs = randomUUID()
    await sql`
      insert into imports (id, team_id, filename, size, object_key, upload_expires_at)
      values (${theirs}, ${other!.id}, 'people.csv', 1, ${theirs}, now())`
    await seedFileWords(theirs, mine.name)
    await sql`
      insert into import_conflicts (import_id, row_no, slice_no, name_key, profile)
      values (${theirs}, 1, 1, ${key}, ${sql.json({ name: mine.name })})`
    await sql`insert into import_trial_names values (${theirs}, ${key}, 1)`
    const held = () => sql`
      select i.*, s.unread, c.profile, n.name_key from imports i
      join import_slices s on s.import_id = i.id and s.slice_no = 1
      join import_conflicts c on c.import_id = i.id join import_trial_names n on n.import_id = i.id
      where i.id = ${theirs}`
    const before = await held()
    expect(before).toHaveLength(1)
    expect((await erase({ name: mine.name })).body.counts).toMatchObject({ profiles: 2, import_rows: 11 })
    expect(await held()).toEqual(before)
    expect((await erase({ name: mine.name }, keys.other)).body.counts).toMatchObject({
      profiles: 0,
      import_rows: 10,
    })
    expect(await held()).toEqual([])
  })

  it('takes an address as a whole: not where it is part of another, in any text', async () => {
    const ann = await seed('acme', 'zqxann')
    const team = await sql`select id from teams where name = 'acme'`
    const team_id = team[0]!.id
    const elsewhere = await anotherInterview(team_id)
    const bodies = [
      { to: 'maryzqxann@example.com' },
      { to: 'zqxann@example.com.au' },
      { to: 'mary.zqxann@example.com', text: 'x\nzqxann@example.community' },
    ].map((body) => JSON.stringify(body))
    for (const body of bodies) {
      await sql`
        insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
        values ('interview-events', ${randomUUID()}, ${body}, 5, 'x', 'defect', 'interview', ${elsewhere})`
      await sql`
        insert into webhook_events (source, event_id, type, outcome, interview_id, body, received_at)
        values ('agent', ${randomUUID()}, 'turn', 'ignored', ${elsewhere}, ${body}, now())`
    }
    await sql`
      insert into candidates (team_id, full_name, email) values (${team_id}, 'Mary', 'maryzqxann@example.com')`
    const escaped = JSON.stringify({ body: '{"to":"zqxann\\u0040example.com"}' })
    await sql`
      insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
      values ('interview-events', ${randomUUID()}, ${escaped}, 5, 'x', 'defect', 'interview', ${elsewhere})`
    expect((await erase({ email: ann.email })).body.counts).toMatchObject({ candidates: 1, dead_letters: 2 })
    const left = async (table: string) =>
      (await sql`select body from ${sql(table)} where strpos(body, 'zqxann') > 0 order by 1`).map(
        ({ body }) => body,
      )
    expect(await left('dead_letters')).toEqual([...bodies].sort())
    expect(await left('webhook_events')).toEqual([...bodies].sort())
    expect(await sql`select from candidates where email = 'maryzqxann@example.com'`).toHaveLength(1)
  })

  it('takes an address out of what imports hold of their files, also within a text', async () => {
    const [acme] = await sql<{ id: string }[]>`select id from teams where name = 'acme'`
    const id = randomUUID()
    const columns = ['notes', 'ZQXFILE@example.com', 'Ada <zqxfile@example.com>', 'maryzqxfile@example.com']
    await sql`
      insert into imports (id, team_id, filename, size, object_key, upload_expires_at, ignored_columns)
      values (${id}, ${acme!.id}, 'people.csv', 1, ${id}, now(), ${sql.json(columns)})`
    expect((await erase({ email: 'zqxfile@example.com' })).body.counts).toMatchObject({ import_rows: 2 })
    expect(await sql`select ignored_columns from imports where id = ${id}`).toEqual([
      { ignored_columns: ['notes', 'maryzqxfile@example.com'] },
    ])
  })
})

describe('the erasure of a person from all teams', () => {
  const all = (body: object, key = keys.operator) => erase({ ...body, teams: 'all' }, key)

  /** The person in both teams, and in messages that belong to none. */
  async function seedEverywhere(mark: string): Promise<Person> {
    const person = await seed('acme', mark)
    const [other] = await sql<{ id: string }[]>`select id from teams where name = 'other'`
    await sql`
      insert into candidates (team_id, full_name, email) values (${other!.id}, ${person.name}, ${person.email})`
    const mention = JSON.stringify({ to: person.email })
    await sql`
      insert into dead_letters (queue, message_id, body, receive_count, error, cause)
      values ('interview-events', ${randomUUID()}, ${mention}, 5, 'x', 'defect')`
    await sql`
      insert into webhook_events (source, event_id, type, outcome, body, received_at)
      values ('agent', ${randomUUID()}, 'turn', 'unmatched', ${mention}, now())`
    return person
  }

  it("is an operator's, and no operator erases from a team alone", async () => {
    expect((await all({ email: 'a@example.com' }, keys.admin)).status).toBe(403)
    expect((await erase({ email: 'a@example.com' }, keys.operator)).status).toBe(403)
  })

  it('is shown first, and changes nothing before it is confirmed', async () => {
    const { email, name, resumeKey } = await seedEverywhere('zqxevery')
    const before = await everything()
    const noted = await sql`select count(*) from deletions`
    const shown = await all({ email, name })
    expect(shown).toMatchObject({
      status: 200,
      body: {
        erased: false,
        teams: [
          { name: 'acme', counts: { candidates: 1, resumes: 1, import_rows: 11, dead_letters: 1 } },
          { name: 'other', counts: { candidates: 1, resumes: 0, import_rows: 0, dead_letters: 0 } },
        ],
        unowned: { webhook_events: 1, dead_letters: 1 },
        profiles: 2,
        not_searched: [],
      },
    })
    expect(shown.body).not.toHaveProperty('id')
    expect(await everything()).toEqual(before)
    expect(await sql`select count(*) from deletions`).toEqual(noted)
    await bucket.storage.head(resumeKey)

    const { confirm } = shown.body
    const refused = { status: 409, body: { code: 'confirmation_outdated' } }
    expect(await all({ email, name, confirm: 'yes' })).toMatchObject(refused)
    expect(await all({ email: 'else@example.com', name, confirm })).toMatchObject(refused)
    expect(await all({ email, name, confirm }, keys.otherOperator)).toMatchObject(refused)
    expect(await everything()).toEqual(before)
    await bucket.storage.head(resumeKey)
  })

  it('is done as it was shown, once, and written down for each team', async () => {
    const { email, name, mark, resumeKey } = await seedEverywhere('zqxdone')
    const { body: shown } = await all({ email, name })
    const { confirm } = shown
    const { status, body: done } = await all({ email, name, confirm })
    expect(status).toBe(200)
    expect(done).toMatchObject({ erased: true, teams: shown.teams, unowned: shown.unowned, profiles: 2 })
    expect(await holding(mark)).toEqual(['suppressed_addresses'])
    await expect(bucket.storage.head(resumeKey)).rejects.toThrow(ObjectMissingError)
    expect(await verifyFacets(sql)).toEqual([])
    const noted = await sql`
      select t.name, k.label, counts from deletions d join teams t on t.id = d.team_id
      join api_keys k on k.id = requested_by where subject = 'person' and subject_id = ${done.id} order by t.name`
    expect(noted).toMatchObject([
      { name: 'acme', label: 'd', counts: { candidates: 1 } },
      { name: 'other', label: 'd', counts: { candidates: 1 } },
      { name: 'platform', label: 'd', counts: { candidates: 0, profiles: 2, unowned_dead_letters: 1 } },
    ])
    expect(await all({ email, name, confirm })).toMatchObject({ status: 409 })
  })

  it('is shown again if more has come since', async () => {
    const { email } = await seedEverywhere('zqxmore')
    const { confirm } = (await all({ email })).body
    await sql`
      insert into emails (team_id, kind, recipient, data)
      select id, 'welcome', ${email}, '{}' from teams where name = 'other'`
    expect(await all({ email, confirm })).toMatchObject({ status: 409 })
    const again = await all({ email })
    expect(again.body.teams[1]).toMatchObject({ name: 'other', counts: { emails: 1 } })
    expect((await all({ email, confirm: again.body.confirm })).body.erased).toBe(true)
  })

  it('does nothing if the files cannot be deleted', async () => {
    const { email, mark } = await seedEverywhere('zqxfiles')
    const { confirm } = (await all({ email })).body
    const before = await holding(mark)
    bucket.s3.injectFault(({ method }) => (method === 'DELETE' ? { status: 503 } : undefined))
    expect(await all({ email, confirm })).toMatchObject({ status: 503 })
    bucket.s3.injectFault(undefined)
    expect(await holding(mark)).toEqual(before)
    expect((await all({ email, confirm })).body.erased).toBe(true)
  })
})
