import type { Bucket } from './bucket.ts'
import { S3Error } from './errors.ts'
import type { S3Answer, S3Request, StoredObject } from './types.ts'

export type S3Context = {
  region: string
  /** Throws NoSuchBucket. */
  bucket(name: string): Bucket
  buckets(): Bucket[]
}

export type Operation = (request: S3Request, context: S3Context) => Promise<S3Answer>

/** Throws NoSuchKey. */
export function existingObject(bucket: Bucket, key: string): StoredObject {
  const object = bucket.get(key)
  if (object === undefined) throw new S3Error('NoSuchKey', undefined, { Key: key })
  return object
}

/** A whole number of the query. Throws InvalidArgument outside `least` to `most`. */
export function queryNumber(
  request: S3Request,
  name: string,
  least: number,
  most: number,
): number | undefined {
  const text = request.query.get(name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d{1,10}$/.test(text) || value < least || value > most) {
    throw new S3Error('InvalidArgument', `${name} must be an integer from ${least} to ${most}`, {
      ArgumentName: name,
      ArgumentValue: text,
    })
  }
  return value
}

/** How keys are written into a list answer: as they are, or percent-encoded for `encoding-type=url`. */
export function keyEncoder(request: S3Request): (key: string) => string {
  const type = request.query.get('encoding-type')
  if (type === undefined) return (key) => key
  if (type !== 'url') {
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request', {
      ArgumentName: 'encoding-type',
      ArgumentValue: type,
    })
  }
  return (key) => encodeURIComponent(key).replaceAll('%2F', '/')
}
