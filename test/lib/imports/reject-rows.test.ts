import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ImportOptions } from '../../../lib/imports/options.ts'
import { keyOf } from '../../../lib/imports/rejects.ts'
import { summarise } from '../../../lib/imports/store.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

type Row = { reason: string; detail: string; fields: string[] }

/** The file of whole skipped rows, as another program reads it. */
async function rows(id: string): Promise<{ columns: string[]; rows: Row[] }> {
  const csv = await bench.rejectsCsv(id, 'rows')
  const [columns, ...records] = parse(csv, { bom: true, relax_column_count: true }) as string[][]
  return {
    columns: columns!,
    rows: records.map(([reason = '', detail = '', ...fields]) => ({ reason, detail, fields })),
  }
}

/** Written again as a spreadsheet would. */
function written(columns: readonly string[], rows: readonly Row[]): string {
  const field = (text: string) => `"${text.replaceAll('"', '""')}"`
  const lines = rows.map(({ reason, detail, fields }) => [reason, detail, ...fields])
  return [columns, ...lines].map((line) => `${line.map(field).join(',')}\r\n`).join('')
}

const names = ['name', 'note', 'gender', 'age', 'country_id', 'gender_probability', 'country_probability']

const longNote = `${'long note '.repeat(6000)}end`

/** Rows of every reason, each with its right form. The note is no column of ours. */
const skipped: { raw: string; reason: string; right: string[] }[] = [
  { raw: 'Few Fields,n', reason: 'malformed_row', right: ['Few Fields', 'n', 'male', '1', 'NG', '', ''] },
  {
    raw: 'Many Fields,a,b,male,2,NG,,,x',
    reason: 'malformed_row',
    right: ['Many Fields', 'a,b', 'male', '2', 'NG', '', ''],
  },
  {
    raw: 'Quote After,"n"n,male,3,NG,,',
    reason: 'malformed_row',
    right: ['Quote After', 'nn', 'male', '3', 'NG', '', ''],
  },
  {
    raw: `Too Long,${'n'.repeat(70_000)},male,4,NG,,`,
    reason: 'malformed_row',
    right: ['Too Long', 'n', 'male', '4', 'NG', '', ''],
  },
  {
    raw: 'Nobody,"first line\nsecond ""line"", and more",,5,NG,,',
    reason: 'missing_fields',
    right: ['Missing Gender', 'first line\nsecond "line", and more', 'female', '5', 'NG', '', ''],
  },
  {
    raw: `${'L'.repeat(201)},n,female,6,NG,,`,
    reason: 'invalid_name',
    right: ['Long Name', 'n', 'female', '6', 'NG', '', ''],
  },
  {
    raw: 'Bad Gender,n,robot,7,NG,,',
    reason: 'invalid_gender',
    right: ['Bad Gender', 'n', 'male', '7', 'NG', '', ''],
  },
  {
    raw: `Bad Age,"${longNote}",male,-8,NG,,`,
    reason: 'invalid_age',
    right: ['Bad Age', longNote, 'male', '8', 'NG', '', ''],
  },
  {
    raw: 'Bad Country,n,male,9,XX,,',
    reason: 'invalid_country',
    right: ['Bad Country', 'n', 'male', '9', 'GH', '', ''],
  },
  {
    raw: 'Bad Probability,n,male,10,NG,1.5,',
    reason: 'invalid_probability',
    right: ['Bad Probability', 'n', 'male', '10', 'NG', '0.5', ''],
  },
  {
    raw: ' "ada  EXAMPLE" ,n,female,11,NG,,',
    reason: 'duplicate_name',
    right: ['Ada Example II', 'n', 'female', '11', 'NG', '', ''],
  },
  {
    raw: 'Open Quote,"n,male,12,NG,,',
    reason: 'malformed_row',
    right: ['Open Quote', 'n', 'male', '12', 'NG', '', ''],
  },
]
const file = [names.join(','), 'Ada Example,n,female,30,KE,,', ...skipped.map(({ raw }) => raw)].join('\n')

const right = (row: Row, at: number): Row => ({ ...row, fields: skipped[at]!.right })

