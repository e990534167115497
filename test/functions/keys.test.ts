import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { handler } from '../../functions/keys.ts'
import { authenticate } from '../../lib/platform/auth.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
  for (const [name, value] of Object.entries(database.env)) vi.stubEnv(name, value)
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})

type Answer = { status: string } & Record<string, unknown>
const invoke = async (payload: unknown) => {
  // What leaves Lambda is JSON.
  return JSON.parse(JSON.stringify(await handler(payload, lambdaContext()))) as Answer
}

describe('the keys function', () => {
  it('makes a key that works at once, and stores only its hash', async () => {
    const made = await invoke({
      action: 'create',
      role: 'admin',
      team: 'local',
      label: 'first',
      rate_limit: null,
    })
    expect(made).toMatchObject({
      status: 'success',
      id: expect.any(String),
      key: expect.stringMatching(/^ins_[\w-]{43}$/),
      role: 'admin',
      team: 'local',
      expires_at: null,
    })
    expect(await authenticate({ 'x-api-key': String(made.key) })).toMatchObject({
      teamName: 'local',
      role: 'admin',
    })
    const [row] =
      await database.sql`select row_to_json(k)::text as text from api_keys k where id = ${String(made.id)}`
    expect(row!.text).not.toContain(String(made.key).slice(4))
  })

  it('lists keys without the keys, all or those of a team', async () => {
    await invoke({
      action: 'create',
      role: 'analyst',
      team: 'other',
      label: 'x',
      expires_in_days: 0.5,
      rate_limit: 60,
    })
    const { keys } = (await invoke({ action: 'list', team: 'other' })) as unknown as { keys: Answer[] }
    expect(keys).toHaveLength(1)
    expect(keys[0]).toMatchObject({ team: 'other', role: 'analyst', rate_limit: 60, revoked_at: null })
    expect(keys[0]).not.toHaveProperty('key')
    expect(keys[0]).not.toHaveProperty('hash')
    const all = (await invoke({ action: 'list' })) as unknown as { keys: Answer[] }
    expect(all.keys.length).toBeGreaterThan(1)
  })

  it('limits a new key to 600 requests a minute unless told otherwise, and another limit can follow', async () => {
    const made = await invoke({ action: 'create', role: 'analyst', team: 'limits', label: 'x' })
    expect(made).toMatchObject({ status: 'success', rate_limit: 600 })
    for (const rate_limit of [5, null]) {
      const set = { action: 'limit', id: made.id, rate_limit }
      expect(await invoke(set)).toEqual({ status: 'success', id: made.id, rate_limit })
      expect(await invoke({ action: 'list', team: 'limits' })).toMatchObject({ keys: [{ rate_limit }] })
    }
    expect(await authenticate({ 'x-api-key': String(made.key) })).toMatchObject({ rateLimit: null })
  })

  it('revokes for good, and twice is once', async () => {
    const made = await invoke({ action: 'create', role: 'analyst', team: 'local', label: 'x' })
    const first = await invoke({ action: 'revoke', id: made.id })
    expect(first).toMatchObject({ status: 'success', revoked_at: expect.any(String) })
    expect(await invoke({ action: 'revoke', id: made.id })).toEqual(first)
    await expect(authenticate({ 'x-api-key': String(made.key) })).rejects.toThrow()
  })

  it.each([
    [null, 'invalid_value'],
    [{}, 'invalid_value'],
    [{ action: 'drop' }, 'invalid_value'],
    [{ action: 'create', role: 'root', team: 'a', label: 'b' }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: ' ', label: 'b' }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: 'a', label: 'b', extra: 1 }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: 'a', label: 'b', expires_in_days: -1 }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: 'a', label: 'b', rate_limit: 0 }, 'invalid_value'],
    [{ action: 'limit', id: '00000000-0000-4000-8000-000000000000' }, 'invalid_value'],
    [{ action: 'limit', id: '00000000-0000-4000-8000-000000000000', rate_limit: 1 }, 'not_found'],
    [{ action: 'revoke', id: 'x' }, 'invalid_value'],
    [{ action: 'revoke', id: '00000000-0000-4000-8000-000000000000' }, 'not_found'],
  ])('answers an error to %j', async (payload, code) => {
    expect(await invoke(payload)).toMatchObject({ status: 'error', code, message: expect.any(String) })
  })

  it('fails where the fault is not the caller’s', async () => {
    await disconnect()
    vi.stubEnv('PGPORT', '1')
    await expect(invoke({ action: 'list' })).rejects.toThrow('ECONNREFUSED')
    await disconnect()
    vi.stubEnv('PGPORT', database.env.PGPORT!)
  })
})
