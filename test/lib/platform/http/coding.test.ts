import zlib from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { compressedText, negotiate } from '../../../../lib/platform/http/coding.ts'

vi.mock('node:zlib', async (original) => {
  const real = await original<typeof zlib>()
  return { ...real, brotliCompressSync: vi.fn(real.brotliCompressSync), gzipSync: vi.fn(real.gzipSync) }
})

const { brotliCompressSync, gzipSync } = await import('node:zlib')

describe('Accept-Encoding', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, deflate', 'gzip'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['br;q=0.5, gzip;q=0.8', 'gzip'],
    ['br;q=0.8;level=1, gzip;q=0.8', 'br'],
    ['br;q=0, gzip', 'gzip'],
    ['br;q=0, gzip;q=0.000', undefined],
    ['br ; q=0.001', 'br'],
    ['*', 'br'],
    ['*;q=0', undefined],
    ['br;q=0, *;q=0.1', 'gzip'],
    ['identity', undefined],
    ['identity;q=1, gzip;q=0.9', undefined],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    ['zstd, deflate', undefined],
    ['br;q=2, gzip;q=0.3', 'gzip'],
    ['br;q=-1, gzip;q=nan', undefined],
    ['gzip;q=0.1234, br;q=1.5', undefined],
    [',,gzip,,', 'gzip'],
    ['brotli', undefined],
  ])('%j asks for %s', (header, coding) => {
    expect(negotiate(header).coding).toBe(coding)
  })

  it.each([
    ['identity;q=0, gzip', true],
    ['gzip, *;q=0', true],
    ['identity;q=0.0, br', true],
    ['gzip', false],
    ['*;q=0, identity;q=0.5', false],
    [undefined, false],
  ])('%j refuses a body without a coding: %s', (header, always) => {
    expect(negotiate(header).always).toBe(always)
  })
})

describe('a compressed text', () => {
  const text = JSON.stringify(Array.from({ length: 50 }, (_, n) => ({ id: n, name: `Ada Example ${n}` })))
  beforeEach(() => vi.clearAllMocks())
  afterEach(() => vi.clearAllMocks())

  it.each([
    ['br', zlib.brotliDecompressSync],
    ['gzip', zlib.gunzipSync],
  ] as const)('in %s is the text again, and a fraction of its size', (coding, decompress) => {
    const compressed = Buffer.from(compressedText(text, coding, false), 'base64')
    expect(decompress(compressed).toString()).toBe(text)
    expect(compressed.length).toBeLessThan(text.length / 4)
  })

  it('is compressed once if it is kept, for each coding', () => {
    const own = `${text} kept`
    const all = [1, 2, 3].map(() => compressedText([...own].join(''), 'br', true))
    expect(new Set(all).size).toBe(1)
    compressedText(own, 'gzip', true)
    compressedText(own, 'gzip', true)
    expect([vi.mocked(brotliCompressSync), vi.mocked(gzipSync)].map(({ mock }) => mock.calls.length)).toEqual(
      [1, 1],
    )
  })

  it('that differs in one character is another', () => {
    const own = `${text} one`
    compressedText(own, 'gzip', true)
    compressedText(`${own}.`, 'gzip', true)
    expect(gzipSync).toHaveBeenCalledTimes(2)
  })

  it('makes room for others by its size, with that of its text', () => {
    const large = (n: number) => `${n}${'x'.repeat(200 * 1024)}`
    for (let n = 0; n < 30; n++) compressedText(large(n), 'gzip', true)
    vi.clearAllMocks()
    compressedText(large(29), 'gzip', true)
    expect(gzipSync).not.toHaveBeenCalled()
    compressedText(large(0), 'gzip', true)
    expect(gzipSync).toHaveBeenCalledTimes(1)
  })

  it('is not kept if it is too long, or not asked for', () => {
    const long = 'x'.repeat(300 * 1024)
    for (const [own, keep] of [
      [long, true],
      [`${text} not kept`, false],
    ] as const) {
      vi.clearAllMocks()
      compressedText(own, 'gzip', keep)
      compressedText(own, 'gzip', keep)
      expect(gzipSync).toHaveBeenCalledTimes(2)
    }
  })
})
