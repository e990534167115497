import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ImportOptions } from '../../../lib/imports/options.ts'
import { type ReadRecord, readCsv } from '../../support/csv-reader.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

/*
 * The whole way of hostile files, from bytes to stored profiles, beside a reading of the same texts by the rules of
 * docs/importing.md that shares no code with the product.
 */

const rowsOfFile = Number(process.env.INDEPENDENT_ROWS ?? 700)
const seed = Number(process.env.INDEPENDENT_SEED ?? 1)

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
afterAll(() => bench.close())

/** mulberry32: numbers from 0 to 1 that are the same in every run. */
function random(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Stands in a text for bytes that its encoding does not have. */
const broken = '\ue000'

type Kind = { encoding: string; delimiter: string; options?: ImportOptions; encode: (text: string) => Buffer }
const utf16 = (text: string) => Buffer.from(text.replaceAll(broken, '\ud83d'), 'utf16le')
const bytes = (text: string, encoding: BufferEncoding, bad: number) =>
  Buffer.concat(
    text.split(broken).flatMap((part, at) => [Buffer.from(at ? [bad] : []), Buffer.from(part, encoding)]),
  )
const kinds: Kind[] = [
  { encoding: 'utf-8', delimiter: ',', encode: (text) => bytes(`\ufeff${text}`, 'utf8', 0xff) },
  {
    encoding: 'utf-8',
    delimiter: '|',
    options: { encoding: 'utf-8' },
    encode: (text) => bytes(text, 'utf8', 0xff),
  },
  { encoding: 'utf-16le', delimiter: ';', encode: (text) => utf16(`\ufeff${text}`) },
  { encoding: 'utf-16be', delimiter: '\t', encode: (text) => utf16(`\ufeff${text}`).swap16() },
  { encoding: 'utf-16le', delimiter: ',', encode: utf16 },
  {
    encoding: 'windows-1252',
    delimiter: ';',
    options: { encoding: 'windows-1252' },
    encode: (text) => bytes(text.replaceAll(/[^\0-\xff\ue000]/g, '\xff'), 'latin1', 0x81),
  },
]

const columns = ['name', 'gender', 'age', 'country_id', 'gender_probability', 'country_probability', 'notes']

/** Rows as bad as people and programs make them. */
function hostileFile(next: () => number, { delimiter, encoding }: Kind): string {
  const one = <T>(...choices: readonly T[]): T => choices[Math.floor(next() * choices.length)]!
  const rare = <T>(likely: T, ...others: readonly T[]): T => (next() < 0.85 ? likely : one(...others))
  const wide = encoding !== 'windows-1252'
  const hidden = wide ? ['\u200b', '\ufeff', '\u00ad', '\u2060'] : ['\u00ad']
  // In the head of a file of 8 bits a NUL means that it is no text.
  const nul = encoding.startsWith('utf-16') ? '\0' : '\u0001'
  const spaces = wide ? ['\u00a0', '\u3000', '\v', '\u2003'] : ['\u00a0', '\v']
  const lineEnd = () => rare('\n', '\r\n', '\r')
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
  const phantom = (n: number) => ['Phantom', 'male', '3', 'GH', '', '', `x${n}`].join(delimiter)
  const name = (n: number) => {
    const plain = rare(`Person ${n}`, `Zoë ${n}`, `O'Dell ${n}`, `Person ${Math.floor(next() * n)}`)
    return rare(
      plain,
      plain.toUpperCase(),
      `${plain.slice(0, 3)}${one(...hidden)}${plain.slice(3)}`,
      `${one(...spaces)}${plain}`,
      `${one(...spaces)}"Ace" ${plain}`,
      `${plain} "Bee"`,
      `${one("'", "''")}${one('=', '+', '-', '@')}${plain}`,
      `'${plain}`,
      `${'x'.repeat(193)} ${String(n).padStart(6, '0')}`,
      `${'x'.repeat(194)} ${String(n).padStart(6, '0')}`,
      `Bell\u0007${n}`,
      `Nul${nul}${n}`,
      `Bad${broken}${n}`,
      one(...hidden, ...spaces, ''),
    )
  }
  const probability = () =>
    rare('', '0.5', '0,25', '1', '1.5', 'NULL', 'n/a', 'NaN', '-', '98%', '1,5', '5,0e-1', '.5', 'none')
  const notes = (n: number) =>
    rare(
      '',
      `${phantom(n)}\n${phantom(n)}\r\nend`,
      `"${phantom(n)}`,
      `a "b" c${delimiter}d`,
      `\r\r${one(...spaces)}"`,
      phantom(n)
        .concat('\n')
        .repeat(next() < 0.05 ? 3000 : 30),
    )
  const row = (n: number): string => {
    const fields = [
      name(n),
      rare(one('male', 'FEMALE'), `${one(...hidden)}male`, 'robot', 'm', ''),
      rare(String(Math.floor(next() * 151)), '151', '-1', '25.0', '030', 'NULL', ` 7${one(...spaces)}`, ''),
      rare(one('NG', 'gh', 'KE'), 'NA', 'XX', 'NGA', '-', `${one(...hidden)}NG`, ''),
      probability(),
      probability(),
      notes(n),
    ]
    const written = fields.map((field) => {
      const must = field.includes(delimiter) || /[\r\n]/.test(field) || field.startsWith('"')
      return must || next() < 0.2 ? `${one('', '', ' ', '\f')}${quoted(field)}${one('', '', ' ')}` : field
    })
    const width = rare(7, 7, 4, 3, 6, 8, 9)
    const cut = [...written, '', rare('', 'more')].slice(0, width)
    const line = cut.join(delimiter)
    return rare(line, line, `${line}"`, `"${line}`, line.replace(' ', '"'), line.replace('"', '"x'))
  }
  const lines = Array.from({ length: rowsOfFile }, (_, n) => {
    const blank = next() < 0.05 ? one('', delimiter.repeat(3), ` ${delimiter}\f`, '\t') + lineEnd() : ''
    return blank + row(n) + lineEnd()
  })
  return `${columns.join(delimiter)}\n${lines.join('')}`
}

type Person = {
  name: string
  gender: string
  age: number
  country_id: string
  gender_probability: number | null
  country_probability: number | null
}

const isControl = (character: string) => character < ' ' && !'\t\n\r'.includes(character)
const unseen = /[\u200b\ufeff\u00ad\u2060]/g
const keyOf = (name: string) => name.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim()

function readProbability(text: string, delimiter: string): number | null | undefined {
  if (['', 'null', 'n/a', 'nan', '-'].includes(text.toLowerCase())) return null
  const pointed = delimiter === ',' || text.includes('.') ? text : text.replace(',', '.')
  if (!/^(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(pointed) || Number(pointed) > 1) return undefined
  return Number(pointed)
}

/** What must come of one record: the person, or the reason why not. */
function judge({ kind, text, fields }: ReadRecord, delimiter: string): Person | string {
  if (kind !== 'row') return 'malformed_row'
  if (fields.length < 4) return 'malformed_row'
  if (fields.slice(7).some((field) => field.replace(unseen, '').trim() !== '')) return 'malformed_row'
  if (text.includes(broken)) return 'broken_encoding'
  const values = columns.map((_, at) => (fields[at] ?? '').replace(unseen, '').trim())
  const [name, gender, age, country, first, second] = values.map((value) =>
    value.replace(/^'(?='*[=+\-@\t\r])/, '').trim(),
  ) as [string, string, string, string, string, string]
  if (name === '' || gender === '' || age === '' || country === '') return 'missing_fields'
  if ([...name].length > 200 || [...name].some(isControl)) return 'invalid_name'
  if (!['male', 'female'].includes(gender.toLowerCase())) return 'invalid_gender'
  if (!/^\d{1,3}$/.test(age) || Number(age) > 150) return 'invalid_age'
  if (!['NG', 'GH', 'KE', 'NA'].includes(country.toUpperCase())) return 'invalid_country'
  const gender_probability = readProbability(first, delimiter)
  const country_probability = readProbability(second, delimiter)
  if (gender_probability === undefined || country_probability === undefined) return 'invalid_probability'
  return {
    name,
    gender: gender.toLowerCase(),
    age: Number(age),
    country_id: country.toUpperCase(),
    gender_probability,
    country_probability,
  }
}

test.each(kinds.map((kind) => [kind.encoding, kind.delimiter, kind] as const))(
  'hostile rows in %s with %j are stored as another reading has them',
  async (encoding, delimiter, kind) => {
    await bench.clear()
    const next = random(seed * 1000 + kinds.indexOf(kind))
    const text = hostileFile(next, kind)
    // Of UTF-16 the limits count units, of the others bytes.
    const size = (part: string) => (encoding.startsWith('utf-16') ? part.length : kind.encode(part).length)
    const body = encoding === 'windows-1252' ? text.replaceAll(/[^\0-\xff\ue000]/g, '\xff') : text
    const [, ...records] = readCsv(body, delimiter, {
      record: 64 * 1024,
      lookAhead: 1024 * 1024,
      size,
    }).filter((record) => record.kind !== 'blank')
    const taken = new Set<string>()
    const people: (Person & { import_row: number })[] = []
    const rejects: { row: string; line: string; reason: string }[] = []
    for (const [at, record] of records.entries()) {
      const found = judge(record, delimiter)
      const key = typeof found === 'string' ? undefined : keyOf(found.name)
      if (typeof found !== 'string' && !taken.has(key!)) people.push({ import_row: at + 1, ...found })
      else {
        const reason = typeof found === 'string' ? found : 'duplicate_name'
        rejects.push({ row: String(at + 1), line: String(record.line), reason })
      }
      if (key !== undefined) taken.add(key)
    }
    const report = await bench.run(
      kind.encode(text),
      { records: 97, bytes: 256 * 1024 },
      (messages) => messages.toSorted(() => next() - 0.5),
      { options: kind.options ?? {} },
    )
    expect(report).toMatchObject({ state: 'completed', encoding, delimiter, inserted: people.length })
    expect(report.skipped).toBe(rejects.length)
    const stored = await bench.sql`
      select import_row, name, gender, age, country_id, gender_probability, country_probability
      from profiles order by import_row`
    expect([...stored]).toEqual(people)
    const listed = (await bench.rejects(report.id)).map(({ row, line, reason }) => ({ row, line, reason }))
    expect(listed).toEqual(rejects)
    // Neither side has gone wrong so far as to compare nothing.
    expect(people.length).toBeGreaterThan(rowsOfFile / 20)
    expect(new Set(rejects.map(({ reason }) => reason)).size).toBe(9)
  },
  600_000,
)
