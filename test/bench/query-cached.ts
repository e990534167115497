import type { PartOptions, PartResult } from './query-part.ts'
import { pageQuestion, plainFilters, sorts } from './query-questions.ts'
import { figure, table } from './report.ts'
import { quantile } from './statistics.ts'

const asks = 5000

/** The same few questions again and again, in the handler. */
export async function cachedPages({ handler }: PartOptions): Promise<PartResult> {
  const paths = plainFilters().map((filter) => pageQuestion(filter, sorts[0]!).path)
  await handler.forget()
  for (const path of paths) await handler.ask(path)
  const hits: number[] = []
  for (let n = 0; n < asks; n++) {
    const { ms, cache } = await handler.ask(paths[n % paths.length]!)
    if (cache !== 'miss') hits.push(ms)
  }
  if (hits.length < asks / 2) throw new Error(`Of ${asks} answers only ${hits.length} came from the cache`)
  const cells = [0.5, 0.95, 0.99, 1].map((q) => figure(quantile(hits, q), 2))
  return {
    goals: [{ name: 'cached list, in the handler, p50', value: quantile(hits, 0.5), limit: 1, unit: 'ms' }],
    text: `### Cached lists

${table(['ms', 'answers', 'p50', 'p95', 'p99', 'max'], [['the whole handler', figure(hits.length), ...cells]])}

Key, validation and JSON included, and once a second the reading of the dataset version.`,
    bars: [],
  }
}
