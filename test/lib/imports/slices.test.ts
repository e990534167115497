import { parse } from 'csv-parse/sync'
import { expect, test } from 'vitest'
import type { Delimiter, Layout } from '../../../lib/imports/header.ts'
import { readSlice, type SliceRecord } from '../../../lib/imports/records.ts'
import { type ScanState, type Slice, Slicer } from '../../../lib/imports/slices.ts'
import type { Encoding } from '../../../lib/platform/text/decoder.ts'
import { fc } from '../../support/properties.ts'

const width = 3

type Cuts = { chunk: number; records: number; bytes: number }

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Slices a file without a header and reads the slices back. */
async function importAll(bytes: Uint8Array, encoding: Encoding, delimiter: Delimiter, cuts: Cuts) {
  const layout: Layout = { delimiter, width, columns: {} }
  const start: ScanState = { offset: 0, line: 1, row: 1, slice_no: 0, utf8: { valid: 0, invalid: 0 } }
  const head = encoding === 'utf-8' || encoding === 'windows-1252' ? 'undecided' : encoding
  const slicer = new Slicer(start, head, layout, cuts)
  for (const chunk of chunksOf(bytes, cuts.chunk)) slicer.push(chunk)
  slicer.finish()
  const slices = slicer.take()
  return {
    slices,
    records: await readAll(bytes, slices, encoding, delimiter, cuts.chunk),
    found: slicer.verdict.encoding,
  }
}

async function readAll(
  bytes: Uint8Array,
  slices: Slice[],
  encoding: Encoding,
  delimiter: Delimiter,
  chunk: number,
): Promise<SliceRecord[]> {
  const layout: Layout = { delimiter, width, columns: {} }
  const records: SliceRecord[] = []
  for (const slice of slices) {
    const body = async function* () {
      yield* chunksOf(bytes.subarray(slice.byte_start, slice.byte_end), chunk)
    }
    const read = await readSlice(body(), slice, layout, encoding)
    expect(read).toHaveLength(slice.record_count)
    records.push(...read)
  }
  return records
}

function encode(text: string, encoding: Encoding): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text)
  if (encoding === 'windows-1252') return Buffer.from(text, 'latin1')
  const bytes = Buffer.from(text, 'utf16le')
  return encoding === 'utf-16be' ? bytes.swap16() : bytes
}

const cuts: fc.Arbitrary<Cuts> = fc.record({
  chunk: fc.integer({ min: 1, max: 50 }),
  records: fc.integer({ min: 1, max: 6 }),
  bytes: fc.integer({ min: 1, max: 200 }),
})
const encodings = fc.constantFrom<Encoding>('utf-8', 'utf-16le', 'utf-16be', 'windows-1252')
const lineEnds = fc.constantFrom('\n', '\r\n', '\r')

