import * as z from 'zod'
import { type QuotaKind, quotaKinds, type Usage } from '../quotas.ts'

export const usageSchema = z.strictObject({
  status: z.literal('success'),
  data: z.array(
    z.strictObject({
      kind: z.enum(quotaKinds),
      used: z.int().min(0),
      daily_limit: z.int().min(0),
      resets_at: z.iso.datetime(),
    }),
  ),
})

/** A team's usage as the API shows it. */
export function usageAnswer(usage: readonly Usage[]): z.output<typeof usageSchema> {
  const data = usage.map((each) => ({ ...each, resets_at: each.resets_at.toISOString() }))
  return { status: 'success', data }
}

const limit = z.int().min(0).nullable().meta({ description: 'A day; null for the default' })

export const quotasBody = z
  .strictObject({ model_calls: limit, emails: limit, upload_bytes: limit } satisfies Record<
    QuotaKind,
    z.ZodType
  >)
  .partial()
  .refine((limits) => Object.keys(limits).length > 0, { error: 'must name a limit' })