describe('skipped rows of every reason', () => {
  test('come whole, under the columns of the file, in its order', async () => {
    const { id, reasons } = await bench.run(`${file}\n`)
    expect(Object.keys(reasons).sort()).toEqual([...new Set(skipped.map(({ reason }) => reason))].sort())
    const { columns, rows: list } = await rows(id)
    expect(columns).toEqual(['reject_reason', 'reject_detail', ...names])
    expect(list.map(({ reason }) => reason)).toEqual(skipped.map(({ reason }) => reason))
    // Records that have their fields come in fields, the others as one.
    expect(list[0]!.fields).toEqual(['Few Fields', 'n'])
    expect(list[1]!.fields).toEqual(['Many Fields', 'a', 'b', 'male', '2', 'NG', '', '', 'x'])
    expect(list[2]!.fields).toEqual([skipped[2]!.raw])
    expect(list[3]!.fields[0]).toMatch(/^Too Long,n{60000}/)
    expect(list[4]!.fields).toEqual(['Nobody', 'first line\nsecond "line", and more', '', '5', 'NG', '', ''])
    // What a spreadsheet would calculate is escaped, as everywhere.
    expect(list[7]!.fields).toEqual(['Bad Age', skipped[7]!.right[1], 'male', "'-8", 'NG', '', ''])
    expect(list.at(-1)!.fields).toEqual([skipped.at(-1)!.raw])
    expect(await bench.rejects(id)).toHaveLength(list.length)
  })

  test('all go in once they are corrected, and are duplicates the second time', async () => {
    const { id } = await bench.run(`${file}\n`, { records: 3, bytes: 1024 * 1024 })
    const { columns, rows: list } = await rows(id)
    const corrected = written(columns, list.map(right))
    const first = await bench.run(corrected)
    expect(first).toMatchObject({ inserted: skipped.length, skipped: 0, encoding: 'utf-8', delimiter: ',' })
    expect(first.ignored_columns).toEqual(['reject_reason', 'reject_detail', 'note'])
    const [long] = await bench.sql`select age, country_id from profiles where name = 'Bad Age'`
    expect(long).toEqual({ age: 8, country_id: 'NG' })
    const again = await bench.run(corrected)
    expect(again).toMatchObject({ inserted: 0, reasons: { duplicate_name: skipped.length } })
  })

  test('may lose rows, and have their reasons edited', async () => {
    const { id } = await bench.run(`${file}\n`)
    const { columns, rows: list } = await rows(id)
    const edited = list
      .map(right)
      .map((row, at) => ({ ...row, reason: `done "${at}", I think`, detail: '\nwas wrong;' }))
    const report = await bench.run(
      written(
        columns,
        edited.filter((_, at) => at % 2 === 0),
      ),
    )
    expect(report).toMatchObject({ inserted: skipped.length / 2, skipped: 0 })
  })

  test('are skipped again as they are, for the same reasons, under the same columns', async () => {
    let { id } = await bench.run(`${file}\n`)
    const first = await rows(id)
    for (let round = 0; round < 2; round++) {
      const csv = await bench.rejectsCsv(id, 'rows')
      const again = await bench.run(csv)
      expect(again).toMatchObject({ inserted: 0, skipped: skipped.length })
      const { columns, rows: list } = await rows(again.id)
      expect(columns).toEqual(first.columns)
      expect(list.map(({ reason }) => reason)).toEqual(skipped.map(({ reason }) => reason))
      expect(list.flatMap(({ fields }) => (fields.length > 1 ? [fields] : []))).toEqual(
        first.rows.flatMap(({ fields }) => (fields.length > 1 ? [fields] : [])),
      )
      id = again.id
    }
    expect(await bench.names()).toEqual(['Ada Example'])
  })

  test('can be read where the file had a NUL, and cost no other row then', async () => {
    const many = Array.from({ length: 20_000 }, (_, n) => `Person ${n},n,male,1,NG,,`).join('\n')
    const { id } = await bench.run(
      `${names.join(',')}\n${many}\nNul\0,n,male,1,NG,,\nGood Age,n,male,x,NG,,\n`,
    )
    const { columns, rows: list } = await rows(id)
    expect(list.map(({ fields }) => fields)).toEqual([
      ['Nul\ufffd,n,male,1,NG,,'],
      ['Good Age', 'n', 'male', 'x', 'NG', '', ''],
    ])
    const again = await bench.run(await bench.rejectsCsv(id, 'rows'))
    expect(again.reasons).toEqual({ malformed_row: 1, invalid_age: 1 })
    const good = { ...list[1]!, fields: ['Good Age', 'n', 'male', '1', 'NG', '', ''] }
    expect(await bench.run(written(columns, [good]))).toMatchObject({ inserted: 1 })
  })

  test('are an empty list under the columns of a file whose rows are all good', async () => {
    const { id } = await bench.run(`${names.join(';')}\nAda;n;female;1;NG;;\n`)
    expect(await rows(id)).toEqual({ columns: ['reject_reason', 'reject_detail', ...names], rows: [] })
  })
})

