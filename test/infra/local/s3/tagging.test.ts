import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectTaggingCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type Tag,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, errorCode, send, sendSigned, startTestS3, type TestS3 } from './fixture.ts'

const queueArn = 'arn:aws:sqs:eu-west-1:000000000000:created'

let s3: TestS3
beforeAll(async () => {
  const notifications = [{ id: 'created', events: ['s3:ObjectCreated:*'], prefix: 'watched/', queueArn }]
  s3 = await startTestS3({ settings: { notifications } })
})
afterAll(() => s3.dispose())

const at = (Key: string) => ({ Bucket: bucket, Key })
const put = (Key: string, Tagging?: string) =>
  s3.client.send(new PutObjectCommand({ ...at(Key), Body: 'name\nAda\n', Tagging }))
const setTags = (Key: string, TagSet: Tag[]) =>
  s3.client.send(new PutObjectTaggingCommand({ ...at(Key), Tagging: { TagSet } }))
const tags = async (Key: string) =>
  (await s3.client.send(new GetObjectTaggingCommand(at(Key)))).TagSet?.map(({ Key, Value }) => [Key, Value])
const count = async (Key: string) => (await s3.client.send(new GetObjectCommand(at(Key)))).TagCount
const url = (path: string) => `${s3.url}/${bucket}/${path}`

describe('the tags of an object', () => {
  test('are none at first, are replaced as a whole, and deleted', async () => {
    await put('file.csv')
    expect(await tags('file.csv')).toEqual([])
    expect(await count('file.csv')).toBeUndefined()
    await setTags('file.csv', [
      { Key: 'team', Value: 'Größe 日本 + - = . _ : / @' },
      { Key: 'empty', Value: '' },
    ])
    expect(await tags('file.csv')).toEqual([
      ['team', 'Größe 日本 + - = . _ : / @'],
      ['empty', ''],
    ])
    expect(await count('file.csv')).toBe(2)
    expect((await s3.client.send(new HeadObjectCommand(at('file.csv')))).TagCount).toBe(2)
    await setTags('file.csv', [{ Key: 'only', Value: 'one' }])
    expect(await tags('file.csv')).toEqual([['only', 'one']])
    const { $metadata } = await s3.client.send(new DeleteObjectTaggingCommand(at('file.csv')))
    expect($metadata.httpStatusCode).toBe(204)
    expect(await tags('file.csv')).toEqual([])
  })

  test('leave its bytes, ETag and time alone, send no event, and survive a restart', async () => {
    await put('watched/kept.csv', 'a=1')
    const before = await s3.client.send(new HeadObjectCommand(at('watched/kept.csv')))
    await setTags('watched/kept.csv', [{ Key: 'a', Value: '2' }])
    await s3.restart()
    const { TagCount, ETag, LastModified, Body } = await s3.client.send(
      new GetObjectCommand(at('watched/kept.csv')),
    )
    expect(await Body?.transformToString()).toBe('name\nAda\n')
    expect({ TagCount, ETag, LastModified }).toEqual({
      TagCount: 1,
      ETag: before.ETag,
      LastModified: before.LastModified,
    })
    expect(await tags('watched/kept.csv')).toEqual([['a', '2']])
    expect(s3.published.filter(({ record }) => record.s3.object.key === 'watched/kept.csv')).toHaveLength(1)
  })

  test('go with the object: the next one under its key has none', async () => {
    await put('again.csv', 'a=1')
    await put('again.csv')
    expect(await tags('again.csv')).toEqual([])
  })

  test('return 404 for an object or a bucket that does not exist', async () => {
    await expect(tags('absent')).rejects.toMatchObject({ name: 'NoSuchKey' })
    await expect(setTags('absent', [])).rejects.toMatchObject({
      name: 'NoSuchKey',
      $metadata: { httpStatusCode: 404 },
    })
    await expect(s3.client.send(new DeleteObjectTaggingCommand(at('absent')))).rejects.toMatchObject({
      name: 'NoSuchKey',
    })
    const elsewhere = new GetObjectTaggingCommand({ Bucket: 'nowhere', Key: 'a' })
    await expect(s3.client.send(elsewhere)).rejects.toMatchObject({ name: 'NoSuchBucket' })
  })

  test.each([
    ['eleven', Array.from({ length: 11 }, (_, index) => [`k${index}`, 'v']), 'BadRequest'],
    [
      'two of one key',
      [
        ['a', '1'],
        ['a', '2'],
      ],
      'InvalidTag',
    ],
    ['an empty key', [['', 'v']], 'InvalidTag'],
    ['a key of 129', [['k'.repeat(129), 'v']], 'InvalidTag'],
    ['a value of 257', [['k', 'v'.repeat(257)]], 'InvalidTag'],
    ['a character outside the set', [['k', 'a & <b>']], 'InvalidTag'],
    ['a key of the system', [['aws:cost', 'v']], 'InvalidTag'],
  ])('are refused with %s', async (_what, pairs, name) => {
    await put('refused.csv', 'old=tag')
    const set = pairs.map(([Key = '', Value = '']) => ({ Key, Value }))
    await expect(setTags('refused.csv', set)).rejects.toMatchObject({
      name,
      $metadata: { httpStatusCode: 400 },
    })
    expect(await tags('refused.csv')).toEqual([['old', 'tag']])
  })

  test.each([
    '<Tagging/>',
    '<Other><TagSet/></Other>',
    '<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>',
    '<Tagging><TagSet><Label><Key>a</Key><Value>b</Value></Label></TagSet></Tagging>',
    '<Tagging><TagSet>',
    `<Tagging>${' '.repeat(70_000)}<TagSet/></Tagging>`,
  ])('are not read from %.60s', async (document) => {
    await put('malformed.csv')
    const request = { method: 'PUT', url: url('malformed.csv?tagging'), body: Buffer.from(document) }
    expect(errorCode(await sendSigned(request))).toBe('MalformedXML')
  })
})

