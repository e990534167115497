import * as z from 'zod'
import { uploadPrefix } from '../platform/names.ts'
import { decodeObjectKey } from '../platform/object-key.ts'

/** What the queue of slices carries: the data itself stays in S3. */
export const sliceMessage = z.object({ import_id: z.uuid(), slice_no: z.int() })
/** What the queues of finished files and of removals carry. */
export const importMessage = z.object({ import_id: z.uuid() })

/** An S3 event, the test event that S3 sends when notifications are set up, or our own word to go on. */
export const objectMessage = z.union([
  z.object({ continue_import_id: z.uuid() }),
  z.object({
    Records: z.array(
      z.object({
        eventName: z.string(),
        s3: z.object({ object: z.object({ key: z.string(), eTag: z.string() }) }),
      }),
    ),
  }),
  z.object({ Event: z.literal('s3:TestEvent') }),
])

/** Where the upload of an import arrives. The file's own name may name people and stays out of the key. */
export function uploadKey(importId: string): string {
  return `${uploadPrefix}${importId}/source.csv`
}

const keyPattern = new RegExp(`^${uploadPrefix}([0-9a-f-]{36})/source\\.csv$`)

/** The import that a key of an S3 event belongs to; undefined for any other object. Keys come form-encoded. */
export function importOfKey(encodedKey: string): string | undefined {
  const id = keyPattern.exec(decodeObjectKey(encodedKey))?.[1]
  return z.uuid().safeParse(id).data
}