describe('a file in another form', () => {
  const wide = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')
  const latin = (text: string) => Buffer.from(text, 'latin1')
  test.each([
    ['UTF-8 with semicolons', ';', (text: string) => Buffer.from(text)],
    ['UTF-16 with tabs', '\t', wide],
    ['UTF-16 with semicolons', ';', wide],
    ['windows-1252 with semicolons', ';', latin],
    ['windows-1252 with pipes', '|', latin],
  ])('of %s comes back as UTF-8 with commas, its decimal commas as points', async (_, delimiter, encode) => {
    const line = (...fields: string[]) => fields.join(delimiter)
    const text = [
      line('Prénom', 'gender', 'age', 'country_id', 'name', 'gender_probability'),
      line('a,b', 'female', 'x', 'ES', 'Zoë Núñez', '0,98'),
      line('"two\nlines"', 'male', 'y', 'ES', `"Peña ${delimiter} ""Chico"""`, ''),
      line('c', 'male', '3', 'ES', 'Malformé', '0,5', 'more'),
    ].join('\r\n')
    const { id } = await bench.run(encode(`${text}\r\n`))
    const { columns, rows: list } = await rows(id)
    expect(columns.slice(2)).toEqual(['Prénom', 'gender', 'age', 'country_id', 'name', 'gender_probability'])
    const second = `Peña ${delimiter} "Chico"`
    expect(list.map(({ fields }) => fields)).toEqual([
      ['a,b', 'female', 'x', 'ES', 'Zoë Núñez', '0.98'],
      ['two\nlines', 'male', 'y', 'ES', second, ''],
      ['c', 'male', '3', 'ES', 'Malformé', '0.5', 'more'],
    ])
    const corrected = list.map((row, at) => ({ ...row, fields: row.fields.with(2, String(at)).slice(0, 6) }))
    expect(await bench.run(written(columns, corrected))).toMatchObject({ inserted: 3, skipped: 0 })
    expect(await bench.names()).toEqual(['Malformé', second, 'Zoë Núñez'])
    const [zoe] = await bench.sql`select gender_probability from profiles where name like 'Zo%'`
    expect(zoe).toEqual({ gender_probability: 0.98 })
  })

  test('gives decimal commas of every form back as points, but for values of its own', async () => {
    const text = [
      'name;gender;age;country_id;gender_probability;country_probability',
      'Ada;robot;1;NG;9,8e-1;,5',
      'Bo;robot;2,0;NG;\u200b0,\u200b25; 1, ',
      'Cy;robot;1,5;NG;0,75;0,5',
    ].join('\n')
    const options: ImportOptions = {
      accept: 'lenient',
      values: { age: { '1,5': '2' }, gender_probability: { '0,75': '0.125' } },
    }
    const { id } = await bench.run(text, undefined, undefined, { options })
    const corrected = (await bench.rejectsCsv(id, 'rows')).replaceAll('robot', 'male')
    expect(await bench.run(corrected, undefined, undefined, { options })).toMatchObject({ inserted: 3 })
    const people = await bench.sql`
      select name, age, gender_probability as g, country_probability as c from profiles order by name`
    expect(people).toEqual([
      { name: 'Ada', age: 1, g: 0.98, c: 0.5 },
      { name: 'Bo', age: 2, g: 0.25, c: 1 },
      { name: 'Cy', age: 2, g: 0.125, c: 0.5 },
    ])
  })

  test('whose columns a spreadsheet would calculate has them found again, as `columns` says', async () => {
    const columns = { name: '=Nome', gender: "'+Sexo", age: '-Edad', country_id: '@País' }
    const text = `=Nome;'+Sexo;-Edad;@País\n=Ada;robot;30;NG\n`
    const { id } = await bench.run(text, undefined, undefined, { options: { columns } })
    const corrected = (await bench.rejectsCsv(id, 'rows')).replace('robot', 'male')
    expect(corrected).toContain("'=Nome,'+Sexo,'-Edad,'@País")
    const report = await bench.run(corrected, undefined, undefined, { options: { columns } })
    expect(report).toMatchObject({ inserted: 1, ignored_columns: ['reject_reason', 'reject_detail'] })
    expect(await bench.names()).toEqual(['=Ada'])
  })

  test('with broken bytes shows U+FFFD, and its row does not go in by accident', async () => {
    const header = 'name,gender,age,country_id\n'
    const bytes = Buffer.concat([
      Buffer.from(`${header}Zoë,male,1,NG\nZoé,male,2,NG\nBad `),
      Buffer.from([0xff]),
      Buffer.from(',male,3,NG\n'),
    ])
    const { id } = await bench.run(bytes)
    const { rows: list } = await rows(id)
    expect(list).toMatchObject([{ reason: 'broken_encoding', fields: ['Bad \ufffd', 'male', '3', 'NG'] }])
    const again = await bench.run(await bench.rejectsCsv(id, 'rows'))
    expect(again).toMatchObject({ inserted: 0, reasons: { broken_encoding: 1 } })
  })

  test('with names that a spreadsheet would calculate, or with apostrophes, gives the same names back', async () => {
    const odd = [
      '=1+1',
      '+Plus',
      '-Minus',
      '@At',
      "'Quote",
      "''Two",
      "'=Kept",
      "''=Kept",
      "O'Dell",
      '=HYPERLINK("x")',
    ]
    const lines = odd.map((name) => `"${name.replaceAll('"', '""')}",male,bad,NG`)
    const header = 'name,gender,age,country_id'
    const { id } = await bench.run(`${header}\n${lines.join('\n')}\n`)
    const { columns, rows: list } = await rows(id)
    for (const { fields } of list) expect(fields[0]).not.toMatch(/^[=+\-@]/)
    const good = list.map((row) => ({ ...row, fields: row.fields.with(2, '1') }))
    expect(await bench.run(written(columns, good))).toMatchObject({ inserted: odd.length })
    const stored = await bench.names()
    await bench.clear()
    await bench.run(`${header}\n${lines.join('\n').replaceAll(',bad,', ',1,')}\n`)
    expect(await bench.names()).toEqual(stored)
  })
})

