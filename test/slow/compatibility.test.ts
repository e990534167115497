import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { migrate, readMigrations } from '../../lib/db/migrator.ts'
import type { Transaction } from '../../lib/platform/db.ts'
import type { RetryClock } from '../../lib/platform/retry.ts'
import { breaks, delays, readCatalogue } from '../lib/db/compatibility.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

const noRelease = 'No release had been deployed: nobody had a large table.'

/**
 * What a migration may do to the code at work all the same, each with the reason: the sentence of the test that
 * found it, by the name of the file. A column is taken away in two steps: a release that no longer uses it, then
 * a migration that is named here.
 */
const accepted: Record<string, Record<string, string>> = {
  '0008_dataset_epoch.sql': { 'dataset is written anew': 'It has one row.' },
  '0011_both_probabilities.sql': {
    'profiles cannot be written while profiles_gender_probability is built': noRelease,
  },
  '0012_retention.sql': {
    "deletions has a new CHECK ((subject = ANY (ARRAY['interview'::text, 'candidate'::text, 'person'::text, 'transcript'::text, 'resumes'::text])))":
      'It allows what the one before did, and more; code only writes to this table.',
    "deletions is read in whole for CHECK ((subject = ANY (ARRAY['interview'::text, 'candidate'::text, 'person'::text, 'transcript'::text, 'resumes'::text])))":
      'It has a row for each deletion by a person: thousands are read in milliseconds.',
    'dead_letters cannot be written while dead_letters_closed is built': noRelease,
    'emails cannot be written while emails_to_blank is built': noRelease,
    'interviews cannot be written while interviews_to_expire is built': noRelease,
  },
  '0013_name_twins.sql': {
    'profiles has a new profiles_deleted': 'It deletes rows of tables that the code before does not know.',
  },
  '0022_roles.sql': {
    "api_keys is read in whole for CHECK (((roles <@ ARRAY['admin'::text, 'operator'::text, 'recruiter'::text, 'analyst'::text]) AND (cardinality(roles) > 0)))":
      'It has a row for each key: thousands are read in milliseconds.',
  },
  '0023_teams_apart.sql': {
    'dead_letters has a new dead_letters_team':
      'It fills a column that the code before does not know, and refuses nothing.',
    'dead_letters is read in whole for FOREIGN KEY (team_id) REFERENCES teams(id)':
      'It has a row for each dead letter of 90 days: thousands are read in milliseconds.',
    "deletions has a new CHECK ((subject = ANY (ARRAY['interview'::text, 'candidate'::text, 'person'::text, 'transcript'::text, 'resumes'::text, 'profile'::text, 'dead_letter'::text])))":
      'It allows what the one before did, and more; code only writes to this table.',
    'deletions has a new deletions_append_only': 'The code before only adds rows to this table.',
    "deletions is read in whole for CHECK ((subject = ANY (ARRAY['interview'::text, 'candidate'::text, 'person'::text, 'transcript'::text, 'resumes'::text, 'profile'::text, 'dead_letter'::text])))":
      'It has a row for each deletion by a person: thousands are read in milliseconds.',
  },
  '0032_meetings.sql': {
    "emails has a new CHECK ((kind = ANY (ARRAY['welcome'::text, 'invite'::text, 'rescheduled'::text, 'cancelled'::text, 'reset'::text, 'assessment_ready'::text])))":
      'It allows what the one before did, and more.',
  },
  '0036_who_said_what.sql': {
    "deletions has a new CHECK ((subject = ANY (ARRAY['interview'::text, 'candidate'::text, 'person'::text, 'transcript'::text, 'resumes'::text, 'profile'::text, 'dead_letter'::text, 'suppression'::text])))":
      'It allows what the one before did, and more; code only writes to this table.',
    "deletions is read in whole for CHECK ((subject = ANY (ARRAY['interview'::text, 'candidate'::text, 'person'::text, 'transcript'::text, 'resumes'::text, 'profile'::text, 'dead_letter'::text, 'suppression'::text])))":
      'It has a row for each deletion by a person: thousands are read in milliseconds.',
  },
  '0038_followed_transcripts.sql': {
    'sessions has a new sessions_account_noted':
      'It counts in a column that the code before does not know, and refuses nothing.',
    'turn_texts has a new turn_texts_refold':
      'It empties a column that the code before does not know, and refuses nothing.',
    'turns has a new turns_noted':
      'It counts in a column that the code before does not know, of a session that this code has locked by its interview.',
  },
}

