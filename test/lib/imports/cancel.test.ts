import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { insertSlice } from '../../../lib/imports/insert.ts'
import { uploadKey } from '../../../lib/imports/messages.ts'
import { startRemoval } from '../../../lib/imports/remove.ts'
import { verifyFacets } from '../../../lib/profiles/facets.ts'
import { heldQueue } from '../../support/imports.ts'
import { type RecoveryBench, type Slice, startRecoveryBench } from '../../support/recovery.ts'

let bench: RecoveryBench
beforeAll(async () => {
  bench = await startRecoveryBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id'
const people = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => `Person ${n + from},male,${(n + from) % 90},NG`).join('\n')
const small = { records: 3, bytes: 1024 * 1024 }

describe('cancelling', () => {
  test('ends an import once no worker is at it; what is in stays in, and the skipped rows can be had', async () => {
    const id = await bench.put(`${header}\n${people(3)}\nx,y\n${people(5, 3)}\n`)
    const [first, second, third] = (await bench.split(id, small)) as [Slice, Slice, Slice]
    await bench.insert([first, second])
    await (await bench.cancel(id))()
    expect(bench.sent.finish.messages).toEqual([{ import_id: id }])
    const expected = { state: 'cancelled', total_rows: 6, inserted: 5, skipped: 1 }
    expect(await bench.report(id)).toMatchObject({ ...expected, finished_at: null, rejects_url: null })
    await bench.insert([third])
    expect(await bench.finish(id)).toBe('cancelled')
    expect(await bench.finish(id)).toBeUndefined()
    const times = { finished_at: expect.any(String), rejects_url: expect.any(String) }
    expect(await bench.report(id)).toMatchObject({ ...expected, ...times })
    expect(await bench.rejects(id)).toHaveLength(1)
    expect(await bench.names()).toHaveLength(5)
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('what it put in can be taken out once no worker can be at it any more', async () => {
    const id = await bench.put(`${header}\n${people(5)}\n`)
    await bench.insert((await bench.split(id, small)).slice(0, 1))
    await bench.cancel(id)
    const queue = heldQueue()
    const asked = () => startRemoval(bench.sql, queue, bench.teamId, id)
    await expect(asked()).rejects.toMatchObject({ status: 409, code: 'not_finished' })
    await bench.finish(id)
    await asked()
    expect(queue.messages).toEqual([{ import_id: id }])
  })

  test('twice is once, whoever asks; another team has no such import', async () => {
    const id = await bench.put(`${header}\n${people(3)}\n`)
    await Promise.all([bench.cancel(id), bench.cancel(id)])
    const report = await bench.report(id)
    await bench.cancel(id)
    expect(await bench.report(id)).toEqual(report)
    await expect(bench.cancel(id, crypto.randomUUID())).rejects.toMatchObject({ status: 404 })
  })

  test('an import that has ended, or is being finished, is refused', async () => {
    const { id } = await bench.run(`${header}\n${people(3)}\n`)
    await expect(bench.cancel(id)).rejects.toMatchObject({ status: 409, code: 'not_cancellable' })
    await bench.sql`update imports set state = 'finishing' where id = ${id}`
    await expect(bench.cancel(id)).rejects.toMatchObject({ status: 409 })
    expect(await bench.report(id)).toMatchObject({ inserted: 3 })
  })

  test('an awaited upload is ignored when it comes', async () => {
    const id = await bench.put(`${header}\n${people(3)}\n`)
    await bench.cancel(id)
    expect(await bench.split(id)).toEqual([])
    expect(await bench.finish(id)).toBeUndefined()
    const times = { finished_at: expect.any(String), rejects_url: expect.any(String) }
    expect(await bench.report(id)).toMatchObject({ state: 'cancelled', ...times })
  })

  test('a scan that is cut off by it stores no slices', async () => {
    const id = await bench.put(`${header}\n${people(9)}\n`)
    const { etag } = await bench.storage.head(uploadKey(id))
    const storage = {
      ...bench.storage,
      async read(key: string) {
        await bench.cancel(id)
        return bench.storage.read(key)
      },
    }
    expect(await bench.splitFrom(storage, id, etag)).toBe('ignored')
    const [slices] = await bench.sql`select count(*) from import_slices`
    expect(slices).toMatchObject({ count: 0 })
  })

  test('a worker that holds a slice may commit it, and it counts', async () => {
    const id = await bench.put(`${header}\n${people(3)}\nx,y\n${people(5, 3)}\n`)
    const [first, second, third] = (await bench.split(id, small)) as [Slice, Slice, Slice]
    await bench.insert([first])
    const { sql, sent } = bench
    const slow = {
      ...bench.storage,
      // Inside the slice's transaction: the cancel comes between its rows and its commit.
      async put(...file: Parameters<typeof bench.storage.put>) {
        cancelling ??= bench.cancel(id).then(async (send) => {
          await send()
          atCancel = await bench.report(id)
          finishing = bench.finish(id)
        })
        await cancelling
        return bench.storage.put(...file)
      },
    }
    let cancelling: Promise<void> | undefined
    let atCancel: unknown
    let finishing: Promise<unknown> | undefined
    const context = { sql, storage: slow, finish: sent.finish }
    expect(await insertSlice(context, id, second.slice_no)).toMatchObject({ outcome: 'done', inserted: 2 })
    expect(atCancel).toMatchObject({ total_rows: 3, inserted: 3, finished_at: null, rejects_url: null })
    expect(await finishing).toBe('cancelled')
    expect(await insertSlice(context, id, third.slice_no)).toMatchObject({ outcome: 'ignored' })
    expect(await bench.report(id)).toMatchObject({
      state: 'cancelled',
      total_rows: 6,
      inserted: 5,
      skipped: 1,
      finished_at: expect.any(String),
    })
    expect(await bench.rejects(id)).toHaveLength(1)
  })

  test('whose message is lost ends by the sweep', async () => {
    const id = await bench.put(`${header}\n${people(5)}\n`)
    await bench.insert((await bench.split(id, small)).slice(0, 1))
    await bench.cancel(id)
    await bench.sweep()
    expect(bench.sent.finish.messages).toEqual([])
    await bench.age(id, 901)
    await bench.sweep()
    expect(bench.sent.finish.messages).toEqual([{ import_id: id }])
    expect(await bench.finish(id)).toBe('cancelled')
    expect(await bench.report(id)).toMatchObject({ inserted: 3, finished_at: expect.any(String) })
    await bench.age(id, 90_000)
    await bench.sweep()
    expect(bench.sent.finish.messages).toHaveLength(1)
  })

  test('beside many workers leaves numbers that add up', async () => {
    const id = await bench.put(`${header}\n${people(60)}\n`)
    const messages = await bench.split(id, small)
    const working = Promise.allSettled(messages.map((message) => bench.insert([message])))
    await bench.cancel(id)
    await working
    await bench.finish(id)
    const { total_rows, inserted, skipped } = await bench.report(id)
    expect(inserted + skipped).toBe(total_rows)
    expect(await bench.names()).toHaveLength(inserted)
    const states = await bench.sql`select distinct state from import_slices order by 1`
    expect(states.map(({ state }) => state)).not.toContain('pending')
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('closes the dead letters of the import, and later ones ask for nobody', async () => {
    const id = await bench.put(`${header}\n${people(6)}\n`)
    const [first, second] = await bench.split(id, small)
    await bench.die('import-slices', first)
    await bench.cancel(id)
    await bench.die('import-slices', second)
    expect(await bench.letters('import-slices')).toEqual([])
    expect(await bench.letters('import-slices', 'discarded')).toHaveLength(2)
  })
})
