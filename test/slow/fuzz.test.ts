import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestCloud, type TestCloud } from '../e2e/cloud.ts'
import { fuzz } from '../programs/fuzz/run.ts'
import { targetOf } from '../programs/fuzz/target.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud?.close())

test('every operation gives what is described of it to 600 requests made from its description', async () => {
  const { violations, tally } = await fuzz(await targetOf(cloud.credentials), { requests: 600, seed: 12 })
  expect(violations).toEqual([])
  const document: { paths: Record<string, object> } = (await cloud.call('GET /api/openapi.json')).body
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  )
  expect([...tally.keys()]).toEqual(expect.arrayContaining(operations))
}, 300_000)
