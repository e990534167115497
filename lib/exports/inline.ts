import type { Sql } from '../platform/db.ts'
import { heads, serialise } from './format.ts'
import type { ExportRequest } from './request.ts'
import { countMatches, readSnapshot } from './snapshot.ts'

export type InlineLimits = {
  rows: number
  /** Of the text inside a JSON document, which is how Lambda carries it. */
  bytes: number
}

/** Lambda answers 6,291,556 bytes at the most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
export const inlineLimits: InlineLimits = { rows: 25_000, bytes: 6_000_000 }

/**
 * The whole export as one text, all of it of one moment; or, where that is too much for one answer, only how
 * many profiles match. Throws TotalTimeoutError.
 */
export async function exportInline(
  sql: Sql,
  request: ExportRequest,
  limits: InlineLimits = inlineLimits,
): Promise<{ text: string } | { matches: number }> {
  const matches = await countMatches(sql, request.filter)
  if (matches > limits.rows) return { matches }
  return readSnapshot(sql, request, async ({ batches }) => {
    let text = heads[request.format]
    let rows = 0
    let bytes = 0
    for await (const batch of batches) {
      const more = serialise(batch, request.format)
      rows += batch.length
      bytes += Buffer.byteLength(JSON.stringify(more))
      // Rows too: some may have come since they were counted.
      if (rows > limits.rows || bytes > limits.bytes) return { matches: Math.max(rows, matches) }
      text += more
    }
    return { text }
  })
}
