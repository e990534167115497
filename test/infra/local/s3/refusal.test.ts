import { createHash, randomBytes } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, errorCode, send, sendSigned, signedHeaders, startTestS3, type TestS3 } from './fixture.ts'

let s3: TestS3
beforeAll(async () => {
  s3 = await startTestS3()
  await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'taken', Body: 'first' }))
})
afterAll(() => s3.dispose())
const url = (path: string) => `${s3.url}/${bucket}${path}`
const large = randomBytes(20_000_000)

describe('a refused body', () => {
  test('is never asked for when the client expects 100-continue', async () => {
    const request = { method: 'PUT', url: url('/taken'), body: large, waitForContinue: true }
    const refused = await sendSigned({ ...request, headers: { 'if-none-match': '*' } })
    expect([refused.status, errorCode(refused), refused.continued]).toEqual([
      412,
      'PreconditionFailed',
      false,
    ])
    const unsigned = await send(request)
    expect([unsigned.status, unsigned.continued]).toEqual([403, false])
    const accepted = await sendSigned({ ...request, url: url('/asked') })
    expect([accepted.status, accepted.continued]).toEqual([200, true])
  })

  test('of 20 MB still leads to the answer and not to a reset connection', async () => {
    const request = { method: 'PUT', url: url('/taken'), body: large }
    const conflict = await sendSigned({ ...request, headers: { 'if-none-match': '*' } })
    expect([conflict.status, errorCode(conflict)]).toEqual([412, 'PreconditionFailed'])
    expect(conflict.headers.connection).toBe('close')
    expect(errorCode(await send(request))).toBe('AccessDenied')
    const putting = s3.client.send(
      new PutObjectCommand({ Bucket: bucket, Key: 'taken', Body: large, IfNoneMatch: '*' }),
    )
    await expect(putting).rejects.toMatchObject({ name: 'PreconditionFailed' })
  })

  // Such as Python's: it would get the reset connection of a server that closes without reading on.
  test.each([
    ['refused at once', {}, { 'if-none-match': '*' }],
    [
      'wrong in the middle',
      { payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' },
      { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '1000' },
    ],
  ])(
    '%s is answered to a client that reads nothing before its last byte is sent',
    async (_what, form, headers) => {
      const signed = signedHeaders({ method: 'PUT', url: url('/taken'), body: large, headers, ...form })
      const lines = Object.entries(signed.headers).map(([name, value]) => `${name}: ${value}\r\n`)
      const socket = connect(s3.port, '127.0.0.1').pause()
      socket.write(`PUT /${bucket}/taken HTTP/1.1\r\n${lines.join('')}\r\n`)
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.write(large, (error) => (error ? reject(error) : resolve()))
      })
      const answer = Buffer.concat((await socket.toArray()) as Buffer[]).toString()
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d .*<Error><Code>/s)
    },
  )

  test('of 20 MB where a small document belongs leads to the answer', async () => {
    const answer = await sendSigned({ method: 'POST', url: url('?delete'), body: large })
    expect([answer.status, errorCode(answer)]).toEqual([400, 'MalformedXML'])
  })

  test('that turns out wrong in the middle leads to the answer', async () => {
    const headers = {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(large.length),
    }
    const payloadHash = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
    const answer = await sendSigned({ method: 'PUT', url: url('/middle'), body: large, headers, payloadHash })
    expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidRequest'])
  })
})

describe('a body cut short', () => {
  test('stores nothing and leaves nothing behind', async () => {
    const blobs = join(s3.dataDir, bucket, 'blobs')
    const before = (await readdir(blobs)).length
    const body = large.subarray(0, 1_000_000)
    const { headers } = signedHeaders({ method: 'PUT', url: url('/short'), body })
    const socket = connect(s3.port, '127.0.0.1')
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`PUT /${bucket}/short HTTP/1.1\r\n${lines.join('')}\r\n`)
    socket.write(body.subarray(0, 500_000))
    await expect.poll(async () => (await readdir(blobs)).length).toBe(before + 1)
    socket.destroy()
    await expect.poll(async () => (await readdir(blobs)).length).toBe(before)
    const getting = s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'short' }))
    await expect(getting).rejects.toMatchObject({ name: 'NoSuchKey' })
    expect(s3.logged).toEqual([])
  })

  test('by a crash is swept at the next start', async () => {
    const folder = join(s3.dataDir, bucket)
    await writeFile(join(folder, 'blobs', 'orphan'), 'half a body')
    const name = createHash('sha256').update('crashed').digest('hex')
    await writeFile(join(folder, 'objects', `${name}.json.tmp`), '{"key":"cra')
    await s3.restart()
    expect(await readdir(join(folder, 'blobs'))).not.toContain('orphan')
    expect((await readdir(join(folder, 'objects'))).filter((file) => file.endsWith('.tmp'))).toEqual([])
    await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'taken' }))
  })
})

