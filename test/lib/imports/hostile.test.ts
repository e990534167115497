import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { verifyFacets } from '../../../lib/profiles/facets.ts'
import { deleteProfile, insertProfile } from '../../../lib/profiles/store.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id\n'

describe('names', () => {
  test.each([
    ['of 3,000 characters', 'x'.repeat(3000), 'invalid_name'],
    ['of blanks', ' \u00a0\u3000 ', 'missing_fields'],
    ['with a control character', 'A\u0007da', 'invalid_name'],
    ['of emoji', '👩🏽‍🚀 😀', undefined],
    ['written from right to left', 'مريم بنت عمران', undefined],
    ['in combining marks', 'Ame\u0301lie', undefined],
    ['that looks like a formula', '=HYPERLINK(1)', undefined],
    ['with an apostrophe and a backslash', "O'Brien \\ {x}", undefined],
    ['that is the word null', 'NULL', undefined],
  ])('a name %s', async (_, name, reason) => {
    const report = await bench.run(`${header}${name},female,30,NG\n`)
    expect(report.reasons).toEqual(reason ? { [reason]: 1 } : {})
    expect(await bench.names()).toEqual(reason ? [] : [name])
  })

  test('combining marks and precomposed letters, blanks and case make one name, kept as first written', async () => {
    const rows = ['Ame\u0301lie  Öz', 'AMÉLIE ÖZ', 'amélie\u00a0öz', 'Ａmélie Öz', 'Straße', 'STRASSE']
    const report = await bench.run(header + rows.map((name) => `${name},female,30,NG\n`).join(''))
    expect(report).toMatchObject({ inserted: 2, reasons: { duplicate_name: 4 } })
    expect(await bench.names()).toEqual(['Ame\u0301lie  Öz', 'Straße'])
  })
})

test('a ten-megabyte line, a NUL and a lone quote cost their own rows, wherever slices and chunks end', async () => {
  const good = (n: number) => `"Person, ${n}\nof two lines",male,${n % 90},NG\n`
  const parts = Array.from({ length: 3000 }, (_, n) => good(n))
  parts.splice(500, 0, `${'x'.repeat(10_000_000)}\n`)
  parts.splice(1000, 0, 'N\0L,male,1,NG\n')
  parts.splice(1500, 0, '"lone,male,1,NG\n')
  parts.splice(2000, 0, '"Ada" Obi,female,1,NG\n')
  parts.splice(2500, 0, 'too,many,columns,here,now\n')
  const report = await bench.run(header + parts.join(''), { records: 7, bytes: 4096 })
  expect(report).toMatchObject({ total_rows: 3005, inserted: 3000, reasons: { malformed_row: 5 } })
  const rejects = await bench.rejects(report.id)
  expect(rejects.map(({ row }) => Number(row))).toEqual([501, 1001, 1501, 2001, 2501])
  expect(rejects[0]!.raw).toHaveLength(4096)
})

