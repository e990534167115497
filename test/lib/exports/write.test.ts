import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { compressions } from '../../../lib/exports/format.ts'
import { exportInline } from '../../../lib/exports/inline.ts'
import type { ExportRequest } from '../../../lib/exports/request.ts'
import { countMatches, readSnapshot } from '../../../lib/exports/snapshot.ts'
import { claimExport, createExport, maxAttempts, openExports } from '../../../lib/exports/store.ts'
import { createKey } from '../../../lib/platform/keys.ts'
import type { RetryLaterError } from '../../../lib/platform/retry.ts'
import type { Storage } from '../../../lib/platform/storage.ts'
import { pulseOf } from '../../../lib/platform/work/heartbeat.ts'
import type { Filter } from '../../../lib/profiles/filter.ts'
import { sortColumns } from '../../../lib/profiles/page.ts'
import type { NewProfile, ProfileRow } from '../../../lib/profiles/profile.ts'
import { insertProfile } from '../../../lib/profiles/store.ts'
import { type ExportBench, startExportBench } from '../../support/exports.ts'
import { population, satisfies, storeProfiles, withTimes } from '../../support/profiles.ts'

let bench: ExportBench
/** More than two batches. */
const people = withTimes(population(4500))
const person: NewProfile = { ...people[0]!, name: 'Late Example', country_id: 'TD' }
const request: ExportRequest = {
  filter: {},
  sort: { by: 'created_at', order: 'asc' },
  format: 'csv',
  compression: 'none',
  bom: false,
}

