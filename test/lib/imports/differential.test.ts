import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { RecordScanner } from '../../../lib/imports/boundaries.ts'
import { splitFields } from '../../../lib/imports/fields.ts'
import { type Delimiter, delimiters, type Layout } from '../../../lib/imports/header.ts'
import { Narrower } from '../../../lib/imports/narrower.ts'
import { readSlice, type SliceRecord } from '../../../lib/imports/records.ts'
import { type ScanState, Slicer } from '../../../lib/imports/slices.ts'
import type { Encoding } from '../../../lib/platform/text/decoder.ts'
import { type ReadRecord, readCsv } from '../../support/csv-reader.ts'
import { fc } from '../../support/properties.ts'

/** How many random files each comparison reads. */
const files = Number(process.env.DIFFERENTIAL_FILES ?? 1000)
const timeout = 60_000 + files * 20

/** All white space of Unicode, and what cannot be seen at all. */
const spaces = [
  ...'\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a',
  ...'\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff',
]
const part = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'é', '€', '😀', ' ', '\t') },
  { weight: 3, arbitrary: fc.constantFrom('"', '""', '\n', '\r\n', '\r', '\0') },
  { weight: 2, arbitrary: fc.constantFrom(...delimiters) },
  { weight: 3, arbitrary: fc.constantFrom(...spaces) },
)
const text = (maxLength: number) => fc.array(part, { maxLength }).map((parts) => parts.join(''))
const lineEnd = fc.constantFrom('\n', '\r\n', '\r')

/** Mostly well-formed rows of three fields, with now and then a character where it does harm. */
function nearlyRight(delimiter: Delimiter) {
  const quoted = text(6).map((value) => `"${value.replaceAll('"', '""')}"`)
  const blanks = fc.constantFrom('', '', '', ' ', '\t', '\f', '\v', '\u00a0', '\u3000', '\ufeff', 'x', '"')
  const field = fc.oneof(
    { weight: 3, arbitrary: fc.stringMatching(/^[a-z ]{0,4}$/) },
    { weight: 3, arbitrary: fc.tuple(blanks, quoted, blanks).map((parts) => parts.join('')) },
    { weight: 1, arbitrary: text(3) },
  )
  const row = fc.array(field, { minLength: 3, maxLength: 3 }).map((fields) => fields.join(delimiter))
  return fc.array(fc.tuple(row, lineEnd), { maxLength: 8 }).map((lines) => lines.flat().join(''))
}

/** Lines that look ahead for the end of their record in vain, and share what they have read. */
function open(delimiter: Delimiter) {
  const again = `a"${delimiter}"${delimiter}`
  const parts = fc.constantFrom(`${again}\n`, `${again}\r\n`, `x${delimiter}"\n`, '\n', '\0', 'z', '"', '"\n')
  return fc.array(parts, { maxLength: 20 }).map((found) => found.join(''))
}

const file = fc.oneof(
  ...delimiters.map((delimiter) =>
    fc.record({
      delimiter: fc.constant(delimiter),
      text: fc.oneof(text(80), nearlyRight(delimiter), open(delimiter)),
    }),
  ),
)
const encoding = fc.constantFrom<Encoding>('utf-8', 'utf-16le', 'utf-16be')

function encode(value: string, as: Encoding): Buffer {
  if (as === 'utf-8') return Buffer.from(value)
  const bytes = Buffer.from(value, 'utf16le')
  return as === 'utf-16be' ? bytes.swap16() : bytes
}

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

type ScanLimits = { maxRecord?: number; maxLookAhead?: number }

/** What scanner and splitter make of a file, in the form of the other reader. */
function scan(bytes: Uint8Array, delimiter: Delimiter, chunk: number, limits: ScanLimits = {}) {
  const found: { kind: string; fields: string[]; line: number }[] = []
  const extents: [number, number][] = []
  const scanner = new RecordScanner(
    ({ kind, fault, bytes: held, from, to, start, end, line }) => {
      const content = Buffer.from(held.subarray(from, to)).toString()
      found.push({ kind: fault ?? kind, fields: kind === 'row' ? splitFields(content, delimiter) : [], line })
      extents.push([start, end])
    },
    { delimiter: delimiter.charCodeAt(0), ...limits },
  )
  for (const part of chunksOf(bytes, chunk)) scanner.push(part)
  scanner.finish()
  return { found, extents }
}

const ofRows = ({ kind, fields, line }: ReadRecord) => ({ kind, fields: kind === 'row' ? fields : [], line })

test('scanner and splitter read what another reader reads, for any limits and chunks', { timeout }, () => {
  const limits = fc.record({ record: fc.integer({ min: 1, max: 60 }), more: fc.nat({ max: 60 }) })
  const chunk = fc.integer({ min: 1, max: 50 })
  fc.assert(
    fc.property(file, chunk, fc.option(limits), ({ delimiter, text }, size, bounds) => {
      const lookAhead = bounds ? bounds.record + bounds.more : 0
      const expected = bounds
        ? readCsv(text, delimiter, {
            record: bounds.record,
            lookAhead,
            size: (part) => Buffer.byteLength(part),
          })
        : readCsv(text, delimiter)
      const options = bounds ? { maxRecord: bounds.record, maxLookAhead: lookAhead } : {}
      const bytes = Buffer.from(text)
      const { found, extents } = scan(bytes, delimiter, size, options)
      expect(found).toEqual(expected.map(ofRows))
      expect(
        extents.map(([from, to]) => bytes.toString('utf8', from, to).replace(/(\r\n|\r|\n)$/, '')),
      ).toEqual(expected.map((record) => record.text))
    }),
    { numRuns: files },
  )
})

