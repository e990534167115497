import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { escapeFormula, unescapeFormula } from '../../../lib/platform/csv.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id\n'
const limits = { records: 2, bytes: 1024 }

/** Rows of which each other one is skipped, and what a spreadsheet would calculate in both columns of text. */
const rows = [
  '=Sum Example,female,1,NG',
  "'=Sum Example,male,2,NG",
  '+44 Plume,female,3,NG',
  '@At Example,=cmd|A1,4,NG',
  "''=Two,male,5,NG",
  "'''=Two,male,6,NG",
  '-Dash;Example,x,7,NG',
  "'Quote Example,-1,8,NG",
  '=SUM EXAMPLE,-1,9,NG',
  '+44 plume,female,10,NG',
  "''=TWO,female,11,NG",
]

test('the rejects file is safe in a spreadsheet and says the same once its rows are settled again', async () => {
  const report = await bench.run(header + rows.join('\n'), limits)
  const listed = await bench.rejects(report.id)
  expect(listed.map(({ row, value }) => [row, unescapeFormula(value)])).toEqual([
    ['2', '=Sum Example'],
    ['4', '=cmd|A1'],
    ['7', 'x'],
    ['8', '-1'],
    ['9', '-1'],
    ['10', '+44 plume'],
    ['11', "'=TWO"],
  ])
  for (const { row, value, detail, raw } of listed) {
    expect([value, detail, raw].filter((text) => /^[=+\-@\t\r]/.test(text))).toEqual([])
    expect(raw).toBe(escapeFormula(rows[Number(row) - 1]!))
  }
  expect(await bench.names()).toEqual(["''=Two", "'=Two", '+44 Plume', '=Sum Example'])
  await bench.clear()
  const turned = await bench.run(header + rows.join('\n'), limits, (messages) => messages.toReversed())
  expect(turned.reasons).toEqual(report.reasons)
  expect(await bench.rejects(turned.id)).toEqual(listed)
})
