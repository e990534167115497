import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Narrower } from '../../../lib/imports/narrower.ts'
import { decoderOf } from '../../../lib/platform/text/decoder.ts'
import { encodingOf } from '../../../lib/platform/text/encoding-names.ts'
import { encode } from '../../support/encode.ts'
import { type ImportBench, startImportBench } from '../../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id\n'

const people = async () =>
  (await bench.sql<{ name: string }[]>`select name from profiles order by import_row`).map(({ name }) => name)

const run = (content: string | Uint8Array, encoding?: string, limits?: { records: number; bytes: number }) =>
  bench.run(content, limits, undefined, { options: encoding === undefined ? {} : { encoding } })

describe('an encoding that is said with the import', () => {
  test.each([
    ['shift_jis', ['表示 太郎', 'ソ ー', '高橋｜花子']],
    // Characters of one byte before characters whose second is that of a pipe.
    ['shift_jis', ['ｱ－"x', 'ﾊﾞ｜"', 'ソｱ－"']],
    ['gbk', ['€亅"x', '亅€亅"', '亅']],
    ['gb18030', ['样一', '镕 基', '张｜伟']],
    ['big5', ['許功蓋', '樣一', '陳｜明']],
    ['euc-kr', ['김철수', '이영희', '박똠']],
    ['euc-jp', ['見本 太郎', '表', '花子']],
    ['windows-1250', ['Łukasz Wójcik', 'Žofie', 'Őri']],
    ['windows-1251', ['Иван Образцов', 'Ђорђе', 'Їжак']],
    ['windows-1253', ['Γιώργος', 'Ώρα', 'Άννα']],
    ['windows-1254', ['İnci Şahin', 'Yılmaz', 'Gül']],
    ['windows-1256', ['محمد', 'پژمان', 'علي']],
    ['macintosh', ['José Muestra', 'Zoë Proef', 'Ÿves Œuvre']],
    ['ibm866', ['Иван', 'Ёлка', 'Яна']],
    ['koi8-r', ['Иван', 'Ёлка', 'Яна']],
  ])('%s reads names under any delimiter, in slices of any size', async (encoding, names) => {
    for (const delimiter of [',', '|', ';']) {
      await bench.clear()
      const lines = ['name,gender,age,country_id', ...names.map((name) => `${name},male,30,JP`)]
      const text = `${lines.join('\n').replaceAll(',', delimiter)}\n`
      const report = await run(encode(text, encoding), encoding, { records: 1, bytes: 1e9 })
      expect(report).toMatchObject({ state: 'completed', encoding, encoding_guessed: false, delimiter })
      expect(report.reasons).toEqual({})
      expect(await people()).toEqual(names)
      expect(report.sample.map(({ name }) => name)).toEqual(names)
    }
  })

  test('reads the names of columns too', async () => {
    const text = 'Имя,gender,age,country_id,Город\nИван,male,30,RU,Омск\n'
    const options = { encoding: 'windows-1251', columns: { name: 'имя' } }
    const report = await bench.run(encode(text, 'windows-1251'), undefined, undefined, { options })
    expect(report).toMatchObject({ inserted: 1, ignored_columns: ['Город'] })
    expect(await people()).toEqual(['Иван'])
  })

  test('is overruled by a mark, and the report says so', async () => {
    const report = await run(`\ufeff${header}José,male,30,ES\n`, 'shift_jis')
    expect(report).toMatchObject({ encoding: 'utf-8', encoding_guessed: false, inserted: 1 })
    expect(report.hints).toEqual([
      'The file begins with the mark of utf-8, which counts more than the encoding shift_jis.',
    ])
    expect((await run(`\ufeff${header}Zoë,female,30,ES\n`, 'utf-8')).hints).toEqual([])
  })

  test('that the bytes contradict costs the rows that hold such bytes', async () => {
    const rows = [
      Buffer.from([0x8c, 0xa9]),
      Buffer.from([0x81]),
      Buffer.from([0xa1, 0xff]),
      Buffer.from('Ada'),
    ]
    const content = rows.flatMap((name) => [name, Buffer.from(',male,30,JP\n')])
    const report = await run(Buffer.concat([Buffer.from(header), ...content]), 'shift_jis')
    expect(report).toMatchObject({ inserted: 2, reasons: { broken_encoding: 2 } })
    expect(await people()).toEqual(['見', 'Ada'])
  })

  test('of 8 bits cannot be that of a file with zeros: the failure says what it looks like', async () => {
    const report = await run(Buffer.from(`${header}Ada,male,30,NG\n`, 'utf16le'), 'windows-1251')
    expect(report).toMatchObject({ state: 'failed', failure: { code: 'not_csv' } })
    expect(report.failure!.message).toContain('UTF-16')
  })
})