describe('quoted fields', () => {
  const withNotes = 'name,gender,age,country_id,notes\n'

  test.each([
    ['U+000B', '\v'],
    ['U+00A0', '\u00a0'],
    ['U+3000', '\u3000'],
    ['U+FEFF', '\ufeff'],
  ])('a quote after %s opens nothing, and no field of another row is stored', async (_, space) => {
    const rows = `Ada Quill,female,30,NG,${space}"\nBola Reed,male,31,GH,",\nChidi Stone,male,20,KE,y"\n`
    const report = await bench.run(withNotes + rows)
    expect(report).toMatchObject({ total_rows: 2, inserted: 2, skipped: 0 })
    expect(await bench.sql`select name, age, country_id from profiles order by name`).toEqual([
      { name: 'Ada Quill', age: 30, country_id: 'NG' },
      { name: 'Bola Reed', age: 31, country_id: 'GH' },
    ])
  })

  const phantoms = (bytes: number) => {
    const line = 'Hope Phantom,male,20,GH,x\n'
    return `"line one\n${line.repeat(Math.ceil(bytes / line.length))}end"`
  }
  test.each([
    ['with a field too many', `Hope Owner,female,30,NG,${phantoms(100)},y`],
    ['after text behind a closing quote', `"Hope" Owner,female,30,NG,${phantoms(100)}`],
    ['with a NUL', `Hope\0Owner,female,30,NG,${phantoms(100)}`],
    ['of 70 KB', `Hope Owner,female,30,NG,${phantoms(70_000)}`],
    ['of a megabyte', `Hope Owner,female,30,NG,${phantoms(1_048_400)}`],
  ])('the lines of a record %s are no rows', async (_, record) => {
    for (const encoding of ['utf8', 'utf16le'] as const) {
      await bench.clear()
      // The first rows keep the NUL away from the head of the file.
      const before = Array.from({ length: 100 }, (_, n) => `Hope ${n},male,20,GH,${'x'.repeat(3000)}\n`).join(
        '',
      )
      const file = `\ufeff${withNotes}${before}${record}\nHope Last,male,31,NG,\n`
      const report = await bench.run(Buffer.from(file, encoding))
      expect(report).toMatchObject({ total_rows: 102, inserted: 101, reasons: { malformed_row: 1 } })
      const [reject] = await bench.rejects(report.id)
      expect(reject).toMatchObject({ row: '101', line: '102', raw: record.slice(0, reject!.raw.length) })
      const names = await bench.names()
      expect(names).toContain('Hope Last')
      expect(names).not.toContain('Hope Phantom')
      // Also where the record is the first of the file, and its end lies beyond what a sample is read from.
      const sample = await bench.run(
        Buffer.from(`\ufeff${withNotes}${record}\nHope Last,male,31,NG,\n`, encoding),
      )
      expect(sample.sample.map(({ name }) => name)).not.toContain('Hope Phantom')
    }
  })

  test('lines of delimiters are no rows, above the header and below', async () => {
    const report = await bench.run(`,,,\n ,,\t,\n${header},,,\nAda Obi,female,30,NG\n,,,\n"","","",""\n`)
    expect(report).toMatchObject({ total_rows: 2, inserted: 1, reasons: { missing_fields: 1 } })
    expect(await bench.rejects(report.id)).toMatchObject([{ row: '2', line: '7' }])
  })
})

describe('rivals', () => {
  const limits = { records: 20, bytes: 1024 * 1024 }
  const people = (from: number, count: number, mark = '') =>
    header +
    Array.from({ length: count }, (_, n) => `Person ${from + n}${mark},male,${(from + n) % 90},NG\n`).join('')

  async function together(files: string[]) {
    const ids = await Promise.all(files.map((file) => bench.put(file)))
    const slices = await Promise.all(ids.map((id) => bench.split(id, limits)))
    // Round-robin, so that slices of all files are at work beside each other.
    const mixed = slices[0]!.flatMap((_, at) => slices.flatMap((messages) => messages[at] ?? []))
    const workers = Array.from({ length: 6 }, async () => {
      for (let next = mixed.shift(); next; next = mixed.shift()) await bench.insert([next])
    })
    await Promise.all(workers)
    await Promise.all(ids.map((id) => bench.finish(id)))
    return Promise.all(ids.map((id) => bench.report(id)))
  }

  function addsUp(reports: Awaited<ReturnType<typeof together>>, rows: number) {
    for (const { total_rows, inserted, skipped, reasons, state } of reports) {
      expect([state, total_rows, inserted + skipped]).toEqual(['completed', rows, rows])
      expect(reasons.duplicate_name ?? 0).toBe(skipped)
    }
    return reports.reduce((sum, { inserted }) => sum + inserted, 0)
  }

  test('the same file five times at once: each name once, every report adds up', async () => {
    const reports = await together(Array(5).fill(people(0, 200)))
    expect(addsUp(reports, 200)).toBe(200)
    expect(await bench.names()).toHaveLength(200)
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('ten files that share names: each name once, every report adds up', async () => {
    const reports = await together(Array.from({ length: 10 }, (_, n) => people(n * 40, 100)))
    expect(addsUp(reports, 100)).toBe(460)
    expect(await bench.names()).toHaveLength(460)
    expect(await verifyFacets(bench.sql)).toEqual([])
  })

  test('facets equal a full count after two imports among creations, deletions and queries', async () => {
    let busy = true
    const others = async () => {
      const made: string[] = []
      for (let n = 0; busy; n++) {
        const { row, created } = await insertProfile(bench.sql, {
          name: `Person ${n % 150}`,
          gender: 'female',
          age: 40,
          country_id: 'KE',
          gender_probability: null,
          country_probability: null,
        })
        if (created) made.push(row.id)
        if (n % 3 === 0 && made.length > 0) await deleteProfile(bench.sql, made.shift()!)
      }
    }
    const running = others()
    const reports = await together([people(0, 300), people(100, 300)])
    busy = false
    await running
    for (const { inserted, skipped } of reports) expect(inserted + skipped).toBe(300)
    expect(await verifyFacets(bench.sql)).toEqual([])
  })
})
