import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeChunked } from '../../../../infra/local/s3/chunked.ts'
import { sha256Hex, signingScope, signLines } from '../../../../infra/local/sigv4/canonical.ts'
import { fc } from '../../../support/properties.ts'
import {
  bucket,
  credentials,
  errorCode,
  region,
  send,
  signedHeaders,
  startTestS3,
  type TestS3,
} from './fixture.ts'

async function* pieces(data: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0
  for (let turn = 0; at < data.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    yield data.subarray(at, at + size)
    at += size
  }
}

async function decode(data: Buffer, sizes: readonly number[], seed?: Parameters<typeof decodeChunked>[1]) {
  const trailers = new Map<string, string>()
  const chunks: Buffer[] = []
  for await (const chunk of decodeChunked(pieces(data, sizes), seed, trailers))
    chunks.push(Buffer.from(chunk))
  return { data: Buffer.concat(chunks), trailers }
}

const emptyHash = sha256Hex('')

/** An aws-chunked body; with a seed signed as sigv4-streaming says. */
function encode(
  parts: readonly Buffer[],
  trailer?: string,
  seed?: Parameters<typeof decodeChunked>[1],
): Buffer {
  let previous = seed?.signature ?? ''
  const sign = (algorithm: string, ...lines: string[]) => {
    if (seed === undefined) return ''
    previous = signLines(algorithm, seed.scope, previous, ...lines)
    return previous
  }
  const encoded = [...parts, Buffer.alloc(0)].map((part) => {
    const signature = sign('AWS4-HMAC-SHA256-PAYLOAD', emptyHash, sha256Hex(part))
    const extension = seed === undefined ? '' : `;chunk-signature=${signature}`
    const end = part.length === 0 ? '' : '\r\n'
    return Buffer.concat([Buffer.from(`${part.length.toString(16)}${extension}\r\n`), part, Buffer.from(end)])
  })
  let tail = ''
  if (trailer !== undefined) {
    tail = `${trailer}\r\n`
    if (seed !== undefined) {
      tail += `x-amz-trailer-signature:${sign('AWS4-HMAC-SHA256-TRAILER', sha256Hex(`${trailer}\n`))}\r\n`
    }
  }
  return Buffer.concat([...encoded, Buffer.from(`${tail}\r\n`)])
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
const documentedScope = signingScope(
  'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  '20130524T000000Z',
  'us-east-1',
  's3',
)
const documentedData = Buffer.alloc(66_560, 'a')

describe('the signed chunks of the documentation', () => {
  const body = (signatures: readonly [string, string, string], tail: string) =>
    Buffer.concat([
      Buffer.from(`10000;chunk-signature=${signatures[0]}\r\n`),
      documentedData.subarray(0, 65_536),
      Buffer.from(`\r\n400;chunk-signature=${signatures[1]}\r\n`),
      documentedData.subarray(65_536),
      Buffer.from(`\r\n0;chunk-signature=${signatures[2]}\r\n${tail}`),
    ])

  test('are accepted, and not with one byte changed', async () => {
    const seed = {
      signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      scope: documentedScope,
    }
    const data = body(
      [
        'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
        '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
        'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
      ],
      '\r\n',
    )
    expect((await decode(data, [1000], seed)).data.equals(documentedData)).toBe(true)
    data[500] = 0x62
    await expect(decode(data, [1000], seed)).rejects.toMatchObject({ code: 'SignatureDoesNotMatch' })
  })

  test('with a trailer are accepted, and not with another trailer', async () => {
    const seed = {
      signature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      scope: documentedScope,
    }
    const withTrailer = (value: string) =>
      body(
        [
          'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
          '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
          '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
        ],
        `x-amz-checksum-crc32c:${value}\n\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n`,
      )
    const { data, trailers } = await decode(withTrailer('sOO8/Q=='), [777], seed)
    expect(data.equals(documentedData)).toBe(true)
    expect(trailers.get('x-amz-checksum-crc32c')).toBe('sOO8/Q==')
    await expect(decode(withTrailer('AAAAAA=='), [777], seed)).rejects.toMatchObject({
      code: 'SignatureDoesNotMatch',
    })
  })
})

describe('any chunks', () => {
  const seed = { signature: sha256Hex('seed'), scope: documentedScope }

  test('come out as they went in, however they are cut on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        fc.boolean(),
        async (arrays, sizes, signed, trailed) => {
          const parts = arrays.map((array) => Buffer.from(array))
          const body = encode(
            parts,
            trailed ? 'x-amz-checksum-crc32:AAAAAA==' : undefined,
            signed ? seed : undefined,
          )
          const decoded = await decode(body, sizes, signed ? seed : undefined)
          expect(decoded.data.equals(Buffer.concat(parts))).toBe(true)
          expect(decoded.trailers.size).toBe(trailed ? 1 : 0)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('cut short anywhere before the last chunk are never whole', async () => {
    const body = encode([Buffer.from('first chunk'), Buffer.from('second')])
    const last = body.lastIndexOf('0\r\n')
    for (let length = 0; length < last + 3; length += 1) {
      await expect(decode(body.subarray(0, length), [5])).rejects.toMatchObject({ name: 'S3Error' })
    }
  })

  test.each([
    ['no size', 'xyz\r\n'],
    ['a size too large to be one', `${'f'.repeat(40)}\r\n`],
    ['a chunk longer than it says', '1\r\nab\r\n0\r\n\r\n'],
    ['an endless header', '1'.repeat(5000)],
    ['a trailer without a name', '0\r\nnonsense\r\n\r\n'],
  ])('with %s are refused', async (_what, text) => {
    await expect(decode(Buffer.from(text), [100])).rejects.toMatchObject({ name: 'S3Error' })
  })
})

describe('a chunked PUT', () => {
  let s3: TestS3
  beforeAll(async () => {
    s3 = await startTestS3()
  })
  afterAll(() => s3.dispose())
  const data = Buffer.from('123456789')

  async function putChunked(form: string, parts: Buffer[], more: { length?: number; trailer?: string } = {}) {
    const at = new Date()
    const request = {
      method: 'PUT',
      url: `${s3.url}/${bucket}/chunked`,
      payloadHash: form,
      at,
      headers: {
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': String(more.length ?? data.length),
        ...(more.trailer === undefined ? {} : { 'x-amz-trailer': more.trailer.split(':')[0] ?? '' }),
      },
    }
    const { headers, signature } = signedHeaders(request)
    const date = headers['x-amz-date'] ?? ''
    const scope = signingScope(credentials.secretAccessKey, date, region, 's3')
    const body = encode(
      parts,
      more.trailer,
      form.startsWith('STREAMING-AWS4') ? { signature, scope } : undefined,
    )
    return send({ ...request, headers: { ...headers, 'content-length': String(body.length) }, body })
  }
  const etag = `"${createHash('md5').update(data).digest('hex')}"`
  const parts = [data.subarray(0, 4), data.subarray(4)]

  test.each([
    ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', undefined],
    ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', 'x-amz-checksum-crc32c:4waSgw=='],
    ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'x-amz-checksum-crc64nvme:rosUhgp5mIg='],
  ])('as %s is stored decoded', async (form, trailer) => {
    const answer = await putChunked(form, parts, trailer === undefined ? {} : { trailer })
    expect([answer.status, answer.headers.etag]).toEqual([200, etag])
    const [name = '', value] = trailer?.split(':') ?? []
    if (trailer !== undefined) expect(answer.headers[name]).toBe(value)
  })

  test('whose trailer does not fit its data is refused', async () => {
    const answer = await putChunked('STREAMING-UNSIGNED-PAYLOAD-TRAILER', parts, {
      trailer: 'x-amz-checksum-crc32c:AAAAAA==',
    })
    expect(errorCode(answer)).toBe('BadDigest')
  })

  test.each([8, 10])('of 9 bytes that announces %i is incomplete', async (length) => {
    const answer = await putChunked('STREAMING-AWS4-HMAC-SHA256-PAYLOAD', parts, { length })
    expect(errorCode(answer)).toBe('IncompleteBody')
  })
})
