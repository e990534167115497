import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startTestCloud, type TestCloud, type Upload } from './cloud.ts'

let cloud: TestCloud
let s3: S3Client
beforeAll(async () => {
  cloud = await startTestCloud()
  const { region, endpoint_s3, access_key_id, secret_access_key } = cloud.credentials.aws
  const credentials = { accessKeyId: access_key_id, secretAccessKey: secret_access_key }
  s3 = new S3Client({ region, credentials, endpoint: endpoint_s3 })
})
afterAll(async () => {
  s3?.destroy()
  await cloud?.close()
})

const Bucket = 'insighta-local-data-uploads'
const file = Buffer.from('name,gender,age,country_id\nAda,female,36,NG\n')

async function storedKeys(): Promise<string[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }))
  return Contents.map(({ Key = '' }) => Key)
}

/** A PUT with a difference; answers its status and S3's error code. */
async function put(upload: Upload, change: { url?: string; headers?: object; body?: typeof file } = {}) {
  const answer = await fetch(change.url ?? upload.url, {
    method: 'PUT',
    headers: { ...upload.headers, ...change.headers },
    body: change.body ?? file,
  })
  return [answer.status, /<Code>(\w+)</.exec(await answer.text())?.[1]]
}

describe('the presigned URL of an import', () => {
  test.each([
    ['a longer body', { body: Buffer.concat([file, file]) }],
    ['another content type', { headers: { 'content-type': 'text/html' } }],
    ['another condition', { headers: { 'if-none-match': '"0"' } }],
  ])('refuses %s, stores nothing, and still takes the right file', async (_, change) => {
    const { id, upload } = await cloud.imports.create(file.length)
    const before = await storedKeys()
    expect(await put(upload, change)).toEqual([403, 'SignatureDoesNotMatch'])
    expect(await storedKeys()).toEqual(before)
    expect(await cloud.imports.report(id)).toMatchObject({ state: 'awaiting_upload', total_rows: 0 })
    expect(await put(upload)).toEqual([200, undefined])
    expect(await cloud.imports.finished(id)).toMatchObject({ state: 'completed', total_rows: 1 })
  })

  test('refuses another key, another expiry and another method', async () => {
    const [one, other] = [await cloud.imports.create(file.length), await cloud.imports.create(file.length)]
    const { upload } = one
    const before = await storedKeys()
    const altered = [
      upload.url.replace(one.id, other.id),
      upload.url.replace(/X-Amz-Expires=\d+/, 'X-Amz-Expires=604800'),
      `${upload.url}&x-id=DeleteObject`,
    ]
    for (const url of altered) expect(await put(upload, { url })).toEqual([403, 'SignatureDoesNotMatch'])
    expect((await fetch(upload.url)).status).toBe(403)
    expect((await fetch(upload.url, { method: 'DELETE' })).status).toBe(403)
    expect(await storedKeys()).toEqual(before)
  })

  test('expires at the time that it says', async () => {
    const { id, upload } = await cloud.imports.create(file.length)
    vi.useFakeTimers({ toFake: ['Date'], now: new Date(Date.parse(upload.expires_at) + 2000) })
    try {
      expect(await put(upload)).toEqual([403, 'AccessDenied'])
    } finally {
      vi.useRealTimers()
    }
    expect((await storedKeys()).filter((key) => key.includes(id))).toEqual([])
  })

  test('takes one file: a second PUT changes neither it nor the report', async () => {
    const { id, upload } = await cloud.imports.create(file.length)
    expect((await put(upload))[0]).toBe(200)
    const other = Buffer.from(file.toString().replace('Ada', 'Eve'))
    expect(await put(upload, { body: other })).toEqual([412, 'PreconditionFailed'])
    const report = await cloud.imports.finished(id)
    expect(await put(upload, { body: other })).toEqual([412, 'PreconditionFailed'])
    expect(await cloud.imports.report(id)).toEqual(report)
    const Key = (await storedKeys()).find((key) => key.startsWith('uploads/') && key.includes(id))
    const stored = await s3.send(new GetObjectCommand({ Bucket, Key }))
    expect(await stored.Body?.transformToString()).toBe(file.toString())
  })
})

describe('a new import', () => {
  const create = (body: unknown, headers: Record<string, string> = {}) =>
    cloud.call('POST /api/imports', { body, headers })

  test('of 5 GiB is taken, of a byte more is 413', async () => {
    const size = 5 * 1024 ** 3
    expect((await create({ filename: 'a.csv', size })).status).toBe(201)
    const { status, body } = await create({ filename: 'a.csv', size: size + 1 })
    expect([status, body.code]).toEqual([413, 'too_large'])
  })

  test('with an Idempotency-Key used before is the same import, for another file a conflict', async () => {
    const headers = { 'idempotency-key': 'upload-1' }
    const first = await create({ filename: 'a.csv', size: 10 }, headers)
    const again = await create({ filename: 'a.csv', size: 10 }, headers)
    expect([first.status, again.status]).toEqual([201, 200])
    expect(again.body.id).toBe(first.body.id)
    expect((await create({ filename: 'a.csv', size: 11 }, headers)).body.code).toBe('idempotency_conflict')
    const different = await create({ filename: 'b.csv', size: 10 }, headers)
    expect([different.status, different.body.code]).toEqual([409, 'idempotency_conflict'])
    const other = await create({ filename: 'a.csv', size: 10 }, { 'idempotency-key': 'upload-2' })
    expect(other.body.id).not.toBe(first.body.id)
  })

  test('sent many times at once under one Idempotency-Key is one', async () => {
    const headers = { 'idempotency-key': 'at-once' }
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => create({ filename: 'a.csv', size: 10 }, headers)),
    )
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 200, 200, 201])
  })

  test('is listed for its team, newest first, and is 404 for another', async () => {
    const { id } = await cloud.imports.create(file.length, 'ours.csv')
    const { body } = await cloud.call('GET /api/imports?limit=1')
    expect(body.data[0]).toMatchObject({ id, filename: 'ours.csv', state: 'awaiting_upload' })
    const { key } = await cloud.newKey('admin', 'other team')
    for (const path of [`/api/imports/${id}`, `/api/imports/${id}/rejects`]) {
      const { status, body } = await cloud.call(`GET ${path}`, { key })
      expect([status, body.code]).toEqual([404, 'not_found'])
    }
    expect((await cloud.call('GET /api/imports', { key })).body).toMatchObject({ total: 0, data: [] })
  })
})
