import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { finish } from '../../../lib/imports/finish.ts'
import { insertSlice } from '../../../lib/imports/insert.ts'
import { removeProfiles, startRemoval } from '../../../lib/imports/remove.ts'
import type { Report } from '../../../lib/imports/report.ts'
import type { Sql } from '../../../lib/platform/db.ts'
import type { Storage } from '../../../lib/platform/storage.ts'
import { verifyFacets } from '../../../lib/profiles/facets.ts'
import { insertProfile } from '../../../lib/profiles/store.ts'
import { heldQueue } from '../../support/imports.ts'
import { type RecoveryBench, type Slice, startRecoveryBench } from '../../support/recovery.ts'

let bench: RecoveryBench
beforeAll(async () => {
  bench = await startRecoveryBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id'
const file = `${header}
Ada,female,1,NG
Bob,male,2,NG
Cy,male,3,NG
ada,male,4,KE
Bob,male,5,KE
Dee,x,6,NG
`
const limits = { records: 2, bytes: 1024 }

/** A trial at its end, with the messages of its slices. */
async function aTrial(content = file): Promise<{ id: string; slices: Slice[] }> {
  const id = await bench.put(content, { dry_run: true })
  const slices = await bench.split(id, limits)
  await bench.insert(slices)
  await bench.finish(id)
  return { id, slices }
}

/** The messages that follow the one that a commit sent: of slices, all of them. */
async function committed(id: string): Promise<Slice[]> {
  await (await bench.commit(id))()
  expect(bench.sent.objects.messages).toEqual([{ continue_import_id: id }])
  return bench.splitWith(id, undefined, limits)
}

const counts = ({ total_rows, inserted, skipped, reasons }: Report) => ({
  total_rows,
  inserted,
  skipped,
  reasons,
})

describe('a committed trial', () => {
  test('becomes the import of the same upload, without another scan', async () => {
    const { id, slices } = await aTrial()
    const trial = await bench.report(id)
    const listed = await bench.rejects(id)
    expect(await bench.names()).toEqual([])
    await bench.commit(id)
    expect(await bench.report(id)).toMatchObject({
      state: 'inserting',
      dry_run: false,
      progress: { bytes: file.length, slices_done: 0, slices_total: 3 },
      total_rows: 0,
      inserted: 0,
      skipped: 0,
      reasons: {},
      finished_at: null,
      rejects_url: null,
      sample: trial.sample,
      trial: { inserted: 3, skipped: 3, reasons: trial.reasons, finished_at: trial.finished_at },
    })
    const again = await bench.splitWith(id, undefined, limits)
    expect(again).toEqual(slices)
    await bench.insert(again.toReversed())
    await bench.finish(id)
    const report = await bench.report(id)
    expect(report).toMatchObject({ state: 'completed', dry_run: false })
    expect(counts(report)).toEqual(counts(trial))
    expect(await bench.rejects(id)).toEqual(listed)
    expect(await bench.sql`select name, age from profiles order by name`).toEqual([
      { name: 'Ada', age: 1 },
      { name: 'Bob', age: 2 },
      { name: 'Cy', age: 3 },
    ])
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('counts what the table holds when it is committed, and can be taken out again', async () => {
    const { id } = await aTrial()
    const person = {
      gender: 'male',
      age: 9,
      country_id: 'GH',
      gender_probability: null,
      country_probability: null,
    } as const
    await insertProfile(bench.sql, { ...person, name: 'CY' })
    await bench.insert(await committed(id))
    await bench.finish(id)
    const report = await bench.report(id)
    expect(report).toMatchObject({ inserted: 2, skipped: 4, trial: { inserted: 3, skipped: 3 } })
    await startRemoval(bench.sql, heldQueue(), bench.teamId, id)
    await removeProfiles({ sql: bench.sql, self: heldQueue(), remainingMs: () => 60_000 }, id)
    expect(await bench.names()).toEqual(['CY'])
    expect((await bench.report(id)).removal).toMatchObject({ state: 'done', removed: 2 })
  })

  test('is read as was said with the trial', async () => {
    const columns = { name: 'Nombre', gender: 'Sexo', age: 'Edad', country_id: 'País' }
    const options = { encoding: 'macintosh', columns }
    const content = Buffer.from('Nombre;Sexo;Edad;Pa\x92s\nJos\x8e;male;36;ES\n', 'latin1')
    const id = await bench.put(content, { dry_run: true, options })
    await bench.insert(await bench.split(id))
    await bench.finish(id)
    await bench.insert(await committed(id))
    await bench.finish(id)
    expect(await bench.names()).toEqual(['José'])
    expect(await bench.report(id)).toMatchObject({ encoding: 'macintosh', delimiter: ';', inserted: 1 })
  })

  test('of a file without rows comes to its end', async () => {
    const { id } = await aTrial(`${header}\n`)
    await (await bench.commit(id))()
    expect(await bench.splitWith(id, undefined)).toEqual([])
    expect(await bench.finish(id)).toBe('completed')
    expect(await bench.report(id)).toMatchObject({ total_rows: 0, dry_run: false, trial: { inserted: 0 } })
  })

  test('runs all slices of a trial that ended with failures, whose letters are closed', async () => {
    const id = await bench.put(file, { dry_run: true })
    const [first, ...others] = (await bench.split(id, limits)) as [Slice, ...Slice[]]
    await bench.insert(others)
    await bench.exhaust(first, bench.failing(new Error('gone')))
    const sentAt = new Date(Date.now() - 60_000)
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed_with_failures', failed_ranges_total: 1 })
    const slices = await committed(id)
    expect(slices).toHaveLength(3)
    expect(await bench.letters('import-slices')).toEqual([])
    expect(await bench.die('import-slices', first, { sentAt })).toMatchObject({ moot: true })
    await bench.insert(slices)
    expect(await bench.finish(id)).toBe('completed')
    expect(await bench.report(id)).toMatchObject({ inserted: 3, skipped: 3 })
    expect(await bench.report(id)).not.toHaveProperty('failed_ranges')
    expect(await bench.sql`select from import_trial_names`).toHaveLength(0)
    expect(await bench.names()).toEqual(['Ada', 'Bob', 'Cy'])
  })

  test('can be cancelled, and what failed of it run again', async () => {
    const { id } = await aTrial()
    const [first, second] = (await committed(id)) as [Slice, Slice]
    await bench.insert([first])
    await bench.exhaust(second, bench.failing(new Error('gone')))
    await bench.cancel(id)
    expect(await bench.finish(id)).toBe('cancelled')
    expect(await bench.report(id)).toMatchObject({ state: 'cancelled', inserted: 2, dry_run: false })

    const other = (await aTrial(file.replaceAll(/^/gm, 'x').replace('x', ''))).id
    bench.sent.objects.messages.length = 0
    const [one, ...rest] = (await committed(other)) as [Slice, ...Slice[]]
    await bench.insert(rest)
    await bench.exhaust(one, bench.failing(new Error('gone')))
    await bench.finish(other)
    await (await bench.retry(other))()
    expect(bench.sent.slices.messages).toEqual([one])
  })

  test('whose message is lost is taken up by the sweep', async () => {
    const { id, slices } = await aTrial()
    await bench.commit(id)
    await bench.sweep()
    expect(bench.sent.slices.messages).toEqual([])
    await bench.age(id, 901)
    expect(await bench.sweep()).toMatchObject({ slices: 3 })
    expect(bench.sent.slices.messages).toEqual(slices)
  })
})

describe('a delivery of a trial that comes late', () => {
  test('does nothing of a slice of the import that it has become', async () => {
    const id = await bench.put(file, { dry_run: true })
    const slices = (await bench.split(id, limits)) as [Slice, Slice, Slice]
    let again: Slice[] = []
    // It has read the trial and its slice; while it waits for S3 the trial ends and is committed.
    const storage: Storage = {
      ...bench.storage,
      async read(key, options) {
        if (again.length === 0) {
          await bench.insert(slices)
          await bench.finish(id)
          again = await committed(id)
        }
        return bench.storage.read(key, options)
      },
    }
    const { import_id, slice_no } = slices[1]
    const late = await insertSlice({ sql: bench.sql, storage, finish: heldQueue() }, import_id, slice_no)
    expect(late).toEqual({ outcome: 'ignored' })
    expect(await bench.sql`select from import_trial_names`).toHaveLength(0)
    expect(await bench.report(id)).toMatchObject({ total_rows: 0, progress: { slices_done: 0 } })
    await bench.insert(again)
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 3, skipped: 3 })
    expect(await bench.names()).toEqual(['Ada', 'Bob', 'Cy'])
  })

  /** The end of the trial by another delivery, its commit, and all slices, the last first. */
  async function endAndCommit(id: string): Promise<void> {
    await bench.finish(id)
    await bench.insert((await committed(id)).toReversed())
  }

  const firstRowsWon = async (id: string) => {
    expect(await bench.report(id)).toMatchObject({ state: 'inserting', rejects_url: null })
    expect(await bench.finish(id)).toBe('completed')
    expect(await bench.sql`select name, age from profiles order by name`).toEqual([
      { name: 'Ada', age: 1 },
      { name: 'Bob', age: 2 },
      { name: 'Cy', age: 3 },
    ])
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 3, skipped: 3 })
    expect(await verifyFacets(bench.sql)).toEqual([])
  }

  test('settles no name of the import that it has become', async () => {
    const id = await bench.put(file, { dry_run: true })
    await bench.insert(await bench.split(id, limits))
    let waits = true
    const sql = new Proxy(bench.sql, {
      get(target, key) {
        if (key !== 'begin') return Reflect.get(target, key)
        return async (work: Parameters<Sql['begin']>[1]) => {
          if (waits) {
            waits = false
            await endAndCommit(id)
          }
          return target.begin(work)
        }
      },
    })
    expect(await finish({ sql, storage: bench.storage }, id)).toBeUndefined()
    await firstRowsWon(id)
  })

  test('does not end the import that it has become', async () => {
    const id = await bench.put(file, { dry_run: true })
    await bench.insert(await bench.split(id, limits))
    let ended: Promise<void> | undefined
    const storage: Storage = {
      ...bench.storage,
      async write(...args) {
        ended ??= endAndCommit(id)
        await ended
        return bench.storage.write(...args)
      },
    }
    expect(await finish({ sql: bench.sql, storage }, id)).toBeUndefined()
    await firstRowsWon(id)
  })
})

