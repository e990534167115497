import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RecordScanner } from '../../../lib/imports/boundaries.ts'

type Found = { kind: string; text: string; start: number; end: number; line: number }

function scan(
  input: string | Uint8Array,
  options: { chunk?: number; maxRecord?: number; delimiter?: string; width?: number } = {},
) {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input
  const found: Found[] = []
  const scanner = new RecordScanner(
    ({ kind, bytes: held, from, to, start, end, line }) => {
      found.push({ kind, text: Buffer.from(held.subarray(from, to)).toString(), start, end, line })
    },
    {
      delimiter: (options.delimiter ?? ',').charCodeAt(0),
      ...(options.maxRecord && { maxRecord: options.maxRecord }),
      ...(options.width && { width: options.width }),
    },
  )
  const size = options.chunk ?? bytes.length + 1
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
  test.each(['"a"b,1', '"a" b,1', '"a" "b",1'])('text after a closing quote is malformed: %s', (line) => {
    expect(brief(scan(`${line}\nnext,2\n`))).toEqual([`malformed:${line}`, 'row:next,2'])
  })
  test('a stray quote costs its own line only, also when the next lines hold quotes', () => {
    const found = brief(scan('"john,1\n"Obi, Ada",2\nnext,"3"\n'))
    expect(found).toEqual(['malformed:"john,1', 'row:"Obi, Ada",2', 'row:next,"3"'])
  })
  test('a quote left open to the end of the file costs its own line only', () => {
    expect(brief(scan('a,1\n"b,2\nc,3\nd,4'))).toEqual(['row:a,1', 'malformed:"b,2', 'row:c,3', 'row:d,4'])
  })
  test('under another delimiter a comma is text', () => {
    expect(brief(scan('"a",b;1\nnext', { delimiter: ';' }))).toEqual(['malformed:"a",b;1', 'row:next'])
  })
})

describe('two stray quotes that meet', () => {
  test('a good row between them is a row', () => {
    const file = '"one,1\ngood,2\n3,inches"\nlast,4\n'
    const rows = ['malformed:"one,1', 'row:good,2', 'row:3,inches"', 'row:last,4']
    expect(brief(scan(file, { width: 2 }))).toEqual(rows)
    expect(brief(scan(file.trimEnd(), { width: 2 }))).toEqual(rows)
  })
  test('a record of several lines with too few fields, and no row inside, is one record', () => {
    expect(brief(scan('"Ada\nObi",1\nnext,2,3', { width: 3 }))).toEqual(['row:"Ada\nObi",1', 'row:next,2,3'])
  })
  test('a record of several lines with the right fields is a row, whatever its lines look like', () => {
    expect(brief(scan('"a\nb,1\nc",1\nnext,2', { width: 2 }))).toEqual(['row:"a\nb,1\nc",1', 'row:next,2'])
  })
})

describe('limits', () => {
  test('a record of exactly the limit is a row, one byte more is malformed', () => {
    const exact = 'x'.repeat(64)
    expect(brief(scan(`${exact}\nnext`, { maxRecord: 64 }))[0]).toBe(`row:${exact}`)
    expect(
      scan(`${exact}y\nnext`, { maxRecord: 64 }).map(({ kind, start, end }) => [kind, start, end]),
    ).toEqual([
      ['malformed', 0, 66],
      ['row', 66, 70],
    ])
  })
  test('of a line that is passed over only the limit is kept, and the next line is whole', () => {
    const found = scan(`${'x'.repeat(10_000)}\r\nnext,1\n`, { maxRecord: 100, chunk: 7 })
    expect(found).toEqual([
      { kind: 'malformed', text: 'x'.repeat(100), start: 0, end: 10_002, line: 1 },
      { kind: 'row', text: 'next,1', start: 10_002, end: 10_009, line: 2 },
    ])
  })
  test('an open quote that runs over the limit gives its later lines back', () => {
    const found = brief(scan(`"open,1\n${'good,2\n'.repeat(30)}`, { maxRecord: 100 }))
    expect(found).toEqual(['malformed:"open,1', ...Array(30).fill('row:good,2')])
  })
  test('a NUL makes its own record malformed', () => {
    expect(brief(scan('a,1\nb\0,2\nc,3'))).toEqual(['row:a,1', 'malformed:b\0,2', 'row:c,3'])
  })
})

// Small alphabets make quotes, delimiters and line ends meet in every order.
const hostile = fc
  .array(fc.constantFrom('"', '""', ',', '\n', '\r', '\r\n', 'a', ' ', '\t', '\0', 'é'), { maxLength: 120 })
  .map((parts) => Buffer.from(parts.join('')))

test('whatever the bytes, records tile the input and chunks make no difference', () => {
  fc.assert(
    fc.property(
      hostile,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 60 }),
      (bytes, chunk, maxRecord) => {
        const whole = scan(bytes, { maxRecord })
        expect(scan(bytes, { maxRecord, chunk })).toEqual(whole)
        let at = 0
        for (const { start, end } of whole) {
          expect(start).toBe(at)
          expect(end).toBeGreaterThan(start)
          at = end
        }
        expect(at).toBe(bytes.length)
      },
    ),
    { numRuns: 2000 },
  )
})

test('whatever the bytes, a scan that begins at any record finds the same records from there on', () => {
  fc.assert(
    fc.property(hostile, fc.integer({ min: 1, max: 60 }), (bytes, maxRecord) => {
      const whole = scan(bytes, { maxRecord, width: 2 })
      for (const [index, { start, line }] of whole.entries()) {
        const rest = scan(bytes.subarray(start), { maxRecord, width: 2 })
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
    fc.property(hostile, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 60 }), (bytes, a, b, maxRecord) => {
      const whole = scan(bytes, { maxRecord, width: 2 })
      if (whole.length === 0) return
      const [first, last] = [a % whole.length, b % whole.length].sort((x, y) => x - y) as [number, number]
      const { start } = whole[first]!
      const part = scan(bytes.subarray(start, whole[last]!.end), { maxRecord, width: 2 })
      expect(brief(part)).toEqual(brief(whole.slice(first, last + 1)))
    }),
    { numRuns: 2000 },
  )
})

/** How many bytes a scan reads, those that it reads again counted again. */
function bytesRead(bytes: Buffer, options: { maxRecord: number; width: number }): number {
  let read = 0
  const counted = new Proxy(bytes, {
    get(target, name) {
      if (typeof name === 'string' && /^\d+$/.test(name)) read++
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const scanner = new RecordScanner(() => {}, { delimiter: ','.charCodeAt(0), ...options })
  scanner.push(counted)
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
    'a,b,c\n',
    'a",",\n',
  )
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      (parts, width) => {
        const unit = parts.join('')
        const bytes = Buffer.from(unit.repeat(Math.ceil(8000 / unit.length)))
        expect(bytesRead(bytes, { maxRecord: 1000, width }) / bytes.length).toBeLessThan(8)
      },
    ),
    {
      numRuns: 200,
      examples: [
        [['a",",\n'], 4],
        [['a"', ',"', '\n'], 2],
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
      const found = brief(scan(`${rows.toSpliced(at, 0, line).join('\n')}\n`, { maxRecord: 400, width: 3 }))
      expect(found).toEqual(rows.map((text) => `row:${text}`).toSpliced(at, 0, `malformed:${line}`))
    }),
    { numRuns: 1000 },
  )
})
