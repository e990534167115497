import { randomBytes } from 'node:crypto'
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, errorCode, send, startTestS3, type TestS3 } from './fixture.ts'

let s3: TestS3
let signer: S3Client
beforeAll(async () => {
  s3 = await startTestS3()
  signer = s3.newClient({ requestChecksumCalculation: 'WHEN_REQUIRED' })
})
afterAll(() => s3.dispose())

const body = Buffer.from('name,gender,age,country_id\nAda,female,36,NG\n')
const headers = { 'content-type': 'text/csv', 'if-none-match': '*' }

/** A URL for one PUT of exactly this length and type, as the platform hands it out. */
function putUrl(key: string, more: { expiresIn?: number; signingDate?: Date } = {}): Promise<string> {
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    ContentLength: body.length,
    ContentType: 'text/csv',
    IfNoneMatch: '*',
  })
  const signableHeaders = new Set(['host', 'content-length', 'content-type', 'if-none-match'])
  return getSignedUrl(signer, command, {
    expiresIn: 900,
    signableHeaders,
    unhoistableHeaders: new Set(['if-none-match']),
    ...more,
  })
}

const stored = async (key: string) => {
  const object = await s3.client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
  return object.Body?.transformToString()
}

describe('a presigned PUT', () => {
  test('stores once, and a second one changes nothing', async () => {
    const url = await putUrl('import.csv')
    expect(new URL(url).searchParams.get('X-Amz-SignedHeaders')).toBe(
      'content-length;content-type;host;if-none-match',
    )
    const first = await send({
      method: 'PUT',
      url,
      headers: { ...headers, 'content-length': String(body.length) },
      body,
    })
    expect(first.status).toBe(200)
    const second = await send({ method: 'PUT', url, headers, body })
    expect([second.status, errorCode(second)]).toEqual([412, 'PreconditionFailed'])
    expect(await stored('import.csv')).toBe(body.toString())
  })

  test('works from fetch', async () => {
    const answer = await fetch(await putUrl('fetched.csv'), { method: 'PUT', headers, body })
    expect(answer.status).toBe(200)
    expect(await stored('fetched.csv')).toBe(body.toString())
  })

  test.each([
    ['a longer body', { body: Buffer.concat([body, body]) }],
    ['a shorter body', { body: body.subarray(1) }],
    ['another type', { headers: { ...headers, 'content-type': 'text/html' } }],
    ['a signed header left out', { headers: { 'content-type': 'text/csv' } }],
    ['another condition', { headers: { ...headers, 'if-none-match': '"0"' } }],
  ])('with %s is 403 and stores nothing', async (_what, change) => {
    const answer = await send({ method: 'PUT', url: await putUrl('refused.csv'), headers, body, ...change })
    expect([answer.status, errorCode(answer)]).toEqual([403, 'SignatureDoesNotMatch'])
    await expect(stored('refused.csv')).rejects.toMatchObject({ name: 'NoSuchKey' })
  })

  test('without a length is 403: the signed header is missing', async () => {
    const answer = await send({
      method: 'PUT',
      url: await putUrl('refused.csv'),
      headers: { ...headers, 'transfer-encoding': 'chunked' },
      body,
    })
    expect(answer.status).toBe(403)
  })

  test('to another key, under another method or with another query is 403', async () => {
    const url = await putUrl('refused.csv')
    const altered = [
      url.replace('refused', 'other'),
      `${url}&extra=1`,
      url.replace('Expires=900', 'Expires=901'),
    ]
    for (const target of altered) {
      const answer = await send({ method: 'PUT', url: target, headers, body })
      expect([answer.status, errorCode(answer)]).toEqual([403, 'SignatureDoesNotMatch'])
    }
    const get = await send({ method: 'DELETE', url, headers: { ...headers, 'content-length': '0' } })
    expect(get.status).toBe(403)
  })

  test('with an unsigned x-amz header is 403', async () => {
    const answer = await send({
      method: 'PUT',
      url: await putUrl('refused.csv'),
      headers: { ...headers, 'x-amz-meta-extra': '1' },
      body,
    })
    expect([answer.status, errorCode(answer)]).toEqual([403, 'AccessDenied'])
  })

  test('after its time is 403 Request has expired, before it 403 too', async () => {
    const late = await putUrl('late.csv', { expiresIn: 60, signingDate: new Date(Date.now() - 61_000) })
    const expired = await send({ method: 'PUT', url: late, headers, body })
    expect([expired.status, errorCode(expired)]).toEqual([403, 'AccessDenied'])
    expect(expired.body.toString()).toContain('<Message>Request has expired</Message>')
    const early = await putUrl('early.csv', { signingDate: new Date(Date.now() + 16 * 60_000) })
    const future = await send({ method: 'PUT', url: early, headers, body })
    expect(future.body.toString()).toContain('<Message>Request is not yet valid</Message>')
  })

  test('for more than seven days is refused', async () => {
    const url = (await putUrl('long.csv')).replace('Expires=900', 'Expires=604801')
    const answer = await send({ method: 'PUT', url, headers, body })
    expect([answer.status, errorCode(answer)]).toEqual([400, 'AuthorizationQueryParametersError'])
  })

  test('that carries the checksum of another body is refused, as AWS does', async () => {
    const command = new PutObjectCommand({ Bucket: bucket, Key: 'sum.csv' })
    const url = await getSignedUrl(s3.client, command)
    expect(new URL(url).searchParams.get('x-amz-checksum-crc32')).toBe('AAAAAA==')
    const answer = await send({ method: 'PUT', url, body })
    expect([answer.status, errorCode(answer)]).toEqual([400, 'BadDigest'])
  })
})

describe('a presigned GET', () => {
  test('answers with the type and name it asks for, ranges too', async () => {
    const data = randomBytes(1000)
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'rejects é.csv', Body: data }))
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: 'rejects é.csv',
      ResponseContentType: 'text/csv; charset=utf-8',
      ResponseContentDisposition: 'attachment; filename="rejects.csv"',
    })
    const url = await getSignedUrl(signer, command)
    const whole = await send({ method: 'GET', url })
    expect(whole.body.equals(data)).toBe(true)
    expect(whole.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="rejects.csv"',
    })
    const some = await send({ method: 'GET', url, headers: { range: 'bytes=10-19' } })
    expect([some.status, some.body.equals(data.subarray(10, 20))]).toEqual([206, true])
    const head = await send({ method: 'HEAD', url })
    expect(head.status).toBe(403)
  })

  test('that asks for a header with a line end in it is refused', async () => {
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: 'x',
      ResponseContentDisposition: 'a\r\nb: c',
    })
    await s3.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'x', Body: 'x' }))
    const answer = await send({ method: 'GET', url: await getSignedUrl(signer, command) })
    expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidArgument'])
  })

  test('of the withdrawn signature version 2 is told which one to use', async () => {
    const url = `${s3.url}/${bucket}/x?AWSAccessKeyId=AKIALOCALTEST&Expires=1&Signature=x`
    const answer = await send({ method: 'GET', url })
    expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidRequest'])
  })
})
