import { createHash, randomBytes } from 'node:crypto'
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, startTestS3, type TestS3 } from './fixture.ts'

const mebibyte = 1024 * 1024
const first = randomBytes(5 * mebibyte)
const second = randomBytes(1000)
const md5 = (data: Buffer) => createHash('md5').update(data).digest()
const joinedEtag = `"${md5(Buffer.concat([md5(first), md5(second)])).toString('hex')}-2"`

let s3: TestS3
beforeAll(async () => {
  s3 = await startTestS3()
})
afterAll(() => s3.dispose())

async function create(Key: string, more = {}): Promise<string> {
  const upload = await s3.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key, ...more }))
  return upload.UploadId ?? ''
}

async function uploadPart(Key: string, UploadId: string, PartNumber: number, Body: Buffer, more = {}) {
  const command = new UploadPartCommand({ Bucket: bucket, Key, UploadId, PartNumber, Body, ...more })
  const { ETag, ChecksumCRC32 } = await s3.client.send(command)
  return { PartNumber, ETag, ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }) }
}

const complete = (Key: string, UploadId: string, Parts: CompletedPart[], more = {}) =>
  s3.client.send(
    new CompleteMultipartUploadCommand({
      Bucket: bucket,
      Key,
      UploadId,
      MultipartUpload: { Parts },
      ...more,
    }),
  )

const read = async (Key: string, more = {}) => {
  const object = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key, ...more }))
  return Buffer.from((await object.Body?.transformToByteArray()) ?? [])
}

