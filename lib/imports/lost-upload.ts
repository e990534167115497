import { isInsightaError, UnavailableError } from '../platform/errors.ts'
import type { Storage } from '../platform/storage.ts'
import type { Failure } from './report.ts'

/** What an error says about the upload if it is gone, or another object has taken its place; else undefined. */
export function lostUpload(error: unknown): Failure | undefined {
  if (!isInsightaError(error)) return undefined
  if (error.code === 'object_missing')
    return { code: error.code, message: 'The uploaded file was deleted before it was read' }
  if (error.code === 'object_changed')
    return { code: error.code, message: 'The uploaded file was replaced before it was read' }
  return undefined
}

/**
 * Why an upload cannot be read any more, for the caller; undefined if it can. `etag` is that of the file that was
 * scanned, null before a scan. Throws UnavailableError if S3 does not say.
 */
export async function whyGone(
  storage: Pick<Storage, 'head'>,
  { object_key, etag }: { object_key: string; etag: string | null },
): Promise<string | undefined> {
  try {
    const found = await storage.head(object_key)
    return etag === null || found.etag === etag ? undefined : 'The uploaded file was replaced'
  } catch (error) {
    if (lostUpload(error)) return 'The uploaded file was deleted, or has expired'
    throw new UnavailableError('The uploaded file cannot be looked for now; try again', error)
  }
}
