import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { escapeFormula } from '../../lib/platform/csv.ts'
import { startTestCloud, type TestCloud, until } from './cloud.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud?.close())

const header = 'name,gender,age,country_id'
const zeros = { state: 'completed', total_rows: 0, inserted: 0, skipped: 0, reasons: {} }

/** The names of the profiles of a country: each test uses one of its own. */
async function namesIn(country: string): Promise<string[]> {
  const { body } = await cloud.call(`GET /api/profiles?country_id=${country}&limit=50`)
  return body.data.map(({ name }: { name: string }) => name)
}

describe('an uploaded file', () => {
  test.each([
    ['without a byte', ''],
    ['with a header alone', `${header}\n`],
    ['of blank lines', '\r\n \n\n'],
  ])('%s completes with zeros and an empty list of skipped rows', async (_, content) => {
    const report = await cloud.imports.run(content)
    expect(report).toMatchObject(zeros)
    expect(await cloud.imports.rejects(report.id)).toEqual([])
  })

  test('without a required column fails with its name and writes nothing', async () => {
    const report = await cloud.imports.run('name,gender,age\nAda,female,36\n')
    expect(report).toMatchObject({
      ...zeros,
      state: 'failed',
      failure: { code: 'missing_columns', details: ['country_id'] },
    })
    expect(report.failure?.message).toContain('country_id')
    expect(await cloud.imports.rejects(report.id)).toEqual([])
  })

  test('that is no text fails as such', async () => {
    const png = Buffer.from('89504e470d0a1a0a0000000d4948445200000001000000010806000000', 'hex')
    expect(await cloud.imports.run(png)).toMatchObject({ state: 'failed', failure: { code: 'not_csv' } })
  })

  test.each([
    ['UTF-8 with a BOM', 'utf-8', 'AR', (text: string) => Buffer.from(`\ufeff${text}`)],
    ['UTF-16 LE with a BOM', 'utf-16le', 'BO', (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 LE without', 'utf-16le', 'UY', (text: string) => Buffer.from(text, 'utf16le')],
    [
      'UTF-16 BE with a BOM',
      'utf-16be',
      'PY',
      (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
    ],
    ['UTF-16 BE without', 'utf-16be', 'EC', (text: string) => Buffer.from(text, 'utf16le').swap16()],
    ['windows-1252', 'windows-1252', 'CL', (text: string) => Buffer.from(text, 'latin1')],
  ])('in %s keeps every character', async (_, encoding, country, encode) => {
    const names = [`Chloé Ñandú ${country}`, encoding === 'windows-1252' ? 'José' : `李小龍 ${country}`]
    const rows = names.map((name) => `${name},female,36,${country}\n`)
    const report = await cloud.imports.run(encode(`${header}\n${rows.join('')}`))
    expect(report).toMatchObject({ state: 'completed', total_rows: 2, inserted: 2, encoding })
    expect(await namesIn(country)).toEqual(names)
  })

  test('may end lines in any way, hold blank lines, spaces and formulas, and any delimiter', async () => {
    const files = [
      `${header}\r\nAnn Crlf,female,1,IS\r\n\r\n  Bea Crlf  , FEMALE ,2, is \r\n`,
      `${header}\rAnn Cr,female,1,IS\rBea Cr,female,2,IS`,
      `Country_ID; Age ;GENDER;Name;notes\nIS;1;female;=HYPERLINK("x");5" tall\nIS;2;male;"Bea; Semicolon";\n`,
    ]
    const reports = await Promise.all(files.map((file) => cloud.imports.run(file)))
    for (const report of reports) {
      expect(report).toMatchObject({ state: 'completed', total_rows: 2, inserted: 2, skipped: 0 })
    }
    expect(reports[2]).toMatchObject({ delimiter: ';', ignored_columns: ['notes'] })
    expect((await namesIn('IS')).sort()).toEqual([
      '=HYPERLINK("x")',
      'Ann Cr',
      'Ann Crlf',
      'Bea Cr',
      'Bea Crlf',
      'Bea; Semicolon',
    ])
  })

  test('has each skipped row counted under one reason and listed as it stood in the file', async () => {
    const lines: [raw: string | Buffer, reason: string, column: string, value: string][] = [
      ['Zo Short,female', 'malformed_row', '', ''],
      [
        Buffer.concat([Buffer.from('Zo '), Buffer.from([0xc3, 0x28]), Buffer.from(',male,20,MT,,')]),
        'broken_encoding',
        '',
        '',
      ],
      ['Zo Missing,,20,MT,,', 'missing_fields', 'gender', ''],
      [`${'Z'.repeat(201)},male,20,MT,,`, 'invalid_name', 'name', 'Z'.repeat(201)],
      ['Zo Gender,unknown,20,MT,,', 'invalid_gender', 'gender', 'unknown'],
      ['Zo Age,male,-4,MT,,', 'invalid_age', 'age', '-4'],
      ['Zo Country,male,20,XX,,', 'invalid_country', 'country_id', 'XX'],
      ['Zo Probability,male,20,MT,1.2,', 'invalid_probability', 'gender_probability', '1.2'],
      ['" ZOË  PÉREZ ",male,20,MT,,', 'duplicate_name', 'name', 'ZOË  PÉREZ'],
    ]
    const content = Buffer.concat([
      Buffer.from(`${header},gender_probability,country_probability\nZoë Pérez,female,20,MT,0.9,\n`),
      ...lines.flatMap(([raw]) => [Buffer.from(raw), Buffer.from('\n')]),
    ])
    const report = await cloud.imports.run(content)
    expect(report).toMatchObject({ state: 'completed', total_rows: 10, inserted: 1, skipped: 9 })
    expect(report.reasons).toEqual(Object.fromEntries(lines.map(([, reason]) => [reason, 1])))
    expect(await cloud.imports.rejects(report.id)).toEqual(
      lines.map(([raw, reason, column, value], index) => ({
        row: String(index + 2),
        line: String(index + 3),
        reason,
        column,
        value: escapeFormula(value),
        detail: expect.any(String),
        raw: raw.toString(),
      })),
    )
    expect(await namesIn('MT')).toEqual(['Zoë Pérez'])
  })

  test('gives its skipped rows to be corrected and sent again, each once', async () => {
    const rows = ['Ivo Good,male,1,LI', 'Ida Age,female,x,LI', '"Ina, Short",female', 'Ira Sex,robot,4,LI']
    const { id } = await cloud.imports.run(`${header}\n${rows.join('\n')}\n`)
    const { status, headers } = await cloud.call(`GET /api/imports/${id}/rejects?format=rows`)
    expect(status).toBe(302)
    const file = await (await fetch(headers.get('location')!)).text()
    expect(file.split('\r\n')).toEqual([
      'reject_reason,reject_detail,name,gender,age,country_id',
      'invalid_age,age,Ida Age,female,x,LI',
      'malformed_row,2 fields where the header has 4,"Ina, Short",female',
      'invalid_gender,gender,Ira Sex,robot,4,LI',
      '',
    ])
    const corrected = file
      .replace(',x,', ',2,')
      .replace('"Ina, Short",female', '$&,3,LI')
      .replace('robot', 'male')
    expect(await cloud.imports.run(corrected)).toMatchObject({ inserted: 3, skipped: 0 })
    expect(await cloud.imports.run(corrected)).toMatchObject({ inserted: 0, reasons: { duplicate_name: 3 } })
    expect((await namesIn('LI')).sort()).toEqual(['Ida Age', 'Ina, Short', 'Ira Sex', 'Ivo Good'])
  })

  test('of 25,000 rows is cut into slices whose counts sum to the file', async () => {
    const rows = Array.from({ length: 25_000 }, (_, n) => `Person ${n % 24_000},female,${n % 100},LU`)
    const report = await cloud.imports.run(`${header}\n${rows.join('\n')}\n`)
    expect(report).toMatchObject({
      state: 'completed',
      progress: { slices_done: 3, slices_total: 3 },
      total_rows: 25_000,
      inserted: 24_000,
      skipped: 1000,
      reasons: { duplicate_name: 1000 },
    })
    expect((await cloud.call('GET /api/profiles?country_id=LU')).body.total).toBe(24_000)
    const skipped = await cloud.imports.rejects(report.id)
    expect(skipped.map(({ row }) => Number(row))).toEqual(Array.from({ length: 1000 }, (_, n) => 24_001 + n))
  })
})

describe('an import leaves behind', () => {
  const person = 'Quillon Featherstonehaugh'
  const email = 'quillon@example.org'
  let id: string
  const before = { inserted: 0, skipped: 0, slices: 0, completed: 0 }
  const counted = () => ({
    inserted: cloud.metric('RowsInserted'),
    skipped: cloud.metric('RowsSkipped', { Reason: 'duplicate_name' }),
    slices: cloud.metric('SliceDuration'),
    completed: cloud.metric('ImportsCompleted'),
  })
  beforeAll(async () => {
    // The metrics of the tests before this one come a moment after their reports.
    await until(() => cloud.sqs.queues().every(({ name }) => isIdle(name)))
    Object.assign(before, counted())
    id = (
      await cloud.imports.run(
        `${header},email\n${person},male,20,VA,${email}\n${person},male,20,VA,${email}\n${person} 2,?,20,VA,${email}\n`,
      )
    ).id
  })
  const isIdle = (name: string) => {
    const queue = cloud.sqs.inspect(name)
    return queue !== undefined && queue.ready.length + queue.inFlight.length === 0
  }

  test('its id in the log of every function that worked on it', async () => {
    const holds = async () => {
      const logs = await cloud.logs()
      return ['api-Imports', 'imports-Split', 'imports-Insert', 'imports-Finish'].filter((name) =>
        logs.get(`Insighta-local-${name}.log`)?.includes(`"correlation_id":"${id}"`),
      )
    }
    await until(async () => (await holds()).length === 4)
  })

  test('no name and no e-mail address in any log, asked for as well as imported', async () => {
    const asked = encodeURIComponent(`${person} ${email}`)
    expect((await cloud.call(`GET /api/profiles/search?q=${asked}`)).status).toBe(400)
    expect((await cloud.call(`GET /api/profiles?name=${asked}`)).status).toBe(200)
    expect((await cloud.call('POST /api/profiles', { body: { name: person } })).status).toBe(200)
    const last = '"route":"POST /api/profiles","status":200'
    await until(
      async () => (await cloud.logs()).get('Insighta-local-api-Profiles.log')?.includes(last) ?? false,
    )
    for (const [name, text] of await cloud.logs()) {
      expect(text, name).not.toMatch(/quillon|featherstonehaugh|example\.org/i)
    }
  })

  test('metrics of its rows, its slice and its end', async () => {
    await until(() => counted().completed > before.completed)
    expect(counted().inserted).toBe(before.inserted + 1)
    expect(counted().skipped).toBe(before.skipped + 1)
    expect(counted().slices).toBeGreaterThan(before.slices)
    expect(cloud.metric('RowsSkipped', { Reason: 'invalid_gender' })).toBeGreaterThan(0)
  })
})
