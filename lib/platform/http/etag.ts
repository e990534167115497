import { hash } from 'node:crypto'
import type { Coding } from './coding.ts'

/** The strong entity tag of a body. In hexadecimal, so that what `codedTag` appends stands apart. */
export function etagOf(body: string): string {
  return `"${hash('sha256', body, 'hex').slice(0, 32)}"`
}

/** The tag of the same body under a content coding, which is another representation (RFC 9110, 8.8.3.3). */
export function codedTag(etag: string, coding: Coding): string {
  return `${etag.slice(0, -1)}-${coding}"`
}

/** A list of tags as a client sent it, each as that of the body without a coding: all of them stand for one state. */
export function plainTags(list: string): string {
  return list.replaceAll(/-(?:br|gzip)"/g, '"')
}

/** Whether If-None-Match names this tag. Weakly compared: CloudFront weakens a tag when it compresses. */
export function isNamed(etag: string, ifNoneMatch: string | undefined): boolean {
  if (ifNoneMatch === undefined) return false
  const named = plainTags(ifNoneMatch).split(',')
  return named.some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
}
