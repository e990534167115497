import { LRUCache } from 'lru-cache'
import { connect } from './db.ts'
import { ForbiddenError, UnauthorizedError } from './errors.ts'
import { findKey, isKey, type KeyRecord, keyHash } from './keys.ts'
import { type Access, openedBy, type Role } from './routes.ts'

/** Who calls, as the key says. */
export type Caller = {
  keyId: string
  teamId: string
  teamName: string
  roles: readonly Role[]
  label: string
  /** Requests per minute; null is no limit. */
  rateLimit: number | null
  expiresAt: Date | null
}

/** Request headers, names in lower case. */
export type Headers = Record<string, string | undefined>

export type Authenticate = (headers: Headers) => Promise<Caller>

/** A revoked key works for this long at the most. */
const knownTtl = 60_000
/** A key that was made just now is refused for this long at the most. */
const unknownTtl = 5000

const message = 'A valid key is needed: Authorization: Bearer <key>, or X-API-Key'

function presentedKey(headers: Headers): string | undefined {
  const { authorization } = headers
  if (authorization === undefined) return headers['x-api-key']?.trim()
  return /^bearer +(\S+) *$/i.exec(authorization)?.[1]
}

/**
 * Authenticates by `find`, remembering for 60 s who a key is and for 5 s that there is none. The answer's
 * function throws UnauthorizedError for a missing, unknown, revoked or expired key.
 */
export function createAuthenticator(
  find: (hash: Buffer) => Promise<KeyRecord | undefined>,
  now: () => number = Date.now,
): Authenticate {
  // By hash, so that no key lies in memory longer than its request.
  const keys = new LRUCache<string, KeyRecord | 'unknown'>({
    max: 10_000,
    ttl: knownTtl,
    perf: { now },
    ttlResolution: 0,
    ignoreFetchAbort: true,
    fetchMethod: async (hash, _stale, { options }) => {
      const record = await find(Buffer.from(hash, 'base64'))
      if (!record) options.ttl = unknownTtl
      return record ?? 'unknown'
    },
  })
  return async (headers) => {
    const key = presentedKey(headers)
    if (key === undefined || !isKey(key)) throw new UnauthorizedError(message)
    const record = await keys.forceFetch(keyHash(key).toString('base64'))
    if (record === 'unknown') throw new UnauthorizedError(message)
    if (record.revokedAt) throw new UnauthorizedError(message, record.keyId)
    if (record.expiresAt && record.expiresAt.getTime() <= now()) {
      throw new UnauthorizedError('The key has expired', record.keyId)
    }
    const { revokedAt: _, ...caller } = record
    return caller
  }
}

/** Authenticates against the database of this execution environment. */
export const authenticate: Authenticate = createAuthenticator((hash) => findKey(connect(), hash))

/** Throws ForbiddenError if none of the caller's roles opens the route. */
export function authorize({ roles }: Caller, access: Exclude<Access, 'anyone'>): void {
  if (access === 'key' || openedBy[access].some((role) => roles.includes(role))) return
  throw new ForbiddenError(`This needs the role ${access}; the key has ${roles.join(' and ')}`)
}
