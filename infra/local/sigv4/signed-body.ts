import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  checkCredential,
  checkSignature,
  checkSignedHeaders,
  checkSkew,
  headerClaim,
  type SigningParty,
} from './verify.ts'

/** The body of a request whose signature is good: `bytes` is empty if `size` is over the limit. */
export type SignedBody = { bytes: Buffer; size: number }

/**
 * Checks a request of any service but S3, which signs its whole body, and returns that. Throws a SignatureRefusal,
 * before it reads anything if the header alone says enough.
 */
export async function readSignedBody(
  request: IncomingMessage,
  party: SigningParty,
  maxBytes: number,
): Promise<SignedBody> {
  const [path = '/', query = ''] = (request.url ?? '/').split(/\?(.*)/s)
  const headers: Record<string, string | undefined> = {}
  for (const [name, values] of Object.entries(request.headersDistinct)) headers[name] = values?.join(',')
  const target = { method: request.method ?? '', path, query: [...new URLSearchParams(query)], headers }
  const claim = headerClaim(target)
  checkCredential(claim, target, party)
  checkSkew(claim, Date.now())
  checkSignedHeaders(claim, target)

  const hash = createHash('sha256')
  const chunks: Buffer[] = []
  let size = 0
  // Read to its end even if it is too long, so that the client sees the answer and not a reset.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk)
    size += chunk.length
    if (size <= maxBytes) chunks.push(chunk)
    else chunks.length = 0
  }
  checkSignature(claim, target, hash.digest('hex'), party)
  return { bytes: Buffer.concat(chunks), size }
}
