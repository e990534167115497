import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { bucket, startTestS3, type TestS3 } from './fixture.ts'

let s3: TestS3
beforeAll(async () => {
  s3 = await startTestS3()
})
afterEach(() => s3.injectFault())
afterAll(() => s3.dispose())

const body = Buffer.alloc(300_000, 'insighta')
const put = (key: string, attempts = 1) =>
  s3.newClient({ maxAttempts: attempts }).send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }))
const read = async (key: string) => {
  const { Body } = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
  return Body?.transformToByteArray()
}

test('a request that is answered 503 has no effect, and the next one succeeds', async () => {
  s3.injectFault(({ method }) => (method === 'PUT' ? { status: 503 } : undefined))
  await expect(put('refused')).rejects.toMatchObject({ name: 'SlowDown', $metadata: { httpStatusCode: 503 } })
  s3.injectFault()
  await expect(read('refused')).rejects.toMatchObject({ name: 'NoSuchKey' })
  await put('refused')
  expect(await read('refused')).toHaveLength(body.length)
})

test('an SDK that tries again gets past errors that end', async () => {
  let failures = 2
  s3.injectFault(() => (failures-- > 0 ? { status: 500 } : undefined))
  await put('again', 3)
  expect(failures).toBe(-1)
})

test('a body that is cut half way ends in an error, never in a shorter object', async () => {
  await put('cut')
  s3.injectFault(({ key }) => (key === 'cut' ? { cutAfterBytes: 100_000 } : undefined))
  await expect(read('cut')).rejects.toMatchObject({ code: 'ECONNRESET' })
  s3.injectFault()
  expect(await read('cut')).toHaveLength(body.length)
})

test('a PUT whose answer is lost has stored the object', async () => {
  s3.injectFault(({ method }) => (method === 'PUT' ? { cutAfterBytes: 0 } : undefined))
  await expect(put('lost')).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(await read('lost')).toHaveLength(body.length)
  expect(s3.logged).toEqual([])
})