describe('the header x-amz-tagging', () => {
  test('gives a new object its tags, also through a presigned address', async () => {
    await put('header.csv', 'team=a%20b+c&empty=&%C3%A9=%3D')
    expect(await tags('header.csv')).toEqual([
      ['team', 'a b c'],
      ['empty', ''],
      ['é', '='],
    ])
    const address = await getSignedUrl(
      s3.newClient({ requestChecksumCalculation: 'WHEN_REQUIRED' }),
      new PutObjectCommand({ ...at('presigned.csv'), Tagging: 'a=1' }),
    )
    expect((await send({ method: 'PUT', url: address, body: Buffer.from('x') })).status).toBe(200)
    expect(await tags('presigned.csv')).toEqual([['a', '1']])
  })

  test('gives a multipart upload its tags, which a restart keeps', async () => {
    const target = at('multipart.csv')
    const create = new CreateMultipartUploadCommand({ ...target, Tagging: 'a=1&b=2' })
    const { UploadId } = await s3.client.send(create)
    await s3.restart()
    const { ETag } = await s3.client.send(
      new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: 'x' }),
    )
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
    await s3.client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }))
    expect(await tags('multipart.csv')).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
  })

  test.each([
    ['a=1&a=2', 'InvalidArgument'],
    ['a=%', 'InvalidArgument'],
    ['a=%ff', 'InvalidArgument'],
    ['=1', 'InvalidArgument'],
    ['a=b%2Cc', 'InvalidArgument'],
    ['aws%3Acost=1', 'InvalidTag'],
    [Array.from({ length: 11 }, (_, index) => `k${index}=v`).join('&'), 'BadRequest'],
  ])('is refused as %s, and stores nothing', async (header, code) => {
    const headers = { 'x-amz-tagging': header }
    const body = Buffer.from('x')
    const refused = await sendSigned({ method: 'PUT', url: url('bad.csv'), body, headers })
    expect([refused.status, errorCode(refused)]).toEqual([400, code])
    await expect(tags('bad.csv')).rejects.toMatchObject({ name: 'NoSuchKey' })
    const upload = await sendSigned({ method: 'POST', url: url('bad.csv?uploads'), headers })
    expect(errorCode(upload)).toBe(code)
  })
})

describe('a copy', () => {
  const copy = (more: { TaggingDirective?: 'COPY' | 'REPLACE'; Tagging?: string } = {}) =>
    s3.client.send(new CopyObjectCommand({ ...at('copy.csv'), CopySource: `${bucket}/source.csv`, ...more }))

  beforeAll(() => put('source.csv', 'a=1'))

  test('takes the tags along, whatever the header says', async () => {
    await copy({ Tagging: 'b=2' })
    expect(await tags('copy.csv')).toEqual([['a', '1']])
    await copy({ TaggingDirective: 'COPY' })
    expect(await tags('copy.csv')).toEqual([['a', '1']])
  })

  test('takes those of the header, or none, when told to replace them', async () => {
    await copy({ TaggingDirective: 'REPLACE', Tagging: 'b=2' })
    expect(await tags('copy.csv')).toEqual([['b', '2']])
    await copy({ TaggingDirective: 'REPLACE' })
    expect(await tags('copy.csv')).toEqual([])
  })

  test('is refused under a directive that does not exist', async () => {
    const headers = { 'x-amz-copy-source': `${bucket}/source.csv`, 'x-amz-tagging-directive': 'MERGE' }
    const answer = await sendSigned({ method: 'PUT', url: url('copy.csv'), headers })
    expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidArgument'])
  })
})
