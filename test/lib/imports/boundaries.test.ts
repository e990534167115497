import { describe, expect, test, vi } from 'vitest'
import { RecordScanner } from '../../../lib/imports/boundaries.ts'
import { HeldBytes } from '../../../lib/imports/held-bytes.ts'
import { fc } from '../../support/properties.ts'

type Found = { kind: string; text: string; start: number; end: number; line: number }
type Limits = { maxRecord?: number; maxLookAhead?: number }

function scan(
  input: string | Uint8Array,
  { chunk, delimiter = ',', ...limits }: Limits & { chunk?: number; delimiter?: string } = {},
) {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input
  const found: Found[] = []
  const scanner = new RecordScanner(
    ({ kind, fault, bytes: held, from, to, start, end, line }) => {
      const text = Buffer.from(held.subarray(from, to)).toString()
      found.push({ kind: fault ?? kind, text, start, end, line })
    },
    { delimiter: delimiter.charCodeAt(0), ...limits },
  )
  const size = chunk ?? bytes.length + 1
  for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size))
  scanner.finish()
  return found
}

const brief = (found: Found[]) => found.map(({ kind, text }) => `${kind}:${text}`)

describe('line ends', () => {
  test('LF, CRLF and CR end a record, mixed in one file', () => {
    expect(brief(scan('a\nb\r\nc\rd'))).toEqual(['row:a', 'row:b', 'row:c', 'row:d'])
  })
  test('the last line needs no end', () => {
    expect(scan('a\nb').at(-1)).toMatchObject({ text: 'b', start: 2, end: 3, line: 2 })
  })
  test('blank lines are no rows but keep their place in the count of lines', () => {
    expect(scan('a\n\n \t\r\nb\n').map(({ kind, line }) => [kind, line])).toEqual([
      ['row', 1],
      ['blank', 2],
      ['blank', 3],
      ['row', 4],
    ])
  })
  test.each([',', ';', '\t', '|'])('a line of %j and blanks alone is no row', (delimiter) => {
    const lines = [`a${delimiter}b`, delimiter.repeat(3), ` ${delimiter}\t${delimiter}\f`, `""${delimiter}""`]
    expect(scan(lines.join('\r\n'), { delimiter }).map(({ kind, line }) => [kind, line])).toEqual([
      ['row', 1],
      ['blank', 2],
      ['blank', 3],
      ['row', 4],
    ])
  })
  test('a line of another delimiter is a row', () => {
    expect(brief(scan('a,b\n;;;\n'))).toEqual(['row:a,b', 'row:;;;'])
  })
  test('a quoted field may hold line ends, and the lines are counted', () => {
    expect(scan('"a\r\nb\nc",1\nd,2').map(({ text, line }) => [text, line])).toEqual([
      ['"a\r\nb\nc",1', 1],
      ['d,2', 4],
    ])
  })
})