beforeAll(async () => {
  bench = await startExportBench()
  await storeProfiles(bench.sql, people)
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const rowsOf = (csv: string): Record<string, string>[] => parse(csv, { columns: true })
const readAll = (sort: ExportRequest['sort'], filter = {}) =>
  readSnapshot(bench.sql, { filter, sort }, async ({ batches }) => {
    const rows: ProfileRow[] = []
    for await (const batch of batches) rows.push(...batch)
    return rows
  })

describe('a snapshot', () => {
  test.each(sortColumns.flatMap((by) => (['asc', 'desc'] as const).map((order) => ({ by, order }))))(
    'by $by $order has every match once, in the order of the list',
    async (sort) => {
      const filter = { gender: 'female', min_age: 20, min_country_probability: 0.5 } as const
      const rows = await readAll(sort, filter)
      expect(rows).toHaveLength(people.filter((one) => satisfies(one, filter)).length)
      const sign = sort.order === 'asc' ? 1 : -1
      const value = (row: ProfileRow) => (sort.by === 'created_at' ? 0 : row[sort.by])
      const expected = rows.toSorted((a, b) => {
        const [x, y] = [value(a), value(b)]
        if ((x === null) !== (y === null)) return x === null ? 1 : -1
        return sign * ((x ?? 0) - (y ?? 0) || (a.id < b.id ? -1 : 1))
      })
      expect(rows.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
    },
  )

  test('is of one moment, whatever is written while it is read', async () => {
    let read = 0
    await readSnapshot(bench.sql, request, async ({ batches }) => {
      for await (const batch of batches) {
        if (read === 0) {
          await insertProfile(bench.sql, person)
          await bench.sql`update profiles set age = 150 where name = ${people.at(-1)!.name}`
        }
        read += batch.length
        expect(batch.some(({ age }) => age === 150)).toBe(false)
      }
    })
    expect(read).toBe(people.length)
    await bench.sql`delete from profiles where name = ${person.name}`
    await bench.sql`update facets set count = 0 where country_id = ${person.country_id}`
    await bench.sql`update profiles set age = ${people.at(-1)!.age} where age = 150`
  })
})

describe('an answer at once', () => {
  test('is for so many rows and bytes, and not for one more', async () => {
    const whole = await exportInline(bench.sql, request, { rows: people.length, bytes: 6e6 })
    if (!('body' in whole)) throw new Error('no body')
    expect(rowsOf(whole.body.toString())).toHaveLength(people.length)
    const bytes = Buffer.byteLength(JSON.stringify(whole.body))
    const few = { rows: people.length - 1, bytes: 6e6 }
    expect(await exportInline(bench.sql, request, few)).toEqual({ matches: people.length })
    const small = { rows: people.length, bytes: bytes - 200 }
    expect(await exportInline(bench.sql, request, small)).toEqual({ matches: people.length })
    expect(await exportInline(bench.sql, request, { ...small, bytes })).toEqual(whole)
  })

  test('begins with a byte order mark if that is asked for, compressed too', async () => {
    const plain = await exportInline(bench.sql, request)
    const marked = await exportInline(bench.sql, { ...request, bom: true })
    const small = await exportInline(bench.sql, { ...request, bom: true, compression: 'gzip' })
    if (!('body' in plain && 'body' in marked && 'body' in small)) throw new Error('no body')
    expect(marked.body).toBe(`\ufeff${plain.body}`)
    expect(gunzipSync(small.body).toString()).toBe(marked.body)
  })

  test('is compressed if that is asked for', async () => {
    const whole = await exportInline(bench.sql, request)
    const small = await exportInline(bench.sql, { ...request, compression: 'gzip' })
    if (!('body' in whole && 'body' in small)) throw new Error('no body')
    expect(gunzipSync(small.body).toString()).toBe(whole.body)
    expect(small.body.length).toBeLessThan(whole.body.length / 2)
  })
})

describe('an export', () => {
  test('is written as it would have been answered', async () => {
    const { id } = await bench.create(request, people.length)
    expect(await bench.report(id)).toMatchObject({
      state: 'queued',
      rows_done: 0,
      rows_total: people.length,
      file_url: null,
    })
    expect(await bench.write(id)).toMatchObject({ outcome: 'completed', rows: people.length })
    const whole = await exportInline(bench.sql, request)
    expect(await bench.file(id)).toBe('body' in whole && whole.body)
    expect(await bench.report(id)).toMatchObject({
      state: 'completed',
      rows_done: people.length,
      rows_total: people.length,
      size: Buffer.byteLength(await bench.file(id)),
      file_url: `/api/exports/${id}/file`,
    })
  })

  test.each<Filter>([
    { exclude_country_id: ['GH', 'KE'], age_group: ['child', 'senior'], min_age: 5 },
    { created_after: '2026-01-03T10:00:00.000Z', created_before: '2026-03-01T00:00:00.000Z', gender: 'male' },
    { created_before: '2026-01-02T00:00:00.000Z', min_gender_probability: 0.5 },
    { name: 'person 77' },
  ])('has of %j the profiles that match, in their order', async (filter) => {
    const { id } = await bench.create({ ...request, filter })
    await bench.write(id)
    expect((await bench.report(id)).filter).toEqual(filter)
    const expected = people.filter((one) => satisfies(one, filter))
    expect(rowsOf(await bench.file(id)).map((row) => row.id)).toEqual(expected.map((one) => one.id))
    expect(await countMatches(bench.sql, filter)).toBe(expected.length)
    expect(expected.length).toBeGreaterThan(0)
  })

  test.each(compressions)('is written behind a byte order mark (compression: %s)', async (compression) => {
    const { id } = await bench.create({ ...request, compression, bom: true })
    await bench.write(id)
    const bytes = await bench.bytes(id)
    const text = (compression === 'gzip' ? gunzipSync(bytes) : bytes).toString()
    const whole = await exportInline(bench.sql, { ...request, bom: true })
    expect(text).toBe('body' in whole && whole.body)
    expect(await bench.report(id)).toMatchObject({ compression, bom: true, size: bytes.length })
  })

  test('is written compressed if that is asked for, as a file that S3 hands out as it is', async () => {
    const [plain, small] = [
      await bench.create(request),
      await bench.create({ ...request, compression: 'gzip' }),
    ]
    await bench.write(plain.id)
    await bench.write(small.id)
    const bytes = await bench.bytes(small.id)
    expect(gunzipSync(bytes).toString()).toBe(await bench.file(plain.id))
    expect(await bench.report(small.id)).toMatchObject({ compression: 'gzip', size: bytes.length })
    expect(await bench.head(small.id)).toMatchObject({ ContentType: 'application/gzip' })
    expect((await bench.head(small.id)).ContentEncoding).toBeUndefined()
  })

  test('of nobody has a header and no line', async () => {
    const { id } = await bench.create({ ...request, filter: { country_id: ['AQ'] } })
    await bench.write(id)
    expect(rowsOf(await bench.file(id))).toEqual([])
    expect(await bench.file(id)).toMatch(/^id,name,.*\r\n$/)
  })

  test('tells how far it is while it is written', async () => {
    const { id } = await bench.create(request, people.length)
    const seen = Promise.withResolvers<void>()
    const slow: Storage = {
      ...bench.storage,
      async write(key, body, contentType) {
        const chunks: Buffer[] = []
        for await (const chunk of body) {
          chunks.push(chunk)
          if (chunks.length < 2) continue
          while ((await bench.report(id)).rows_done === 0);
          seen.resolve()
        }
        await bench.storage.put(key, Buffer.concat(chunks), contentType)
      },
    }
    await Promise.all([seen.promise, bench.write(id, { storage: slow, pulse: { ...pulse, beat: 0.005 } })])
    expect(await bench.report(id)).toMatchObject({ state: 'completed', rows_done: people.length })
  })

  test('expires with its file', async () => {
    const { id } = await bench.create(request)
    await bench.write(id)
    await bench.sql`update exports set expires_at = now() - interval '1 second'`
    expect(await bench.report(id)).toMatchObject({ state: 'expired', file_url: null })
  })
})

const pulse = pulseOf(60)
const leaseSeconds = pulse.lease

/** A worker that has read the first of its batches. */
async function begun(id: string) {
  const file = join(import.meta.dirname, '../../support/export-worker.ts')
  const worker = spawn(process.execPath, [file, id], { env: { ...process.env, ...bench.env } })
  await once(worker.stdout, 'data')
  return worker
}

describe('a delivery', () => {
  test('beside one that lives waits for the rest of its lease, and does nothing once the file is there', async () => {
    const { id } = await bench.create(request)
    const beside = () => bench.write(id).catch((error: unknown) => error)
    const both = await Promise.all([beside(), beside()])
    expect(both).toContainEqual(expect.objectContaining({ outcome: 'completed' }))
    expect(both).toContainEqual(expect.objectContaining({ name: 'RetryLaterError', exact: true }))
    expect((await bench.write(id)).outcome).toBe('ignored')
    expect((await bench.objects()).filter((key) => key.includes(id))).toHaveLength(1)
  })

  test('goes on half way, in a process of its own', async () => {
    const { id } = await bench.create(request)
    const worker = await begun(id)
    worker.stdin.end()
    expect(await once(worker, 'exit')).toEqual([0, null])
    expect(await bench.report(id)).toMatchObject({ state: 'completed', rows_done: people.length })
  })

  test('after one that was killed half way begins anew, once that has been silent for a while', async () => {
    const { id } = await bench.create(request)
    const worker = await begun(id)
    worker.kill('SIGKILL')
    await once(worker, 'exit')
    expect(await bench.report(id)).toMatchObject({ state: 'running' })
    await bench.age(id, leaseSeconds - 20)
    const error = await bench.write(id).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'RetryLaterError', exact: true })
    expect((error as RetryLaterError).waitSeconds).toBeLessThanOrEqual(20)
    await bench.age(id, 21)
    expect((await bench.write(id)).outcome).toBe('completed')
    expect(rowsOf(await bench.file(id))).toHaveLength(people.length)
  })

  test('whose connection is cut between two batches never passes a part for the whole', async () => {
    const { id } = await bench.create(request)
    const worker = await begun(id)
    // Reading ahead or waiting for its reader: it is cut either way.
    const cut = await bench.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like 'fetch 2000 from %'`
    expect(cut).toHaveLength(1)
    worker.stdin.end()
    expect(await once(worker, 'exit')).not.toEqual([0, null])
    // Given up, unless the cut ended the whole process.
    const state = expect.stringMatching(/^(?:queued|running)$/)
    expect(await bench.report(id)).toMatchObject({ state, file_url: null })
    await bench.age(id, leaseSeconds + 1)
    expect((await bench.write(id)).outcome).toBe('completed')
  })

  test('whose connection is cut gives the export up once the database answers again', async () => {
    const { id } = await bench.create(request)
    const cut: Storage = {
      ...bench.storage,
      async write() {
        throw Object.assign(new Error('cut'), { code: 'CONNECTION_CLOSED' })
      },
    }
    await expect(bench.write(id, { storage: cut })).rejects.toThrow('cut')
    expect(await bench.report(id)).toMatchObject({ state: 'queued' })
    expect((await bench.write(id)).outcome).toBe('completed')
  })

  test('that was taken for dead does not write over the one that followed', async () => {
    const { id } = await bench.create(request)
    const overtaken: Storage = {
      ...bench.storage,
      async write(key, body, contentType) {
        await bench.age(id, leaseSeconds + 1)
        expect((await bench.write(id)).outcome).toBe('completed')
        await bench.storage.write(key, body, contentType)
      },
    }
    const before = await bench.write(id, { storage: overtaken })
    expect(before.outcome).toBe('ignored')
    expect(await bench.report(id)).toMatchObject({ state: 'completed', rows_done: people.length })
    expect(rowsOf(await bench.file(id))).toHaveLength(people.length)
  })

  test('that fails goes back into the queue, and the fifth ends the export with the reason', async () => {
    const { id } = await bench.create(request)
    const outage = Object.assign(new Error('secret'), {
      $metadata: { httpStatusCode: 503 },
      name: 'SlowDown',
    })
    const down: Storage = { ...bench.storage, write: () => Promise.reject(outage) }
    for (let attempt = 1; attempt < maxAttempts; attempt++) {
      await expect(bench.write(id, { storage: down })).rejects.toBe(outage)
      expect(await bench.report(id)).toMatchObject({ state: 'queued' })
    }
    expect((await bench.write(id, { storage: down })).outcome).toBe('failed')
    expect(await bench.report(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'export_failed', message: 'AWS answered 503 (SlowDown)' },
    })
  })

  test.each(compressions)('whose upload breaks off leaves no file (compression: %s)', async (compression) => {
    const { id } = await bench.create({ ...request, compression })
    const part = Buffer.alloc(5 * 1024 * 1024)
    let openUploads = 0
    const long: Storage = {
      ...bench.storage,
      async write(key, body, contentType) {
        async function* lengthened() {
          yield* [part, part, part]
          while ((await bench.openUploads()) === 0);
          openUploads = await bench.openUploads()
          yield* body
        }
        await bench.storage.write(key, Readable.from(lengthened()), contentType)
      },
    }
    let asked = 0
    const remainingMs = () => (asked++ < 2 ? 60_000 : 0)
    expect((await bench.write(id, { storage: long, remainingMs })).outcome).toBe('failed')
    expect([openUploads, await bench.openUploads()]).toEqual([1, 0])
    expect((await bench.objects()).filter((key) => key.includes(id))).toEqual([])
    expect(await bench.report(id)).toMatchObject({ state: 'failed', failure: { code: 'export_timeout' } })
  })
})

describe('the same request', () => {
  test('is the same export while that waits, is written on the same data, or can be fetched', async () => {
    const [first, twin] = await Promise.all([bench.create(request), bench.create(request)])
    expect([first.created, twin.created].sort()).toEqual([false, true])
    const { id } = first
    expect(twin.id).toBe(id)
    await claimExport(bench.sql, id, crypto.randomUUID(), leaseSeconds)
    expect(await bench.create(request)).toMatchObject({ id, created: false })
    await bench.age(id, leaseSeconds + 1)
    await bench.write(id)
    expect(await bench.create(request)).toMatchObject({ id, created: false })
    await bench.sql`update exports set expires_at = now() - interval '1 second'`
    expect(await bench.create(request)).toMatchObject({ created: true })
  })

  test('is another export once the data has changed under one that was begun, or it failed', async () => {
    const waiting = await bench.create(request)
    await bench.sql`update dataset set version = version + 1`
    expect(await bench.create(request)).toMatchObject({ id: waiting.id, created: false })
    await bench.write(waiting.id)
    expect(await bench.create(request)).toMatchObject({ id: waiting.id, created: false })
    await bench.sql`update dataset set version = version + 1`
    const next = await bench.create(request)
    expect(next.created).toBe(true)
    await bench.sql`update exports set state = 'failed' where id = ${next.id}`
    expect(await bench.create(request)).toMatchObject({ created: true })
  })

  test('of so many that a team has open at once none more is taken', async () => {
    const ages = Array.from({ length: openExports }, (_, age) => age + 1)
    for (const min_age of ages) await bench.create({ ...request, filter: { min_age } })
    await expect(bench.create(request)).rejects.toMatchObject({ code: 'too_many_exports', status: 409 })
    expect(await bench.create({ ...request, filter: { min_age: 1 } })).toMatchObject({ created: false })
  })
})

describe('an Idempotency-Key', () => {
  test('leads to its export for ever, whatever has become of the data or the export', async () => {
    const { id } = await bench.create(request, 0, 'key-1')
    await bench.write(id)
    await bench.sql`update dataset set version = version + 1`
    expect(await bench.create(request, 0, 'key-1')).toMatchObject({ id, created: false })
    await bench.sql`update exports set state = 'failed' where id = ${id}`
    expect(await bench.create(request, 0, 'key-1')).toMatchObject({ id, created: false })
    expect(await bench.create(request, 0, 'key-2')).toMatchObject({ created: true })
  })

  test('leads to one export from calls at once, and beside another key for the same', async () => {
    const calls = Array.from({ length: 4 }, (_, n) => bench.create(request, 0, `key-${n % 2}`))
    const all = await Promise.all(calls)
    expect(new Set(all.map(({ id }) => id)).size).toBe(1)
    expect(all.filter(({ created }) => created)).toHaveLength(1)
    await bench.write(all[0]!.id)
    await bench.sql`update dataset set version = version + 1`
    for (const key of ['key-0', 'key-1']) {
      expect(await bench.create(request, 0, key)).toMatchObject({ id: all[0]!.id, created: false })
    }
  })

  test('that was used for another request is refused, and another team may use it', async () => {
    await bench.create(request, 0, 'key-1')
    for (const other of [{ filter: { gender: 'male' } }, { compression: 'gzip' }, { bom: true }] as const) {
      await expect(bench.create({ ...request, ...other }, 0, 'key-1')).rejects.toMatchObject({
        code: 'idempotency_conflict',
        status: 409,
      })
    }
    const { id: keyId } = await createKey(bench.sql, { role: 'analyst', team: 'other', label: 'test' })
    const [team] = await bench.sql<{ id: string }[]>`select id from teams where name = 'other'`
    const owner = { teamId: team!.id, keyId }
    const { created } = await createExport(
      bench.sql,
      owner,
      { ...request, filter: { gender: 'male' } },
      0,
      'key-1',
    )
    expect(created).toBe(true)
  })
})

describe('the sweep', () => {
  test('sends what nobody began or whose worker died, each time later, and leaves the rest alone', async () => {
    const lost = await bench.create(request)
    const dead = await bench.create({ ...request, format: 'jsonl' })
    const live = await bench.create({ ...request, filter: { gender: 'male' } })
    await claimExport(bench.sql, dead.id, crypto.randomUUID(), leaseSeconds)
    await claimExport(bench.sql, live.id, crypto.randomUUID(), leaseSeconds)
    expect(await bench.sweep()).toEqual({ resumed: 0, failed: 0 })
    await bench.age(lost.id, 89)
    await bench.age(dead.id, leaseSeconds + pulse.grace - 1)
    expect(await bench.sweep()).toEqual({ resumed: 0, failed: 0 })
    await bench.age(lost.id, 2)
    await bench.age(dead.id, 2)
    expect(await bench.sweep()).toEqual({ resumed: 2, failed: 0 })
    expect(bench.queue.messages.map(({ export_id }) => export_id).sort()).toEqual([lost.id, dead.id].sort())
    await bench.age(lost.id, 179)
    expect(await bench.sweep()).toEqual({ resumed: 0, failed: 0 })
    expect((await bench.write(dead.id)).outcome).toBe('completed')
    expect((await bench.write(lost.id)).outcome).toBe('completed')
  })

  test('ends what died at its last attempt', async () => {
    const { id } = await bench.create(request)
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      await claimExport(bench.sql, id, crypto.randomUUID(), leaseSeconds)
      await bench.age(id, leaseSeconds + 1)
    }
    expect(await bench.sweep()).toEqual({ resumed: 0, failed: 1 })
    expect(await bench.report(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'export_failed', message: expect.stringContaining('out of time or memory') },
    })
  })
})

describe('a dead letter', () => {
  test('fails its export with the reason, and redriven brings it back', async () => {
    const { id } = await bench.create(request)
    expect(await bench.die(id)).toMatchObject({ cause: 'dependency', moot: false, owner: { id } })
    expect(await bench.report(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'export_failed', message: 'The database could not be reached' },
    })
    expect(await bench.redrive()).toMatchObject({ redriven: 1 })
    expect(bench.redriven.messages).toEqual([{ export_id: id }])
    expect((await bench.write(id)).outcome).toBe('completed')
  })

  test('of an export that has ended, is written, or was sent anew changes nothing', async () => {
    const { id } = await bench.create(request)
    await bench.age(id, 901)
    await bench.sweep()
    expect(await bench.die(id, new Date(Date.now() - 60_000))).toMatchObject({ moot: true })
    await claimExport(bench.sql, id, crypto.randomUUID(), leaseSeconds)
    expect(await bench.die(id)).toMatchObject({ moot: true })
    expect(await bench.report(id)).toMatchObject({ state: 'running' })
    expect(await bench.die(crypto.randomUUID())).toMatchObject({ owner: null, cause: 'unknown' })
  })
})
