import { hash, randomBytes } from 'node:crypto'
import type postgres from 'postgres'
import { arrayLiteral, retryRead, type Sql, type Transaction } from './db.ts'
import { ConflictError, NotFoundError } from './errors.ts'
import { type Role, roleNames } from './routes.ts'

/** A key as it is listed: what it is, never the key itself, which is stored nowhere. */
export type ApiKey = {
  id: string
  team: string
  label: string
  /** The first of its roles. */
  role: Role
  /** At least one, in the order of roleNames. */
  roles: Role[]
  /** Requests per minute; null is no limit. */
  rate_limit: number | null
  created_at: Date
  expires_at: Date | null
  revoked_at: Date | null
}

/** What a key stands for, as authentication needs it. */
export type KeyRecord = {
  keyId: string
  teamId: string
  teamName: string
  roles: Role[]
  label: string
  rateLimit: number | null
  expiresAt: Date | null
  revokedAt: Date | null
}

export type NewKey = {
  role: Role | readonly Role[]
  team: string
  label: string
  expiresAt?: Date | null
  rateLimit?: number | null
}

const keyPattern = /^ins_[A-Za-z0-9_-]{43}$/

/** Whether a text has the form of a key: `ins_` and 32 bytes in base64url. */
export function isKey(text: string): boolean {
  return keyPattern.test(text)
}

/** The 32 bytes under which a key is stored. It is random and long: it needs no slow hash and no salt. */
export function keyHash(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** A key as it is answered when it is made: the only time that it is seen. */
export type IssuedKey = ApiKey & { key: string }

/** Makes a key for a team, which is made too where it is new. */
export async function createKey(sql: Sql, input: NewKey): Promise<IssuedKey> {
  return sql.begin((tx) => insertKey(tx, input))
}

/** The same inside a transaction. */
export async function insertKey(tx: Transaction, input: NewKey): Promise<IssuedKey> {
  const key = `ins_${randomBytes(32).toString('base64url')}`
  await tx`insert into teams (name) values (${input.team}) on conflict (name) do nothing`
  const given = [input.role].flat()
  const roles = roleNames.filter((role) => given.includes(role))
  const [row] = await tx<ApiKey[]>`
    insert into api_keys (team_id, label, role, roles, hash, rate_limit, expires_at)
    select id, ${input.label}, ${singleRole(roles)}, ${arrayLiteral(roles)}::text::text[], ${keyHash(key)},
      ${input.rateLimit ?? null}, ${input.expiresAt ?? null}::timestamptz
    from teams where name = ${input.team}
    returning id, ${input.team}::text as team, label, ${rolesOf(tx)}, rate_limit, created_at, expires_at, revoked_at`
  return { ...withFirstRole(row!), key }
}

/** For the release before, which knows one role and no operator. Null opens nothing there. */
function singleRole(roles: readonly Role[]): Role | null {
  if (roles.includes('admin')) return 'admin'
  return roles.length === 1 && roles[0] !== 'operator' ? roles[0]! : null
}

// The release before wrote no set. As JSON: postgres.js, which fetches no types here, cannot read an array.
const rolesOf = (sql: Sql | Transaction): postgres.Fragment => sql`
  to_jsonb(coalesce(roles, case role when 'admin' then array['admin', 'operator'] else array[role] end)) as roles`

function withFirstRole<Row extends { roles: Role[] }>(row: Row): Row & { role: Role } {
  return { ...row, role: row.roles[0]! }
}

/**
 * Revokes a key and makes another one of the same team, roles, label, limit and end. Throws NotFoundError where
 * there is none, ConflictError where it has ended.
 */
export async function replaceKey(tx: Transaction, id: string): Promise<IssuedKey> {
  const [old] = await tx<ApiKey[]>`
    update api_keys k set revoked_at = now()
    from teams t
    where k.id = ${id} and t.id = team_id and revoked_at is null and (expires_at is null or expires_at > now())
    returning t.name as team, label, ${rolesOf(tx)}, rate_limit, expires_at`
  if (!old) {
    const [known] = await tx`select from api_keys where id = ${id}`
    throw known ? new ConflictError(`The key ${id} is revoked or expired`) : noKey(id)
  }
  const { team, label, roles, rate_limit: rateLimit, expires_at: expiresAt } = old
  return insertKey(tx, { team, label, role: roles, rateLimit, expiresAt })
}

/** The team that a key belongs to. Throws NotFoundError where there is no key. */
export async function teamOfKey(tx: Transaction, id: string): Promise<string> {
  const [row] = await tx<{ team_id: string }[]>`select team_id from api_keys where id = ${id}`
  if (!row) throw noKey(id)
  return row.team_id
}

function noKey(id: string): NotFoundError {
  return new NotFoundError(`There is no key ${id}`)
}

/** All keys, or those of one team, oldest first. */
export async function listKeys(sql: Sql, team?: string): Promise<ApiKey[]> {
  const rows = await retryRead(
    () => sql<ApiKey[]>`
      select k.id, t.name as team, label, ${rolesOf(sql)}, rate_limit, k.created_at, expires_at, revoked_at
      from api_keys k join teams t on t.id = team_id
      where ${team === undefined ? sql`true` : sql`t.name = ${team}`}
      order by k.id`,
  )
  return rows.map(withFirstRole)
}

/** Gives a key another limit, in requests per minute; null is none. Throws NotFoundError where there is no key. */
export async function setRateLimit(sql: Sql, id: string, rateLimit: number | null): Promise<void> {
  const { count } = await sql`update api_keys set rate_limit = ${rateLimit} where id = ${id}`
  if (count === 0) throw noKey(id)
}

/** Revokes a key for good; one that is revoked keeps its time. Throws NotFoundError where there is none. */
export async function revokeKey(sql: Sql, id: string): Promise<Date> {
  const [row] = await sql<{ revoked_at: Date }[]>`
    update api_keys set revoked_at = coalesce(revoked_at, now()) where id = ${id} returning revoked_at`
  if (!row) throw noKey(id)
  return row.revoked_at
}

/** The key stored under a hash, revoked and expired ones too. */
export async function findKey(sql: Sql, keyHash: Buffer): Promise<KeyRecord | undefined> {
  const [row] = await retryRead(
    () => sql<KeyRecord[]>`
      select k.id as "keyId", team_id as "teamId", t.name as "teamName", ${rolesOf(sql)}, label,
        rate_limit as "rateLimit", expires_at as "expiresAt", revoked_at as "revokedAt"
      from api_keys k join teams t on t.id = team_id
      where hash = ${keyHash}`,
  )
  return row
}
