import type { Sql } from '../../lib/platform/db.ts'
import { rebuildFacets } from '../../lib/profiles/facets.ts'

/**
 * A table of profiles as large as asked for, that imports can be run into and taken out of again. Where it
 * ends is stored beside it, so that another run on the same data folder finds and mends it.
 */
export type BaseTable = { rows: number; lastId: string }

const chunk = 500_000
/** Residents of these, the first of them the most numerous. */
const countries =
  'NG,KE,ET,GH,ZA,BJ,SN,ML,CI,CM,TZ,UG,RW,EG,MA,DZ,TN,AO,MZ,ZM,US,GB,FR,DE,ES,IT,PT,NL,BE,SE,PL,RO,TR,IN,CN,JP,VN,BR,MX,AR'

/**
 * Fills the table, or finds it filled by an earlier run. Throws where it holds rows that are nobody's bench.
 */
export async function prepareTable(sql: Sql, rows: number, say: (line: string) => void): Promise<BaseTable> {
  await sql`create schema if not exists bench`
  await sql`create table if not exists bench.base (rows integer not null, last_id uuid not null)`
  const [found] = await sql<BaseTable[]>`select rows, last_id as "lastId" from bench.base`
  const [any] = await sql`select from profiles limit 1`
  if (any && !found) throw new Error('The table of this data folder holds profiles that no bench has written')
  if (found?.rows === rows) {
    say(`${rows.toLocaleString('en')} rows are there from an earlier run`)
    await restore(sql, found)
    return found
  }
  const started = performance.now()
  await sql`truncate profiles, imports cascade`
  await sql`delete from bench.base`
  await fill(sql, rows, say)
  const [last] = await sql<{ id: string }[]>`select id from profiles order by id desc limit 1`
  const base = { rows, lastId: last?.id ?? '00000000-0000-0000-0000-000000000000' }
  await rebuildFacets(sql)
  await sql`vacuum (analyze) profiles`
  await sql`insert into bench.base (rows, last_id) values (${rows}, ${base.lastId})`
  const [size] = await sql<{ size: string }[]>`
    select pg_size_pretty(pg_total_relation_size('profiles')) as size`
  const seconds = (performance.now() - started) / 1000
  say(`${rows.toLocaleString('en')} rows, ${size!.size} with their indexes, took ${seconds.toFixed(0)} s`)
  return base
}

async function fill(sql: Sql, rows: number, say: (line: string) => void): Promise<void> {
  const undo = await dropIndexes(sql)
  for (let from = 0; from < rows; from += chunk) {
    const to = Math.min(from + chunk, rows)
    await sql.begin(async (tx) => {
      await tx`set local synchronous_commit = off`
      await tx`select setseed(${from / 2 ** 31})`
      // Names that no import brings, since those hold no digits; the key is that of lib/profiles/profile.ts.
      await tx`
        insert into profiles (name_key, name, gender, gender_probability, age, country_id, country_probability)
        select substr(encode(sha256(convert_to(lower(name), 'UTF8')), 'hex'), 1, 32)::uuid, name,
          case when random() < 0.5 then 'male' else 'female' end,
          case when random() < 0.67 then round((0.5 + random() / 2)::numeric, 2) end,
          floor(95 * random() ^ 1.3),
          (string_to_array(${countries}, ','))[1 + floor(40 * random() ^ 2)::integer],
          case when random() < 0.67 then round((0.5 + random() / 2)::numeric, 2) end
        from (select 'Resident Number ' || n as name from generate_series(${from + 1}::integer, ${to}::integer) n) names`
    })
    if (to % 2_000_000 === 0) say(`${to.toLocaleString('en')} rows`)
  }
  for (const statement of undo) await sql.unsafe(statement)
}

/** Drops all but the primary key, which grows at its end only. Answers the statements that make the others anew. */
async function dropIndexes(sql: Sql): Promise<string[]> {
  const constraints = await sql<{ name: string; definition: string }[]>`
    select conname as name, pg_get_constraintdef(oid) as definition from pg_constraint
    where conrelid = 'profiles'::regclass and contype = 'u'`
  const indexes = await sql<{ name: string; definition: string }[]>`
    select indexname as name, indexdef as definition from pg_indexes
    where tablename = 'profiles' and schemaname = 'public'
      and indexname not in (select conname from pg_constraint where conrelid = 'profiles'::regclass)`
  for (const { name } of constraints) await sql`alter table profiles drop constraint ${sql(name)}`
  for (const { name } of indexes) await sql`drop index ${sql(name)}`
  return [
    ...constraints.map(({ name, definition }) => `alter table profiles add constraint ${name} ${definition}`),
    ...indexes.map(({ definition }) => definition),
  ]
}

/**
 * Takes out what was imported, and leaves the table as every contender shall find it: vacuumed, its indexes in
 * memory as far as they fit, and nothing left to be written out.
 */
export async function restore(sql: Sql, { lastId }: BaseTable): Promise<void> {
  await sql`delete from profiles where id > ${lastId}`
  await sql`delete from imports`
  await rebuildFacets(sql)
  await sql`vacuum profiles`
  await sql`vacuum facets`
  await sql`vacuum dataset`
  await warm(sql)
  await sql`checkpoint`
}

/** Reads every index once from end to end, as index scans keep in shared memory what sequential scans do not. */
async function warm(sql: Sql): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`set local enable_seqscan = off`
    await tx`set local enable_bitmapscan = off`
    await tx`select count(gender_probability) from profiles where gender_probability >= 0`
    await tx`select count(*) from profiles where age >= 0`
    await tx`select count(*) from profiles where country_id > ''`
    await tx`select count(*) from profiles where name_key > '00000000-0000-0000-0000-000000000000'`
  })
}
