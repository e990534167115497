import { expect, test } from 'vitest'
import { chunksOf } from '../../../lib/interviews/chunks.ts'
import { fc } from '../../support/properties.ts'

test('a short text is one chunk, and none has none', () => {
  expect(chunksOf('Ada Obi\nEngineer')).toEqual(['Ada Obi\nEngineer'])
  expect(chunksOf('')).toEqual([])
  expect(chunksOf('  \n ')).toEqual([])
})

test('a long text is cut between words, and each chunk repeats the end of the one before', () => {
  const words = Array.from({ length: 500 }, (_, index) => `word${index}`)
  const chunks = chunksOf(words.join(' '))
  expect(chunks.length).toBeGreaterThan(4)
  for (const chunk of chunks) expect(chunk).toMatch(/^word\d+( word\d+)*$/)
  for (const [index, chunk] of chunks.slice(1).entries()) {
    const before = chunks[index]!
    const repeated = before.slice(before.lastIndexOf(chunk.split(' ')[0]!))
    expect(repeated.length).toBeGreaterThan(130)
    expect(chunk.startsWith(repeated)).toBe(true)
  }
})

test('a text without a blank is cut too, and no character is halved', () => {
  const text = '𝒜'.repeat(2000)
  const chunks = chunksOf(text)
  for (const chunk of chunks) {
    expect(chunk.length).toBeLessThanOrEqual(800)
    expect(chunk.isWellFormed()).toBe(true)
  }
  expect(chunks.length).toBe(6)
})

test('whatever the text: chunks of 800 characters at the most that hold every word of it', () => {
  const words = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), { maxLength: 400 })
  fc.assert(
    fc.property(words, (words) => {
      const text = words.join(' ')
      const chunks = chunksOf(text)
      let from = 0
      for (const chunk of chunks) {
        expect(chunk.length).toBeLessThanOrEqual(800)
        const at = text.indexOf(chunk, from)
        expect(at).toBeGreaterThanOrEqual(from)
        from = at + 1
      }
      const held = new Set(chunks.flatMap((chunk) => chunk.split(/\s+/)))
      for (const word of text.split(/\s+/).filter(Boolean)) expect(held).toContain(word)
    }),
    { numRuns: 100 },
  )
})