describe('what the server does not do', () => {
  test.each([
    ['GET', '?versioning', 'versioning'],
    ['PUT', '?lifecycle', 'lifecycle'],
    ['PUT', '/a?retention', 'retention'],
    ['GET', '/taken?acl', 'acl'],
    ['GET', '/taken?partNumber=1', 'partNumber'],
    ['GET', '/taken?versionId=3', 'versionId'],
    ['POST', '/a?select&select-type=2', 'select'],
    ['GET', '?prefix=a&nonsense=1', 'nonsense'],
  ])('%s %s is 501 and named', async (method, path, name) => {
    const answer = await sendSigned({
      method,
      url: url(path),
      ...(method === 'GET' ? {} : { body: Buffer.from('x') }),
    })
    expect([answer.status, errorCode(answer)]).toEqual([501, 'NotImplemented'])
    expect(answer.body.toString()).toContain(`<Parameter>${name}</Parameter>`)
  })

  test.each([
    ['x-amz-website-redirect-location', '/b', 'NotImplemented'],
    ['x-amz-storage-class', 'GLACIER', 'NotImplemented'],
    ['x-amz-object-lock-mode', 'GOVERNANCE', 'NotImplemented'],
    ['x-amz-acl', 'public-read', 'AccessControlListNotSupported'],
    ['x-amz-expected-bucket-owner', '123456789012', 'AccessDenied'],
    ['x-amz-meta-long', 'x'.repeat(2049), 'MetadataTooLarge'],
    ['if-none-match', '"etag"', 'NotImplemented'],
  ])('a PUT with %s: %s is refused', async (name, value, code) => {
    const request = { method: 'PUT', url: url('/header'), body: Buffer.from('x'), headers: { [name]: value } }
    expect(errorCode(await sendSigned(request))).toBe(code)
  })

  test('buckets are not made by requests, and other methods are not allowed', async () => {
    expect((await sendSigned({ method: 'PUT', url: `${s3.url}/another` })).status).toBe(501)
    expect((await sendSigned({ method: 'DELETE', url: `${s3.url}/${bucket}` })).status).toBe(501)
    const patch = await sendSigned({ method: 'PATCH', url: url('/taken') })
    expect([patch.status, errorCode(patch)]).toEqual([405, 'MethodNotAllowed'])
  })

  test('a PUT of over 5 GiB, of no length, or to a path that cannot be read is refused', async () => {
    const headers = { 'content-length': String(5 * 1024 ** 3 + 1) }
    const request = { method: 'PUT', url: url('/huge'), headers, payloadHash: 'UNSIGNED-PAYLOAD' }
    const { headers: signed } = signedHeaders(request)
    const tooLarge = await send({ ...request, headers: signed, waitForContinue: true })
    expect([tooLarge.status, errorCode(tooLarge)]).toEqual([400, 'EntityTooLarge'])
    const endless = signedHeaders({ method: 'PUT', url: url('/endless'), payloadHash: 'UNSIGNED-PAYLOAD' })
    const noLength = await send({
      method: 'PUT',
      url: url('/endless'),
      headers: { ...endless.headers, 'transfer-encoding': 'chunked' },
      body: Buffer.from('x'),
    })
    expect([noLength.status, errorCode(noLength)]).toEqual([411, 'MissingContentLength'])
    expect(errorCode(await send({ method: 'GET', url: url('/%ff') }))).toBe('InvalidURI')
  })
})
