import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { Sql, Transaction } from '../platform/db.ts'

/** Beside this file in the source tree and beside the bundle in Lambda. */
const folder = new URL('./migrations/', import.meta.url)

/** Any number does, as long as nothing else in this database locks on it. */
const lockKey = 4_207_331

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
 * cannot interleave. Answers the names of the files applied. Throws when a file that was applied has since
 * been changed: history is never edited.
 */
export async function migrate(sql: Sql, migrations: Migration[]): Promise<string[]> {
  const applied: string[] = []
  for (const migration of migrations) {
    if (await sql.begin((transaction) => applyOnce(transaction, migration))) applied.push(migration.name)
  }
  return applied
}

async function applyOnce(sql: Transaction, { version, name, text, checksum }: Migration): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(${lockKey})`
  await sql`
    create table if not exists schema_migrations (
      version integer primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`
  const [before] = await sql`select checksum from schema_migrations where version = ${version}`
  if (before && before.checksum !== checksum) throw new Error(`${name} was changed after it had been applied`)
  if (before) return false
  await sql.unsafe(text)
  await sql`insert into schema_migrations ${sql({ version, name, checksum })}`
  return true
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