test('of every pair of bytes the scanner sees a delimiter exactly where the decoder leaves one', () => {
  for (const encoding of ['shift_jis', 'gbk', 'gb18030', 'big5', 'euc-kr', 'euc-jp']) {
    const decoder = decoderOf(encoding)
    for (let lead = 0x80; lead < 0x100; lead++) {
      for (let next = 0x20; next < 0x80; next++) {
        const bytes = Uint8Array.of(lead, next)
        const seen = new Narrower(encoding).push(bytes)[1] === next
        expect([lead, next, seen]).toEqual([
          lead,
          next,
          decoder.decode(bytes).endsWith(String.fromCharCode(next)),
        ])
      }
      // The same behind another byte: one that is a character of its own takes none.
      for (let between = 0x80; between < 0x100; between++) {
        const bytes = Uint8Array.of(lead, between, 0x7c)
        const seen = new Narrower(encoding).push(bytes)[2] === 0x7c
        if (seen !== decoder.decode(bytes).endsWith('|')) expect([encoding, lead, between]).toEqual('alike')
      }
    }
  }
}, 30_000)

test('labels are those of the standard, in any case, but for encodings that cannot be cut', () => {
  expect(
    ['Shift_JIS', ' sjis ', 'latin1', 'UTF8', 'utf-16', 'cp1251', 'x-mac-roman'].map(encodingOf),
  ).toEqual(['shift_jis', 'shift_jis', 'windows-1252', 'utf-8', 'utf-16le', 'windows-1251', 'macintosh'])
  for (const label of [
    'klingon',
    '',
    'iso-2022-jp',
    'csiso2022jp',
    'hz-gb-2312',
    'x-user-defined',
    'utf-7',
    'utf-32',
  ]) {
    expect([label, encodingOf(label)]).toEqual([label, undefined])
  }
})

describe('a mark', () => {
  test('decides: a byte that is no UTF-8 costs its own row, however many there are', async () => {
    const rows = ['Ada', 'José', 'Zoë', 'Ñuñoa'].map((name) => `${name},male,30,ES\n`).join('')
    const bytes = Buffer.concat([Buffer.from('\ufeff'), Buffer.from(header + rows, 'latin1')])
    expect(await run(bytes)).toMatchObject({
      encoding: 'utf-8',
      encoding_guessed: false,
      inserted: 1,
      reasons: { broken_encoding: 3 },
    })
  })
  test.each([
    ['little', [0xff, 0xfe, 0, 0], 'little'],
    ['big', [0, 0, 0xfe, 0xff], 'big'],
    ['little, without a mark', [], 'little'],
    ['big, without a mark', [], 'big'],
  ])('of UTF-32 (%s) is an unknown encoding', async (_, mark, order) => {
    const units = Uint32Array.from(`${header}Ada,female,30,NG\n`, (character) => character.codePointAt(0)!)
    const bytes = Buffer.from(units.buffer)
    if (order === 'big') bytes.swap32()
    const report = await run(Buffer.concat([Buffer.from(mark), bytes]))
    expect(report).toMatchObject({ state: 'failed', failure: { code: 'unknown_encoding' } })
    expect(report.failure!.message).toContain('UTF-32')
  })
})

describe('UTF-16 without a mark', () => {
  test.each(['utf16le', 'utf16be'])('%s is told by its zeros, whatever letters names have', async (order) => {
    const names = ['Ādams Paraugs', '样一', '一一一', 'Plain Gao', '😀 Emoji', 'Ȁ ऀ ༀ']
    const bytes = Buffer.from(header + names.map((name) => `${name},male,30,CN\n`).join(''), 'utf16le')
    if (order === 'utf16be') bytes.swap16()
    const report = await run(bytes)
    expect(report).toMatchObject({
      encoding: order.replace('16', '-16'),
      encoding_guessed: false,
      reasons: {},
    })
    expect(await people()).toEqual(names)
  })
})

describe('UTF-16 without a mark, of which parts look otherwise,', () => {
  const notes = 'name,gender,age,country_id,notes\n'
  test.each([
    ['half of a surrogate pair', `${notes}样一,male,30,CN,\nB\ud83d,male,3,CN\n`, { broken_encoding: 1 }],
    ['a NUL', `${notes}样一,male,30,CN,\nB\0,male,3,CN\n`, { malformed_row: 1 }],
    ['long Chinese notes', `${notes}样一,male,30,CN,${'备注文字'.repeat(9000)}\n`, {}],
  ])('is read although it holds %s', async (_, text, reasons) => {
    for (const big of [false, true]) {
      await bench.clear()
      const bytes = Buffer.from(text, 'utf16le')
      const report = await run(big ? bytes.swap16() : bytes)
      expect(report).toMatchObject({ encoding: big ? 'utf-16be' : 'utf-16le', inserted: 1 })
      expect(report.reasons).toEqual(reasons)
      expect(await people()).toEqual(['样一'])
    }
  })
  test.each([
    ['numbers of 32 bits', Buffer.from(Uint32Array.from({ length: 999 }, (_, n) => n).buffer)],
    ['a NUL in each line of ASCII', Buffer.from(`${header}${'Ada\0,male,3,NG\n'.repeat(99)}`)],
    ['a NUL in one', Buffer.from(`${header}Ada\0,male,3,NG\n`)],
  ])('is not what has zeros otherwise: %s', async (_, bytes) => {
    expect(await run(bytes)).toMatchObject({ state: 'failed', failure: { code: 'not_csv' } })
  })
})