describe('quotes', () => {
  test('a quote inside an unquoted field is a character like any other', () => {
    expect(brief(scan('5" nail,1\nnext,2'))).toEqual(['row:5" nail,1', 'row:next,2'])
  })
  test('two quotes inside a quoted field are one', () => {
    expect(brief(scan('"say ""hi""\n",1\nnext,2'))).toEqual(['row:"say ""hi""\n",1', 'row:next,2'])
  })
  test('blanks round a quoted field do not matter', () => {
    expect(brief(scan('x, "a, b" ,1\nnext,2'))).toEqual(['row:x, "a, b" ,1', 'row:next,2'])
  })
  test.each(
    [...'\v\u0085\u00a0\u1680\u2000\u2009\u200b\u2028\u202f\u205f\u3000\ufeff'].map((character) => [
      character.codePointAt(0)!.toString(16),
      character,
    ]),
  )(
    'U+%s is a letter: a quote after it opens nothing, and it may not follow a closing one',
    (_, character) => {
      const file = `${character}"a,1\nx,${character} "2\n"b"${character},3\nlast,"4\n5"`
      expect(brief(scan(file))).toEqual([
        `row:${character}"a,1`,
        `row:x,${character} "2`,
        `text_after_quote:"b"${character},3`,
        'row:last,"4\n5"',
      ])
    },
  )
  test.each(['"a"b,1', '"a" b,1', '"a" "b",1'])('text after a closing quote is malformed: %s', (line) => {
    expect(brief(scan(`${line}\nnext,2\n`))).toEqual([`text_after_quote:${line}`, 'row:next,2'])
  })
  test('text after a closing quote does not free the lines of the quoted fields that follow', () => {
    const record = '"Ada" Obi,female,30,NG,"note\nHope Phantom,male,20,GH\nend"'
    expect(scan(`${record}\nnext,2\n`).map(({ kind, text, line }) => [kind, text, line])).toEqual([
      ['text_after_quote', record, 1],
      ['row', 'next,2', 4],
    ])
  })
  test('text after a closing quote on a later line: the first line is malformed, the others are read again', () => {
    const found = brief(scan('"Ada" Obi,"note\nHope,male\nend" x,1\nnext,2\n'))
    expect(found).toEqual(['text_after_quote:"Ada" Obi,"note', 'row:Hope,male', 'row:end" x,1', 'row:next,2'])
  })
  test('a stray quote costs its own line only, also when the next lines hold quotes', () => {
    const found = brief(scan('"john,1\n"Obi, Ada",2\nnext,"3"\n'))
    expect(found).toEqual(['open_quote:"john,1', 'row:"Obi, Ada",2', 'row:next,"3"'])
  })
  test('a quote left open to the end of the file costs its own line only', () => {
    expect(brief(scan('a,1\n"b,2\nc,3\nd,4'))).toEqual(['row:a,1', 'open_quote:"b,2', 'row:c,3', 'row:d,4'])
    expect(brief(scan('a,1\n"b,2'))).toEqual(['row:a,1', 'open_quote:"b,2'])
  })
  test('two stray quotes that meet look like one quoted field, and hide the lines between them', () => {
    const file = '"one,1\ngood,2\n3,inches"\nlast,4\n'
    expect(brief(scan(file))).toEqual(['row:"one,1\ngood,2\n3,inches"', 'row:last,4'])
  })
  test('under another delimiter a comma is text', () => {
    const found = brief(scan('"a",b;1\nnext', { delimiter: ';' }))
    expect(found).toEqual(['text_after_quote:"a",b;1', 'row:next'])
  })
  test('a tab is a blank round quotes, but not if it is the delimiter', () => {
    expect(brief(scan('x,\t"a\nb"\t\f,1'))).toEqual(['row:x,\t"a\nb"\t\f,1'])
    expect(brief(scan('x\t"a\nb"\t \t1', { delimiter: '\t' }))).toEqual(['row:x\t"a\nb"\t \t1'])
  })
})

