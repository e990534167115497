import { describe, expect, it } from 'vitest'
import { authorize, createAuthenticator } from '../../../lib/platform/auth.ts'
import { type KeyRecord, keyHash } from '../../../lib/platform/keys.ts'

const key = `ins_${'a'.repeat(43)}`
const record: KeyRecord = {
  keyId: 'k',
  teamId: 't',
  teamName: 'acme',
  roles: ['analyst'],
  label: 'CI',
  rateLimit: null,
  expiresAt: null,
  revokedAt: null,
}

/** An authenticator over one stored key, on a clock that the test moves. */
function over(stored: Partial<KeyRecord> | undefined) {
  const state = { now: 1000, lookups: 0, stored: stored && { ...record, ...stored } }
  const authenticate = createAuthenticator(
    async (hash) => {
      state.lookups++
      return hash.equals(keyHash(key)) ? state.stored : undefined
    },
    () => state.now,
  )
  return { state, authenticate }
}

const bearer = { authorization: `Bearer ${key}` }
const unauthorized = expect.objectContaining({ status: 401, code: 'unauthorized' })

describe('authentication', () => {
  it.each([[bearer], [{ authorization: `bearer  ${key}` }], [{ 'x-api-key': key }]])(
    'takes the key from %j',
    async (headers) => {
      const { revokedAt: _, ...caller } = record
      expect(await over({}).authenticate(headers)).toEqual(caller)
    },
  )

  it.each([
    {},
    { authorization: key },
    { authorization: `Basic ${key}` },
    { authorization: 'Bearer ins_short' },
    { authorization: `Bearer ${key} x` },
    { 'x-api-key': '' },
    { authorization: 'Bearer x', 'x-api-key': key },
  ])('refuses %j without a look-up', async (headers) => {
    const { state, authenticate } = over({})
    await expect(authenticate(headers)).rejects.toThrow(unauthorized)
    expect(state.lookups).toBe(0)
  })

  it('knows a key for 60 seconds', async () => {
    const { state, authenticate } = over({})
    await authenticate(bearer)
    state.stored = { ...record, revokedAt: new Date() }
    state.now += 59_000
    await authenticate(bearer)
    expect(state.lookups).toBe(1)
    state.now += 1001
    await expect(authenticate(bearer)).rejects.toThrow(unauthorized)
  })

  it('forgets within five seconds that a key was unknown', async () => {
    const { state, authenticate } = over(undefined)
    await expect(authenticate(bearer)).rejects.toThrow(unauthorized)
    state.stored = record
    state.now += 4000
    await expect(authenticate(bearer)).rejects.toThrow(unauthorized)
    expect(state.lookups).toBe(1)
    state.now += 1001
    expect(await authenticate(bearer)).toMatchObject({ keyId: 'k' })
  })

  it('refuses a key from the moment it expires, remembered or not', async () => {
    const { state, authenticate } = over({ expiresAt: new Date(11_000) })
    await authenticate(bearer)
    state.now = 11_000
    await expect(authenticate(bearer)).rejects.toThrow(unauthorized)
    expect(state.lookups).toBe(1)
  })

  it('passes a failing look-up on and does not remember it', async () => {
    let fail = true
    const authenticate = createAuthenticator(async () => {
      if (fail) throw new Error('down')
      return record
    })
    await expect(authenticate(bearer)).rejects.toThrow('down')
    fail = false
    expect(await authenticate(bearer)).toMatchObject({ keyId: 'k' })
  })
})

describe('roles', () => {
  const caller = (...roles: KeyRecord['roles']) => ({ ...record, roles })
  const forbidden = expect.objectContaining({ status: 403, code: 'forbidden' })

  it('open what they are for; admin opens all of its team, and nothing of the platform', () => {
    const ofTeam = ['key', 'analyst', 'recruiter', 'admin', 'admin or operator'] as const
    for (const access of ofTeam) authorize(caller('admin'), access)
    authorize(caller('operator'), 'admin or operator')
    authorize(caller('analyst'), 'analyst')
    authorize(caller('recruiter'), 'key')
    expect(() => authorize(caller('admin'), 'operator')).toThrow(forbidden)
    for (const access of ['analyst', 'recruiter', 'admin'] as const) {
      expect(() => authorize(caller('operator'), access)).toThrow(forbidden)
    }
    expect(() => authorize(caller('analyst'), 'admin or operator')).toThrow(forbidden)
    expect(() => authorize(caller('recruiter'), 'analyst')).toThrow(forbidden)
    expect(() => authorize(caller('analyst'), 'recruiter')).toThrow(forbidden)
  })

  it('open together what each of them opens', () => {
    for (const access of ['analyst', 'recruiter'] as const) authorize(caller('recruiter', 'analyst'), access)
    expect(() => authorize(caller('recruiter', 'analyst'), 'admin')).toThrow(forbidden)
  })
})