describe('a file that is neither marked nor said', () => {
  const latin = (text: string) => Buffer.from(header + text, 'latin1')

  test('is UTF-8 although its last letter is cut, wherever in the letter', async () => {
    for (const bytes of [[0xc3], [0xe6, 0xa0], [0xf0, 0x9f, 0x98]]) {
      await bench.clear()
      const file = Buffer.concat([
        Buffer.from(`country_id,gender,age,name\nNG,male,3,Ada\nNG,male,3,Jos`),
        Buffer.from(bytes),
      ])
      const report = await run(file)
      expect(report).toMatchObject({
        encoding: 'utf-8',
        encoding_guessed: false,
        reasons: { broken_encoding: 1 },
      })
      expect(await people()).toEqual(['Ada'])
    }
  })

  test('in Western letters is windows-1252 as a guess, and the report shows what was read', async () => {
    const report = await run(latin('Jos\xe9 Mu\xf1oz,male,30,ES\nPlain,male,3,ES\nO\x92Neill,male,3,IE\n'))
    expect(report).toMatchObject({ encoding: 'windows-1252', encoding_guessed: true, inserted: 3 })
    expect(report.sample).toEqual([
      { row: 1, name: 'José Muñoz', gender: 'male', age: '30', country_id: 'ES' },
      { row: 2, name: 'Plain', gender: 'male', age: '3', country_id: 'ES' },
      { row: 3, name: 'O’Neill', gender: 'male', age: '3', country_id: 'IE' },
    ])
    expect(report.hints).toEqual([
      'Nothing in the file says which encoding it has: windows-1252 is a guess. Look at the sample.',
    ])
  })

  test('with a byte that windows-1252 does not have in one row of a hundred loses that row only', async () => {
    const rows = Array.from({ length: 100 }, (_, n) => `Jos\xe9 ${n},male,30,ES\n`)
    rows[50] = 'Jos\x81,male,30,ES\n'
    expect(await run(latin(rows.join('')))).toMatchObject({
      encoding: 'windows-1252',
      inserted: 99,
      reasons: { broken_encoding: 1 },
    })
    rows[51] = 'Ana\x8d,male,30,ES\n'
    await bench.clear()
    const report = await run(latin(rows.join('')))
    expect(report).toMatchObject({ state: 'failed', failure: { code: 'unknown_encoding' }, inserted: 0 })
    expect(report.failure!.message).toContain('`encoding`')
    expect(report.sample[0]).toMatchObject({ row: 1, name: 'José 0' })
    expect(await people()).toEqual([])
  })

  test.each([
    ['windows-1251', 'Иван Образцов'],
    ['koi8-r', 'Иван Образцов'],
    ['windows-1253', 'Γιώργος'],
    ['windows-1256', 'محمد'],
    ['windows-874', 'สมชาย'],
    ['gb18030', '张伟'],
    ['euc-kr', '김철수'],
    ['macintosh', 'Ελένη'],
  ])('in %s is an unknown encoding', async (encoding, name) => {
    const bytes = encoding === 'macintosh' ? encode(name, 'iso-8859-7') : encode(name, encoding)
    const rows = Array.from({ length: 5 }, () => [bytes, Buffer.from(',male,30,NG\n')]).flat()
    const report = await run(Buffer.concat([Buffer.from(header), ...rows]))
    expect(report).toMatchObject({ state: 'failed', failure: { code: 'unknown_encoding' } })
  })

  test('is judged by the whole of it, by scans that are cut off and go on as by one', async () => {
    const many = Array.from({ length: 20_000 }, (_, n) => `Plain ${n},male,30,ES\n`).join('')
    const id = await bench.put(latin(`${many}${'\xc8\xe2\xe0\xed,male,30,RU\n'.repeat(3)}`))
    expect(await bench.splitInShortInvocations(id, { records: 1000, bytes: 1e6 })).toBeGreaterThan(2)
    expect(await bench.report(id)).toMatchObject({ state: 'failed', failure: { code: 'unknown_encoding' } })
  })
})
