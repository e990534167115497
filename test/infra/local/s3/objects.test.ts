import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  ChecksumAlgorithm,
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, errorCode, sendSigned, startTestS3, type TestS3 } from './fixture.ts'

let s3: TestS3
beforeAll(async () => {
  s3 = await startTestS3()
})
afterAll(() => s3.dispose())

const put = (Key: string, Body: string | Buffer | Readable, more = {}) =>
  s3.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ...more }))
const get = (Key: string, more = {}) => s3.client.send(new GetObjectCommand({ Bucket: bucket, Key, ...more }))
const bytes = async (Key: string, more = {}) =>
  Buffer.from((await (await get(Key, more)).Body?.transformToByteArray()) ?? [])

describe('an object', () => {
  test('comes back with its bytes, headers, metadata and the md5 of its bytes as ETag', async () => {
    const stored = await put('a.txt', 'hello', {
      ContentType: 'text/plain',
      CacheControl: 'no-store',
      ContentDisposition: 'attachment; filename="a.txt"',
      ContentEncoding: 'identity',
      Metadata: { rows: '12', owner: 'team one' },
    })
    expect(stored.ETag).toBe('"5d41402abc4b2a76b9719d911017c592"')
    const object = await get('a.txt')
    expect(await object.Body?.transformToString()).toBe('hello')
    expect(object).toMatchObject({
      ETag: '"5d41402abc4b2a76b9719d911017c592"',
      ContentLength: 5,
      ContentType: 'text/plain',
      CacheControl: 'no-store',
      ContentDisposition: 'attachment; filename="a.txt"',
      ContentEncoding: 'identity',
      AcceptRanges: 'bytes',
      Metadata: { rows: '12', owner: 'team one' },
    })
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'a.txt' }))
    expect(head).toMatchObject({ ContentLength: 5, ETag: object.ETag, Metadata: object.Metadata })
    expect(head.LastModified).toEqual(object.LastModified)
    expect(head.$metadata.requestId).toMatch(/^[0-9A-F]{16}$/)
  })

  test('may be empty', async () => {
    await put('empty', '')
    expect(await bytes('empty')).toHaveLength(0)
    await expect(get('empty', { Range: 'bytes=0-' })).rejects.toMatchObject({ name: 'InvalidRange' })
  })

  test('sent as a stream of unknown pieces arrives whole, its coding stripped', async () => {
    const data = randomBytes(3_000_000)
    const pieces = Readable.from([data.subarray(0, 7), data.subarray(7, 1_000_000), data.subarray(1_000_000)])
    await s3.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: 'stream', Body: pieces, ContentLength: data.length }),
    )
    const object = await get('stream')
    expect(object.ContentEncoding).toBeUndefined()
    expect(Buffer.from((await object.Body?.transformToByteArray()) ?? []).equals(data)).toBe(true)
  })

  test.each([
    'with space',
    'plus+sign',
    'a/../b/./c',
    '/leading//double/',
    'ünï/日本/🎉',
    "q?a=b&c#d%20'()!*;:@,$~",
    '\u0001control\ttab',
    '..',
    'x'.repeat(1024),
  ])('keeps its key %j', async (key) => {
    await put(key, key)
    expect((await bytes(key)).toString()).toBe(key)
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))
    await expect(get(key)).rejects.toMatchObject({ name: 'NoSuchKey' })
  })

  test('with a key over 1,024 bytes is refused', async () => {
    await expect(put('é'.repeat(513), 'x')).rejects.toMatchObject({ name: 'KeyTooLongError' })
  })

  test('that was never stored, or lies in no bucket, is not found', async () => {
    await expect(get('absent')).rejects.toMatchObject({
      name: 'NoSuchKey',
      $metadata: { httpStatusCode: 404 },
    })
    const head = s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'absent' }))
    await expect(head).rejects.toMatchObject({ name: 'NotFound' })
    const elsewhere = s3.client.send(new GetObjectCommand({ Bucket: 'nowhere', Key: 'a' }))
    await expect(elsewhere).rejects.toMatchObject({ name: 'NoSuchBucket' })
  })

  test('is deleted as often as one likes, and with If-Match only in the version named', async () => {
    await put('gone', 'x')
    const wrong = new DeleteObjectCommand({ Bucket: bucket, Key: 'gone', IfMatch: '"0"' })
    await expect(s3.client.send(wrong)).rejects.toMatchObject({ name: 'PreconditionFailed' })
    for (let time = 0; time < 2; time += 1) {
      const answer = await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'gone' }))
      expect(answer.$metadata.httpStatusCode).toBe(204)
    }
  })
})

