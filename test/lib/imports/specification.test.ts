import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ImportOptions } from '../../../lib/imports/options.ts'
import type { Report } from '../../../lib/imports/report.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

/** Files with their right outcomes, that come with the specification and not with this repository. */
const folder = resolve(import.meta.dirname, '../../../../shared/cases/csv')
const present = existsSync(folder)
if (!present) console.warn(`${folder} is not there: its tests are skipped`)

type Case = Pick<Report, 'state' | 'inserted' | 'skipped' | 'reasons'> & {
  import?: ImportOptions
  encoding?: string
  delimiter?: string
  names: string[]
  ignored_columns?: string[]
  failure?: string
  values?: Record<string, Record<string, unknown>>
}

describe.runIf(present)('the files of the specification', () => {
  const cases: Record<string, Case> = present
    ? JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8'))
    : {}
  let bench: ImportBench
  beforeAll(async () => {
    bench = await startImportBench()
  })
  beforeEach(() => bench.clear())
  afterAll(() => bench.close())

  test('are many', () => {
    expect(Object.keys(cases).length).toBeGreaterThan(25)
  })

  test.each(Object.entries(cases))('%s', async (file, { names, failure, values = {}, ...expected }) => {
    const { import: options = {}, ...rest } = expected
    const { why: _, kind: __, ...report } = rest as typeof rest & { why: string; kind: string }
    const found = await bench.run(readFileSync(`${folder}/${file}`), undefined, undefined, { options })
    expect(found).toMatchObject({ ...report, ...(failure && { failure: { code: failure } }) })
    expect(found.reasons).toEqual(report.reasons)
    const profiles = await bench.sql`select * from profiles order by import_row`
    expect(profiles.map(({ name }) => name)).toEqual(names)
    for (const [name, columns] of Object.entries(values)) {
      expect(profiles.find((profile) => profile.name === name)).toMatchObject(columns)
    }
  })
})
