import type { IncomingMessage } from 'node:http'
import type { Authorization } from './auth.ts'
import type { Checksum } from './checksum.ts'

/** One rule of a bucket's CORS configuration; origins and headers may hold one `*`. */
export type CorsRule = {
  id?: string
  allowedOrigins: string[]
  allowedMethods: string[]
  allowedHeaders?: string[]
  exposedHeaders?: string[]
  maxAgeSeconds?: number
}

/** Events such as `s3:ObjectCreated:*`, for keys with this prefix and suffix, to one queue. */
export type NotificationRule = {
  id: string
  events: string[]
  prefix?: string
  suffix?: string
  queueArn: string
}

export type BucketSettings = { cors?: CorsRule[]; notifications?: NotificationRule[] }

export type S3EventName = 'ObjectCreated:Put' | 'ObjectCreated:CompleteMultipartUpload' | 'ObjectCreated:Copy'

/** The record of https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html */
export type S3EventRecord = {
  eventVersion: '2.1'
  eventSource: 'aws:s3'
  awsRegion: string
  eventTime: string
  eventName: S3EventName
  userIdentity: { principalId: string }
  requestParameters: { sourceIPAddress: string }
  responseElements: { 'x-amz-request-id': string; 'x-amz-id-2': string }
  s3: {
    s3SchemaVersion: '1.0'
    configurationId: string
    bucket: { name: string; ownerIdentity: { principalId: string }; arn: string }
    object: { key: string; size: number; eTag: string; versionId?: string; sequencer: string }
  }
}

export type S3ObjectEvent = { bucket: string; event: S3EventRecord }

/** A run of bytes of an object: the whole of one blob. A multipart object has one per part. */
export type Segment = { blob: string; size: number }

export type Tag = { key: string; value: string }

/** What the sidecar of an object holds. `etag` is without quotes, `modified` is ISO 8601. */
export type StoredObject = {
  key: string
  version: string
  size: number
  etag: string
  modified: string
  segments: Segment[]
  headers: Record<string, string>
  metadata: Record<string, string>
  tags?: Tag[]
  checksum?: Checksum
  /** The multipart upload this object came from: a repeated Complete finds its own result by it. */
  upload?: string
}

/** A request whose target is decoded and whose signature has been checked. */
export type S3Request = {
  id: string
  method: string
  bucket: string
  key: string
  query: ReadonlyMap<string, string>
  /** Lower-case names; `x-amz-*` query parameters of a presigned URL count as headers. */
  headers: Readonly<Record<string, string | undefined>>
  incoming: IncomingMessage
  authorization: Authorization
  sourceIp: string
  /** Tells a client that waits with `Expect: 100-continue` to send its body. */
  acceptBody(): void
}

export type S3Answer = {
  status: number
  headers?: Record<string, string>
  xml?: string
  stream?: AsyncIterable<Buffer>
  /** Called once when the answer is over, sent or not. */
  release?: () => void
}

/** The one account of the local cloud, the same as the queues' own. */
export const accountId = '000000000000'