const width = 3

async function importAll(
  bytes: Uint8Array,
  as: Encoding,
  delimiter: Delimiter,
  chunk: number,
  records: number,
) {
  const layout: Layout = { delimiter, width, columns: {} }
  const start: ScanState = { offset: 0, line: 1, row: 1, slice_no: 0, utf8: { valid: 0, invalid: 0 } }
  const slicer = new Slicer(start, as === 'utf-8' ? 'undecided' : as, layout, { records, bytes: 200 })
  for (const part of chunksOf(bytes, chunk)) slicer.push(part)
  slicer.finish()
  const found: SliceRecord[] = []
  for (const slice of slicer.take()) {
    const body = async function* () {
      yield* chunksOf(bytes.subarray(slice.byte_start, slice.byte_end), chunk)
    }
    found.push(...(await readSlice(body(), slice, layout, as)))
  }
  return found
}

test('the rows read from the slices of a file are those of another reader', { timeout }, async () => {
  const cuts = fc.record({ chunk: fc.integer({ min: 1, max: 50 }), records: fc.integer({ min: 1, max: 5 }) })
  await fc.assert(
    fc.asyncProperty(file, encoding, cuts, async ({ delimiter, text }, as, { chunk, records }) => {
      const expected = readCsv(text, delimiter).filter(({ kind }) => kind !== 'blank')
      const found = await importAll(encode(text, as), as, delimiter, chunk, records)
      expect(found.map(({ row, line, raw, broken }) => ({ row, line, raw, broken }))).toEqual(
        expected.map((record, n) => ({ row: n + 1, line: record.line, raw: record.text, broken: false })),
      )
      for (const [n, { kind, fields }] of expected.entries()) {
        if (kind !== 'row') expect(found[n]!.fields).toBeUndefined()
        else if (fields.length === width) expect(found[n]!.fields).toEqual(fields)
      }
    }),
    { numRuns: files },
  )
})

test('in UTF-16 a narrowed file has the records of the file in UTF-8', { timeout }, () => {
  fc.assert(
    fc.property(file, fc.boolean(), fc.integer({ min: 1, max: 50 }), ({ delimiter, text }, big, chunk) => {
      const as = big ? 'utf-16be' : 'utf-16le'
      const { found, extents } = scan(new Narrower(as).push(encode(text, as)), delimiter, chunk)
      const expected = readCsv(text, delimiter)
      expect(found.map(({ kind, line }) => [kind, line])).toEqual(
        expected.map(({ kind, line }) => [kind, line]),
      )
      expect(extents.map(([from, to]) => text.slice(from, to).replace(/(\r\n|\r|\n)$/, ''))).toEqual(
        expected.map((record) => record.text),
      )
    }),
    { numRuns: files },
  )
})

const python = spawnSync('python3', ['-c', 'import csv']).status === 0

/** Files on which readers of RFC 4180 agree: no blanks beside quotes, no quotes in unquoted fields, no NUL. */
const agreed = fc
  .record({
    delimiter: fc.constantFrom(...delimiters),
    rows: fc.array(
      fc.record({
        fields: fc.array(
          text(8).map((value) => value.replaceAll('\0', '')),
          { maxLength: 4 },
        ),
        quoted: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        ends: fc.array(lineEnd, { minLength: 1, maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  })
  .map(({ delimiter, rows }) => {
    const lines = rows.map(({ fields, quoted, ends }, n) => {
      const written = fields.map((value, at) => {
        const must = /["\r\n]/.test(value) || value.includes(delimiter)
        return must || quoted[at] ? `"${value.replaceAll('"', '""')}"` : value
      })
      // A first field that is not empty, so that no line is blank.
      return [`${n}`, ...written].join(delimiter) + ends.join('')
    })
    return { delimiter, text: lines.join('') }
  })

const pythonReader = `
import csv, io, json, sys
for line in sys.stdin:
    file = json.loads(line)
    rows = csv.reader(io.StringIO(file["text"], newline=""), delimiter=file["delimiter"])
    print(json.dumps([row for row in rows if row]))
`

test.skipIf(!python)("the fields are those of Python's csv module (needs python3)", { timeout }, () => {
  const batch = 2000
  for (let left = files; left > 0; left -= batch) {
    const samples = fc.sample(agreed, Math.min(left, batch))
    const { stdout, status, stderr } = spawnSync('python3', ['-c', pythonReader], {
      input: samples.map((sample) => `${JSON.stringify(sample)}\n`).join(''),
      encoding: 'utf8',
      env: { ...process.env, PYTHONUTF8: '1' },
      maxBuffer: 256 * 1024 * 1024,
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const read = stdout.trimEnd().split('\n')
    expect(read).toHaveLength(samples.length)
    for (const [n, sample] of samples.entries()) {
      const { found } = scan(Buffer.from(sample.text), sample.delimiter, 16)
      const rows = found.filter(({ kind }) => kind !== 'blank')
      const ours = rows.map(({ kind, fields }) => (kind === 'row' ? fields : kind))
      expect({ ...sample, rows: ours }).toEqual({ ...sample, rows: JSON.parse(read[n]!) })
    }
  }
})
