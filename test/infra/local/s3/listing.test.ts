import {
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareKeys, createSortedKeys, listPage } from '../../../../infra/local/s3/listing.ts'
import { fc } from '../../../support/properties.ts'
import { bucket, region, startTestS3, type TestS3 } from './fixture.ts'

const anyKey = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '-', '\uFF5E', '😀'),
  minLength: 1,
  maxLength: 6,
})

describe('the index', () => {
  test('orders keys by their UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (left, right) => {
        fc.pre(left.isWellFormed() && right.isWellFormed())
        expect(Math.sign(compareKeys(left, right))).toBe(
          Buffer.compare(Buffer.from(left), Buffer.from(right)),
        )
      }),
    )
  })

  test('stays sorted and free of doubles while keys come and go', () => {
    fc.assert(
      fc.property(fc.array(anyKey), fc.array(fc.tuple(anyKey, fc.boolean())), (start, changes) => {
        const model = new Set(start)
        const index = createSortedKeys(model)
        for (const [key, add] of changes) {
          if (add) {
            index.add(key)
            model.add(key)
          } else {
            index.remove(key)
            model.delete(key)
          }
        }
        expect(index.keys).toEqual([...model].sort(compareKeys))
      }),
    )
  })

  test('pages give every key or common prefix once, whatever the size of a page', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyKey, { maxLength: 30 }),
        fc.constantFrom('', 'a', 'a/', '/', 'b'),
        fc.constantFrom('', '/', '-', 'ab'),
        fc.integer({ min: 1, max: 5 }),
        (keys, prefix, delimiter, limit) => {
          const sorted = keys.sort(compareKeys)
          const expected = new Set(
            sorted
              .filter((key) => key.startsWith(prefix))
              .map((key) => {
                const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
                return at < 0 ? `key ${key}` : `prefix ${key.slice(0, at + delimiter.length)}`
              }),
          )
          const seen: string[] = []
          let after = ''
          for (let more = true; more; ) {
            const page = listPage(sorted, { prefix, delimiter, after, limit })
            seen.push(
              ...page.keys.map((key) => `key ${key}`),
              ...page.prefixes.map((group) => `prefix ${group}`),
            )
            expect(page.keys.length + page.prefixes.length).toBeLessThanOrEqual(limit)
            more = page.truncated
            after = page.last
          }
          expect(seen.toSorted()).toEqual([...expected].toSorted())
        },
      ),
    )
  })
})

describe('a bucket', () => {
  let s3: TestS3
  const keys = ['a.txt', 'dir/1.csv', 'dir/2 x.csv', 'dir/sub/3.csv', 'other/é&<>.csv', 'z\u0001.txt']
  beforeAll(async () => {
    s3 = await startTestS3()
    for (const Key of keys) await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: Key }))
  })
  afterAll(() => s3.dispose())
  const list = (more = {}) => s3.client.send(new ListObjectsV2Command({ Bucket: bucket, ...more }))

  test('lists its objects by prefix, after a key, and page by page', async () => {
    const csv = await list({ Prefix: 'dir/' })
    expect(csv.Contents?.map(({ Key }) => Key)).toEqual(keys.slice(1, 4))
    expect(csv).toMatchObject({ KeyCount: 3, IsTruncated: false, Name: bucket })
    expect(csv.Contents?.[0]).toMatchObject({
      Size: 9,
      StorageClass: 'STANDARD',
      LastModified: expect.any(Date),
    })
    const later = await list({ Prefix: 'dir/', StartAfter: 'dir/1.csv', FetchOwner: true })
    expect(later.Contents?.map(({ Key }) => Key)).toEqual(keys.slice(2, 4))
    expect(later.Contents?.[0]?.Owner?.ID).toBe('000000000000')
    const found: (string | undefined)[] = []
    const pages = paginateListObjectsV2(
      { client: s3.client, pageSize: 2 },
      { Bucket: bucket, EncodingType: 'url' },
    )
    for await (const page of pages) found.push(...(page.Contents ?? []).map(({ Key }) => Key))
    expect(found.map((key) => decodeURIComponent(key ?? ''))).toEqual(keys)
    expect(await list({ MaxKeys: 0 })).toMatchObject({ KeyCount: 0, IsTruncated: false })
    await expect(list({ ContinuationToken: 'nonsense' })).rejects.toMatchObject({ name: 'InvalidArgument' })
  })

  test('rolls keys up at a delimiter, in both versions of the call', async () => {
    const v2 = await list({ Delimiter: '/', Prefix: '' })
    expect(v2.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(['dir/', 'other/'])
    expect(v2.Contents?.[0]?.Key).toBe('a.txt')
    const v1 = await s3.client.send(new ListObjectsCommand({ Bucket: bucket, Delimiter: '/', MaxKeys: 2 }))
    expect(v1).toMatchObject({ IsTruncated: true, NextMarker: 'dir/', CommonPrefixes: [{ Prefix: 'dir/' }] })
    const next = await s3.client.send(
      new ListObjectsCommand({ Bucket: bucket, Delimiter: '/', Marker: v1.NextMarker, EncodingType: 'url' }),
    )
    expect(next.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(['other/'])
  })

  test('is there, knows its place, and is listed', async () => {
    await s3.client.send(new HeadBucketCommand({ Bucket: bucket }))
    const absent = s3.client.send(new HeadBucketCommand({ Bucket: 'nowhere' }))
    await expect(absent).rejects.toMatchObject({ name: 'NotFound' })
    const location = await s3.client.send(new GetBucketLocationCommand({ Bucket: bucket }))
    expect(location.LocationConstraint).toBe(region)
    const { Buckets } = await s3.client.send(new ListBucketsCommand({}))
    expect(Buckets?.map(({ Name }) => Name)).toEqual([bucket])
  })

  test('loses many objects in one request', async () => {
    for (const Key of ['gone 1', 'gone & <2>']) {
      await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' }))
    }
    const Objects = [{ Key: 'gone 1' }, { Key: 'gone & <2>' }, { Key: 'never there' }]
    const answer = await s3.client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }))
    expect(answer.Deleted?.map(({ Key }) => Key)).toEqual(Objects.map(({ Key }) => Key))
    expect((await list({ Prefix: 'gone' })).KeyCount).toBe(0)
    const quiet = await s3.client.send(
      new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
    )
    expect(quiet.Deleted ?? []).toEqual([])
  })
})
