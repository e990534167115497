import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ImportBench, startImportBench } from '../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
afterAll(() => bench.close())

const header = 'name,gender,age,country_id\n'
const many = 500_000

describe('half a million rows', () => {
  test('of one name: one goes in, the others are its duplicates', async () => {
    const report = await bench.run(header + 'Ada Obi,female,30,NG\n'.repeat(many))
    expect(report).toMatchObject({
      state: 'completed',
      total_rows: many,
      inserted: 1,
      skipped: many - 1,
      reasons: { duplicate_name: many - 1 },
    })
    const [profile] = await bench.sql`select import_row from profiles`
    expect(profile).toEqual({ import_row: 1 })
  })

  test('that are all bad: each stands in the rejects file, in order', async () => {
    const report = await bench.run(header + 'Ada Obi,female,-1,NG\nshort,row\n'.repeat(many / 2))
    expect(report).toMatchObject({
      total_rows: many,
      inserted: 0,
      reasons: { invalid_age: many / 2, malformed_row: many / 2 },
    })
    const csv = await bench.rejectsCsv(report.id)
    const rows = csv
      .trimEnd()
      .split('\r\n')
      .slice(1)
      .map((line) => Number(line.slice(0, line.indexOf(','))))
    expect(rows).toHaveLength(many)
    expect(rows.every((row, at) => row === at + 1)).toBe(true)
  })
})
