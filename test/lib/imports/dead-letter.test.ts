import { S3ServiceException } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
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

const outage = new S3ServiceException({
  name: 'SlowDown',
  $fault: 'server',
  $metadata: { httpStatusCode: 503 },
  message: 'Please reduce your request rate.',
})

/** An import of ten rows in four slices, of which the second has died and the others are in. */
async function poisoned(cause: Error): Promise<{ id: string; messages: Slice[] }> {
  const id = await bench.put(`${header}\n${people(10)}\n`)
  const messages = await bench.split(id, small)
  const [first, poison, ...rest] = messages as [Slice, Slice, ...Slice[]]
  await bench.insert([first, ...rest])
  await bench.exhaust(poison, bench.failing(cause))
  return { id, messages }
}

describe('a slice whose deliveries are exhausted', () => {
  test('lets the import end with failures, and names its rows and why', async () => {
    const { id } = await poisoned(outage)
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({
      state: 'completed_with_failures',
      total_rows: 7,
      inserted: 7,
      failed_ranges: [{ first_row: 4, last_row: 6, error: 'AWS answered 503 (SlowDown)' }],
      rejects_url: expect.any(String),
    })
    expect(await bench.letters('import-slices')).toMatchObject([
      {
        owner_type: 'import',
        owner_id: id,
        owner_part: 1,
        cause: 'dependency',
        receive_count: 4,
        body: JSON.stringify({ import_id: id, slice_no: 1 }),
      },
    ])
  })

  test('is recorded once when its letter comes twice', async () => {
    const id = await bench.put(`${header}\n${people(3)}\n`)
    const [slice] = await bench.split(id, small)
    await bench.die('import-slices', slice, { id: 'm1' })
    await bench.redrive('import-slices')
    expect(await bench.die('import-slices', slice, { id: 'm1' })).toBeUndefined()
    expect(await bench.letters('import-slices')).toEqual([])
    expect(await bench.letters('import-slices', 'redriven')).toHaveLength(1)
    expect(await bench.report(id)).toMatchObject({ state: 'inserting' })
  })

  test('says nothing of a slice that is in, or of one that was sent anew since', async () => {
    const id = await bench.put(`${header}\n${people(6)}\n`)
    const [done, waiting] = (await bench.split(id, small)) as [Slice, Slice]
    await bench.insert([done])
    expect(await bench.die('import-slices', done)).toMatchObject({ moot: true })
    await bench.sql`update import_slices set resent_at = now() where import_id = ${id} and slice_no = 1`
    const sentAt = new Date(Date.now() - 60_000)
    expect(await bench.die('import-slices', waiting, { sentAt })).toMatchObject({ moot: true })
    expect(await bench.letters('import-slices', 'discarded')).toHaveLength(2)
    expect(await bench.report(id)).toMatchObject({ state: 'inserting' })
  })

  test('tells a database that was away from a worker that ended without a word', async () => {
    const id = await bench.put(`${header}\n${people(6)}\n`)
    const [away, silent] = (await bench.split(id, small)) as [Slice, Slice]
    expect(await bench.die('import-slices', away)).toMatchObject({
      cause: 'dependency',
      error: 'The database could not be reached',
    })
    await bench.sql`update import_slices set attempts = 3 where import_id = ${id} and slice_no = 1`
    expect(await bench.die('import-slices', silent)).toMatchObject({ cause: 'unknown' })
  })

  test('never says what a row held', async () => {
    const { id } = await poisoned(new TypeError('Cannot read Ada Lovelace'))
    expect(await bench.letters('import-slices')).toMatchObject([
      { error: 'An internal error occurred (TypeError)', cause: 'defect' },
    ])
    expect(JSON.stringify(await bench.report(id))).not.toContain('Lovelace')
  })
})

test.each(['{"import_id":', '{"import_id":"x"}', '"text"'])(
  'the message %s is kept, and belongs to nobody',
  async (body) => {
    for (const queue of ['import-slices', 'import-objects', 'import-finish', 'import-removals'] as const) {
      await bench.die(queue, body)
      expect(await bench.letters(queue)).toMatchObject([{ body, owner_id: null, cause: 'unknown' }])
    }
  },
)

