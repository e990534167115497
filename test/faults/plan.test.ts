import { expect, test } from 'vitest'
import { readSlice } from '../../lib/imports/records.ts'
import { isRejection, readRow } from '../../lib/imports/row.ts'
import { nameKey } from '../../lib/profiles/profile.ts'
import { makeFiles } from './files.ts'
import { describeFault, planFaults } from './plan.ts'
import { randomFrom } from './random.ts'

test('a seed gives the same files and faults again, and another seed others', () => {
  const draw = (seed: number) => {
    const random = randomFrom(seed)
    const files = makeFiles(seed, random)
    return { bytes: files.map(({ bytes }) => bytes.toString('base64')), faults: planFaults(random, 3) }
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw(8)).not.toEqual(draw(7))
})

test('a file says truly what it holds: its rows, its dirt, and the first row of each name', async () => {
  const [file] = makeFiles(3, randomFrom(3))
  const { bytes, rows, invalid, first } = file!
  const columns = { name: 0, gender: 1, age: 2, country_id: 3, gender_probability: 4 }
  const layout = { delimiter: ',' as const, width: 6, columns }
  const body = bytes.subarray(bytes.indexOf('\n') + 1)
  const chunks = (async function* () {
    yield body
  })()
  const records = await readSlice(chunks, { first_row: 1, first_line: 2 }, layout, 'utf-8')
  expect(records).toHaveLength(rows)
  const seen = new Map<string, number>()
  for (const { row, fields, broken } of records) {
    const profile = fields && !broken ? readRow(fields, layout) : undefined
    if (!profile || isRejection(profile)) {
      const reason = fields ? (profile?.reason ?? 'broken_encoding') : 'malformed_row'
      expect([row, reason]).toEqual([row, invalid.get(row)])
      continue
    }
    expect(invalid.has(row)).toBe(false)
    const key = nameKey(profile.name)
    if (!seen.has(key)) seen.set(key, row)
  }
  expect(new Map([...first].map(([key, { row }]) => [key, row]))).toEqual(seen)
})

test('files share names with each other and repeat their own', () => {
  const files = makeFiles(5, randomFrom(5))
  const [a, b] = files
  const shared = [...a!.first.keys()].filter((key) => b!.first.has(key))
  expect(shared.length).toBeGreaterThan(50)
  expect(a!.first.size + a!.invalid.size).toBeLessThan(a!.rows)
})

test('a fault is told in a few words', () => {
  expect(describeFault({ kind: 'kill', worker: 'insert', when: { share: 0.5 } })).toBe(
    'kill worker insert at 50 % of the slices',
  )
})
