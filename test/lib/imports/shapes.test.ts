import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ImportOptions } from '../../../lib/imports/options.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const run = (content: string | Uint8Array, options: ImportOptions = {}) =>
  bench.run(content, undefined, undefined, { options })
const people = async () =>
  (await bench.sql<{ name: string }[]>`select name from profiles order by import_row`).map(({ name }) => name)

describe('rows of another width than the header', () => {
  const header = 'name,gender,age,country_id,gender_probability,notes\n'

  test('are padded where only optional or foreign columns are missing, wherever these stand', async () => {
    const report = await run(`${header}Ada,female,30,NG\nBo,male,31,NG,0.5\nCy,male,32,NG,0.5,x\n`)
    expect(report).toMatchObject({ inserted: 3, reasons: {} })
    await bench.clear()
    const late = await run(
      'gender_probability,notes,name,gender,age,country_id\n,,Di,male,3,NG\n,,Ed,male,3\n',
    )
    expect(late).toMatchObject({ inserted: 1, reasons: { malformed_row: 1 } })
  })

  test('lose empty fields too many, also quoted and blank ones', async () => {
    const report = await run(
      `${header}Ada,female,30,NG,,,\nBo,male,31,NG,,,"", ,\t,\u00a0,\u200b\u2800\nCy,male,32,NG,,,x\n`,
    )
    expect(report).toMatchObject({ inserted: 2, reasons: { malformed_row: 1 } })
  })

  test('are malformed otherwise, and the detail counts', async () => {
    const report = await run(`${header}Ada\nBo,male,31\nCy,male,32,NG,,,x\nDi,male,3,NG,,,,,y\n`)
    const rejects = await bench.rejects(report.id)
    expect(rejects.map(({ reason, detail }) => `${reason}: ${detail}`)).toEqual([
      'malformed_row: 1 field where the header has 6',
      'malformed_row: 3 fields where the header has 6',
      'malformed_row: 7 fields where the header has 6',
      'malformed_row: 9 fields where the header has 6',
    ])
  })

  test('that are malformed in another way say how', async () => {
    const report = await run(
      `${header}"open,male,1,NG,,\n"Ada" Obi,male,1,NG,,\nN\0,male,1,NG,,\n${'x'.repeat(70_000)}\n`.replace(
        header,
        `${header}${'Filler,male,1,NG,,\n'.repeat(20_000)}`,
      ),
    )
    const rejects = (await bench.rejects(report.id)).filter(({ reason }) => reason === 'malformed_row')
    expect(rejects.map(({ detail }) => detail)).toEqual([
      'a quote is opened and not closed',
      'text follows a closing quote',
      'it holds a NUL character',
      'it is longer than 64 KiB',
    ])
  })
})

describe('the line of Excel that names the delimiter', () => {
  test.each([
    ['sep=;', ';'],
    ['"sep=|"', '|'],
    ['SEP=\t', '\t'],
    ['sep=^', '^'],
    ['\ufeffsep=;;;;', ';'],
  ])('%j sets it and is no row', async (line, delimiter) => {
    const rows = ['name,gender,age,country_id', 'Ada,female,30,NG'].join('\r\n').replaceAll(',', delimiter)
    const report = await run(`${line}\r\n${rows}\r\nbad\r\n`)
    expect(report).toMatchObject({ delimiter, inserted: 1, skipped: 1 })
    expect(await bench.rejects(report.id)).toMatchObject([{ row: '2', line: '4' }])
  })
  test('counts in UTF-16 too, and not where the columns are found under another', async () => {
    const file = '\ufeffsep=;\nname;gender;age;country_id\nAda;female;30;NG\n'
    expect(await run(Buffer.from(file, 'utf16le'))).toMatchObject({ delimiter: ';', inserted: 1 })
    const other = 'sep=;\nname,gender,age,country_id\nBo,male,30,NG\n'
    expect(await run(other)).toMatchObject({ delimiter: ',', inserted: 1 })
  })
})