describe('a multipart upload', () => {
  test('joins its parts by number, whatever the order of their arrival', async () => {
    const id = await create('joined', { ContentType: 'text/csv', Metadata: { a: 'b' } })
    const two = await uploadPart('joined', id, 7, second)
    const one = await uploadPart('joined', id, 2, first)
    const done = await complete('joined', id, [one, two])
    expect(done.ETag).toBe(joinedEtag)
    const whole = Buffer.concat([first, second])
    expect((await read('joined')).equals(whole)).toBe(true)
    const seam = await read('joined', { Range: `bytes=${first.length - 10}-${first.length + 9}` })
    expect(seam.equals(whole.subarray(first.length - 10, first.length + 10))).toBe(true)
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'joined' }))
    expect(head).toMatchObject({
      ContentLength: whole.length,
      ContentType: 'text/csv',
      Metadata: { a: 'b' },
      ETag: joinedEtag,
    })
  })

  test('is not there before it is complete, and completing it again gives the same answer', async () => {
    const id = await create('twice')
    const parts = [await uploadPart('twice', id, 1, second)]
    await expect(read('twice')).rejects.toMatchObject({ name: 'NoSuchKey' })
    const done = await complete('twice', id, parts)
    expect(await complete('twice', id, parts)).toMatchObject({ ETag: done.ETag })
    await expect(uploadPart('twice', id, 2, second)).rejects.toMatchObject({ name: 'NoSuchUpload' })
  })

  test('through lib-storage stores a stream of unknown length', async () => {
    const data = randomBytes(12 * mebibyte)
    const Body = Readable.from(
      (function* () {
        for (let at = 0; at < data.length; at += 100_000) yield data.subarray(at, at + 100_000)
      })(),
    )
    const upload = new Upload({ client: s3.client, params: { Bucket: bucket, Key: 'lib-storage', Body } })
    expect((await upload.done()).ETag).toMatch(/-3"$/)
    expect((await read('lib-storage')).equals(data)).toBe(true)
  })

  test.each([
    ['COMPOSITE', /^[\w+/]{6}==-2$/],
    ['FULL_OBJECT', /^[\w+/]{6}==$/],
  ] as const)('with a %s checksum has it verified and kept', async (ChecksumType, form) => {
    const id = await create('sum', { ChecksumAlgorithm: 'CRC32', ChecksumType })
    const parts = [await uploadPart('sum', id, 1, first), await uploadPart('sum', id, 2, second)]
    const wrong = complete('sum', id, [{ ...parts[0], ChecksumCRC32: 'AAAAAA==' }, parts[1] ?? {}])
    await expect(wrong).rejects.toMatchObject({ name: 'InvalidPart' })
    await expect(complete('sum', id, parts, { ChecksumCRC32: 'AAAAAA==' })).rejects.toMatchObject({
      name: 'BadDigest',
    })
    const done = await complete('sum', id, parts)
    expect(done).toMatchObject({ ChecksumCRC32: expect.stringMatching(form), ChecksumType })
    expect((await read('sum', { ChecksumMode: 'ENABLED' })).length).toBe(first.length + second.length)
  })

  test('refuses parts that are unknown, altered, out of order or too small', async () => {
    const id = await create('strict')
    const one = await uploadPart('strict', id, 1, second)
    const two = await uploadPart('strict', id, 2, second)
    await expect(complete('strict', id, [one, { ...two, PartNumber: 3 }])).rejects.toMatchObject({
      name: 'InvalidPart',
    })
    await expect(complete('strict', id, [one, { ...two, ETag: '"0"' }])).rejects.toMatchObject({
      name: 'InvalidPart',
    })
    await expect(complete('strict', id, [two, one])).rejects.toMatchObject({ name: 'InvalidPartOrder' })
    await expect(complete('strict', id, [one, two])).rejects.toMatchObject({ name: 'EntityTooSmall' })
    await expect(complete('strict', id, [])).rejects.toMatchObject({ name: 'MalformedXML' })
    await expect(uploadPart('strict', id, 10_001, second)).rejects.toMatchObject({ name: 'InvalidArgument' })
    await expect(complete('strict', 'unknown', [one])).rejects.toMatchObject({ name: 'NoSuchUpload' })
    await expect(complete('another', id, [one])).rejects.toMatchObject({ name: 'NoSuchUpload' })
    expect((await complete('strict', id, [one])).ETag).toMatch(/-1"$/)
  })

  test('keeps to If-None-Match when it completes', async () => {
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'taken', Body: 'x' }))
    const id = await create('taken')
    const parts = [await uploadPart('taken', id, 1, second)]
    await expect(complete('taken', id, parts, { IfNoneMatch: '*' })).rejects.toMatchObject({
      name: 'PreconditionFailed',
    })
    expect((await read('taken')).toString()).toBe('x')
  })

  test('is read to its end though it is replaced before its last parts are opened', async () => {
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'source', Body: first }))
    const id = await create('read-on')
    const parts: CompletedPart[] = []
    // More than the buffers of a connection hold.
    for (let PartNumber = 1; PartNumber <= 6; PartNumber += 1) {
      const target = { Bucket: bucket, Key: 'read-on', UploadId: id, PartNumber }
      const copied = await s3.client.send(
        new UploadPartCopyCommand({ ...target, CopySource: `${bucket}/source` }),
      )
      parts.push({ PartNumber, ETag: copied.CopyPartResult?.ETag })
    }
    await complete('read-on', id, parts)
    const reading = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'read-on' }))
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'read-on', Body: 'new' }))
    const data = Buffer.from((await reading.Body?.transformToByteArray()) ?? [])
    expect(data.equals(Buffer.concat(Array.from({ length: 6 }, () => first)))).toBe(true)
    expect((await read('read-on')).toString()).toBe('new')
  })

  test('copies parts from objects, whole or by range', async () => {
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'source', Body: first }))
    const id = await create('from-copies')
    const copy = async (PartNumber: number, CopySourceRange?: string) => {
      const command = new UploadPartCopyCommand({
        Bucket: bucket,
        Key: 'from-copies',
        UploadId: id,
        PartNumber,
        CopySource: `${bucket}/source`,
        CopySourceRange,
      })
      return { PartNumber, ETag: (await s3.client.send(command)).CopyPartResult?.ETag }
    }
    const parts = [await copy(1), await copy(2, 'bytes=10-19')]
    await expect(copy(3, `bytes=0-${first.length}`)).rejects.toMatchObject({ name: 'InvalidArgument' })
    await complete('from-copies', id, parts)
    expect((await read('from-copies')).equals(Buffer.concat([first, first.subarray(10, 20)]))).toBe(true)
  })
})

