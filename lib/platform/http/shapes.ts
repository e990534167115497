import * as z from 'zod'

/** The path of whatever has an id. */
export const idPath = z.strictObject({ id: z.uuid() })

/** Where a file is to be put: a PresignedPut as the API shows it. */
export const uploadSchema = z.strictObject({
  url: z.url(),
  method: z.literal('PUT'),
  headers: z.record(z.string(), z.string()),
  expires_at: z.iso.datetime(),
})