describe('limits', () => {
  test('a record of exactly the limit is a row, one byte more is malformed', () => {
    const exact = 'x'.repeat(64)
    expect(brief(scan(`${exact}\nnext`, { maxRecord: 64 }))[0]).toBe(`row:${exact}`)
    expect(
      scan(`${exact}y\nnext`, { maxRecord: 64 }).map(({ kind, start, end }) => [kind, start, end]),
    ).toEqual([
      ['too_long', 0, 66],
      ['row', 66, 70],
    ])
  })
  test('of a line that is passed over only the limit is kept, and the next line is whole', () => {
    const limits = { maxRecord: 100, maxLookAhead: 300 }
    const found = scan(`${'x'.repeat(10_000)}\r\nnext,1\n`, { ...limits, chunk: 7 })
    expect(found).toEqual([
      { kind: 'too_long', text: 'x'.repeat(100), start: 0, end: 10_002, line: 1 },
      { kind: 'row', text: 'next,1', start: 10_002, end: 10_009, line: 2 },
    ])
  })
  test('a line of delimiters is no row, whatever its length', () => {
    const limits = { maxRecord: 100, maxLookAhead: 300 }
    for (const length of [101, 300, 301, 1000]) {
      const found = scan(`a,b\n${', '.repeat(length)}\r\nc,d`, { ...limits, chunk: 64 })
      expect(found.map(({ kind, line }) => [kind, line])).toEqual([
        ['row', 1],
        ['blank', 2],
        ['row', 3],
      ])
    }
  })
  test('a correctly quoted record over the limit is one malformed record, and its lines are no rows', () => {
    const record = `"note","${'good,2\n'.repeat(30)}","end\r\n"`
    const found = scan(`${record}\r\nnext,1`, { maxRecord: 100, chunk: 9 })
    expect(found).toEqual([
      { kind: 'too_long', text: record.slice(0, 100), start: 0, end: 229, line: 1 },
      { kind: 'row', text: 'next,1', start: 229, end: 235, line: 33 },
    ])
  })
  test.each([0, 1])(
    'the end of a record is not looked for beyond the look-ahead: %i bytes over',
    (beyond) => {
      const record = `x,"\n${'good,2\n'.repeat(10)}"`
      const limits = { maxRecord: 20, maxLookAhead: record.length - beyond }
      const rest = [...Array(10).fill('row:good,2'), 'open_quote:"']
      const expected = beyond ? ['open_quote:x,"', ...rest] : [`too_long:${record.slice(0, 20)}`]
      for (const chunk of [1, 5, 1000])
        expect(brief(scan(`${record}\nnext`, { ...limits, chunk }))).toEqual([...expected, 'row:next'])
    },
  )
  test('a record of a megabyte is one, and a byte more gives its lines back', () => {
    const rows = 'Hope Phantom,male,20,GH\n'
    const record = (length: number) => {
      const text = `"${rows.repeat(length / rows.length)}`
      return `${text}${'x'.repeat(length - text.length - 1)}"`
    }
    const whole = scan(`${record(2 ** 20)}\nnext`, { chunk: 65_536 })
    expect(whole.map(({ kind, end }) => [kind, end])).toEqual([
      ['too_long', 2 ** 20 + 1],
      ['row', 2 ** 20 + 5],
    ])
    expect(whole[0]!.text).toHaveLength(64 * 1024)
    const parts = scan(`${record(2 ** 20 + 1)}\nnext`, { chunk: 65_536 })
    expect(parts).toHaveLength(2 + Math.floor(2 ** 20 / rows.length))
    expect(parts[0]).toMatchObject({ kind: 'open_quote', text: '"Hope Phantom,male,20,GH' })
  })
  test('an open quote that runs over the look-ahead gives its later lines back', () => {
    const file = `"open,1\n${'good,2\n'.repeat(30)}`
    const found = brief(scan(file, { maxRecord: 10, maxLookAhead: 100 }))
    expect(found).toEqual(['open_quote:"open,1', ...Array(30).fill('row:good,2')])
  })
  test('what a look-ahead in vain has read is read once more by the record that ends in time', () => {
    // The first line's look-ahead stops right before the line end that is within that of the second.
    const found = scan('x,"\na",",\n\0z"\nlast', { maxRecord: 12, maxLookAhead: 12 })
    expect(found.map(({ kind, start, line }) => [kind, start, line])).toEqual([
      ['open_quote', 0, 1],
      ['nul', 4, 2],
      ['row', 14, 4],
    ])
  })
  test('a NUL makes its own record malformed', () => {
    expect(brief(scan('a,1\nb\0,2\nc,3'))).toEqual(['row:a,1', 'nul:b\0,2', 'row:c,3'])
  })
  test('of several faults the first is named', () => {
    expect(brief(scan('"a"b,\0\n\0,"a"b\n"a"b,"c\n\0,"c\n', { maxRecord: 8 }))).toEqual([
      'text_after_quote:"a"b,\0',
      'nul:\0,"a"b',
      'text_after_quote:"a"b,"c',
      'nul:\0,"c',
    ])
    expect(brief(scan('too long \0\n"too long\n', { maxRecord: 8 }))).toEqual([
      'too_long:too long',
      'too_long:"too lon',
    ])
  })
})

// Small alphabets make quotes, delimiters and line ends meet in every order.
const hostile = fc
  .oneof(
    fc.array(fc.constantFrom('"', '""', ',', '\n', '\r', '\r\n', 'a', ' ', '\t', '\0', 'é'), {
      maxLength: 120,
    }),
    // Lines that look ahead in vain, and share what they have read.
    fc.array(fc.constantFrom('a",",\n', 'a",",\r\n', 'x,"\n', '\n', '\0', 'z', '"', '"\n'), {
      maxLength: 30,
    }),
  )
  .map((parts) => Buffer.from(parts.join('')))

const limits = fc.record({
  maxRecord: fc.integer({ min: 1, max: 60 }),
  maxLookAhead: fc.integer({ min: 1, max: 150 }),
})

test('whatever the bytes, records tile the input and chunks make no difference', () => {
  fc.assert(
    fc.property(hostile, fc.integer({ min: 1, max: 40 }), limits, (bytes, chunk, bounds) => {
      const whole = scan(bytes, bounds)
      expect(scan(bytes, { ...bounds, chunk })).toEqual(whole)
      let at = 0
      for (const { start, end } of whole) {
        expect(start).toBe(at)
        expect(end).toBeGreaterThan(start)
        at = end
      }
      expect(at).toBe(bytes.length)
    }),
    { numRuns: 2000 },
  )
})