test('an upload whose last step a crash cut off is complete after the restart, and its object intact', async () => {
  const other = await startTestS3()
  try {
    const send = other.client.send.bind(other.client)
    const target = { Bucket: bucket, Key: 'crashed' }
    const { UploadId } = await send(new CreateMultipartUploadCommand(target))
    const part = await send(new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: second }))
    const uploads = join(other.dataDir, bucket, 'uploads')
    const before = join(other.dataDir, 'uploads-before')
    await cp(uploads, before, { recursive: true })
    const finish = new CompleteMultipartUploadCommand({
      ...target,
      UploadId,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.ETag }] },
    })
    const { ETag } = await send(finish)
    await other.close()
    await cp(before, uploads, { recursive: true })
    await other.restart()
    expect((await send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads ?? []).toEqual([])
    const aborting = send(new AbortMultipartUploadCommand({ ...target, UploadId }))
    await expect(aborting).rejects.toMatchObject({ name: 'NoSuchUpload' })
    expect(await send(finish)).toMatchObject({ ETag })
    const object = await send(new GetObjectCommand(target))
    expect(Buffer.from((await object.Body?.transformToByteArray()) ?? []).equals(second)).toBe(true)
  } finally {
    await other.dispose()
  }
})

describe('uploads in progress', () => {
  test('are listed with their parts, page by page, survive a restart, and leave nothing when aborted', async () => {
    const other = await startTestS3()
    try {
      const send = other.client.send.bind(other.client)
      const ids: string[] = []
      for (const Key of ['b', 'a', 'a']) {
        ids.push((await send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }))).UploadId ?? '')
      }
      const UploadId = ids[0] ?? ''
      for (const PartNumber of [3, 1, 2, 1]) {
        await send(
          new UploadPartCommand({
            Bucket: bucket,
            Key: 'b',
            UploadId,
            PartNumber,
            Body: `part ${PartNumber}`,
          }),
        )
      }
      await other.restart()
      const listed = await send(new ListMultipartUploadsCommand({ Bucket: bucket, MaxUploads: 2 }))
      expect(listed.Uploads?.map(({ Key }) => Key)).toEqual(['a', 'a'])
      const rest = await send(
        new ListMultipartUploadsCommand({
          Bucket: bucket,
          KeyMarker: listed.NextKeyMarker,
          UploadIdMarker: listed.NextUploadIdMarker,
        }),
      )
      expect(rest.Uploads?.map((upload) => upload.UploadId)).toEqual([UploadId])

      const page = await send(new ListPartsCommand({ Bucket: bucket, Key: 'b', UploadId, MaxParts: 2 }))
      expect(page).toMatchObject({ IsTruncated: true, NextPartNumberMarker: '2' })
      expect(page.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
        [1, 6],
        [2, 6],
      ])
      const last = await send(
        new ListPartsCommand({ Bucket: bucket, Key: 'b', UploadId, PartNumberMarker: '2' }),
      )
      expect(last.Parts?.map(({ PartNumber }) => PartNumber)).toEqual([3])

      await send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: 'b', UploadId }))
      const gone = send(new ListPartsCommand({ Bucket: bucket, Key: 'b', UploadId }))
      await expect(gone).rejects.toMatchObject({ name: 'NoSuchUpload' })
      expect(await readdir(join(other.dataDir, bucket, 'blobs'))).toEqual([])
    } finally {
      await other.dispose()
    }
  })
})
