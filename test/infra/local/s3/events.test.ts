import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { afterEach, expect, test } from 'vitest'
import { eventKey } from '../../../../infra/local/s3/notifications.ts'
import { bucket, region, startTestS3, type TestOptions, type TestS3 } from './fixture.ts'

const queueArn = 'arn:aws:sqs:eu-west-1:000000000000:import-objects'
const settings = {
  notifications: [{ id: 'imports', events: ['s3:ObjectCreated:*'], prefix: 'in/', queueArn }],
}
let s3: TestS3
afterEach(() => s3.dispose())

const start = async (options: TestOptions = { settings }) => {
  s3 = await startTestS3(options)
}
const put = (Key: string, Body = 'data') =>
  s3.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }))
const outbox = () => readdir(join(s3.dataDir, bucket, 'outbox'))

test('a stored object is announced in AWS’s own shape before its PUT is answered', async () => {
  await start()
  const answer = await put('in/import 1.csv')
  expect(s3.published).toEqual([
    {
      queueArn,
      record: {
        eventVersion: '2.1',
        eventSource: 'aws:s3',
        awsRegion: region,
        eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        eventName: 'ObjectCreated:Put',
        userIdentity: { principalId: 'AWS:000000000000' },
        requestParameters: { sourceIPAddress: '127.0.0.1' },
        responseElements: {
          'x-amz-request-id': answer.$metadata.requestId,
          'x-amz-id-2': expect.any(String),
        },
        s3: {
          s3SchemaVersion: '1.0',
          configurationId: 'imports',
          bucket: {
            name: bucket,
            ownerIdentity: { principalId: '000000000000' },
            arn: `arn:aws:s3:::${bucket}`,
          },
          object: {
            key: 'in/import+1.csv',
            size: 4,
            eTag: answer.ETag?.replaceAll('"', ''),
            sequencer: expect.stringMatching(/^[0-9A-F]{16}$/),
          },
        },
      },
    },
  ])
  expect(await outbox()).toEqual([])
})

test.each([
  ['in/a b+c.csv', 'in/a+b%2Bc.csv'],
  ['in/(1) é&=?.csv', 'in/%281%29+%C3%A9%26%3D%3F.csv'],
])('the key %s is form-encoded as %s', async (key, encoded) => {
  await start()
  expect(eventKey(key)).toBe(encoded)
  expect(new URLSearchParams(`key=${encoded}`).get('key')).toBe(key)
})

test('copies and completed uploads are announced by their own names, with rising sequencers', async () => {
  await start()
  await put('in/a.csv')
  await s3.client.send(
    new CopyObjectCommand({ Bucket: bucket, Key: 'in/b.csv', CopySource: `${bucket}/in/a.csv` }),
  )
  const target = { Bucket: bucket, Key: 'in/c.csv' }
  const { UploadId } = await s3.client.send(new CreateMultipartUploadCommand(target))
  const part = await s3.client.send(
    new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: 'abc' }),
  )
  expect(s3.published).toHaveLength(2)
  await s3.client.send(
    new CompleteMultipartUploadCommand({
      ...target,
      UploadId,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.ETag }] },
    }),
  )
  expect(s3.published.map(({ record }) => record.eventName)).toEqual([
    'ObjectCreated:Put',
    'ObjectCreated:Copy',
    'ObjectCreated:CompleteMultipartUpload',
  ])
  const sequencers = s3.published.map(({ record }) => record.s3.object.sequencer)
  expect(sequencers).toEqual([...new Set(sequencers)].sort())
})

test('only matching events, prefixes and suffixes are announced, to every rule that matches', async () => {
  await start({
    settings: {
      notifications: [
        { id: 'csv', events: ['s3:ObjectCreated:Put'], suffix: '.csv', queueArn: `${queueArn}-csv` },
        { id: 'in', events: ['s3:ObjectCreated:Copy', 's3:ObjectCreated:Put'], prefix: 'in/', queueArn },
      ],
    },
  })
  await put('out/a.txt')
  await put('out/a.csv')
  await put('in/a.csv')
  await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'in/a.csv' }))
  expect(s3.published.map(({ record }) => [record.s3.configurationId, record.s3.object.key])).toEqual([
    ['csv', 'out/a.csv'],
    ['csv', 'in/a.csv'],
    ['in', 'in/a.csv'],
  ])
})

test('a rule for an event that is never sent is refused by name', async () => {
  await start()
  const notifications = [{ id: 'x', events: ['s3:ObjectRemoved:*'], queueArn }]
  await expect(s3.putBucket('other', { notifications })).rejects.toThrow('s3:ObjectRemoved:*')
})

test('new settings of an open bucket count at once', async () => {
  await start()
  await s3.putBucket(bucket, {})
  await put('in/a.csv')
  expect(s3.published).toEqual([])
})

test('an event that could not be published is published later, and the PUT stands', async () => {
  let failures = 2
  await start({
    settings,
    async publish() {
      failures -= 1
      if (failures >= 0) throw new Error('queue is down')
    },
  })
  await put('in/a.csv')
  expect(s3.published).toEqual([])
  expect(s3.logged.join('\n')).toContain('queue is down')
  expect(s3.logged.join('\n')).not.toContain('a.csv')
  await expect.poll(() => s3.published.length, { timeout: 10_000 }).toBe(1)
  await expect.poll(outbox).toEqual([])
})

test('events that waited are published after a restart, also of objects that are gone', async () => {
  let down = true
  await start({
    settings,
    async publish() {
      if (down) throw new Error('queue is down')
    },
  })
  await put('in/kept.csv')
  await put('in/replaced.csv', 'one')
  await put('in/replaced.csv', 'three')
  await put('in/deleted.csv')
  await s3.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'in/deleted.csv' }))
  expect(await outbox()).toHaveLength(4)
  down = false
  await s3.restart()
  await expect.poll(() => s3.published.length, { timeout: 10_000 }).toBe(4)
  const seen = s3.published.map(
    ({
      record: {
        s3: { object },
      },
    }) => `${object.key} ${object.size}`,
  )
  expect(seen.sort()).toEqual(['in/deleted.csv 4', 'in/kept.csv 4', 'in/replaced.csv 3', 'in/replaced.csv 5'])
  await expect.poll(outbox).toEqual([])
})

test('a publish that never ends does not keep the server from closing, and is repeated', async () => {
  let hang = true
  const called = Promise.withResolvers<void>()
  await start({
    settings,
    async publish() {
      called.resolve()
      if (hang) await new Promise(() => {})
    },
  })
  const putting = put('in/a.csv').catch((error: unknown) => error)
  await called.promise
  hang = false
  await s3.restart()
  await putting
  await expect.poll(() => s3.published.length, { timeout: 10_000 }).toBe(1)
})

test('an event whose object a crash kept from being stored is dropped', async () => {
  await start()
  await put('in/a.csv', 'old')
  const entry = {
    id: 'lost',
    key: 'in/a.csv',
    version: 'never-stored',
    committed: false,
    queueArn,
    body: '{}',
  }
  await writeFile(join(s3.dataDir, bucket, 'outbox', 'lost.json'), JSON.stringify(entry))
  await s3.restart()
  expect(await outbox()).toEqual([])
  expect(s3.published).toHaveLength(1)
})