/** Well-formed files: fields plain or quoted, with delimiters, quotes, accents and line ends inside. */
const wellFormed = fc
  .record({
    delimiter: fc.constantFrom<Delimiter>(',', ';', '\t', '|'),
    encoding: encodings,
    lineEnd: lineEnds,
    lastEnd: fc.boolean(),
    rows: fc.array(
      fc.array(
        fc.string({
          unit: fc.constantFrom('a', 'é', ' ', '"', ',', ';', '\t', '|', '\n', '\r', 'ÿ'),
          maxLength: 6,
        }),
        {
          minLength: width,
          maxLength: width,
        },
      ),
      { minLength: 1, maxLength: 12 },
    ),
    quoting: fc.infiniteStream(fc.boolean()),
  })
  .map(({ delimiter, encoding, lineEnd, lastEnd, rows, quoting }) => {
    const written = (value: string) => {
      const must = /["\n\r]/.test(value) || value.includes(delimiter) || /^\s|\s$/.test(value)
      return must || quoting.next().value ? `"${value.replaceAll('"', '""')}"` : value
    }
    // A first field keeps the line from being blank; its text keeps UTF-8 from looking like windows-1252.
    const lines = rows.map((row, at) => [`"ré${at}"`, ...row.slice(1).map(written)].join(delimiter))
    return { delimiter, encoding, text: lines.join(lineEnd) + (lastEnd ? lineEnd : ''), count: rows.length }
  })

test('slices of a well-formed file hold exactly the records that csv-parse finds in the whole', async () => {
  await fc.assert(
    fc.asyncProperty(wellFormed, cuts, async ({ delimiter, encoding, text, count }, cut) => {
      const { records, found } = await importAll(encode(text, encoding), encoding, delimiter, cut)
      const whole = parse(text, {
        delimiter,
        record_delimiter: ['\r\n', '\n', '\r'],
        relax_quotes: true,
        ltrim: true,
        rtrim: true,
      })
      expect(whole).toHaveLength(count)
      expect(records.map(({ fields }) => fields)).toEqual(whole)
      expect(records.map(({ row }) => row)).toEqual(whole.map((_, at) => at + 1))
      expect(found).toBe(encoding)
    }),
    { numRuns: 1500 },
  )
})

const bytes = fc
  .array(fc.constantFrom('"', ',', '\n', '\r', 'a', ' ', '\0', '\u00e9', '\u20ac', '\ud83d\ude00'), {
    maxLength: 80,
  })
  .chain((parts) => encodings.map((encoding) => ({ encoding, bytes: encode(parts.join(''), encoding) })))

test('whatever the bytes, slices leave out nothing but lines of blanks and commas, and the cuts make no difference to the records', async () => {
  await fc.assert(
    fc.asyncProperty(bytes, fc.nat(), cuts, async ({ encoding, bytes: all }, end, cut) => {
      const file = all.subarray(0, all.length - (end % 2))
      const { slices, records } = await importAll(file, encoding, ',', cut)
      const whole = await importAll(file, encoding, ',', { chunk: 1000, records: 1000, bytes: 1e6 })
      expect(records).toEqual(whole.records)
      for (const [at, slice] of slices.entries()) {
        const before = slices[at - 1]
        if (before) {
          expect(file.subarray(before.byte_end, slice.byte_start).toString('latin1')).toMatch(/^[\s,\0]*$/)
          expect(slice.first_row).toBe(before.first_row + before.record_count)
        }
        expect(slice.byte_end).toBeLessThanOrEqual(file.length)
      }
    }),
    { numRuns: 1500 },
  )
})

test('a scan paused after any chunk and taken up again finds the same records and the same encoding', async () => {
  await fc.assert(
    fc.asyncProperty(bytes, cuts, fc.nat(), async ({ encoding, bytes: file }, cut, stop) => {
      const layout: Layout = { delimiter: ',', width, columns: {} }
      const head = encoding === 'utf-8' || encoding === 'windows-1252' ? 'undecided' : encoding
      const start: ScanState = { offset: 0, line: 1, row: 1, slice_no: 0, utf8: { valid: 0, invalid: 0 } }
      const limits = { records: 1000, bytes: 1e6 }
      const first = new Slicer(start, head, layout, limits)
      const at = stop % (file.length + 1)
      for (const chunk of chunksOf(file.subarray(0, at), cut.chunk)) first.push(chunk)
      const state = first.pause()
      if (!state) return
      const second = new Slicer(state, head, layout, limits)
      second.push(file.subarray(state.offset))
      second.finish()
      const slices = [...first.take(), ...second.take()]
      const whole = await importAll(file, encoding, ',', { chunk: 1000, ...limits })
      expect(await readAll(file, slices, encoding, ',', 7)).toEqual(whole.records)
      expect(second.verdict.encoding).toBe(whole.found)
    }),
    { numRuns: 1500 },
  )
})

test('of a ten-megabyte line in UTF-16 only its beginning is held and shown', async () => {
  const text = `a,b,c\n${'long '.repeat(1_000_000)}\nd,e,f\n`
  const { records } = await importAll(encode(text, 'utf-16le'), 'utf-16le', ',', {
    chunk: 65_536,
    records: 10,
    bytes: 1e9,
  })
  expect(records.map(({ row, line, fields }) => [row, line, fields?.[0]])).toEqual([
    [1, 1, 'a'],
    [2, 2, undefined],
    [3, 3, 'd'],
  ])
  expect(records[1]!.raw).toBe('long '.repeat(1000).slice(0, 2048))
})