/** Those before were there before the first release. */
const firstHeld = 8

const outside = '-- outside a transaction\n'
const migrations = await readMigrations()
const held = migrations.filter(({ version }) => version >= firstHeld)
const earlier = migrations.filter(({ version }) => version < firstHeld)

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.close())

/** Findings of both kinds for one change of the newest schema, `given` another one; both are taken back. */
async function findings(text: string, given = 'select'): Promise<{ breaks: string[]; delays: string[] }> {
  const undone = new Error('undone')
  let found = { breaks: [] as string[], delays: [] as string[] }
  const trial = database.sql.begin(async (transaction) => {
    await transaction.unsafe(given)
    const before = await readCatalogue(transaction)
    await transaction.unsafe(text)
    const after = await readCatalogue(transaction)
    found = { breaks: breaks(before, after), delays: delays(before, after) }
    throw undone
  })
  await expect(trial).rejects.toBe(undone)
  return found
}

describe('a schema one migration ahead of the code', () => {
  let old: TestDatabase
  beforeAll(async () => {
    old = await freshDatabase()
    await old.sql.unsafe('drop schema public cascade; create schema public')
    await migrate(old.sql, earlier)
  })
  afterAll(() => old.close())

  // In the order of the files: each finds the schema that the one before has left.
  it.each(held)('$name leaves what that code uses, and comes while it writes', async (migration) => {
    const before = await readCatalogue(old.sql)
    const writer = await holdForWriting(old, Object.keys(before))
    let pauses = 0
    const clock: RetryClock = {
      random: () => 0,
      async sleep() {
        pauses++
        // Nobody waits in the pause, neither who reads nor who writes; then the writer is done.
        await old.sql.begin((other) => lockAll(other, Object.keys(before), 'row exclusive'))
        await writer.finish()
      },
    }
    try {
      const applied = migrate(old.sql, [migration], clock)
      if (migration.text.startsWith(outside)) {
        // It waits for the writer instead of coming again.
        await Promise.race([applied, concurrentlyWaits(old)])
        await clock.sleep(0, undefined)
      }
      expect(await applied).toEqual([migration.name])
    } finally {
      await writer.finish()
    }
    expect(pauses).toBeLessThanOrEqual(1)
    const after = await readCatalogue(old.sql)
    const found = [
      ...breaks(before, after),
      ...(migration.text.startsWith(outside) ? [] : delays(before, after)),
    ]
    expect(found.sort()).toEqual(Object.keys(accepted[migration.name] ?? {}).sort())
  })

  it('is reached by files of which all that was accepted has a reason', () => {
    const names = new Set(held.map(({ name }) => name))
    for (const [name, reasons] of Object.entries(accepted)) {
      expect(names).toContain(name)
      for (const reason of Object.values(reasons)) expect(reason).toMatch(/\w+ \w+ \w+/)
    }
  })

  it('is reached outside a transaction by statements that hold up nobody only', () => {
    const harmless =
      /^(?:create (?:unique )?index concurrently|drop index concurrently if exists|reindex .*concurrently|alter table \w+ validate constraint)\b/
    for (const { name, text } of held.filter(({ text }) => text.startsWith(outside))) {
      const statements = text.replaceAll(/^--.*\n/gm, '').split(/;\s*$/m)
      for (const statement of statements.map((one) => one.trim()).filter(Boolean)) {
        expect(statement, name).toMatch(harmless)
      }
    }
  })
})

