import type { Readable } from 'node:stream'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { InsightaError, UnavailableError } from './errors.ts'

/** Thrown when an object is not there any more. */
export class ObjectMissingError extends InsightaError {
  constructor(cause?: unknown) {
    super('The object is not there', { code: 'object_missing', status: 404, cause })
  }
}

/** Thrown when an object is another than the one asked for by its ETag. */
export class ObjectChangedError extends InsightaError {
  constructor(cause?: unknown) {
    super('The object has been replaced', { code: 'object_changed', status: 409, cause })
  }
}

export type ByteRange = {
  start: number
  /** Exclusive; the end of the object where it is absent. */
  end?: number
}

export type Storage = {
  head(key: string): Promise<{ size: number; etag: string }>
  /** Rejects where S3 does not answer. */
  exists(key: string): Promise<boolean>
  /** The bytes as they come. The caller reads them to the end or destroys the stream. */
  read(key: string, options?: { range?: ByteRange; ifMatch?: string }): Promise<Readable>
  put(key: string, body: string | Uint8Array, contentType: string): Promise<void>
  /** Writes a stream of unknown length in parts of 5 MiB, two at a time: 10 MiB are held at the most. */
  write(key: string, body: Readable, contentType: string): Promise<void>
  remove(key: string): Promise<void>
  presignPut(key: string, size: number, contentType: string, expiresInSeconds: number): Promise<PresignedPut>
  /** Where the object can be downloaded under `filename` and as `contentType`. */
  presignGet(
    key: string,
    filename: string,
    contentType: string,
    expiresInSeconds: number,
  ): Promise<PresignedGet>
}

export type PresignedGet = { url: string; expires_at: string }

export type PresignedPut = {
  url: string
  method: 'PUT'
  /** To be sent as they are; the client adds its own Content-Length, which is signed too. */
  headers: Record<string, string>
  expires_at: string
}

/** The objects of one bucket. Rejects with ObjectMissingError and ObjectChangedError, else as the SDK does. */
export function createStorage(bucket: string, client = new S3Client(s3Settings)): Storage {
  const head = (key: string) => known(client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })))
  return {
    async head(key) {
      const answer = await head(key)
      return { size: answer.ContentLength ?? 0, etag: answer.ETag ?? '' }
    },
    async exists(key) {
      try {
        await head(key)
        return true
      } catch (error) {
        if (error instanceof ObjectMissingError) return false
        throw error
      }
    },
    async read(key, { range, ifMatch } = {}) {
      const answer = await known(
        client.send(
          new GetObjectCommand({
            Bucket: bucket,
            Key: key,
            ...(range && { Range: `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}` }),
            ...(ifMatch && { IfMatch: ifMatch }),
          }),
        ),
      )
      return answer.Body as Readable
    },
    async put(key, body, contentType) {
      await client.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentType: contentType }),
      )
    },
    async write(key, body, contentType) {
      const params = { Bucket: bucket, Key: key, Body: body, ContentType: contentType }
      await new Upload({ client, params, queueSize: 2, partSize: 5 * 1024 * 1024 }).done()
    },
    async remove(key) {
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))
    },
    async presignPut(key, size, contentType, expiresInSeconds) {
      const command = new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        ContentLength: size,
        ContentType: contentType,
        // The first PUT is the only one: a second cannot change the file under its slices.
        IfNoneMatch: '*',
      })
      const url = await getSignedUrl(client, command, {
        expiresIn: expiresInSeconds,
        signableHeaders: new Set(['host', 'content-type', 'content-length', 'if-none-match']),
        unhoistableHeaders: new Set(['if-none-match']),
      })
      return {
        url,
        method: 'PUT',
        headers: { 'content-type': contentType, 'if-none-match': '*' },
        expires_at: inSeconds(expiresInSeconds),
      }
    },
    async presignGet(key, filename, contentType, expiresInSeconds) {
      const expires_at = inSeconds(expiresInSeconds)
      const command = new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ResponseContentDisposition: attachment(filename),
        ResponseContentType: contentType,
      })
      return { url: await getSignedUrl(client, command, { expiresIn: expiresInSeconds }), expires_at }
    },
  }
}

/** RFC 6266: beside a name that ASCII cannot hold, a plain one for clients that know nothing else. */
function attachment(filename: string): string {
  const plain = filename.replaceAll(/[^\x20-\x7e]|["%\\]/g, '_')
  if (plain === filename) return `attachment; filename="${filename}"`
  const escaped = encodeURIComponent(filename).replaceAll(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16)}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${escaped}`
}

function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString()
}

/** Without WHEN_REQUIRED a presigned PUT is signed with the checksum of an empty body and refuses every other. */
const s3Settings = { requestChecksumCalculation: 'WHEN_REQUIRED', maxAttempts: 4 } as const

async function known<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof S3ServiceException) {
      const status = error.$metadata.httpStatusCode
      if (status === 404) throw new ObjectMissingError(error)
      if (status === 412) throw new ObjectChangedError(error)
    }
    throw error
  }
}

/**
 * The chunks of a body that must have so many bytes. Throws UnavailableError at the end where it has fewer or
 * more: a transfer that was cut short must never pass for a short file.
 */
export async function* exactly(body: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let read = 0
  for await (const chunk of body) {
    read += chunk.length
    yield chunk
  }
  if (read !== bytes) throw new UnavailableError(`The object's body had ${read} bytes instead of ${bytes}`)
}