describe('retry', () => {
  test('runs what failed and nothing else, to the same end as without a failure', async () => {
    const { id } = await poisoned(outage)
    await bench.finish(id)
    await (await bench.retry(id))()
    expect(await bench.report(id)).toMatchObject({
      state: 'inserting',
      total_rows: 7,
      finished_at: null,
      rejects_url: null,
    })
    expect(await bench.report(id)).not.toHaveProperty('failed_ranges')
    expect(bench.sent.slices.messages).toEqual([{ import_id: id, slice_no: 1 }])
    expect(await bench.letters('import-slices', 'redriven')).toHaveLength(1)
    await bench.insert(bench.sent.slices.messages)
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({
      state: 'completed',
      total_rows: 10,
      inserted: 10,
      skipped: 0,
    })
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('a double click sends once, and both are answered', async () => {
    const { id } = await poisoned(outage)
    await bench.finish(id)
    const sends = await Promise.all([bench.retry(id), bench.retry(id)])
    for (const send of sends) await send()
    expect(bench.sent.slices.messages).toHaveLength(1)
  })

  test('is refused where nothing failed, and for another team', async () => {
    const { id } = await bench.run(`${header}\n${people(3)}\n`)
    await expect(bench.retry(id)).rejects.toMatchObject({ status: 409, code: 'not_retryable' })
    const waiting = await bench.put(`${header}\n`)
    await expect(bench.retry(waiting)).rejects.toMatchObject({ status: 409 })
    await expect(bench.retry(id, crypto.randomUUID())).rejects.toMatchObject({ status: 404 })
  })

  test('the first row of a name still wins when its slice comes in a retry', async () => {
    const rows = [
      'Ada,female,1,NG',
      'Bob,male,2,NG',
      'ADA,male,3,KE',
      'Cy,male,4,NG',
      'ada,male,5,GH',
      'bob,male,6,KE',
    ]
    const file = `${header}\n${rows.join('\n')}\n`
    const limits = { records: 2, bytes: 1024 }
    const expected = await bench.run(file, limits)
    const listed = await bench.rejects(expected.id)
    const profiles = () => bench.sql`select name, age, country_id, import_row from profiles order by name_key`
    const before = await profiles()
    await bench.clear()
    const id = await bench.put(file)
    const [first, second, third] = (await bench.split(id, limits)) as [Slice, Slice, Slice]
    // The last slice takes the names, the second displaces it at the end, the first displaces both in the retry.
    await bench.insert([third, second])
    await bench.exhaust(first, bench.failing(outage))
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({
      state: 'completed_with_failures',
      inserted: 3,
      skipped: 1,
    })
    await (await bench.retry(id))()
    await bench.insert(bench.sent.slices.messages)
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 3, skipped: 3 })
    expect(await profiles()).toEqual(before)
    expect(await bench.rejects(id)).toEqual(listed)
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('a trial finds its duplicates across a retry too', async () => {
    const id = await bench.put(`${header}\n${people(3)}\n${people(3)}\n`, { dry_run: true })
    const [first, second] = (await bench.split(id, small)) as [Slice, Slice]
    await bench.insert([second])
    await bench.exhaust(first, bench.failing(outage))
    await bench.finish(id)
    await (await bench.retry(id))()
    await bench.insert([first])
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 3, skipped: 3 })
    expect((await bench.rejects(id)).map(({ row }) => row)).toEqual(['4', '5', '6'])
  })
})

