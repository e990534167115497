import {
  type Checksum,
  type ChecksumAlgorithm,
  createDigest,
  declaredChecksum,
  decodeChecksum,
  decodeDigest,
} from './checksum.ts'
import { decodeChunked } from './chunked.ts'
import { S3Error } from './errors.ts'
import type { S3Request } from './types.ts'

/** The largest single PUT or part: 5 GiB. */
export const maxPutBytes = 5 * 1024 ** 3

export type BodySummary = { size: number; md5: Buffer; checksum?: Checksum }

/** `chunks` ends with an error if anything the request declared does not hold; `summary` is for after it. */
export type ReceivedBody = { chunks: AsyncIterable<Buffer>; summary(): BodySummary }

export type BodyOptions = { algorithm?: ChecksumAlgorithm | undefined; checksumOfBody?: boolean }

/** The announced length of the data in bytes. Throws MissingContentLength or EntityTooLarge. */
function announcedLength({ headers, authorization }: S3Request): number {
  const streaming = authorization.payloadHash.startsWith('STREAMING-')
  const text = headers[streaming ? 'x-amz-decoded-content-length' : 'content-length']
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw new S3Error('MissingContentLength')
  const length = Number(text)
  if (length > maxPutBytes) {
    throw new S3Error('EntityTooLarge', undefined, {
      ProposedSize: String(length),
      MaxSizeAllowed: String(maxPutBytes),
    })
  }
  return length
}

/**
 * The body of a request, decoded, with its length, payload hash, Content-MD5 and checksum verified.
 * Nothing is read, and no 100-continue sent, before the first chunk is asked for; the declarations
 * themselves are checked at once. `algorithm` computes a checksum the request does not carry;
 * `checksumOfBody: false` is for a request whose checksum header speaks of something else.
 */
export function receiveBody(
  request: S3Request,
  { algorithm, checksumOfBody = true }: BodyOptions = {},
): ReceivedBody {
  const { headers, incoming, authorization } = request
  const length = announcedLength(request)
  const declared = checksumOfBody ? declaredChecksum(headers) : undefined
  if (algorithm !== undefined && declared !== undefined && declared.algorithm !== algorithm) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${algorithm}, actual checksum Type: ${declared.algorithm}`,
    )
  }
  const contentMd5 =
    headers['content-md5'] === undefined ? undefined : decodeDigest(headers['content-md5'], 16)
  const streaming = authorization.payloadHash.startsWith('STREAMING-')
  const signedHash = /^[0-9a-f]{64}$/.test(authorization.payloadHash) ? authorization.payloadHash : undefined
  const checksumAlgorithm = declared?.algorithm ?? algorithm
  let summary: BodySummary | undefined

  async function* read(): AsyncGenerator<Buffer, void> {
    const trailers = new Map<string, string>()
    const md5 = createDigest('md5')
    const sha256 = signedHash === undefined ? undefined : createDigest('sha256')
    const checksum = checksumAlgorithm === undefined ? undefined : createDigest(checksumAlgorithm)
    let size = 0
    request.acceptBody()
    // Without destroyOnReturn a refused body would take the socket, and so the answer, with it.
    const raw: AsyncIterable<Buffer> = incoming.iterator({ destroyOnReturn: false })
    const seed = authorization.payloadHash.startsWith('STREAMING-AWS4') ? authorization : undefined
    for await (const chunk of streaming ? decodeChunked(raw, seed, trailers) : raw) {
      size += chunk.length
      if (size > length) throw new S3Error('IncompleteBody', 'The body is longer than announced')
      md5.update(chunk)
      sha256?.update(chunk)
      checksum?.update(chunk)
      yield chunk
    }
    if (size !== length) throw new S3Error('IncompleteBody')
    if (sha256 !== undefined && sha256.value().toString('hex') !== signedHash) {
      throw new S3Error('XAmzContentSHA256Mismatch')
    }
    const md5Value = md5.value()
    if (contentMd5 !== undefined && !contentMd5.equals(md5Value)) {
      throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.')
    }
    summary = { size, md5: md5Value }
    if (checksum === undefined || checksumAlgorithm === undefined) return
    const value = checksum.value()
    const expected =
      declared === undefined ? undefined : (declared.value ?? trailer(trailers, checksumAlgorithm))
    if (expected !== undefined && !expected.equals(value)) {
      throw new S3Error(
        'BadDigest',
        `The ${checksumAlgorithm} you specified did not match the calculated checksum.`,
      )
    }
    summary.checksum = {
      algorithm: checksumAlgorithm,
      value: value.toString('base64'),
      type: 'FULL_OBJECT',
    }
  }

  return {
    chunks: read(),
    summary() {
      if (summary === undefined) throw new Error('The body has not been read to its end')
      return summary
    },
  }
}

function trailer(trailers: ReadonlyMap<string, string>, algorithm: ChecksumAlgorithm): Buffer {
  const value = trailers.get(`x-amz-checksum-${algorithm}`)
  if (value === undefined) {
    throw new S3Error('InvalidRequest', `The announced trailer x-amz-checksum-${algorithm} is missing`)
  }
  return decodeChecksum(algorithm, value)
}

/** A small body, such as XML, as text. Throws MalformedXML past `limit` bytes. */
export async function receiveText(
  request: S3Request,
  limit: number,
  options: BodyOptions = {},
): Promise<string> {
  const body = receiveBody(request, options)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body.chunks) {
    size += chunk.length
    if (size > limit) throw new S3Error('MalformedXML', `The body is longer than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
