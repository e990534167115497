import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { authenticate } from '../../../../infra/local/s3/auth.ts'
import {
  bucket,
  credentials,
  errorCode,
  send,
  sendSigned,
  signedHeaders,
  startTestS3,
  type TestS3,
} from './fixture.ts'

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
const documented = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const then = Date.UTC(2013, 4, 24)
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

describe('the signature of the documentation', () => {
  const host = 'examplebucket.s3.amazonaws.com'

  test('in a header is accepted, and not for another range', () => {
    const target = (range: string) => ({
      method: 'GET',
      path: '/test.txt',
      query: [],
      headers: {
        host,
        range,
        'x-amz-content-sha256': emptyHash,
        'x-amz-date': '20130524T000000Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
      },
    })
    const authorization = authenticate(target('bytes=0-9'), documented, 'us-east-1', then)
    expect(authorization).toMatchObject({ presigned: false, payloadHash: emptyHash })
    expect(() => authenticate(target('bytes=0-10'), documented, 'us-east-1', then)).toThrow(
      expect.objectContaining({ code: 'SignatureDoesNotMatch' }),
    )
  })

  test('in a query is accepted until it expires', () => {
    const query: [string, string][] = [
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'],
      ['X-Amz-Date', '20130524T000000Z'],
      ['X-Amz-Expires', '86400'],
      ['X-Amz-SignedHeaders', 'host'],
      ['X-Amz-Signature', 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'],
    ]
    const target = { method: 'GET', path: '/test.txt', query, headers: { host } }
    const authorization = authenticate(target, documented, 'us-east-1', then + 86_400_000)
    expect(authorization).toMatchObject({ presigned: true, payloadHash: 'UNSIGNED-PAYLOAD' })
    expect(() => authenticate(target, documented, 'us-east-1', then + 86_401_000)).toThrow(
      'Request has expired',
    )
  })
})

describe('a request', () => {
  let s3: TestS3
  beforeAll(async () => {
    s3 = await startTestS3()
  })
  afterAll(() => s3.dispose())
  const outcome = (answer: Awaited<ReturnType<typeof send>>) => [answer.status, errorCode(answer)]

  test('without a signature is denied', async () => {
    expect(outcome(await send({ method: 'GET', url: `${s3.url}/${bucket}/a` }))).toEqual([
      403,
      'AccessDenied',
    ])
  })

  test('under an unknown key, or with the wrong secret, is denied', async () => {
    const request = { method: 'GET', url: `${s3.url}/${bucket}?list-type=2` }
    const unknown = await sendSigned({ ...request, keys: { ...credentials, accessKeyId: 'AKIAOTHER' } })
    expect(outcome(unknown)).toEqual([403, 'InvalidAccessKeyId'])
    const wrong = await sendSigned({ ...request, keys: { ...credentials, secretAccessKey: 'other' } })
    expect(outcome(wrong)).toEqual([403, 'SignatureDoesNotMatch'])
  })

  test.each([-16, 16])('signed %i minutes from now is too skewed', async (minutes) => {
    const at = new Date(Date.now() + minutes * 60_000)
    const answer = await sendSigned({ method: 'GET', url: `${s3.url}/${bucket}?list-type=2`, at })
    expect(outcome(answer)).toEqual([403, 'RequestTimeTooSkewed'])
  })

  test('for another region is told which one to use', async () => {
    const client = s3.newClient({ region: 'us-west-2', followRegionRedirects: false })
    const listing = client.send(new ListObjectsV2Command({ Bucket: bucket }))
    await expect(listing).rejects.toMatchObject({ name: 'AuthorizationHeaderMalformed', Region: 'eu-west-1' })
  })

  test('with a session token that belongs to nobody is refused', async () => {
    const client = s3.newClient({ credentials: { ...credentials, sessionToken: 'token' } })
    const listing = client.send(new ListObjectsV2Command({ Bucket: bucket }))
    await expect(listing).rejects.toMatchObject({ name: 'InvalidToken' })
  })

  test('with an x-amz header added on the way is denied', async () => {
    const answer = await sendSigned({
      method: 'PUT',
      url: `${s3.url}/${bucket}/a`,
      body: Buffer.from('x'),
      unsigned: { 'x-amz-meta-added': '1' },
    })
    expect(outcome(answer)).toEqual([403, 'AccessDenied'])
  })

  test('with a malformed authorization is refused', async () => {
    const { headers } = signedHeaders({ method: 'GET', url: `${s3.url}/${bucket}?list-type=2` })
    for (const [authorization, code] of [
      ['Basic abc', 'InvalidRequest'],
      ['AWS4-HMAC-SHA256 Credential=x', 'AuthorizationHeaderMalformed'],
      ['AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0', 'AuthorizationHeaderMalformed'],
      [headers.authorization?.replace(/Signature=.*/, 'Signature=zz'), 'SignatureDoesNotMatch'],
    ] as const) {
      const answer = await send({
        method: 'GET',
        url: `${s3.url}/${bucket}?list-type=2`,
        headers: { ...headers, authorization: authorization ?? '' },
      })
      expect(errorCode(answer)).toBe(code)
    }
  })
})