describe('a split whose deliveries are exhausted', () => {
  const event = (id: string) => ({
    Records: [{ eventName: 'ObjectCreated:Put', s3: { object: { key: uploadKey(id), eTag: 'x' } } }],
  })

  test('fails the import with the reason, and a retry scans it from where it stood', async () => {
    const id = await bench.put(`${header}\n${people(5)}\n`)
    await bench.sql`
      update imports set state = 'splitting', attempts = 3, last_error = 'AWS answered 403 (AccessDenied)',
        last_error_cause = 'defect', etag = ${(await bench.storage.head(uploadKey(id))).etag}
      where id = ${id}`
    await bench.die('import-objects', event(id))
    expect(await bench.report(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'split_failed', message: expect.stringContaining('AWS answered 403') },
    })
    await (await bench.retry(id))()
    expect(bench.sent.objects.messages).toEqual([{ continue_import_id: id }])
    expect(await bench.letters('import-objects', 'redriven')).toHaveLength(1)
    await bench.insert(await bench.splitWith(id, undefined, small))
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 5 })
  })

  test('that never began, the database being away, is redriven by itself', async () => {
    const id = await bench.put(`${header}\n${people(5)}\n`)
    expect(await bench.die('import-objects', event(id))).toMatchObject({ cause: 'dependency' })
    expect(await bench.redriveAfterOutage()).toBe(1)
    expect(bench.redriven.bodies).toEqual([event(id)])
    expect(await bench.report(id)).toMatchObject({ state: 'awaiting_upload', finished_at: null })
    expect(await bench.splitWith(id, undefined, small)).toHaveLength(2)
  })

  test('is not opened again once what it put in was asked to be taken out', async () => {
    const id = await bench.put(`${header}\n${people(5)}\n`)
    await bench.die('import-objects', event(id))
    await startRemoval(bench.sql, heldQueue(), bench.teamId, id)
    await bench.redrive('import-objects')
    expect(await bench.report(id)).toMatchObject({ state: 'failed', removal: { state: 'running' } })
  })

  test('says nothing of an import that another delivery has split', async () => {
    const id = await bench.put(`${header}\n${people(5)}\n`)
    await bench.split(id, small)
    expect(await bench.die('import-objects', event(id))).toMatchObject({ moot: true })
    expect(await bench.report(id)).toMatchObject({ state: 'inserting' })
  })
})

describe('redrive', () => {
  test('of all or of chosen letters opens their slices again and sends each message once', async () => {
    const { id } = await poisoned(outage)
    await bench.finish(id)
    const [letter] = await bench.letters('import-slices')
    const other = crypto.randomUUID()
    expect(await bench.redrive('import-slices', { ids: [letter!.id, other] })).toEqual({
      redriven: 1,
      skipped: 1,
      remaining: 0,
    })
    expect(await bench.redrive('import-slices')).toEqual({ redriven: 0, skipped: 0, remaining: 0 })
    expect(bench.redriven.bodies).toEqual([{ import_id: id, slice_no: 1 }])
    expect(await bench.report(id)).toMatchObject({ state: 'inserting', finished_at: null })
    await bench.insert(bench.redriven.bodies as Slice[])
    await bench.finish(id)
    expect(await bench.report(id)).toMatchObject({ state: 'completed', inserted: 10 })
  })

  test('leaves a letter open while its import is being finished', async () => {
    const { id } = await poisoned(outage)
    await bench.sql`update imports set state = 'finishing' where id = ${id}`
    expect(await bench.redrive('import-slices')).toMatchObject({ redriven: 0, skipped: 1 })
    expect(await bench.letters('import-slices')).toHaveLength(1)
  })

  test('cut off before its message was sent is completed by the sweep', async () => {
    const { id } = await poisoned(outage)
    bench.redriven.down = true
    await expect(bench.redrive('import-slices')).rejects.toThrow('the queue is down')
    expect(await bench.letters('import-slices', 'redriven')).toHaveLength(1)
    bench.redriven.down = false
    expect(await bench.sendUnsent()).toBe(1)
    expect(await bench.sendUnsent()).toBe(0)
    expect(bench.redriven.bodies).toEqual([{ import_id: id, slice_no: 1 }])
  })

  test('by itself, after an outage, waits longer each time and gives up after five', async () => {
    const id = await bench.put(`${header}\n${people(3)}\n`)
    const [slice] = (await bench.split(id, small)) as [Slice]
    for (let round = 0; round < 5; round++) {
      await bench.exhaust(slice, bench.failing(outage))
      const [letter] = await bench.letters('import-slices')
      expect(letter).toMatchObject({ automatic_redrives: round, cause: 'dependency' })
      await bench.sql`update dead_letters set last_seen_at = now() - make_interval(secs => ${61 * 2 ** round - 1})`
      if (round > 0) expect(await bench.redriveAfterOutage(62)).toBe(0)
      expect(await bench.redriveAfterOutage(60)).toBe(1)
    }
    await bench.exhaust(slice, bench.failing(outage))
    expect(await bench.redriveAfterOutage()).toBe(0)
    expect(await bench.letters('import-slices')).toMatchObject([{ automatic_redrives: 5 }])
    expect(await bench.redrive('import-slices')).toMatchObject({ redriven: 1 })
  })

  test('leaves what failed by a defect to a person', async () => {
    await poisoned(new TypeError('no'))
    expect(await bench.redriveAfterOutage()).toBe(0)
  })
})
