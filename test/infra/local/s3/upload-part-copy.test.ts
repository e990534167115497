import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCopyCommand,
  type UploadPartCopyCommandInput,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, errorCode, sendSigned, startTestS3, type TestS3 } from './fixture.ts'

const mebibyte = 1024 * 1024
const source = randomBytes(6 * mebibyte)
const key = 'from here+é/source.bin'
const CopySource = encodeURI(`${bucket}/${key}`).replaceAll('+', '%2B')
const target = { Bucket: bucket, Key: 'joined.bin' }

let s3: TestS3
let etag = ''
beforeAll(async () => {
  s3 = await startTestS3()
  etag = (await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: source }))).ETag ?? ''
})
afterAll(() => s3.dispose())

const start = async (more = {}) => {
  const { UploadId } = await s3.client.send(new CreateMultipartUploadCommand({ ...target, ...more }))
  return UploadId ?? ''
}

type Part = Partial<UploadPartCopyCommandInput> & { UploadId: string }

async function copy({ PartNumber = 1, ...more }: Part) {
  const command = new UploadPartCopyCommand({ ...target, PartNumber, CopySource, ...more })
  const { CopyPartResult } = await s3.client.send(command)
  return { PartNumber, ...CopyPartResult }
}

describe('a part copied from an object', () => {
  test.each(['CRC64NVME', 'CRC32'] as const)(
    'has the bytes of its range, their MD5 as ETag, and the %s that the upload asks for',
    async (ChecksumAlgorithm) => {
      const UploadId = await start({ ChecksumAlgorithm, ChecksumType: 'FULL_OBJECT' })
      const one = await copy({ UploadId, CopySourceRange: `bytes=0-${5 * mebibyte - 1}` })
      const range = `bytes=${5 * mebibyte}-${source.length - 1}`
      const two = await copy({ UploadId, PartNumber: 2, CopySourceRange: range })
      const md5 = createHash('md5')
        .update(source.subarray(0, 5 * mebibyte))
        .digest('hex')
      expect(one).toMatchObject({ ETag: `"${md5}"`, [`Checksum${ChecksumAlgorithm}`]: expect.any(String) })
      const listed = await s3.client.send(new ListPartsCommand({ ...target, UploadId }))
      expect(listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
        [1, 5 * mebibyte],
        [2, mebibyte],
      ])
      await s3.client.send(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: [one, two] } }),
      )
      // The SDK holds the checksum of the whole against what arrives.
      const joined = await s3.client.send(new GetObjectCommand({ ...target, ChecksumMode: 'ENABLED' }))
      expect(joined).toMatchObject({ [`Checksum${ChecksumAlgorithm}`]: expect.any(String) })
      expect(Buffer.from((await joined.Body?.transformToByteArray()) ?? []).equals(source)).toBe(true)
    },
  )

  const past = new Date(Date.now() - 3_600_000)
  const future = new Date(Date.now() + 3_600_000)
  const same = () => etag
  test.each([
    ['If-Match', () => ({ CopySourceIfMatch: '"other"' })],
    ['If-Unmodified-Since', () => ({ CopySourceIfUnmodifiedSince: past })],
    ['If-None-Match', () => ({ CopySourceIfNoneMatch: same() })],
    ['If-Modified-Since', () => ({ CopySourceIfModifiedSince: future })],
    [
      'If-None-Match beside a date that holds',
      () => ({ CopySourceIfNoneMatch: same(), CopySourceIfModifiedSince: past }),
    ],
  ])('returns 412 and is not made if the source fails %s', async (_name, condition) => {
    const UploadId = await start()
    await expect(copy({ UploadId, ...condition() })).rejects.toMatchObject({
      name: 'PreconditionFailed',
      Condition: expect.stringMatching(/^x-amz-copy-source-If-/),
      $metadata: { httpStatusCode: 412 },
    })
    const listed = await s3.client.send(new ListPartsCommand({ ...target, UploadId }))
    expect(listed.Parts ?? []).toEqual([])
  })

  test('is made if the conditions hold, and If-Match outweighs the date beside it', async () => {
    const UploadId = await start()
    await copy({ UploadId, CopySourceIfMatch: etag, CopySourceIfUnmodifiedSince: past })
    await copy({ UploadId, CopySourceIfNoneMatch: '"other"', CopySourceIfModifiedSince: past })
  })

  test('returns 404 without its source, its bucket or its upload', async () => {
    const UploadId = await start()
    const missing = { $metadata: { httpStatusCode: 404 } }
    const absent = copy({ UploadId, CopySource: `${bucket}/absent` })
    await expect(absent).rejects.toMatchObject({ name: 'NoSuchKey', ...missing })
    const nowhere = copy({ UploadId, CopySource: 'nowhere/key' })
    await expect(nowhere).rejects.toMatchObject({ name: 'NoSuchBucket', ...missing })
    await expect(copy({ UploadId: 'unknown' })).rejects.toMatchObject({ name: 'NoSuchUpload', ...missing })
  })

  test.each([
    [`bytes=0-${source.length}`, 'is not valid for source object of size'],
    ['bytes=5-2', 'is not valid for source object of size'],
    ['bytes=99999999-99999999', 'is not valid for source object of size'],
    ['0-2', 'of the form bytes=first-last'],
    ['bytes=0', 'of the form bytes=first-last'],
    ['bytes=-5', 'of the form bytes=first-last'],
    ['bytes=5-', 'of the form bytes=first-last'],
    ['bytes=a-b', 'of the form bytes=first-last'],
    ['bytes=0-2,3-5', 'of the form bytes=first-last'],
  ])('returns 400 for the range %s', async (CopySourceRange, reason) => {
    const UploadId = await start()
    await expect(copy({ UploadId, CopySourceRange })).rejects.toMatchObject({
      name: 'InvalidArgument',
      message: expect.stringContaining(reason),
      $metadata: { httpStatusCode: 400 },
    })
  })

  test.each(['no-key', `${bucket}/`, '/key', '%zz/key'])(
    'returns 400 for the source %s',
    async (CopySource) => {
      const uploadId = await start()
      const url = `${s3.url}/${bucket}/${target.Key}?partNumber=1&uploadId=${uploadId}`
      const headers = { 'x-amz-copy-source': CopySource }
      const answer = await sendSigned({ method: 'PUT', url, headers })
      expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidArgument'])
    },
  )

  test('of an empty object is empty, and has no range', async () => {
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'empty', Body: '' }))
    const UploadId = await start()
    const empty = { UploadId, CopySource: `${bucket}/empty` }
    expect((await copy(empty)).ETag).toBe('"d41d8cd98f00b204e9800998ecf8427e"')
    await expect(copy({ ...empty, CopySourceRange: 'bytes=0-0' })).rejects.toMatchObject({
      name: 'InvalidArgument',
    })
  })
})

test('a copy of more than 5 GiB at once is refused, whole or as a part', async () => {
  const other = await startTestS3()
  try {
    await other.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'huge', Body: 'x' }))
    const name = createHash('sha256').update('huge').digest('hex')
    const sidecar = join(other.dataDir, bucket, 'objects', `${name}.json`)
    await other.close()
    const stored = JSON.parse(await readFile(sidecar, 'utf8'))
    await writeFile(sidecar, JSON.stringify({ ...stored, size: 5 * 1024 ** 3 + 1 }))
    await other.restart()
    const huge = { Bucket: bucket, Key: 'copy', CopySource: `${bucket}/huge` }
    const tooLarge = { name: 'InvalidRequest', message: expect.stringContaining('5368709120') }
    await expect(other.client.send(new CopyObjectCommand(huge))).rejects.toMatchObject(tooLarge)
    const { UploadId } = await other.client.send(
      new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'copy' }),
    )
    const whole = new UploadPartCopyCommand({ ...huge, UploadId, PartNumber: 1 })
    await expect(other.client.send(whole)).rejects.toMatchObject(tooLarge)
  } finally {
    await other.dispose()
  }
})
