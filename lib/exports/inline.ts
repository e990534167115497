import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import type { Sql } from '../platform/db.ts'
import { headOf, serialise } from './format.ts'
import type { ExportRequest } from './request.ts'
import { countMatches, readSnapshot } from './snapshot.ts'

const gzip = promisify(zlib.gzip)

export type InlineLimits = {
  rows: number
  /** Of the text inside a JSON document, or of compressed bytes in base64, which is how Lambda carries them. */
  bytes: number
}

/** Lambda answers 6,291,556 bytes at the most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
export const inlineLimits: InlineLimits = { rows: 25_000, bytes: 6_000_000 }

/**
 * The whole export as one text, or compressed, all of it of one moment; or, if that is too much for one response,
 * only how many profiles match. Throws TotalTimeoutError.
 */
export async function exportInline(
  sql: Sql,
  request: ExportRequest,
  limits: InlineLimits = inlineLimits,
): Promise<{ body: string | Buffer } | { matches: number }> {
  const matches = await countMatches(sql, request.filter)
  if (matches > limits.rows) return { matches }
  const found = await readSnapshot(sql, request, async ({ batches }) => {
    let text = headOf(request)
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
    return { matches: rows, text }
  })
  if (found.text === undefined) return found
  if (request.compression === 'none') return { body: found.text }
  const body = await gzip(found.text)
  return Math.ceil(body.length / 3) * 4 <= limits.bytes ? { body } : { matches: found.matches }
}
