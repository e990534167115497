import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lineSplitter, openLogFile } from '../../../infra/local/logs.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'insighta-logs-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

describe('a log file', () => {
  test('keeps lines in their order, over a reopening too', async () => {
    const path = join(dir, 'deep', 'f.log')
    const first = openLogFile(path)
    for (const line of ['one', 'two']) first.write(line)
    await first.flush()
    const second = openLogFile(path)
    second.write('three')
    await second.flush()
    expect(await readFile(path, 'utf8')).toBe('one\ntwo\nthree\n')
  })

  test('that is full makes way for a new one, and one old one is kept', async () => {
    const path = join(dir, 'f.log')
    const log = openLogFile(path, 100)
    for (let i = 0; i < 10; i++) {
      log.write(String(i).repeat(59))
      await log.flush()
    }
    expect(await readFile(path, 'utf8')).toBe(`${'9'.repeat(59)}\n`)
    expect(await readFile(`${path}.1`, 'utf8')).toBe(`${'8'.repeat(59)}\n`)
    await expect(stat(`${path}.2`)).rejects.toThrow('ENOENT')
  })

  test('that cannot be written says so on flush', async () => {
    const log = openLogFile(dir)
    log.write('lost')
    await expect(log.flush()).rejects.toThrow('EISDIR')
  })
})

describe('a line splitter', () => {
  function split(...chunks: Buffer[]) {
    const lines: string[] = []
    const splitter = lineSplitter((line) => lines.push(line))
    for (const chunk of chunks) splitter.push(chunk)
    splitter.end()
    return lines
  }

  test('puts lines together over chunks, and characters too', () => {
    const bytes = Buffer.from('a\nZoë 🎉\n\nlast')
    for (let at = 0; at <= bytes.length; at++) {
      expect(split(bytes.subarray(0, at), bytes.subarray(at))).toEqual(['a', 'Zoë 🎉', '', 'last'])
    }
  })

  test('cuts a line that never ends', () => {
    const lines = split(Buffer.alloc(2_500_000, 'x'))
    expect(lines.map((line) => line.length)).toEqual([1_048_576, 1_048_576, 402_848])
  })
})
