import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { listImports } from '../../../lib/imports/store.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id,gender_probability\n'
const limits = { records: 100, bytes: 1024 * 1024 }
const trial = (rows: readonly string[], options = {}) =>
  bench.run(header + rows.map((row) => `${row}\n`).join(''), limits, undefined, { dry_run: true, options })

describe('the report of a trial', () => {
  it('counts single letters for genders over all slices, and has none once they are said', async () => {
    const rows = Array.from({ length: 2000 }, (_, n) => `Person ${n},${n % 5 < 3 ? 'M' : 'H'},${n % 90},NG,`)
    const report = await trial(rows)
    expect(report).toMatchObject({ skipped: 2000, progress: { slices_done: 20 } })
    expect(report.unread_values).toEqual({
      gender: [
        { value: 'M', count: 1200 },
        { value: 'H', count: 800 },
      ],
    })
    const again = await trial(rows, { values: { gender: { M: 'female', H: 'male' } } })
    expect(again).toMatchObject({ inserted: 2000, skipped: 0 })
    expect(again.unread_values).toBeUndefined()
  })

  it('names the values of every column, as the file has them, whatever their row was refused for', async () => {
    const report = await trial([
      'Ann, M\u200b,25.5,Nigeria,98%',
      ',M,25.5,Congo,98%',
      'Bea,female,x,NG,98%',
      'Cec,,,,-',
      '"Dan,male,x,y,z',
      'Eve \ufffd,female,30,GH,0.5',
    ])
    expect(report.reasons).toMatchObject({ malformed_row: 1, broken_encoding: 1 })
    expect(report.unread_values).toEqual({
      gender: [
        { value: 'M', count: 1 },
        { value: 'M\u200b', count: 1 },
      ],
      age: [
        { value: '25.5', count: 2 },
        { value: 'x', count: 1 },
      ],
      country_id: [
        { value: 'Congo', count: 1 },
        { value: 'Nigeria', count: 1 },
      ],
      gender_probability: [{ value: '98%', count: 3 }],
    })
  })

  it('knows what a lenient import reads', async () => {
    const report = await trial(['Ann,woman,25.0,Nigeria,', 'Bob,M,25,Congo,'], { accept: 'lenient' })
    expect(report.inserted).toBe(1)
    expect(report.unread_values).toEqual({
      gender: [{ value: 'M', count: 1 }],
      country_id: [{ value: 'Congo', count: 1 }],
    })
  })

  it('shows the 20 most frequent, each cut at 50 characters, a slice keeping 50', async () => {
    const long = '😀'.repeat(60)
    const rows = [
      ...Array.from({ length: 300 }, (_, n) => `Person ${n},g${n % 60},30,NG,`),
      ...Array.from({ length: 40 }, (_, n) => `Other ${n},${long}${n},30,NG,`),
    ]
    const { gender } = (await trial(rows)).unread_values!
    expect(gender).toHaveLength(20)
    expect(gender![0]).toEqual({ value: '😀'.repeat(50), count: 40 })
    expect(gender!.slice(1).every(({ count }) => count === 5)).toBe(true)
    const [slice] = await bench.sql<{ kept: number }[]>`
      select max(jsonb_array_length(unread->'gender')) as kept from import_slices`
    expect(slice!.kept).toBe(50)
  })

  it('has them once the trial has ended', async () => {
    const id = await bench.put(`${header}Ann,M,30,NG,\n`, { dry_run: true })
    await bench.insert(await bench.split(id))
    const running = await bench.report(id)
    expect([running.skipped, running.unread_values]).toEqual([1, undefined])
    await bench.finish(id)
    expect((await bench.report(id)).unread_values).toEqual({ gender: [{ value: 'M', count: 1 }] })
  })

  it('is alone in having them: no list does, nor an import', async () => {
    const report = await trial(['Ann,M,30,NG,'])
    const { rows } = await listImports(bench.sql, bench.teamId, { limit: 10, offset: 0 })
    expect(rows.map(({ id, unread_values }) => [id, unread_values])).toEqual([[report.id, null]])
    const real = await bench.run(`${header}Ann,M,30,NG,\n`)
    expect(real).toMatchObject({ skipped: 1, reasons: { invalid_gender: 1 } })
    expect(real.unread_values).toBeUndefined()
    expect(
      await bench.sql`select from import_slices where import_id = ${real.id} and unread is not null`,
    ).toEqual([])
  })
})