describe('a range', () => {
  beforeAll(async () => {
    await put('digits', '0123456789')
  })
  test.each([
    ['bytes=2-5', '2345', 'bytes 2-5/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=-99', '0123456789', 'bytes 0-9/10'],
    ['bytes=8-99', '89', 'bytes 8-9/10'],
  ])('%s is %s', async (Range, expected, contentRange) => {
    const object = await get('digits', { Range })
    expect(object.$metadata.httpStatusCode).toBe(206)
    expect(object.ContentRange).toBe(contentRange)
    expect(await object.Body?.transformToString()).toBe(expected)
  })
  test.each(['bytes=10-', 'bytes=-0'])('%s holds no byte', async (Range) => {
    await expect(get('digits', { Range })).rejects.toMatchObject({
      name: 'InvalidRange',
      $metadata: { httpStatusCode: 416 },
    })
  })
  test.each(['bytes=5-2', 'bytes=0-1,4-5', 'lines=1-2'])('%s is read over', async (Range) => {
    expect((await bytes('digits', { Range })).toString()).toBe('0123456789')
  })
})

describe('a condition', () => {
  let etag = ''
  beforeAll(async () => {
    etag = (await put('condition', 'v1')).ETag ?? ''
  })
  const failed = { name: 'PreconditionFailed', $metadata: { httpStatusCode: 412 } }
  const notModified = { $metadata: { httpStatusCode: 304 } }
  const past = new Date(Date.now() - 3_600_000)
  const future = new Date(Date.now() + 3_600_000)

  test('If-Match and If-Unmodified-Since guard a read', async () => {
    expect((await bytes('condition', { IfMatch: etag })).toString()).toBe('v1')
    await expect(get('condition', { IfMatch: '"other"' })).rejects.toMatchObject(failed)
    await expect(get('condition', { IfUnmodifiedSince: past })).rejects.toMatchObject(failed)
    expect((await bytes('condition', { IfUnmodifiedSince: future })).toString()).toBe('v1')
  })

  test('If-None-Match and If-Modified-Since save one', async () => {
    await expect(get('condition', { IfNoneMatch: etag })).rejects.toMatchObject(notModified)
    await expect(get('condition', { IfModifiedSince: future })).rejects.toMatchObject(notModified)
    expect((await bytes('condition', { IfModifiedSince: past })).toString()).toBe('v1')
    expect((await bytes('condition', { IfNoneMatch: '"other"', IfModifiedSince: future })).toString()).toBe(
      'v1',
    )
  })

  test('If-None-Match: * lets the first write through and no later one', async () => {
    await put('once', 'first', { IfNoneMatch: '*' })
    await expect(put('once', 'second', { IfNoneMatch: '*' })).rejects.toMatchObject(failed)
    expect((await bytes('once')).toString()).toBe('first')
  })

  test('If-None-Match: * lets exactly one of many concurrent writes through', async () => {
    const writes = Array.from({ length: 8 }, (_, index) =>
      put('race', `${index}`.repeat(200_000), { IfNoneMatch: '*' }),
    )
    const settled = await Promise.allSettled(writes)
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const winner = settled.findIndex(({ status }) => status === 'fulfilled')
    expect((await bytes('race')).toString()).toBe(`${winner}`.repeat(200_000))
    const loser = settled.find((result) => result.status === 'rejected')
    expect(loser?.reason).toMatchObject(failed)
  })

  test('If-Match writes over the version named and no other', async () => {
    const first = await put('match', 'v1')
    await expect(put('match', 'v2', { IfMatch: '"other"' })).rejects.toMatchObject(failed)
    await put('match', 'v2', { IfMatch: first.ETag })
    await expect(put('match', 'v3', { IfMatch: first.ETag })).rejects.toMatchObject(failed)
    await expect(put('missing', 'v1', { IfMatch: first.ETag })).rejects.toMatchObject({ name: 'NoSuchKey' })
  })
})