describe('names of columns', () => {
  test('are found whatever their case, form, blanks, dashes and invisible characters', async () => {
    const header = '\ufeff\ufeff NAME\u200b,"Gen\u00adder", Ａｇｅ ,Country\u2011\u00a0Id\u2060\n'
    expect(await run(`${header}Ada,female,30,NG\n`)).toMatchObject({ inserted: 1, ignored_columns: [] })
  })

  test.each([
    ['two marks', '\ufeff\ufeff'],
    ['blank lines between them', '\ufeff\n,,,\n\ufeff\n\ufeff'],
    ['a mark behind the line of Excel', 'sep=,\r\n\ufeff'],
  ])('are found in quotes behind %s', async (_, before) => {
    const file = `${before}"name","gender","age","country_id"\n"Ada",female,30,NG\nbad\n`
    for (const encoding of ['utf8', 'utf16le'] as const) {
      await bench.clear()
      const report = await run(Buffer.from(file, encoding))
      expect(report).toMatchObject({ inserted: 1, reasons: { malformed_row: 1 }, ignored_columns: [] })
      const [reject] = await bench.rejects(report.id)
      expect(Number(reject!.line)).toBe(file.split('\n').length - 1)
    }
  })

  test('are those that `columns` says, and only those', async () => {
    const file = 'Nombre Completo,Sexo,Edad,País,name\nAda,female,30,NG,Other\n'
    const columns = { name: 'nombre-completo', gender: 'SEXO', age: 'Edad', country_id: 'pai\u0301s' }
    expect(await run(file, { columns })).toMatchObject({ inserted: 1, ignored_columns: ['name'] })
    expect(await people()).toEqual(['Ada'])
  })

  test('are found behind the apostrophe that a file of ours puts before a formula', async () => {
    const file = "'=name,gender,age,country_id,'-notes\nAda,female,30,NG,x\n"
    const report = await run(file, { columns: { name: '=name' } })
    expect(report).toMatchObject({ inserted: 1, ignored_columns: ['-notes'] })
  })

  test('that `columns` says may bear the name of another of ours', async () => {
    const file = 'age,name,gender,country_id,country_probability\nAda,female,30,NG,0.5\n'
    const columns = { name: 'age', gender: 'name', age: 'gender', gender_probability: 'country_probability' }
    expect(await run(file, { columns })).toMatchObject({ inserted: 1, ignored_columns: [] })
    expect(await bench.sql`select name, gender_probability, country_probability from profiles`).toEqual([
      { name: 'Ada', gender_probability: 0.5, country_probability: null },
    ])
  })

  test('that `columns` says and the file lacks fail the import, also of optional columns', async () => {
    const file = 'name,gender,age,country_id\nAda,female,30,NG\n'
    const report = await run(file, { columns: { gender_probability: 'Sicherheit', age: 'Alter' } })
    expect(report).toMatchObject({
      state: 'failed',
      failure: { code: 'missing_columns', details: ['Alter', 'Sicherheit'] },
    })
  })

  test('that are ignored are counted, the first listed, each cut', async () => {
    const many = Array.from({ length: 5000 }, (_, n) => `column ${n} ${'x'.repeat(100)}`.slice(0, 11))
    const report = await run(
      `name,gender,age,country_id,${'y'.repeat(500)},${many.join(',')}\nAda,female,30,NG\n`,
    )
    expect(report).toMatchObject({ inserted: 1, ignored_columns_total: 5001 })
    expect(report.ignored_columns).toHaveLength(50)
    expect(report.ignored_columns[0]).toBe(`${'y'.repeat(79)}…`)
  })
})

describe('a header that lacks a column', () => {
  test('is shown as it was read: its line, delimiter, encoding and names', async () => {
    const report = await run(Buffer.from('\n;;;\nNombre;Edad;gender;country_id\xf1\nx;1;male;NG\n', 'latin1'))
    expect(report.failure).toEqual({
      code: 'missing_columns',
      message:
        'The header lacks the required columns: name, age, country_id. Line 3 was read as the header, ' +
        'in windows-1252 with the delimiter semicolon: Nombre, Edad, gender, country_idñ.',
      details: ['name', 'age', 'country_id'],
      header: {
        line: 3,
        delimiter: ';',
        encoding: 'windows-1252',
        names: ['Nombre', 'Edad', 'gender', 'country_idñ'],
      },
    })
  })
  test('with a NUL says so', async () => {
    const report = await run(Buffer.from('\ufeffname,gender,age,country_id\0\n', 'utf16le'))
    expect(report.failure!.message).toContain('NUL')
  })
  test.each([
    ["'name','gender','age','country_id'\n'Ada','female','30','NG'\n", 'single quotes'],
    ['Ada,female,30,NG\nBo,male,31,NG\n', 'lack a header'],
    ['"name,gender,age,country_id\nAda,female,30,NG\n', 'look at its quotes'],
    [`name,gender,age,country_id,${'more,'.repeat(14_000)}\n`, 'longer than 64 KiB'],
    ['\n'.repeat(300_000), 'blank lines'],
  ])('%j gets a hint', async (file, hint) => {
    const report = await run(file.slice(0, 400_000))
    expect(report).toMatchObject({ state: 'failed', failure: { code: 'missing_columns' } })
    expect(report.failure!.message).toContain(hint)
  })
})

