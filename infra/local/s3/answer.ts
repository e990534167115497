import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { S3Error } from './errors.ts'
import type { S3Answer } from './types.ts'
import { renderXml } from './xml.ts'

// What a refused client may still send before its connection is cut. Clients that read the answer only
// after their whole body see a reset instead of the error beyond this.
const maxDrainBytes = 64 * 1024 * 1024

/** The `<Error>` document of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
export function errorAnswer(error: S3Error, resource: string, requestId: string): S3Answer {
  const xml = renderXml('Error', {
    Code: error.code,
    Message: error.message,
    ...error.details,
    Resource: resource,
    RequestId: requestId,
  })
  return { status: error.status, xml }
}

/** Sends an answer. Resolves when it is sent or the client has gone. */
export async function sendAnswer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answer: S3Answer,
): Promise<void> {
  const headers: Record<string, string | number> = { ...answer.headers }
  const body = answer.xml === undefined ? undefined : Buffer.from(answer.xml, 'utf8')
  const bodiless = incoming.method === 'HEAD' || answer.status === 204 || answer.status === 304
  if (body !== undefined) {
    headers['content-type'] = 'application/xml'
    headers['content-length'] = body.length
  } else if (answer.stream === undefined && headers['content-length'] === undefined && !bodiless) {
    headers['content-length'] = 0
  }
  const unread = !incoming.complete && hasBody(incoming)
  if (unread) headers.connection = 'close'
  outgoing.writeHead(answer.status, headers)
  if (answer.stream !== undefined && !bodiless) {
    await pipeline(answer.stream, outgoing)
    return
  }
  if (!unread) {
    outgoing.end(bodiless ? undefined : body)
    return
  }
  if (body === undefined || bodiless) outgoing.flushHeaders()
  else outgoing.write(body)
  // To close with unread data would reset the connection, and the client might lose the answer.
  await drain(incoming)
  outgoing.end()
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

async function drain(incoming: IncomingMessage): Promise<void> {
  // A client that waits for 100-continue sends nothing after a final answer.
  if (/100-continue/i.test(incoming.headers.expect ?? '')) return
  if (incoming.destroyed) return
  let drained = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  incoming.on('data', (chunk: Buffer) => {
    drained += chunk.length
    if (drained > maxDrainBytes) resolve()
  })
  incoming
    .once('end', resolve)
    .once('close', resolve)
    .once('error', () => resolve())
  incoming.resume()
  await promise
}
