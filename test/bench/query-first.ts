import type { Sql } from '../../lib/platform/db.ts'
import { type Random, randomFrom } from '../faults/random.ts'
import { masterPool } from './cloud.ts'
import { countAndPage } from './count-offset.ts'
import { expectMiss, type HandlerUnderTest } from './query-handler.ts'
import type { PartOptions, PartResult } from './query-part.ts'
import { pageQuestion, plainFilters, type Question, sorts } from './query-questions.ts'
import { figure, table } from './report.ts'
import { median, quantile } from './statistics.ts'

/** Milliseconds that COUNT(*) may take in all; a question that it does not reach stays without its time. */
const rivalBudget = 100_000
/** The share of the table from which on a filter is broad. */
const broadShare = 0.1

/** One question, its answer, and the milliseconds each time by either way. */
type Measured = { question: Question; total: number; ids: string[]; ours: number[]; rival: number[] }

/** First pages with the exact total, neither known before, in turns with COUNT(*) and OFFSET. */
export async function firstPages({ cloud, base, handler, rounds }: PartOptions): Promise<PartResult> {
  const passes = sorts.map((sort) => plainFilters().map((filter) => pageQuestion(filter, sort)))
  const measured = new Map<string, Measured>()
  const random = randomFrom(1)
  const turnBudget = rivalBudget / (rounds * passes.length)
  const sql = masterPool(cloud.credentials.database_url, 2)
  try {
    for (let round = 0; round < rounds; round++) {
      for (const questions of passes) {
        await oursTurn(handler, measured, questions)
        await rivalTurn(sql, measured, shuffled(questions, random), turnBudget)
      }
    }
  } finally {
    await sql.end({ timeout: 2 })
  }
  return report([...measured.values()], base.rows, rounds)
}

async function oursTurn(
  handler: HandlerUnderTest,
  measured: Map<string, Measured>,
  questions: readonly Question[],
): Promise<void> {
  await handler.forget()
  for (const question of questions) {
    const asked = await handler.ask(question.path)
    expectMiss(question.path, asked)
    const { total, ids, ms } = asked
    const known = measured.get(question.path)
    if (known) known.ours.push(ms)
    else measured.set(question.path, { question, total, ids, ours: [ms], rival: [] })
  }
}

/** Throws where the two ways answer differently. */
async function rivalTurn(
  sql: Sql,
  measured: Map<string, Measured>,
  questions: readonly Question[],
  budget: number,
): Promise<void> {
  // The pool drops connections that were idle for long; to open them again does not count.
  await Promise.all([sql`select 1`, sql`select 1`])
  const until = performance.now() + budget
  for (const { path, filter, sort, limit } of questions) {
    if (performance.now() > until) return
    const started = performance.now()
    const { total, rows } = await countAndPage(sql, filter, sort, limit)
    const known = measured.get(path)!
    known.rival.push(performance.now() - started)
    if (total !== known.total || rows.map(({ id }) => id).join() !== known.ids.join()) {
      throw new Error(`${path} has two answers`)
    }
  }
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const keyed = list.map((item) => ({ item, key: random.share() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
}

function report(all: readonly Measured[], rows: number, rounds: number): PartResult {
  const within = (low: number, high: number) =>
    all.filter(({ total }) => total >= low * rows && total < high * rows)
  const broad = within(broadShare, Number.POSITIVE_INFINITY)
  const ours = (some: readonly Measured[]) => some.flatMap((one) => one.ours)
  const rival = (some: readonly Measured[]) => some.flatMap((one) => one.rival)
  const ratio = (some: readonly Measured[]) => median(rival(some)) / median(ours(some))
  const line = (name: string, some: readonly Measured[]) => [
    name,
    some.length,
    ...[0.5, 0.95, 1].map((q) => figure(quantile(ours(some), q), 1)),
    some.filter((one) => one.rival.length > 0).length,
    ...[0.5, 0.95, 1].map((q) => figure(quantile(rival(some), q), 1)),
    figure(ratio(some), 1),
  ]
  const slowest = all.toSorted((a, b) => median(b.ours) - median(a.ours)).slice(0, 3)
  return {
    goals: [
      { name: 'first page with exact total, p95', value: quantile(ours(all), 0.95), limit: 50, unit: 'ms' },
      {
        name: 'the same beside COUNT(*) and OFFSET, broad filters, ratio of medians',
        value: ratio(broad),
        limit: 10,
        unit: 'x',
        atLeast: true,
      },
    ],
    text: `### First pages with the exact total, asked for the first time

${table(
  [
    'filters on gender, age, country',
    'asked',
    'p50',
    'p95',
    'max',
    'of them',
    'COUNT p50',
    'COUNT p95',
    'COUNT max',
    'ratio p50',
  ],
  [
    line('all', all),
    line('broad: a tenth of the table or more', broad),
    line('from a hundredth to a tenth', within(0.01, broadShare)),
    line('narrower', within(0, 0.01)),
  ],
)}

Milliseconds; ${plainFilters().length} filters in ${sorts.length} orders, rounds: ${rounds}. Ours is the handler with gateway events, key and
validation included, in an environment that is connected and remembers nothing. The other is \`COUNT(*)\` with
\`LIMIT .. OFFSET\` on two connections at once, without HTTP; it had ${figure(rivalBudget / 1000)} s in all and asked as many as it could. Every
answer was compared: same total, same rows. Our slowest: ${slowest.map(({ question, ours: ms }) => `\`${question.path}\` ${figure(median(ms), 1)} ms`).join(', ')}.`,
    bars: [
      { name: 'broad, p50: Insighta', value: median(ours(broad)), ours: true },
      { name: 'broad, p50: COUNT(*)', value: median(rival(broad)), ours: false },
    ],
  }
}
