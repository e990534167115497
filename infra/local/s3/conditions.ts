import type { Precondition } from './bucket.ts'
import { S3Error } from './errors.ts'
import type { StoredObject } from './types.ts'

type Headers = Readonly<Record<string, string | undefined>>

export function failed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', undefined, { Condition: condition })
}

/** Whether an `If-Match` list holds the etag, with or without quotes and weak marks. */
function holds(list: string, etag: string): boolean {
  return list.split(',').some((item) => {
    const value = item
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1')
    return value === '*' || value === etag
  })
}

// HTTP dates have whole seconds: 12:00:00.900 has not been modified since 12:00:00.
function modifiedAfter(object: StoredObject, date: string): boolean | undefined {
  const since = Date.parse(date)
  if (Number.isNaN(since)) return undefined
  return Math.floor(Date.parse(object.modified) / 1000) > Math.floor(since / 1000)
}

/** `If-None-Match: *` and `If-Match` of a write. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
export function writeCondition(headers: Headers): Precondition {
  const ifMatch = headers['if-match']
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    throw new S3Error('NotImplemented', 'If-None-Match of a write can only be *', { Header: 'If-None-Match' })
  }
  return (current) => {
    if (ifNoneMatch !== undefined && current !== undefined) throw failed('If-None-Match')
    if (ifMatch === undefined) return
    if (current === undefined) throw new S3Error('NoSuchKey')
    if (!holds(ifMatch, current.etag)) throw failed('If-Match')
  }
}

/** `If-Match` of a DELETE: an object that is not there is as good as deleted. */
export function deleteCondition(ifMatch: string | undefined): Precondition {
  return (current) => {
    if (ifMatch !== undefined && current !== undefined && !holds(ifMatch, current.etag))
      throw failed('If-Match')
  }
}

/**
 * The conditions of a read in the order of RFC 9110, 13.2.2; `prefix` is that of the copy source's headers.
 * Throws PreconditionFailed; false means 304.
 */
export function readCondition(headers: Headers, object: StoredObject, prefix = ''): boolean {
  const ifMatch = headers[`${prefix}if-match`]
  const ifNoneMatch = headers[`${prefix}if-none-match`]
  const unmodifiedSince = headers[`${prefix}if-unmodified-since`]
  const modifiedSince = headers[`${prefix}if-modified-since`]
  if (ifMatch !== undefined) {
    if (!holds(ifMatch, object.etag)) throw failed(`${prefix}If-Match`)
  } else if (unmodifiedSince !== undefined && modifiedAfter(object, unmodifiedSince) === true) {
    throw failed(`${prefix}If-Unmodified-Since`)
  }
  if (ifNoneMatch !== undefined) return !holds(ifNoneMatch, object.etag)
  return modifiedSince === undefined || modifiedAfter(object, modifiedSince) !== false
}
