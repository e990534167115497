import { expectMiss } from './query-handler.ts'
import type { PartOptions, PartResult } from './query-part.ts'
import { pageQuestion, probabilityFilters, sorts } from './query-questions.ts'
import { figure, table } from './report.ts'
import { quantile } from './statistics.ts'

/** Lists with bounds on probabilities, which no facet counts: page and total apart, then the page after. */
export async function probabilityPages({ handler, rounds }: PartOptions): Promise<PartResult> {
  const samples: { path: string; whole: number; page: number; total: number }[] = []
  const second: { whole: number; total: number }[] = []
  for (let round = 0; round < rounds; round++) {
    for (const sort of sorts) {
      await handler.forget()
      for (const filter of probabilityFilters()) {
        const { path } = pageQuestion(filter, sort)
        const asked = await handler.ask(path)
        expectMiss(path, asked)
        const { page = 0, total = 0 } = asked.timings
        samples.push({ path, whole: asked.ms, page, total })
        const next = pageQuestion(filter, sort, 2)
        const after = await handler.ask(next.path)
        expectMiss(next.path, after)
        second.push({ whole: after.ms, total: after.timings.total ?? 0 })
      }
    }
  }
  const line = (name: string, values: readonly number[]) => [
    name,
    ...[0.5, 0.95, 1].map((q) => figure(quantile(values, q), 1)),
  ]
  const pages = samples.map(({ page }) => page)
  const totals = samples.map(({ total }) => total)
  const knownTotals = second.map(({ total }) => total)
  const slowest = (of: 'page' | 'total') => {
    const { path, [of]: ms } = samples.toSorted((a, b) => b[of] - a[of])[0]!
    return `\`${path}\` ${figure(ms, 1)} ms`
  }
  return {
    goals: [
      {
        name: 'page under a bound on a probability, p95',
        value: quantile(pages, 0.95),
        limit: 50,
        unit: 'ms',
      },
      { name: 'its total the first time, p95', value: quantile(totals, 0.95), limit: 1000, unit: 'ms' },
      { name: 'its total the first time, max', value: quantile(totals, 1), limit: 1000, unit: 'ms' },
      { name: 'its total from then on, p95', value: quantile(knownTotals, 0.95), limit: 1, unit: 'ms' },
    ],
    text: `### Bounds on probabilities

${table(
  ['step, ms', 'p50', 'p95', 'max'],
  [
    line('page', pages),
    line('total, the first time', totals),
    line(
      'the whole answer, the first time',
      samples.map(({ whole }) => whole),
    ),
    line('total for the page after', knownTotals),
    line(
      'the whole answer for the page after',
      second.map(({ whole }) => whole),
    ),
  ],
)}

${probabilityFilters().length} filters in ${sorts.length} orders, rounds: ${rounds}. Steps as \`Server-Timing\` has them. Slowest page: ${slowest('page')}.
Slowest total: ${slowest('total')}.`,
    bars: [],
  }
}
