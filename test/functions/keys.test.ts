import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { handler } from '../../functions/keys.ts'
import { authenticate } from '../../lib/platform/auth.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { keyHash } from '../../lib/platform/keys.ts'
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

/** Those of one test. */
const emails = () => database.sql<Record<string, unknown>[]>`
  select e.id, kind, recipient, state, data, t.name as team from emails e join teams t on t.id = team_id`
beforeEach(() => database.sql`truncate emails, outbox`)

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
      roles: ['admin'],
    })
    const [row] =
      await database.sql`select row_to_json(k)::text as text from api_keys k where id = ${String(made.id)}`
    expect(row!.text).not.toContain(String(made.key).slice(4))
  })

  it('gives a key one role or several, in their order and each once', async () => {
    const role = ['analyst', 'operator', 'admin', 'analyst']
    const made = await invoke({ action: 'create', role, team: 'several', label: 'x' })
    const roles = ['admin', 'operator', 'analyst']
    expect(made).toMatchObject({ role: 'admin', roles })
    expect(await authenticate({ 'x-api-key': String(made.key) })).toMatchObject({ roles })
    const again = await invoke({ action: 'reset', id: made.id, email: 'ada@example.com' })
    expect(again).toMatchObject({ role: 'admin', roles })
    expect(await emails()).toMatchObject([{ data: { role: 'admin and operator and analyst' } }])
    expect(await invoke({ action: 'list', team: 'several' })).toMatchObject({
      keys: [{ roles }, { roles }],
    })
  })

  it.each([
    ['admin', ['admin', 'operator']],
    ['recruiter', ['recruiter']],
  ])('lets the key of an %s that the release before made be %j', async (role, roles) => {
    const key = `ins_${role.padEnd(43, 'x')}`
    await database.sql`insert into teams (name) values ('before') on conflict do nothing`
    await database.sql`
      insert into api_keys (team_id, label, role, hash)
      select id, 'x', ${role}, ${keyHash(key)} from teams where name = 'before'`
    expect(await authenticate({ 'x-api-key': key })).toMatchObject({ roles })
  })

  it('tells the release before of no role that it has not', async () => {
    const stored = async (role: string | string[]) => {
      const { id } = await invoke({ action: 'create', role, team: 'stored', label: 'x' })
      const [row] = await database.sql`select role from api_keys where id = ${String(id)}`
      return row!.role
    }
    expect(await stored(['operator', 'admin'])).toBe('admin')
    expect(await stored('analyst')).toBe('analyst')
    expect(await stored('operator')).toBeNull()
    expect(await stored(['recruiter', 'analyst'])).toBeNull()
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

  it('tells whoever is to hold a new key, without the key', async () => {
    const options = { role: 'recruiter', team: 'mailed', label: 'Laptop', email: 'ada@example.com' }
    const made = await invoke({ action: 'create', ...options })
    const [email] = await emails()
    expect(email).toMatchObject({
      kind: 'welcome',
      recipient: 'ada@example.com',
      team: 'mailed',
      state: 'queued',
      data: { team: 'mailed', role: 'recruiter', label: 'Laptop' },
    })
    expect(JSON.stringify(email)).not.toContain(String(made.key))
    const [message] = await database.sql`select queue, body from outbox`
    expect(message).toEqual({ queue: 'emails', body: { email_id: email!.id } })
  })

  it('replaces a key by one of the same kind: the old one ends with it', async () => {
    const of = { role: 'analyst', team: 'replaced', label: 'x', expires_in_days: 7, rate_limit: 5 }
    const old = await invoke({ action: 'create', ...of })
    const made = await invoke({ action: 'reset', id: old.id, email: 'ada@example.com' })
    const { key: _, id: __, created_at: ___, ...same } = old
    expect(made).toMatchObject(same)
    expect(made.id).not.toBe(old.id)
    expect(await authenticate({ 'x-api-key': String(made.key) })).toMatchObject({ rateLimit: 5 })
    await expect(authenticate({ 'x-api-key': String(old.key) })).rejects.toThrow()
    expect(await emails()).toMatchObject([{ kind: 'reset', team: 'replaced', recipient: 'ada@example.com' }])
    expect(await invoke({ action: 'reset', id: old.id })).toMatchObject({ status: 'error', code: 'conflict' })
    const { keys } = (await invoke({ action: 'list', team: 'replaced' })) as unknown as { keys: Answer[] }
    expect(keys.map(({ id }) => id)).toEqual([old.id, made.id])
  })

  it('leaves a key as it is where nobody can be told', async () => {
    const old = await invoke({ action: 'create', role: 'analyst', team: 'kept', label: 'x' })
    await database.sql`alter table emails rename to emails_gone`
    await expect(invoke({ action: 'reset', id: old.id, email: 'ada@example.com' })).rejects.toThrow()
    await database.sql`alter table emails_gone rename to emails`
    expect(await invoke({ action: 'list', team: 'kept' })).toMatchObject({ keys: [{ revoked_at: null }] })
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
    [{ action: 'create', role: [], team: 'a', label: 'b' }, 'invalid_value'],
    [{ action: 'create', role: ['admin', 'root'], team: 'a', label: 'b' }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: ' ', label: 'b' }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: 'a', label: 'b', extra: 1 }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: 'a', label: 'b', expires_in_days: -1 }, 'invalid_value'],
    [{ action: 'create', role: 'admin', team: 'a', label: 'b', rate_limit: 0 }, 'invalid_value'],
    [{ action: 'limit', id: '00000000-0000-4000-8000-000000000000' }, 'invalid_value'],
    [{ action: 'limit', id: '00000000-0000-4000-8000-000000000000', rate_limit: 1 }, 'not_found'],
    [{ action: 'create', role: 'admin', team: 'a', label: 'b', email: 'a@b\r\nBcc: c@d.e' }, 'invalid_value'],
    [{ action: 'reset', id: 'x' }, 'invalid_value'],
    [{ action: 'reset', id: '00000000-0000-4000-8000-000000000000' }, 'not_found'],
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