test('whatever the bytes, a scan that begins at any record finds the same records from there on', () => {
  fc.assert(
    fc.property(hostile, limits, (bytes, bounds) => {
      const whole = scan(bytes, bounds)
      for (const [index, { start, line }] of whole.entries()) {
        const rest = scan(bytes.subarray(start), bounds)
        const moved = rest.map((found) => ({
          ...found,
          start: found.start + start,
          end: found.end + start,
          line: found.line + line - 1,
        }))
        expect(moved).toEqual(whole.slice(index))
      }
    }),
    { numRuns: 500 },
  )
})

test('whatever the bytes, a slice of whole records reads as it did inside the file', () => {
  fc.assert(
    fc.property(hostile, fc.nat(), fc.nat(), limits, (bytes, a, b, bounds) => {
      const whole = scan(bytes, bounds)
      if (whole.length === 0) return
      const [first, last] = [a % whole.length, b % whole.length].sort((x, y) => x - y) as [number, number]
      const { start } = whole[first]!
      const part = scan(bytes.subarray(start, whole[last]!.end), bounds)
      expect(brief(part)).toEqual(brief(whole.slice(first, last + 1)))
    }),
    { numRuns: 2000 },
  )
})

/** How many bytes a scan reads and copies, those that it reads again counted again. */
function bytesRead(bytes: Buffer, { chunk, ...bounds }: Limits & { chunk: number }): number {
  let read = 0
  const counted = (array: Uint8Array) =>
    new Proxy(array, {
      get(target, name) {
        if (typeof name === 'string' && /^\d+$/.test(name)) read++
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  const view = Object.getOwnPropertyDescriptor(HeldBytes.prototype, 'view')!.get!
  const spy = vi.spyOn(HeldBytes.prototype, 'view', 'get').mockImplementation(function (this: HeldBytes) {
    return counted(view.call(this))
  })
  try {
    const scanner = new RecordScanner(() => {}, { delimiter: ','.charCodeAt(0), ...bounds })
    for (let at = 0; at < bytes.length; at += chunk) scanner.push(counted(bytes.subarray(at, at + chunk)))
    scanner.finish()
  } finally {
    spy.mockRestore()
  }
  return read
}

test('whatever is repeated, a scan reads each byte a few times at most', () => {
  const part = fc.constantFrom(
    '"',
    '""',
    ',',
    '\n',
    '\r\n',
    'a',
    ' ',
    '\0',
    'a"',
    '","',
    ',"',
    '"a",',
    'a,b,c\n',
    'a",",\n',
    'a",",\r\n',
    '"open\n',
    'a,"\n"\n',
  )
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 4000 }),
      fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 65, max: 8000 })),
      (parts, maxRecord, maxLookAhead, chunk) => {
        const unit = parts.join('')
        const bytes = Buffer.from(unit.repeat(Math.ceil(8000 / unit.length)))
        expect(bytesRead(bytes, { maxRecord, maxLookAhead, chunk }) / bytes.length).toBeLessThan(8)
      },
    ),
    {
      numRuns: 200,
      examples: [
        [['a",",\n'], 1000, 4000, 8000],
        [['a",",\n'], 1000, 4000, 16],
        [['a"', ',"', '\n'], 1000, 4000, 8000],
        [['"open\n'], 100, 4000, 16],
        [['"open\n', 'a\n', 'a\n', 'a\n', 'a\n'], 100, 4000, 200],
        [['"a'], 100, 4000, 16],
        [['a'], 100, 4000, 16],
      ],
    },
  )
})

test('a bad line among rows costs no other record', () => {
  // A quoted value that begins with a delimiter would end the stray quote before it just as a legal one.
  const value = fc.oneof(
    fc.stringMatching(/^[a-z]{0,6}$/),
    fc.stringMatching(/^[a-z][a-z ,\n]{0,8}$/).map((text) => `"${text}"`),
  )
  const row = fc.tuple(value, value).map(([a, b]) => `x,${a},${b}`)
  const bad = fc.constantFrom('"open,1', '"a"b,2,3', 'z\0,3', '"x" "y",4')
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 8 }), bad, fc.nat(), (rows, line, place) => {
      const at = place % (rows.length + 1)
      const found = scan(`${rows.toSpliced(at, 0, line).join('\n')}\n`)
      expect(found.map(({ text }) => text)).toEqual(rows.toSpliced(at, 0, line))
      expect(found.flatMap(({ kind }, n) => (kind === 'row' ? [] : [n]))).toEqual([at])
    }),
    { numRuns: 1000 },
  )
})
