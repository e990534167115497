import { S3Error } from './errors.ts'
import type { S3Answer, S3Request } from './types.ts'

/**
 * What goes wrong with a request: an error in place of the operation, or a connection that breaks after so many
 * bytes of the answer's body although the operation was done. With 0 not even the head arrives. Answers that
 * have no body by their nature (HEAD, 204) arrive all the same.
 */
export type S3Fault = { status: 500 | 503 } | { cutAfterBytes: number }

/** Asked about each signed request, so that a test can let some of them fail. */
export type S3FaultRule = (request: Pick<S3Request, 'method' | 'bucket' | 'key'>) => S3Fault | undefined

/** Performs a request under a fault. Throws InternalError or SlowDown where its operation shall not happen. */
export async function withFault(
  fault: S3Fault | undefined,
  perform: () => Promise<S3Answer>,
): Promise<S3Answer> {
  if (fault === undefined) return perform()
  if ('status' in fault) throw new S3Error(fault.status === 503 ? 'SlowDown' : 'InternalError')
  const { xml, stream, ...answer } = await perform()
  const body = stream ?? (xml === undefined ? [] : [Buffer.from(xml, 'utf8')])
  return { ...answer, stream: cutShort(body, fault.cutAfterBytes) }
}

async function* cutShort(
  body: AsyncIterable<Buffer> | Iterable<Buffer>,
  bytes: number,
): AsyncGenerator<Buffer> {
  let left = bytes
  if (left > 0) {
    for await (const chunk of body) {
      yield chunk.subarray(0, left)
      left -= chunk.length
      if (left <= 0) break
    }
  }
  throw Object.assign(new Error('The connection was cut as a test asked for'), { code: 'ECONNRESET' })
}
