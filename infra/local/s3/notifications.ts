import { uriEncode } from '../sigv4/canonical.ts'
import {
  accountId,
  type NotificationRule,
  type S3EventName,
  type S3EventRecord,
  type StoredObject,
} from './types.ts'

const supportedEvents = new Set([
  's3:ObjectCreated:*',
  's3:ObjectCreated:Put',
  's3:ObjectCreated:Copy',
  's3:ObjectCreated:CompleteMultipartUpload',
])

/** Throws an Error naming the first event that this server never sends. */
export function checkRules(rules: readonly NotificationRule[]): void {
  for (const { id, events } of rules) {
    const unsupported = events.find((event) => !supportedEvents.has(event))
    if (unsupported !== undefined)
      throw new Error(`Notification ${id}: the event ${unsupported} is not supported`)
  }
}

export function matchingRules(
  rules: readonly NotificationRule[],
  eventName: S3EventName,
  key: string,
): NotificationRule[] {
  return rules.filter(
    ({ events, prefix = '', suffix = '' }) =>
      key.startsWith(prefix) &&
      key.endsWith(suffix) &&
      events.some((event) => event === `s3:${eventName}` || event === 's3:ObjectCreated:*'),
  )
}

/** A key as events carry it: form-encoded with slashes kept, so that a space is `+`. */
export function eventKey(key: string): string {
  return uriEncode(key).replaceAll('%2F', '/').replaceAll('%20', '+')
}

let lastSequence = 0n

// Later events of one key must compare greater, also after a restart: microseconds since 1970.
function nextSequencer(now: number): string {
  const candidate = BigInt(now) * 1000n
  lastSequence = candidate > lastSequence ? candidate : lastSequence + 1n
  return lastSequence.toString(16).toUpperCase().padStart(16, '0')
}

export type EventSource = {
  region: string
  bucket: string
  eventName: S3EventName
  requestId: string
  sourceIp: string
}

export function eventRecord(source: EventSource, object: StoredObject, ruleId: string): S3EventRecord {
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: source.region,
    eventTime: object.modified,
    eventName: source.eventName,
    userIdentity: { principalId: `AWS:${accountId}` },
    requestParameters: { sourceIPAddress: source.sourceIp },
    responseElements: { 'x-amz-request-id': source.requestId, 'x-amz-id-2': source.requestId },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId: ruleId,
      bucket: {
        name: source.bucket,
        ownerIdentity: { principalId: accountId },
        arn: `arn:aws:s3:::${source.bucket}`,
      },
      object: {
        key: eventKey(object.key),
        size: object.size,
        eTag: object.etag,
        sequencer: nextSequencer(Date.parse(object.modified)),
      },
    },
  }
}
