import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { exactly } from '../../../lib/platform/storage.ts'

async function* body(...chunks: string[]) {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

test('a body of the bytes that were asked for is handed on', async () => {
  expect((await buffer(exactly(body('abc', 'de'), 5))).toString()).toBe('abcde')
})

test.each([4, 6])(
  'a body cut short or too long never passes for a whole one (%i bytes asked)',
  async (bytes) => {
    await expect(buffer(exactly(body('abc', 'de'), bytes))).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    })
  },
)
