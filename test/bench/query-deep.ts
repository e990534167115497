import { canonicalFilter, type Filter, type FilterInput } from '../../lib/profiles/filter.ts'
import { encodeCursor, maxLimit, type Sort } from '../../lib/profiles/page.ts'
import { pageByOffset } from './count-offset.ts'
import { expectMiss } from './query-handler.ts'
import type { PartOptions, PartResult } from './query-part.ts'
import { pageQuestion, sorts } from './query-questions.ts'
import { figure, table } from './report.ts'
import { median } from './statistics.ts'

const deepest = 10_000
const filters: readonly FilterInput[] = [
  {},
  { gender: 'female' },
  { country_id: ['NG'] },
  { min_age: 20, max_age: 45 },
]

/** One list: its first page, and the one that many pages further down a cursor leads to. */
type Walk = { filter: Filter; sort: Sort; page: number; first: string; deep: string; offsetMs: number }

/** Page 10,000 by its cursor against page 1. A table too small for it gives its last full page. */
export async function deepPages(options: PartOptions): Promise<PartResult> {
  const { handler, rounds } = options
  const walks = await prepareWalks(options)
  const times = walks.map(() => ({ first: [] as number[], deep: [] as number[] }))
  for (let round = 0; round < 2 * rounds; round++) {
    for (const sort of sorts) {
      for (const which of ['first', 'deep'] as const) {
        // Neither finds the total of the other, nor of another order.
        await handler.forget()
        for (const [index, walk] of walks.entries()) {
          if (walk.sort !== sort) continue
          const asked = await handler.ask(walk[which])
          expectMiss(walk[which], asked)
          times[index]![which].push(asked.ms)
        }
      }
    }
  }
  const first = times.flatMap((one) => one.first)
  const deep = times.flatMap((one) => one.deep)
  const lines = walks.map(({ filter, sort, page, offsetMs }, index) => {
    const [one, other] = [median(times[index]!.first), median(times[index]!.deep)]
    const name = `${JSON.stringify(filter)} by ${sort.by} ${sort.order}`
    return [name, figure(page), figure(one, 1), figure(other, 1), figure(other / one, 1), figure(offsetMs, 1)]
  })
  return {
    goals: [
      {
        name: 'page 10,000 by cursor beside page 1, ratio of medians',
        value: median(deep) / median(first),
        limit: 2,
        unit: 'x',
      },
    ],
    text: `### Deep pages by cursor

${table(['list', 'page', 'page 1, ms', 'that page, ms', 'ratio', 'by OFFSET, ms'], lines)}

${maxLimit} rows a page, medians of ${2 * rounds}, totals included and not known before. The last column is the plain statement with
\`OFFSET\`, once, without a total: it found the row that the cursor was made of.`,
    bars: [],
  }
}

async function prepareWalks({ cloud, handler }: PartOptions): Promise<Walk[]> {
  const walks: Walk[] = []
  for (const input of filters) {
    for (const sort of sorts) {
      const filter = canonicalFilter(input)
      const { path: first } = pageQuestion(input, sort, 1, maxLimit)
      const { total } = await handler.ask(first)
      const page = Math.min(deepest, Math.floor(total / maxLimit))
      const started = performance.now()
      const [row] = await pageByOffset(cloud.sql, filter, sort, 1, (page - 1) * maxLimit - 1)
      const offsetMs = performance.now() - started
      const parameters = new URLSearchParams(first.split('?')[1])
      parameters.delete('page')
      parameters.set('cursor', encodeCursor(row!, filter, sort))
      walks.push({ filter, sort, page, first, deep: `/api/profiles?${parameters}`, offsetMs })
    }
  }
  return walks
}