test('a header of which one name has quotes in it gets no hint at single quotes', async () => {
  const { failure } = await run('x"name",gender,age,country_id\nAda,female,30,NG\n')
  expect(failure).toMatchObject({ code: 'missing_columns', details: ['name'] })
  expect(failure!.message).not.toContain('single quotes')
})

describe('a file that is no CSV', () => {
  const csv = 'name,gender,age,country_id\nAda,female,30,NG\n'
  test.each([
    ['gzip', gzipSync(csv)],
    [
      'Excel',
      Buffer.from('PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml \xa2xl/workbook.xml', 'latin1'),
    ],
    ['Excel', Buffer.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0])],
    [
      'OpenDocument',
      Buffer.from('PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet', 'latin1'),
    ],
    ['zip', Buffer.from('PK\x03\x04people.csv')],
    ['PDF', Buffer.from('%PDF-1.7\n1 0 obj\n')],
    ['HTML', Buffer.from('\n<!DOCTYPE html><html><body><table><tr><td>name,gender</td></tr>')],
    ['HTML', Buffer.from('\ufeff<HTML><head>')],
    ['XML', Buffer.from('<?xml version="1.0"?><people/>')],
    ['JSON', Buffer.from('[{"name":"Ada","gender":"female","age":30,"country_id":"NG"}]')],
    ['RTF', Buffer.from('{\\rtf1\\ansi name,gender')],
    ['NUL', Buffer.from([1, 2, 0, 0, 0, 0, 0, 0])],
    ['NUL', Buffer.from(`\ufeff${csv}\0`)],
  ])('is told by what it looks like: %s', async (what, bytes) => {
    const report = await run(bytes)
    expect(report).toMatchObject({ state: 'failed', failure: { code: 'not_csv' }, total_rows: 0 })
    expect(report.failure!.message).toContain(what)
  })
  test('is not what merely begins alike: columns that are found make a CSV', async () => {
    const file = '"<html>",name,gender,age,country_id\nx,Ada,female,30,NG\n'
    expect(await run(file)).toMatchObject({ inserted: 1 })
  })
})

test('values in a sample are cut at a hundred characters, emoji too', async () => {
  const names = ['😀'.repeat(100), '😀'.repeat(101)]
  const report = await run(`name,gender,age,country_id\n${names.join(',male,3,NG\n')},male,3,NG\n`)
  expect(report.sample.map(({ name }) => name)).toEqual([names[0], `${'😀'.repeat(99)}…`])
})

test('values in single quotes are read with them, and the report says so', async () => {
  const report = await run("name,gender,age,country_id\n'Ada','female','30','NG'\n'Bo','male','31','NG'\n")
  expect(report.reasons).toEqual({ invalid_gender: 2 })
  expect(report.hints).toEqual([expect.stringContaining('single quotes')])
})

test.each([
  ['a NUL', (at: number) => ['\0', at] as const],
  ['a quoted field', (at: number) => [`"${'x\n'.repeat(200)}"`, at - 100] as const],
])('what the beginning of a file is taken for does not hang on how it arrives: %s', async (_, put) => {
  const columns = 'name,gender,age,country_id,notes,\n'
  const line = 'Filler,male,1,NG,,\n'
  for (const at of [262_144, 270_000]) {
    const [text, from] = put(at)
    const filler = line.repeat(Math.floor((from - columns.length) / line.length))
    const file = `${columns}${filler}Ada,male,1,NG,${text},\n${line.repeat(20_000)}`
    const reports = []
    for (const bytes of [1000, 65_536, 200_000, file.length]) {
      await bench.clear()
      const id = await bench.put(file)
      await bench.insert(await bench.splitInChunks(id, bytes))
      await bench.finish(id)
      const { state, encoding, total_rows, sample, reasons } = await bench.report(id)
      reports.push({ state, encoding, total_rows, sample, reasons })
    }
    expect(reports[0]).toMatchObject({ state: 'completed' })
    for (const report of reports) expect(report).toEqual(reports[0])
  }
})