describe('a commit', () => {
  test('beside another is made once', async () => {
    const { id } = await aTrial()
    const results = await Promise.allSettled([1, 2, 3].map(() => bench.commit(id)))
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused.map(({ reason }) => [reason.status, reason.code])).toEqual([
      [409, 'already_committed'],
      [409, 'already_committed'],
    ])
    expect(await bench.report(id)).toMatchObject({ trial: { inserted: 3 }, inserted: 0 })
  })

  test('is refused with the reason while the trial has not finished', async () => {
    const { id } = await aTrial()
    for (const state of ['awaiting_upload', 'splitting', 'inserting', 'finishing']) {
      await bench.sql`update imports set state = ${state}, finished_at = null where id = ${id}`
      await expect(bench.commit(id)).rejects.toMatchObject({
        status: 409,
        code: 'not_finished',
        message: `The trial has not finished: it is ${state}`,
      })
    }
  })

  test('of a trial that failed or was cancelled is refused, saying which', async () => {
    const failed = await bench.put('nothing of ours\n', { dry_run: true })
    await bench.split(failed)
    const cancelled = await bench.put(file, { dry_run: true })
    await bench.cancel(cancelled)
    for (const [id, state] of [
      [failed, 'failed'],
      [cancelled, 'cancelled'],
    ] as const) {
      await expect(bench.commit(id)).rejects.toMatchObject({
        status: 409,
        code: 'not_committable',
        message: `The trial cannot be committed: it is ${state}`,
      })
    }
  })

  test('of an import that was none, or of another team, is refused', async () => {
    const { id } = await bench.run(file, limits)
    await expect(bench.commit(id)).rejects.toMatchObject({ status: 409, code: 'not_a_trial' })
    await expect(bench.commit(id, crypto.randomUUID())).rejects.toMatchObject({ status: 404 })
    const trial = await aTrial(`${header}\nZoe,female,3,NG\n`)
    await bench.insert(await committed(trial.id))
    await bench.finish(trial.id)
    await expect(bench.commit(trial.id)).rejects.toMatchObject({ status: 409, code: 'already_committed' })
  })

  test('of an upload that has expired or was replaced is refused, and changes nothing', async () => {
    const { id } = await aTrial()
    const before = await bench.report(id)
    await bench.storage.put(bench.key(id), file.replace('Ada', 'Eve'), 'text/csv')
    await expect(bench.commit(id)).rejects.toMatchObject({ status: 409, code: 'upload_expired' })
    await bench.storage.remove(bench.key(id))
    await expect(bench.commit(id)).rejects.toMatchObject({ status: 409, code: 'upload_expired' })
    expect(await bench.report(id)).toEqual({ ...before, rows_per_second: expect.anything() })
    const down: Storage = { ...bench.storage, head: () => Promise.reject(new Error('S3 is down')) }
    await expect(bench.commit(id, bench.teamId, down)).rejects.toMatchObject({ status: 503 })
  })

  test('of a trial whose removal was asked for is refused', async () => {
    const { id } = await aTrial()
    await startRemoval(bench.sql, heldQueue(), bench.teamId, id)
    await expect(bench.commit(id)).rejects.toMatchObject({ status: 409, code: 'not_committable' })
  })

  test('checks again under its lock what may have changed while S3 was asked', async () => {
    const { id } = await aTrial()
    const slow: Storage = {
      ...bench.storage,
      async head(key) {
        await startRemoval(bench.sql, heldQueue(), bench.teamId, id)
        return bench.storage.head(key)
      },
    }
    await expect(bench.commit(id, bench.teamId, slow)).rejects.toMatchObject({ code: 'not_committable' })
    expect(await bench.report(id)).toMatchObject({ state: 'completed', dry_run: true })
  })
})
