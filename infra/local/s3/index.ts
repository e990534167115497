export type { S3Fault, S3FaultRule } from './faults.ts'
export { type LocalS3, type S3Options, startS3 } from './server.ts'
export type {
  BucketSettings,
  CorsRule,
  NotificationRule,
  S3EventName,
  S3EventRecord,
  S3ObjectEvent,
} from './types.ts'
