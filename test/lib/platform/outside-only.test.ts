import { glob, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../../..')

/** Each way to the internet: the one file that may take it, with its timeout, retries and circuit breaker. */
const ways: Record<string, readonly RegExp[]> = {
  'lib/platform/outside.ts': [
    /(?<![.\w])fetch\(/,
    /\b(?:globalThis|global)\.fetch\b/,
    /(?:from |import\()'(?:node:)?https?'/,
    /(?:from |import\()'(?:undici|axios|got|node-fetch|ky)'/,
  ],
  'lib/interviews/gemini.ts': [/(?:from |import\()'@google\/genai\b/, /new GoogleGenAI\(/],
  'lib/interviews/resend.ts': [/(?:from |import\()'resend'/, /new Resend\(/],
  // Signing tokens and reading webhooks by this SDK calls nobody; its clients call LiveKit.
  'lib/interviews/livekit-rooms.ts': [
    /new (?:LiveKitAPI|\w+ServiceClient|\w+DispatchClient|EgressClient|IngressClient|SipClient|ConnectorClient)\(/,
  ],
}
const waysOf = (source: string) =>
  Object.keys(ways).filter((file) => ways[file]?.some((way) => way.test(source)))

async function sources(): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for await (const file of glob('{lib,functions}/**/*.ts', { cwd: root })) {
    found.set(file.replaceAll('\\', '/'), await readFile(resolve(root, file), 'utf8'))
  }
  return found
}

it('nothing in lib/ and functions/ calls a third party but the one file that may', async () => {
  const found: [string, string[]][] = []
  for (const [file, source] of await sources()) {
    const taken = waysOf(source)
    if (taken.length > 0) found.push([file, taken])
  }
  expect(found.sort()).toEqual(
    Object.keys(ways)
      .map((file) => [file, [file]])
      .sort(),
  )
})

it('those that call by an SDK do it inside of createThirdParty, once', async () => {
  const files = await sources()
  const calls = /\.(?:models|emails)\.\w+\(/g
  expect(files.get('lib/interviews/gemini.ts')?.match(calls)).toEqual([
    '.models.generateContent(',
    '.models.embedContent(',
  ])
  expect(files.get('lib/interviews/resend.ts')?.match(calls)).toEqual(['.emails.send('])
  const made = { gemini: 1, resend: 2, 'livekit-rooms': 1 }
  for (const [name, count] of Object.entries(made)) {
    const source = files.get(`lib/interviews/${name}.ts`)
    expect(source?.match(/\bcreateThirdParty\(/g)).toHaveLength(1)
    expect(source?.match(/\bparty\.call\(/g)).toHaveLength(count)
  }
  expect(files.get('lib/interviews/livekit.ts')?.match(/\bnew \w+\(/g)).not.toContainEqual(
    expect.stringContaining('Client'),
  )
})

it.each([
  ["await fetch('https://example.com')", ['lib/platform/outside.ts']],
  ['const answer = globalThis.fetch', ['lib/platform/outside.ts']],
  ["import { request } from 'node:https'", ['lib/platform/outside.ts']],
  ["const { GoogleGenAI } = await import('@google/genai/web')", ['lib/interviews/gemini.ts']],
  ["import { Resend } from 'resend'", ['lib/interviews/resend.ts']],
  ['const rooms = new RoomServiceClient(url)', ['lib/interviews/livekit-rooms.ts']],
  ['await pages.forceFetch(key)', []],
  ['await cache.fetch(key)', []],
])('of %j it says %j', (source, files) => {
  expect(waysOf(source)).toEqual(files)
})
