import { PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bucket, errorCode, send, startTestS3, type TestS3 } from './fixture.ts'

const console = 'http://127.0.0.1:4000'
let s3: TestS3
beforeAll(async () => {
  s3 = await startTestS3({
    settings: {
      cors: [
        {
          allowedOrigins: [console, 'https://*.example.com'],
          allowedMethods: ['PUT'],
          allowedHeaders: ['Content-Type', 'x-amz-*'],
          exposedHeaders: ['ETag', 'x-amz-request-id'],
          maxAgeSeconds: 600,
        },
        { allowedOrigins: ['*'], allowedMethods: ['GET'] },
      ],
    },
  })
})
afterAll(() => s3.dispose())

const preflight = (origin: string, method: string, requested?: string) =>
  send({
    method: 'OPTIONS',
    url: `${s3.url}/${bucket}/a.csv`,
    headers: {
      origin,
      'access-control-request-method': method,
      ...(requested === undefined ? {} : { 'access-control-request-headers': requested }),
    },
  })

test('a preflight needs no signature and is answered from the rule that allows it', async () => {
  const answer = await preflight(console, 'PUT', 'content-type, X-Amz-Date')
  expect(answer.status).toBe(200)
  expect(answer.headers).toMatchObject({
    'access-control-allow-origin': console,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'PUT',
    'access-control-allow-headers': 'content-type, x-amz-date',
    'access-control-expose-headers': 'ETag, x-amz-request-id',
    'access-control-max-age': '600',
    vary: expect.stringContaining('Origin'),
  })
  expect((await preflight('https://eu.example.com', 'PUT')).status).toBe(200)
  const anyone = await preflight('https://anywhere.test', 'GET')
  expect(anyone.headers['access-control-allow-origin']).toBe('*')
})

test.each([
  ['another origin', 'https://example.com', 'PUT', undefined],
  ['another method', console, 'DELETE', undefined],
  ['another header', console, 'PUT', 'x-custom'],
])('a preflight for %s is forbidden', async (_what, origin, method, requested) => {
  const answer = await preflight(origin, method, requested)
  expect([answer.status, errorCode(answer)]).toEqual([403, 'AccessForbidden'])
  expect(answer.headers['access-control-allow-origin']).toBeUndefined()
})

test('a preflight that asks for nothing, or in a bucket without rules, is refused', async () => {
  const bare = await send({ method: 'OPTIONS', url: `${s3.url}/${bucket}/a.csv` })
  expect(bare.status).toBe(400)
  await s3.putBucket('closed', {})
  const url = `${s3.url}/closed/a`
  const headers = { origin: console, 'access-control-request-method': 'PUT' }
  expect((await send({ method: 'OPTIONS', url, headers })).status).toBe(403)
})

test('answers carry the headers, refusals too, and only to origins that have a rule', async () => {
  const signer = s3.newClient({ requestChecksumCalculation: 'WHEN_REQUIRED' })
  const url = await getSignedUrl(signer, new PutObjectCommand({ Bucket: bucket, Key: 'a.csv' }))
  const stored = await send({ method: 'PUT', url, headers: { origin: console }, body: Buffer.from('x') })
  expect(stored.status).toBe(200)
  expect(stored.headers).toMatchObject({
    'access-control-allow-origin': console,
    'access-control-expose-headers': 'ETag, x-amz-request-id',
  })
  const refused = await send({
    method: 'PUT',
    url: `${url}0`,
    headers: { origin: console },
    body: Buffer.from('x'),
  })
  expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([403, console])
  const stranger = await send({
    method: 'PUT',
    url,
    headers: { origin: 'https://x.test' },
    body: Buffer.from('x'),
  })
  expect([stranger.status, stranger.headers['access-control-allow-origin']]).toEqual([200, undefined])
})
