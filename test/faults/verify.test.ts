import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type ImportBench, startImportBench } from '../support/imports.ts'
import { makeFiles } from './files.ts'
import { randomFrom } from './random.ts'
import { type EndedImport, violations } from './verify.ts'

let bench: ImportBench
let one: EndedImport

beforeAll(async () => {
  bench = await startImportBench()
})
afterAll(() => bench.close())

beforeEach(async () => {
  await bench.clear()
  const [file] = makeFiles(11, randomFrom(11))
  const report = await bench.run(file!.bytes, { records: 1000, bytes: 2 ** 20 }, (slices) => slices.reverse())
  const { body } = await rejectsOf(report.id)
  one = { id: report.id, file: file!, report, rejects: body }
})

async function rejectsOf(id: string): Promise<{ body: string }> {
  const parts: Buffer[] = []
  const [row] = await bench.sql<{ rejects_key: string }[]>`select rejects_key from imports where id = ${id}`
  for await (const part of await bench.storage.read(row!.rejects_key)) parts.push(part as Buffer)
  return { body: Buffer.concat(parts).toString() }
}

const found = async () => (await violations(bench.sql, [one])).join('\n')

test('an import that came out right has none, though its slices came in reverse', async () => {
  expect(await found()).toBe('')
})

test('a row that is gone, doubled in a count, or not the first of its name is seen', async () => {
  await bench.sql`delete from profiles where import_row = (select min(import_row) from profiles)`
  expect(await found()).toMatch(/is missing[\s\S]*facets differ/)
  await bench.sql`update profiles set import_row = 1000000 where import_row = (select max(import_row) from profiles)`
  expect(await found()).toContain('came from row 1000000')
})

test('a report or a file of skipped rows that does not agree is seen', async () => {
  one.report = { ...one.report, inserted: one.report.inserted + 1 }
  expect(await found()).toContain('inserted reported')
  one.rejects = one.rejects.split('\r\n').slice(0, -2).join('\r\n')
  expect(await found()).toContain('is neither in the table nor listed')
})