/** Until an index that is built beside whoever writes waits for them. */
function concurrentlyWaits({ sql }: TestDatabase): Promise<unknown> {
  return vi.waitUntil(
    async () =>
      (
        await sql`
          select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query ~ 'index concurrently'`
      ).length > 0,
    { timeout: 20_000 },
  )
}

async function lockAll(transaction: Transaction, tables: string[], mode: 'row exclusive'): Promise<void> {
  for (const table of tables) await transaction.unsafe(`lock table ${table} in ${mode} mode`)
}

/** An open transaction with the locks that writing to the tables takes. `finish` commits it, once. */
async function holdForWriting(
  { sql }: TestDatabase,
  tables: string[],
): Promise<{ finish(): Promise<unknown> }> {
  const locked = Promise.withResolvers<void>()
  const commit = Promise.withResolvers<void>()
  const transaction = sql.begin(async (writer) => {
    await lockAll(writer, tables, 'row exclusive')
    locked.resolve()
    await commit.promise
  })
  await Promise.race([locked.promise, transaction])
  return {
    finish() {
      commit.resolve()
      return transaction
    },
  }
}

describe('the comparison of two schemas', () => {
  it.each([
    ['drop table import_trial_names', 'import_trial_names is gone'],
    ['alter table teams rename to groups', 'teams is gone'],
    ['alter table imports drop column etag', 'imports.etag is gone'],
    ['alter table imports rename column etag to tag', 'imports.etag is gone'],
    ['alter table profiles alter age type integer', 'profiles.age is integer, it was smallint'],
    ['alter table imports alter etag set not null', 'imports.etag must not be null any more'],
    ['alter table imports alter state drop default', 'imports.state has no default any more'],
    ['alter table teams add city text not null', 'teams.city is new and must be given'],
    ['alter table teams add check (length(name) < 9)', 'teams has a new CHECK ((length(name) < 9))'],
    [
      'alter table imports add foreign key (id) references exports not valid',
      'imports has a new FOREIGN KEY (id) REFERENCES exports(id)',
    ],
    [
      'create unique index one_label on api_keys (label)',
      'api_keys has a new CREATE UNIQUE INDEX ON public.api_keys USING btree (label)',
    ],
    [
      'alter table profiles drop constraint profiles_name_key',
      'profiles has no CREATE UNIQUE INDEX ON public.profiles USING btree (name_key)',
    ],
    [
      `create function f() returns trigger language plpgsql as 'begin return null; end';
       create trigger stop before insert on teams for each row execute function f()`,
      'teams has a new stop',
    ],
  ])('finds that %s breaks code', async (text, sentence) => {
    expect((await findings(text)).breaks).toContain(sentence)
  })

  it.each([
    ['alter table teams add born timestamptz not null default clock_timestamp()', 'teams is written anew'],
    ['create index by_age on profiles (age)', 'profiles cannot be written while by_age is built'],
    [
      'alter table teams add check (length(name) < 9)',
      'teams is read in whole for CHECK ((length(name) < 9))',
    ],
    ['alter table imports alter etag set not null', 'imports is read in whole for etag'],
  ])('finds that %s delays code', async (text, sentence) => {
    expect((await findings(text)).delays).toContain(sentence)
  })

  it.each([
    'create table shops (id uuid primary key, team_id uuid not null references teams)',
    'alter table teams add city text',
    `alter table teams add city text not null default ''`,
    'alter table imports alter idempotency_key set default null',
    'drop index imports_newest',
    'alter table imports drop constraint imports_size_check',
  ])('finds nothing in %s', async (text) => {
    expect(await findings(text)).toEqual({ breaks: [], delays: [] })
  })

  it('finds nothing in a check that was new in a release before and is held to the old rows now', async () => {
    const given = 'alter table teams add constraint short check (length(name) < 9) not valid'
    const found = await findings('alter table teams validate constraint short', given)
    expect(found).toEqual({ breaks: [], delays: [] })
  })
})