describe('a checksum', () => {
  const algorithms = Object.values(ChecksumAlgorithm).filter((name) =>
    /^(CRC32|CRC32C|CRC64NVME|SHA1|SHA256)$/.test(name),
  )
  test.each(algorithms)('%s computed by the SDK is verified, kept, and given to who asks', async (name) => {
    const stored = await put('sum', 'some bytes', { ChecksumAlgorithm: name })
    const field = `Checksum${name}` as 'ChecksumCRC32'
    expect(stored[field]).toBeTruthy()
    const asked = await get('sum', { ChecksumMode: 'ENABLED' })
    expect(asked[field]).toBe(stored[field])
    const plain = s3.newClient({ responseChecksumValidation: 'WHEN_REQUIRED' })
    const unasked = await plain.send(new HeadObjectCommand({ Bucket: bucket, Key: 'sum' }))
    expect(unasked[field]).toBeUndefined()
  })

  test.each(algorithms)('%s sent behind a streamed body is verified and kept', async (ChecksumAlgorithm) => {
    const data = randomBytes(300_000)
    const Body = Readable.from([data.subarray(0, 100_001), data.subarray(100_001)])
    await put('trailer', Body, { ContentLength: data.length, ChecksumAlgorithm })
    const whole = await put('whole', data, { ChecksumAlgorithm })
    const field = `Checksum${ChecksumAlgorithm}` as 'ChecksumCRC32'
    const stored = await get('trailer', { ChecksumMode: 'ENABLED' })
    expect([stored[field], stored.ContentEncoding]).toEqual([whole[field], undefined])
    expect(stored[field]).toBeTruthy()
    expect(Buffer.from((await stored.Body?.transformToByteArray()) ?? []).equals(data)).toBe(true)
  })

  test.each([
    ['content-md5', 'AAAAAAAAAAAAAAAAAAAAAA==', 'BadDigest'],
    ['content-md5', 'short', 'InvalidDigest'],
    ['x-amz-checksum-crc32', 'AAAAAA==', 'BadDigest'],
    ['x-amz-checksum-crc32c', 'AAAAAA==', 'BadDigest'],
    ['x-amz-checksum-crc64nvme', 'AAAAAAAAAAA=', 'BadDigest'],
    ['x-amz-checksum-sha1', Buffer.alloc(20).toString('base64'), 'BadDigest'],
    ['x-amz-checksum-sha256', Buffer.alloc(32).toString('base64'), 'BadDigest'],
    ['x-amz-checksum-sha256', 'nonsense', 'InvalidDigest'],
  ])('%s: %s that does not fit is %s and stores nothing', async (header, value, code) => {
    const url = `${s3.url}/${bucket}/bad`
    const answer = await sendSigned({
      method: 'PUT',
      url,
      body: Buffer.from('data'),
      headers: { [header]: value },
    })
    expect([answer.status, errorCode(answer)]).toEqual([400, code])
    await expect(get('bad')).rejects.toMatchObject({ name: 'NoSuchKey' })
  })

  test('of the signed payload that does not fit stores nothing', async () => {
    const url = `${s3.url}/${bucket}/bad`
    const request = { method: 'PUT', url, body: Buffer.from('data'), payloadHash: 'a'.repeat(64) }
    expect(errorCode(await sendSigned(request))).toBe('XAmzContentSHA256Mismatch')
    await expect(get('bad')).rejects.toMatchObject({ name: 'NoSuchKey' })
  })
})

describe('a copy', () => {
  test('takes bytes and metadata along, or new metadata when told', async () => {
    await put('from here+é', 'copied', { ContentType: 'text/csv', Metadata: { rows: '1' } })
    const CopySource = `${bucket}/${encodeURIComponent('from here+é')}`
    const copy = (more = {}) =>
      s3.client.send(new CopyObjectCommand({ Bucket: bucket, Key: 'to', CopySource, ...more }))
    const answer = await copy()
    expect(answer.CopyObjectResult?.ETag).toBe((await get('to')).ETag)
    expect(await get('to')).toMatchObject({ ContentType: 'text/csv', Metadata: { rows: '1' } })
    await copy({ MetadataDirective: 'REPLACE', ContentType: 'text/plain', Metadata: { rows: '2' } })
    expect(await get('to')).toMatchObject({ ContentType: 'text/plain', Metadata: { rows: '2' } })
    expect((await bytes('to')).toString()).toBe('copied')
    await expect(copy({ CopySourceIfMatch: '"other"' })).rejects.toMatchObject({ name: 'PreconditionFailed' })
    await expect(copy({ IfNoneMatch: '*' })).rejects.toMatchObject({ name: 'PreconditionFailed' })
  })

  test('of nothing, or onto itself, is refused', async () => {
    await put('self', 'x')
    const copy = (source: string) =>
      s3.client.send(new CopyObjectCommand({ Bucket: bucket, Key: 'self', CopySource: source }))
    await expect(copy(`${bucket}/self`)).rejects.toMatchObject({ name: 'InvalidRequest' })
    await expect(copy(`${bucket}/absent`)).rejects.toMatchObject({ name: 'NoSuchKey' })
    await expect(copy('nowhere/self')).rejects.toMatchObject({ name: 'NoSuchBucket' })
    await expect(copy('nokey')).rejects.toMatchObject({ name: 'InvalidArgument' })
  })
})

describe('replacement and restart', () => {
  test('a reader keeps the old bytes with the old ETag while the object is replaced and deleted', async () => {
    const old = randomBytes(8_000_000)
    const { ETag } = await put('replaced', old)
    const reading = await get('replaced')
    await put('replaced', 'new')
    await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'replaced' }))
    expect(reading.ETag).toBe(ETag)
    expect(Buffer.from((await reading.Body?.transformToByteArray()) ?? []).equals(old)).toBe(true)
  })

  test('replaced and refused bodies leave no bytes on disk', async () => {
    const fresh = await startTestS3()
    try {
      const write = (Body: string, more = {}) =>
        fresh.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'space', Body, ...more }))
      await write('one')
      await write('two')
      await expect(write('x', { IfNoneMatch: '*' })).rejects.toThrow()
      await expect(write('x', { ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' })).rejects.toThrow()
      expect(await readdir(join(fresh.dataDir, bucket, 'blobs'))).toHaveLength(1)
    } finally {
      await fresh.dispose()
    }
  })

  test('everything survives a restart', async () => {
    await put('kept/日本', 'still here', { ContentType: 'text/csv', Metadata: { a: 'b' } })
    await s3.restart()
    expect(await get('kept/日本')).toMatchObject({ ContentType: 'text/csv', Metadata: { a: 'b' } })
    expect((await bytes('kept/日本')).toString()).toBe('still here')
  })
})
