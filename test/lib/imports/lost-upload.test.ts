import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { splitImport } from '../../../lib/imports/split.ts'
import { verifyFacets } from '../../../lib/profiles/facets.ts'
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
const small = { records: 3, bytes: 1024 * 1024 }

const losses = [
  ['deleted', 'object_missing', (id: string) => bench.storage.remove(bench.key(id))],
  ['replaced', 'object_changed', (id: string) => bench.storage.put(bench.key(id), 'other', 'text/csv')],
  [
    'replaced by nothing',
    'object_changed',
    (id: string) => bench.storage.put(bench.key(id), Buffer.alloc(0), 'text/csv'),
  ],
] as const

/** A delivery of the message that asks for a scan to begin or to go on, without an ETag. */
const goOn = (id: string) => {
  const { objects, slices, finish } = bench.sent
  const queues = { self: objects, slices, finish }
  return splitImport({ sql: bench.sql, storage: bench.storage, ...queues, remainingMs: () => 60_000 }, id)
}

describe.each(losses)('an upload that was %s', (how, code, lose) => {
  const word = how.split(' ')[0]!

  test('while slices wait for it ends the import at the first of them, and names the rows and the reason', async () => {
    const id = await bench.put(`${header}\n${people(12)}\n`)
    const [first, second, third, fourth] = (await bench.split(id, small)) as [Slice, Slice, Slice, Slice]
    await bench.insert([second])
    await lose(id)
    expect(await bench.attempt(first)).toBeUndefined()
    expect(bench.sent.finish.messages).toEqual([{ import_id: id }])
    // What else was sent finds nothing to do, and no letter asks for anybody.
    for (const slice of [third, fourth]) expect(await bench.attempt(slice)).toBeUndefined()
    expect(await bench.finish(id)).toBe('completed_with_failures')
    const report = await bench.report(id)
    expect(report).toMatchObject({ total_rows: 3, inserted: 3, skipped: 0, finished_at: expect.any(String) })
    expect(report.failed_ranges?.map(({ first_row, last_row }) => [first_row, last_row])).toEqual([
      [1, 3],
      [7, 9],
      [10, 12],
    ])
    for (const { error } of report.failed_ranges!) expect(error).toContain(`was ${word}`)
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('leaves a slice that a worker holds to it', async () => {
    const id = await bench.put(`${header}\n${people(5)}\nx,y\n${people(9)}\n`)
    const [first, held] = (await bench.split(id, small)) as [Slice, Slice]
    let lost: Promise<unknown> | undefined
    const slow = {
      ...bench.storage,
      // Inside the slice's transaction, which is behind the reading of the upload.
      async put(...file: Parameters<typeof bench.storage.put>) {
        lost ??= lose(id).then(() => bench.attempt(first))
        expect(await lost).toBeUndefined()
        return bench.storage.put(...file)
      },
    }
    expect(await bench.attempt(held, slow)).toBeUndefined()
    expect(lost).toBeDefined()
    expect(await bench.finish(id)).toBe('completed_with_failures')
    const report = await bench.report(id)
    expect(report).toMatchObject({ total_rows: 3, inserted: 2, skipped: 1 })
    expect(report.failed_ranges?.map(({ first_row }) => first_row)).toEqual([1, 7, 10, 13])
  })

  test('is no reason to retry, and the refusal says so', async () => {
    const id = await bench.put(`${header}\n${people(3)}\n`)
    const slices = await bench.split(id, small)
    await lose(id)
    await bench.attempt(slices[0]!)
    await bench.finish(id)
    const before = await bench.report(id)
    const refused = { status: 409, code: 'not_retryable', message: expect.stringContaining(word) }
    await expect(bench.retry(id)).rejects.toMatchObject(refused)
    expect(await bench.report(id)).toEqual(before)
  })

  test('that was announced, or is scanned, fails the import with the reason', async () => {
    const announced = await bench.put(`${header}\n${people(3)}\n`)
    const { etag } = await bench.storage.head(bench.key(announced))
    const half = await bench.put(`${header}\n${people(3)}\n`)
    await bench.sql`
      update imports set state = 'splitting', etag = ${(await bench.storage.head(bench.key(half))).etag}
      where id = ${half}`
    for (const id of [announced, half]) await lose(id)
    expect(await bench.splitFrom(bench.storage, announced, etag)).toBe('failed')
    expect(await goOn(half)).toBe('failed')
    for (const id of [announced, half]) {
      expect(await bench.report(id)).toMatchObject({
        state: 'failed',
        failure: { code, message: expect.stringContaining(`was ${word}`) },
        finished_at: expect.any(String),
      })
    }
  })
})

describe('an upload that was seen and is gone', () => {
  const seen = async () => {
    const id = await bench.put(`${header}\n${people(3)}\n`)
    await bench.age(id, 301)
    await bench.sweep()
    expect(bench.sent.objects.messages).toEqual([{ continue_import_id: id }])
    await bench.storage.remove(bench.key(id))
    return id
  }

  test('is still awaited while its address takes another', async () => {
    const id = await seen()
    expect(await goOn(id)).toBe('ignored')
    expect(await bench.report(id)).toMatchObject({ state: 'awaiting_upload', finished_at: null })
    await bench.storage.put(bench.key(id), `${header}\n${people(3)}\n`, 'text/csv')
    expect(await goOn(id)).toBe('sent')
  })

  test('fails the import after that', async () => {
    const id = await seen()
    await bench.sql`update imports set upload_expires_at = now() where id = ${id}`
    expect(await goOn(id)).toBe('failed')
    expect(await bench.report(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'object_missing' },
      finished_at: expect.any(String),
    })
    expect(await goOn(id)).toBe('ignored')
  })

  test('keeps nobody waiting who never uploaded', async () => {
    const id = await bench.create(10)
    expect(await goOn(id)).toBe('ignored')
    expect(await bench.report(id)).toMatchObject({ state: 'awaiting_upload', finished_at: null })
  })
})

test('an S3 that does not answer is no lost upload: the slice comes again, and a retry is 503', async () => {
  const id = await bench.put(`${header}\n${people(3)}\n`)
  const [slice] = (await bench.split(id, small)) as [Slice]
  const down = Object.assign(new Error('down'), { $metadata: { httpStatusCode: 503 } })
  expect(await bench.attempt(slice, bench.failing(down))).toBe(down)
  expect(await bench.report(id)).toMatchObject({ state: 'inserting' })
  await bench.exhaust(slice, bench.failing(down))
  await bench.finish(id)
  const head = () => Promise.reject(down)
  await expect(bench.retry(id, bench.teamId, { head })).rejects.toMatchObject({ status: 503 })
  expect(await bench.report(id)).toMatchObject({ state: 'completed_with_failures' })
  await bench.retry(id)
  expect(await bench.attempt(slice)).toBeUndefined()
  expect(await bench.finish(id)).toBe('completed')
})

test('an import that is cancelled while its upload is gone stays cancelled', async () => {
  const id = await bench.put(`${header}\n${people(6)}\n`)
  const [first] = (await bench.split(id, small)) as [Slice]
  const gone = {
    ...bench.storage,
    async read(...what: Parameters<typeof bench.storage.read>) {
      await bench.storage.remove(bench.key(id))
      await bench.cancel(id)
      return bench.storage.read(...what)
    },
  }
  expect(await bench.attempt(first, gone)).toBeUndefined()
  expect(await bench.finish(id)).toBe('cancelled')
  const report = await bench.report(id)
  expect(report).toMatchObject({ state: 'cancelled', total_rows: 0, finished_at: expect.any(String) })
  expect(report.failed_ranges).toBeUndefined()
})

test('many neighbours that failed alike are one range', async () => {
  const id = await bench.put(`${header}\n${people(306)}\n`)
  const slices = (await bench.split(id, small)) as Slice[]
  await bench.insert([slices[50]!])
  await bench.storage.remove(bench.key(id))
  await bench.attempt(slices[0]!)
  await bench.finish(id)
  const ranges = (await bench.report(id)).failed_ranges!
  expect(ranges.map(({ first_row, last_row }) => [first_row, last_row])).toEqual([
    [1, 150],
    [154, 306],
  ])
})
