import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { Sql, Transaction } from '../platform/db.ts'
import { type RetryClock, retry } from '../platform/retry.ts'

/** Beside this file in the source tree and beside the bundle in Lambda. */
const folder = new URL('./migrations/', import.meta.url)

/** Any number does, as long as nothing else in this database locks on it. */
const lockKey = 4_207_331

/**
 * Milliseconds that a migration waits for a lock. Whoever comes after it to the same table waits behind it: no
 * query of the API may be held up for longer than it bears.
 */
const lockTimeout = 2000

/** Two minutes of waiting and pauses: well within the function's time. */
const lockAttempts = 24
const pauseBetweenAttempts = 3000

/** Lock not available within the time, and deadlock: somebody else was at work, and will be done. */
const lockErrors = new Set(['55P03', '40P01'])

/** First line of a file whose statements run one by one, since CONCURRENTLY refuses a transaction. */
const outsideTransaction = '-- outside a transaction\n'

export type Migration = { version: number; name: string; text: string; checksum: string }

/** The numbered files in order. Throws where two share a number or a name is not `NNNN_words.sql`. */
export async function readMigrations(from: URL = folder): Promise<Migration[]> {
  const names = (await readdir(from)).filter((name) => name.endsWith('.sql')).sort()
  const migrations: Migration[] = []
  for (const name of names) {
    const version = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1])
    if (!version || migrations.some((other) => other.version === version)) {
      throw new Error(`${name} is not a migration with a number of its own (NNNN_words.sql)`)
    }
    const text = await readFile(new URL(name, from), 'utf8')
    migrations.push({ version, name, text, checksum: createHash('sha256').update(text).digest('hex') })
  }
  return migrations
}

/**
 * Applies what is missing, each file in a transaction of its own, under a lock so that two deployments
 * cannot interleave. Waits for the locks of a table two seconds at a time, up to two minutes, so that the code
 * at work is never held up for longer. Answers the names of the files applied. Throws with the name of the file
 * that failed: nothing of it is left, those before it stay, those after it were not begun. Throws also when a
 * file that was applied has since been changed: history is never edited.
 */
export async function migrate(sql: Sql, migrations: Migration[], clock?: RetryClock): Promise<string[]> {
  const applied: string[] = []
  for (const migration of migrations) {
    if (await applyPatiently(sql, migration, clock)) applied.push(migration.name)
  }
  return applied
}

async function applyPatiently(sql: Sql, migration: Migration, clock?: RetryClock): Promise<boolean> {
  const options = {
    name: 'Apply migration',
    attempts: lockAttempts,
    initialDelay: pauseBetweenAttempts,
    factor: 1,
    retryOn: isLocked,
    ...(clock && { clock }),
  }
  try {
    return await retry(options, () =>
      migration.text.startsWith(outsideTransaction)
        ? applyByStatement(sql, migration)
        : sql.begin((transaction) => applyAsWhole(transaction, migration)),
    )
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`The migration ${migration.name} failed: ${message}`, { cause: error })
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && 'code' in error && lockErrors.has(String(error.code))
}

async function applyAsWhole(sql: Transaction, migration: Migration): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(${lockKey})`
  if (await isApplied(sql, migration)) return false
  // Not before: another deployment may take its time.
  await sql`select set_config('lock_timeout', ${String(lockTimeout)}, true)`
  await sql.unsafe(migration.text)
  await record(sql, migration)
  return true
}

/** Without a lock timeout: what is allowed here waits for others and holds up nobody, who reads or who writes. */
async function applyByStatement(sql: Sql, migration: Migration): Promise<boolean> {
  const session = await sql.reserve()
  try {
    await session`select pg_advisory_lock(${lockKey})`
    if (await isApplied(session, migration)) return false
    for (const statement of statementsOf(migration.text)) await session.unsafe(statement)
    await record(session, migration)
    return true
  } finally {
    await session`select pg_advisory_unlock_all()`
    session.release()
  }
}

/** Each ends in a semicolon at the end of a line. */
function statementsOf(text: string): string[] {
  return text.split(/;\s*$/m).filter((statement) => statement.trim() !== '')
}

/** Whether the file was applied before. Throws where it has since been changed. */
async function isApplied(sql: Sql | Transaction, { version, name, checksum }: Migration): Promise<boolean> {
  await sql`
    create table if not exists schema_migrations (
      version integer primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`
  const [before] = await sql`select checksum from schema_migrations where version = ${version}`
  if (before && before.checksum !== checksum) throw new Error(`${name} was changed after it had been applied`)
  return before !== undefined
}

async function record(sql: Sql | Transaction, { version, name, checksum }: Migration): Promise<void> {
  await sql`insert into schema_migrations ${sql({ version, name, checksum })}`
}

/**
 * Makes the role the functions connect with, or leaves it, and lets it read and write every table but the
 * migrations' own. Where the server has IAM (RDS: the role rds_iam), its tokens become the password.
 */
export async function grantApplication(sql: Sql, user: string): Promise<void> {
  const [role] = await sql`select from pg_roles where rolname = ${user}`
  if (!role) await sql`create role ${sql(user)} login`
  const [iam] = await sql`select from pg_roles where rolname = 'rds_iam'`
  if (iam) await sql`grant rds_iam to ${sql(user)}`
  await sql`grant select, insert, update, delete on all tables in schema public to ${sql(user)}`
  await sql`revoke insert, update, delete on schema_migrations from ${sql(user)}`
}