describe('rows that changed places', () => {
  const header = 'name,note,gender,age,country_id'
  const lines = [
    'Ada,one,female,1,NG',
    'Bob,two,male,2,NG',
    'Cy,three,robot,3,NG',
    'ADA,"four, ""4""",male,4,KE',
    'Bob,"five\n5",male,5,KE',
    'ada,six,male,6,GH',
  ]
  const limits = { records: 2, bytes: 1024 }

  test('stand right in both files, whatever the order of the slices', async () => {
    const text = `${header}\n${lines.join('\n')}\n`
    const { id } = await bench.run(text, limits, (messages) => messages.toReversed())
    const inOrder = await bench.run(text, limits, undefined, { dry_run: true })
    expect((await bench.rejects(id)).map(({ row }) => row)).toEqual(['3', '4', '5', '6'])
    const { rows: list } = await rows(id)
    expect(list.map(({ reason, fields }) => [reason, fields[1]])).toEqual([
      ['invalid_gender', 'three'],
      ['duplicate_name', 'four, "4"'],
      ['duplicate_name', 'five\n5'],
      ['duplicate_name', 'six'],
    ])
    // Once the names are there, every row is a duplicate of a profile.
    expect((await rows(inOrder.id)).rows).toHaveLength(6)
  })

  test.each(['deleted', 'replaced'])(
    'are listed by their numbers if the upload was %s before the end',
    async (how) => {
      const id = await bench.put(`${header}\n${lines.join('\n')}\n`)
      const [first, ...later] = await bench.split(id, limits)
      await bench.insert([...later.toReversed(), first!])
      const key = `uploads/${id}/source.csv`
      if (how === 'deleted') await bench.storage.remove(key)
      else await bench.storage.put(key, 'other', 'text/csv')
      expect(await bench.finish(id)).toBe('completed')
      expect(await bench.report(id)).toMatchObject({ inserted: 2, skipped: 4 })
      const list = await bench.rejects(id)
      expect(list.map(({ row, line, reason }) => [row, line, reason])).toEqual([
        ['3', '4', 'invalid_gender'],
        ['4', '5', 'duplicate_name'],
        ['5', '', 'duplicate_name'],
        ['6', '', 'duplicate_name'],
      ])
      expect(list.at(-1)).toMatchObject({ raw: '', detail: expect.stringContaining('gone') })
      const { columns, rows: whole } = await rows(id)
      expect(columns).toHaveLength(7)
      expect(whole.map(({ fields }) => fields.length)).toEqual([5, 5, 0, 0])
      expect(await bench.run(await bench.rejectsCsv(id, 'rows'))).toMatchObject({ inserted: 0 })
    },
  )

  test('leave the report to be had if a slice has no whole rows, as of the release before', async () => {
    const id = await bench.put(`${header}\n${lines.join('\n')}\n`)
    const [first, ...later] = await bench.split(id, limits)
    await bench.insert([...later.toReversed(), first!])
    const parts = await bench.sql<{ rejects_key: string }[]>`
      select rejects_key from import_slices where import_id = ${id} and rejects_key is not null`
    for (const { rejects_key } of parts) await bench.storage.remove(keyOf(rejects_key, 'rows'))
    expect(await bench.finish(id)).toBe('completed')
    expect(await bench.rejects(id)).toHaveLength(4)
    const { rejects_key } = (await summarise(bench.sql, bench.teamId, id))!
    expect(await bench.storage.exists(keyOf(rejects_key!, 'rows'))).toBe(false)
  })
})
