import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exportInline } from '../../../lib/exports/inline.ts'
import type { ExportRequest } from '../../../lib/exports/request.ts'
import { countryCodes } from '../../../lib/profiles/countries.ts'
import { storedName } from '../../../lib/profiles/names.ts'
import {
  genders,
  lostLetterProblem,
  maxNameLength,
  type NewProfile,
  nameKey,
  nameProblem,
} from '../../../lib/profiles/profile.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'
import { storeProfiles } from '../../support/profiles.ts'
import { fc } from '../../support/properties.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
afterAll(() => bench.close())

/** Every name that can be stored, those often that mean something to a spreadsheet or a reader of CSV. */
const names = fc
  .oneof(
    fc.string({ unit: fc.constantFrom(...`'=+-@\t\r\n ",;|aÉ`, '\u200d', '\u2028', '😀'), maxLength: 30 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(...`=+-@'`).map((first) => first.padEnd(maxNameLength, 'x')),
    fc.constantFrom("'Quote Example", "O'Dell", "''=Two", '"Ace" Marlow', 'NULL', '-', '\u2800x'),
  )
  .map(storedName)
  .filter((name) => (nameProblem(name) ?? lostLetterProblem(name)) === undefined)

const probability = fc.oneof(
  fc.constantFrom(null, 0, 1, 0.98, 1e-7, Number.MIN_VALUE),
  fc.double({ min: 0, max: 1, noNaN: true }),
)
const profiles: fc.Arbitrary<NewProfile[]> = fc.uniqueArray(
  fc.record({
    name: names,
    gender: fc.constantFrom(...genders),
    age: fc.integer({ min: 0, max: 150 }),
    country_id: fc.constantFrom(...countryCodes),
    gender_probability: probability,
    country_probability: probability,
  }),
  { selector: ({ name }) => nameKey(name), minLength: 1, maxLength: 60 },
)

async function stored(): Promise<NewProfile[]> {
  return bench.sql<NewProfile[]>`
    select name, gender, gender_probability, age, country_id, country_probability from profiles
    order by name collate "C"`
}

async function exported(form: Pick<ExportRequest, 'compression' | 'bom'>): Promise<Buffer> {
  const sort = { by: 'created_at', order: 'asc' } as const
  const result = await exportInline(bench.sql, { filter: {}, sort, format: 'csv', ...form })
  if (!('body' in result)) throw new Error('too many for one response')
  return Buffer.from(result.body)
}

test('profiles that are exported as CSV and imported into an empty table are the same profiles', async () => {
  await fc.assert(
    fc.asyncProperty(profiles, fc.boolean(), async (people, bom) => {
      await bench.clear()
      await storeProfiles(bench.sql, people)
      const before = await stored()
      const file = await exported({ compression: 'none', bom })
      await bench.clear()
      expect(await bench.run(file)).toMatchObject({
        state: 'completed',
        encoding: 'utf-8',
        delimiter: ',',
        inserted: people.length,
        skipped: 0,
        ignored_columns: ['id', 'age_group', 'country_name', 'created_at'],
      })
      expect(await stored()).toEqual(before)
      // What was imported is written as it had been, but for ids and times.
      const again = gunzipSync(await exported({ compression: 'gzip', bom })).toString()
      expect(again.length).toBe(file.toString().length)
    }),
    { numRuns: 25 },
  )
})
