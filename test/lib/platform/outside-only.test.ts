import { glob, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../../..')
const client = 'lib/platform/outside.ts'

/** A call of the global fetch, or a library that does the same. */
const ways = [
  /(?<![.\w])fetch\(/,
  /\b(?:globalThis|global)\.fetch\b/,
  /from '(?:node:)?https?'/,
  /from '(?:undici|axios|got|node-fetch|ky)'/,
]
const callsOut = (source: string) => ways.some((way) => way.test(source))

it('nothing in lib/ and functions/ calls the internet but the outside client, with its timeout and retries', async () => {
  const found: string[] = []
  for await (const file of glob('{lib,functions}/**/*.ts', { cwd: root })) {
    if (callsOut(await readFile(resolve(root, file), 'utf8'))) found.push(file)
  }
  expect(found).toEqual([client])
})

it.each([
  ["await fetch('https://example.com')", true],
  ['const answer = globalThis.fetch', true],
  ["import { request } from 'node:https'", true],
  ['await pages.forceFetch(key)', false],
  ['await cache.fetch(key)', false],
])('of %j it says %j', (source, answer) => {
  expect(callsOut(source)).toBe(answer)
})
