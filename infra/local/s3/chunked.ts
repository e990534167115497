import { createHash } from 'node:crypto'
import { type SigningScope, sha256Hex, signLines } from '../sigv4/canonical.ts'
import { equalSignatures } from '../sigv4/verify.ts'
import { S3Error } from './errors.ts'

/** The signature of the request, from which those of its chunks are chained. */
export type ChunkSeed = { signature: string; scope: SigningScope }

// Real chunk headers and trailers have under 200 bytes.
const maxLineBytes = 4096
const maxTrailers = 16
const emptyHash = sha256Hex('')

/** Reads lines and runs of bytes from chunks of any size, keeping at most one chunk and one line. */
class ByteReader {
  #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  async #fill(): Promise<boolean> {
    const next = await this.#source.next()
    if (next.done === true) return false
    this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value])
    return true
  }

  /** A line without its end, or undefined at the end of the body. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#rest.indexOf(0x0a)
      if (end > maxLineBytes || (end < 0 && this.#rest.length > maxLineBytes)) {
        throw new S3Error('InvalidRequest', 'A chunk header of the aws-chunked body is too long')
      }
      if (end >= 0) {
        const line = this.#rest.subarray(0, end).toString('latin1')
        this.#rest = this.#rest.subarray(end + 1)
        return line.endsWith('\r') ? line.slice(0, -1) : line
      }
      if (!(await this.#fill())) {
        if (this.#rest.length > 0) throw new S3Error('IncompleteBody')
        return undefined
      }
    }
  }

  /** Lets go of the source, read to its end or not. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async *take(length: number): AsyncGenerator<Buffer, void> {
    let missing = length
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#fill())) throw new S3Error('IncompleteBody')
      const piece = this.#rest.subarray(0, missing)
      this.#rest = this.#rest.subarray(piece.length)
      missing -= piece.length
      yield piece
    }
  }
}

/**
 * The data of an `aws-chunked` body. With a seed every chunk's signature is checked, hence data is yielded
 * before it is known to be good: keep nothing unless the generator ends without an error.
 * Trailers are put into `trailers` under lower-case names.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
export async function* decodeChunked(
  source: AsyncIterable<Buffer>,
  seed: ChunkSeed | undefined,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer, void> {
  const reader = new ByteReader(source)
  try {
    yield* decode(reader, seed, trailers)
  } finally {
    await reader.close()
  }
}

async function* decode(
  reader: ByteReader,
  seed: ChunkSeed | undefined,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer, void> {
  let previous = seed?.signature ?? ''

  for (;;) {
    const header = await reader.line()
    if (header === undefined) throw new S3Error('IncompleteBody')
    const match = /^([0-9a-fA-F]{1,10})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(header)
    if (match?.[1] === undefined) throw new S3Error('InvalidRequest', 'A chunk header is malformed')
    const size = Number.parseInt(match[1], 16)
    const hash = createHash('sha256')
    for await (const piece of reader.take(size)) {
      if (seed !== undefined) hash.update(piece)
      yield piece
    }
    if (seed !== undefined) {
      const digest = hash.digest('hex')
      const expected = signLines('AWS4-HMAC-SHA256-PAYLOAD', seed.scope, previous, emptyHash, digest)
      if (!equalSignatures(match[2] ?? '', expected)) throw new S3Error('SignatureDoesNotMatch')
      previous = expected
    }
    if (size === 0) break
    if ((await reader.line()) !== '')
      throw new S3Error('InvalidRequest', 'A chunk is longer than its header says')
  }

  let trailerSignature: string | undefined
  for (let line = await reader.line(); line !== undefined; line = await reader.line()) {
    if (line === '') continue
    const at = line.indexOf(':')
    if (at < 1 || trailers.size >= maxTrailers) throw new S3Error('InvalidRequest', 'A trailer is malformed')
    const name = line.slice(0, at).trim().toLowerCase()
    const value = line.slice(at + 1).trim()
    if (name === 'x-amz-trailer-signature') trailerSignature = value
    else trailers.set(name, value)
  }
  if (seed === undefined || (trailers.size === 0 && trailerSignature === undefined)) return
  const canonical = [...trailers].map(([name, value]) => `${name}:${value}\n`).join('')
  const expected = signLines('AWS4-HMAC-SHA256-TRAILER', seed.scope, previous, sha256Hex(canonical))
  if (!equalSignatures(trailerSignature ?? '', expected)) throw new S3Error('SignatureDoesNotMatch')
}
