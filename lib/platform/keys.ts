import { hash, randomBytes } from 'node:crypto'
import { retryRead, type Sql } from './db.ts'
import { NotFoundError } from './errors.ts'
import type { Role } from './routes.ts'

/** A key as it is listed: what it is, never the key itself, which is stored nowhere. */
export type ApiKey = {
  id: string
  team: string
  label: string
  role: Role
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
  role: Role
  label: string
  rateLimit: number | null
  expiresAt: Date | null
  revokedAt: Date | null
}

export type NewKey = {
  role: Role
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

/** Makes a key for a team, which is made too where it is new. The answer is the only time the key is seen. */
export async function createKey(sql: Sql, input: NewKey): Promise<ApiKey & { key: string }> {
  const key = `ins_${randomBytes(32).toString('base64url')}`
  const [row] = await sql.begin(async (tx) => {
    await tx`insert into teams (name) values (${input.team}) on conflict (name) do nothing`
    return tx<ApiKey[]>`
      insert into api_keys (team_id, label, role, hash, rate_limit, expires_at)
      select id, ${input.label}, ${input.role}, ${keyHash(key)}, ${input.rateLimit ?? null},
        ${input.expiresAt ?? null}::timestamptz
      from teams where name = ${input.team}
      returning id, ${input.team}::text as team, label, role, rate_limit, created_at, expires_at, revoked_at`
  })
  return { ...row!, key }
}

/** All keys, or those of one team, oldest first. */
export async function listKeys(sql: Sql, team?: string): Promise<ApiKey[]> {
  const rows = await retryRead(
    () => sql<ApiKey[]>`
      select k.id, t.name as team, label, role, rate_limit, k.created_at, expires_at, revoked_at
      from api_keys k join teams t on t.id = team_id
      where ${team === undefined ? sql`true` : sql`t.name = ${team}`}
      order by k.id`,
  )
  return [...rows]
}

/** Gives a key another limit, in requests per minute; null is none. Throws NotFoundError where there is no key. */
export async function setRateLimit(sql: Sql, id: string, rateLimit: number | null): Promise<void> {
  const { count } = await sql`update api_keys set rate_limit = ${rateLimit} where id = ${id}`
  if (count === 0) throw new NotFoundError(`There is no key ${id}`)
}

/** Revokes a key for good; one that is revoked keeps its time. Throws NotFoundError where there is none. */
export async function revokeKey(sql: Sql, id: string): Promise<Date> {
  const [row] = await sql<{ revoked_at: Date }[]>`
    update api_keys set revoked_at = coalesce(revoked_at, now()) where id = ${id} returning revoked_at`
  if (!row) throw new NotFoundError(`There is no key ${id}`)
  return row.revoked_at
}

/** The key stored under a hash, revoked and expired ones too. */
export async function findKey(sql: Sql, keyHash: Buffer): Promise<KeyRecord | undefined> {
  const [row] = await retryRead(
    () => sql<KeyRecord[]>`
      select k.id as "keyId", team_id as "teamId", t.name as "teamName", role, label,
        rate_limit as "rateLimit", expires_at as "expiresAt", revoked_at as "revokedAt"
      from api_keys k join teams t on t.id = team_id
      where hash = ${keyHash}`,
  )
  return row
}
