/**
 * Whether If-Match lets a change of something with this tag through; without the header everything does. Strongly
 * compared, so a weak tag never matches (RFC 9110, 13.1.1).
 */
export function passesIfMatch(etag: string, ifMatch: string | undefined): boolean {
  if (ifMatch === undefined || ifMatch.trim() === '*') return true
  return [...ifMatch.matchAll(/(W\/)?("[^"]*")/g)].some(([, weak, tag]) => weak === undefined && tag === etag)
}
