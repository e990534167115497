import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { uploadKey } from '../../../lib/imports/messages.ts'
import { storageAnswers } from '../../../lib/imports/sweep.ts'
import { type RecoveryBench, type Slice, startRecoveryBench } from '../../support/recovery.ts'

let bench: RecoveryBench
beforeAll(async () => {
  bench = await startRecoveryBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id'
const people = (count: number) =>
  Array.from({ length: count }, (_, n) => `Person ${n},male,${n % 90},NG`).join('\n')
const file = `${header}\n${people(9)}\n`
const small = { records: 3, bytes: 1024 * 1024 }
const nothing = { started: 0, expired: 0, scans: 0, slices: 0, finishes: 0, removals: 0 }

test('what is at work is left alone', async () => {
  await bench.put(file)
  const id = await bench.put(file)
  await bench.split(id, small)
  await bench.run(file)
  expect(await bench.sweep()).toEqual(nothing)
})

describe('an awaited upload', () => {
  test('whose event was lost is found within minutes, and taken up', async () => {
    const id = await bench.put(file)
    await bench.age(id, 301)
    expect(await bench.sweep()).toEqual({ ...nothing, started: 1 })
    expect(bench.sent.objects.messages).toEqual([{ continue_import_id: id }])
    expect(await bench.sweep()).toEqual(nothing)
    await bench.insert(await bench.splitWith(id, undefined, small))
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 9 })
  })

  test('that never came expires, but not before a slow one could have arrived', async () => {
    const id = await bench.create(100)
    const expire = (seconds: number) => bench.sql`
      update imports set upload_expires_at = now() - make_interval(secs => ${seconds}), touched_at = now() - interval '1 hour'
      where id = ${id}`
    await expire(7100)
    expect(await bench.sweep()).toEqual(nothing)
    await expire(7300)
    expect(await bench.sweep()).toEqual({ ...nothing, expired: 1 })
    expect(await bench.report(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'upload_expired' },
      finished_at: expect.any(String),
    })
  })

  test('that came after all is not expired, however late anybody looks', async () => {
    const id = await bench.put(file)
    await bench.sql`
      update imports set upload_expires_at = now() - interval '1 day', touched_at = now() - interval '1 day'
      where id = ${id}`
    expect(await bench.sweep()).toEqual({ ...nothing, started: 1 })
  })
})

describe('work that stands still', () => {
  test('a scan is told to go on, and each time later', async () => {
    const id = await bench.put(file)
    await bench.sql`
      update imports set state = 'splitting', etag = ${(await bench.storage.head(uploadKey(id))).etag}
      where id = ${id}`
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual({ ...nothing, scans: 1 })
    expect(bench.sent.objects.messages).toEqual([{ continue_import_id: id }])
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual(nothing)
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual({ ...nothing, scans: 1 })
    expect(await bench.splitWith(id, undefined, small)).toHaveLength(3)
  })

  test('slices whose messages are lost are sent again, those that are in are not', async () => {
    const id = await bench.put(file)
    const [first] = (await bench.split(id, small)) as [Slice]
    await bench.attempt(first)
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual({ ...nothing, slices: 2 })
    expect(bench.sent.slices.messages).toEqual([
      { import_id: id, slice_no: 1 },
      { import_id: id, slice_no: 2 },
    ])
    for (const message of bench.sent.slices.messages) await bench.attempt(message)
    expect(bench.sent.finish.messages).toEqual([{ import_id: id }])
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 9 })
  })

  test('slices behind a backlog are sent again less and less often, until one of them moves', async () => {
    const id = await bench.put(file)
    const [first] = (await bench.split(id, small)) as [Slice]
    const sweptAfter = async (seconds: number) => {
      await bench.age(id, seconds)
      return (await bench.sweep()).slices
    }
    expect([await sweptAfter(901), await sweptAfter(901), await sweptAfter(901)]).toEqual([3, 0, 3])
    expect(await sweptAfter(1802)).toBe(0)
    await bench.attempt(first)
    expect(await sweptAfter(901)).toBe(2)
  })

  test('a slice that a worker holds is not doubled', async () => {
    const id = await bench.put(file)
    await bench.split(id, small)
    await bench.age(id, 901)
    await bench.sql.begin(async (tx) => {
      await tx`select from import_slices where import_id = ${id} and slice_no = 1 for update`
      expect((await bench.sweep()).slices).toBe(2)
    })
  })

  test('an end that is owed is asked for again, and its dead letter closed', async () => {
    const id = await bench.put(file)
    await bench.insert(await bench.split(id, small))
    await bench.die('import-finish', { import_id: id })
    expect(await bench.letters('import-finish')).toHaveLength(1)
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual({ ...nothing, finishes: 1 })
    expect(await bench.letters('import-finish')).toEqual([])
    await bench.sql`update imports set state = 'finishing' where id = ${id}`
    await bench.age(id, 1801)
    expect(await bench.sweep()).toEqual({ ...nothing, finishes: 1 })
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed' })
  })

  test('the skipped rows of a cancelled import are asked for again', async () => {
    const id = await bench.put(file)
    await bench.insert((await bench.split(id, small)).slice(0, 1))
    await bench.cancel(id)
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual({ ...nothing, finishes: 1 })
    await bench.finish(id)
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual(nothing)
  })

  test('a removal is told to go on', async () => {
    const { id } = await bench.run(file)
    await bench.sql`update imports set removal_state = 'running' where id = ${id}`
    await bench.die('import-removals', { import_id: id })
    await bench.age(id, 901)
    expect(await bench.sweep()).toEqual({ ...nothing, removals: 1 })
    expect(bench.sent.removals.messages).toEqual([{ import_id: id }])
    expect(await bench.letters('import-removals')).toEqual([])
  })

  test('two sweeps at once share the work', async () => {
    const ids = await Promise.all([1, 2, 3, 4].map(() => bench.put(file)))
    for (const id of ids) {
      await bench.split(id, small)
      await bench.age(id, 901)
    }
    const [a, b] = await Promise.all([bench.sweep(), bench.sweep()])
    expect(a.slices + b.slices).toBe(12)
    expect(bench.sent.slices.messages).toHaveLength(12)
  })
})

test('S3 counts as there when it answers that an object is not', async () => {
  expect(await storageAnswers(bench.storage)).toBe(true)
  const exists = () => Promise.reject(new Error('connect ECONNREFUSED'))
  expect(await storageAnswers({ ...bench.storage, exists })).toBe(false)
})
