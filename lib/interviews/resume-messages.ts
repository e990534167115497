import * as z from 'zod'
import { resumePrefix } from '../platform/names.ts'

/** What the queue of résumés carries: an S3 event, the test event of its set-up, or our own word to go on. */
export const resumeMessage = z.union([
  z.object({ resume_id: z.uuid() }),
  z.object({
    Records: z.array(z.object({ s3: z.object({ object: z.object({ key: z.string() }) }) })),
  }),
  z.object({ Event: z.literal('s3:TestEvent') }),
])

/** Where the file of a résumé arrives. Its name may name people and stays out of the key. */
export function resumeKey(resumeId: string): string {
  return `${resumePrefix}${resumeId}/${crypto.randomUUID()}`
}

const keyPattern = new RegExp(`^${resumePrefix}([0-9a-f-]{36})/`)

/** The résumé that a key belongs to; undefined for any other object. */
export function resumeOfKey(key: string): string | undefined {
  return z.uuid().safeParse(keyPattern.exec(key)?.[1]).data
}
