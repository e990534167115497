import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from '../../lib/platform/db.ts'
import { countByScan } from '../../lib/profiles/counts.ts'
import { countByFacets } from '../../lib/profiles/facets.ts'
import { boundsProbability, type Filter } from '../../lib/profiles/filter.ts'
import { finished } from './contenders.ts'
import { writePeople } from './people-file.ts'
import { type Query, type QuerySample, startQueryLoad } from './query-load.ts'
import type { PartOptions, PartResult } from './query-part.ts'
import { type MixQuestion, mixQuestions, zipf } from './query-questions.ts'
import { figure, table } from './report.ts'
import { forkRival } from './rival-process.ts'
import { quantile } from './statistics.ts'
import { restore } from './table.ts'

const perSecond = 50
const questionCount = 1000
const exponent = 1.05
/** Longer than that the load does not go on, whether or not the imports have ended. */
const longestLoad = 90_000
/** How many of the most popular questions are checked after the imports. */
const checked = 50

export type MixOptions = PartOptions & { importRows: number; idleSeconds: number }

type Side = {
  name: string
  url: string
  key: string
  ours: boolean
  /** Gives up what still waits for the database after the load. */
  dropWaiting(): Promise<void>
}
type Measured = {
  side: Side
  idle: QuerySample[]
  beside: QuerySample[]
  importSeconds: number
  loadSeconds: number
  stale: { wrong: number; answered: number }
}

/** The same questions over HTTP at the same rate, alone and beside two imports, here and there. */
export async function mixOfQuestions(options: MixOptions): Promise<PartResult> {
  const { run, cloud, base, importRows, say } = options
  const questions = mixQuestions(questionCount, 1)
  // Both have the same draws; those of the second load go on where the first one ended.
  const idleQueries = options.idleSeconds * perSecond
  const queries = drawn(questions, idleQueries + (longestLoad / 1000) * perSecond)
  const files = [301, 302].map((seed) => ({ seed, file: join(run.folder, `people-${seed}.csv`) }))
  for (const { seed, file } of files) await writePeople(file, importRows, seed)
  const rival = await forkRival(cloud.credentials.database_url)
  run.onStop(rival.close)
  const sides: Side[] = [
    {
      name: 'Insighta',
      url: cloud.url,
      key: cloud.credentials.api_key,
      ours: true,
      dropWaiting: async () => {},
    },
    {
      name: 'COUNT(*) and a cache of 5 minutes',
      url: rival.url,
      key: '',
      ours: false,
      dropWaiting: rival.drop,
    },
  ]
  try {
    const measured: Measured[] = []
    for (const side of sides) {
      say(`${side.name}: ${perSecond} questions a second`)
      await warmUp(side)
      const idle = await idleLoad(side, queries.slice(0, idleQueries), options.idleSeconds)
      await cloud.sql`checkpoint`
      try {
        measured.push({
          side,
          idle,
          ...(await loadBesideImports(options, side, queries.slice(idleQueries), questions, files)),
        })
      } finally {
        await restore(cloud.sql, base)
      }
    }
    return report(measured, options)
  } finally {
    await rival.close()
  }
}

function drawn(questions: readonly MixQuestion[], count: number): Query[] {
  const draw = zipf(questions.length, exponent, 2)
  return Array.from({ length: count }, () => {
    const { kind, path } = questions[draw()]!
    return { kind, path }
  })
}

const load = ({ url, key }: Side, queries: readonly Query[]) =>
  startQueryLoad({ url, key, perSecond, queries })

/** Functions start, connections open; no question of the mix is asked. */
async function warmUp(side: Side): Promise<void> {
  const warming = load(side, [{ kind: 'warming', path: '/api/profiles?country_id=AQ' }])
  await wait(2000)
  await warming.stop()
}

async function idleLoad(side: Side, queries: readonly Query[], seconds: number): Promise<QuerySample[]> {
  const idle = load(side, queries)
  await wait(seconds * 1000)
  return idle.stop()
}

async function loadBesideImports(
  { cloud, importRows }: MixOptions,
  side: Side,
  queries: readonly Query[],
  questions: readonly MixQuestion[],
  files: readonly { file: string }[],
): Promise<Omit<Measured, 'side' | 'idle'>> {
  const started = performance.now()
  const seconds = () => (performance.now() - started) / 1000
  const running = load(side, queries)
  const uploads = files.map(({ file }) => cloud.api.upload(file, 'people.csv'))
  const imports = Promise.all(uploads.map(async (id) => finished(cloud.api, await id)))
  const bound = new AbortController()
  await Promise.race([imports, wait(longestLoad, undefined, { signal: bound.signal })]).finally(() =>
    bound.abort(),
  )
  const loadSeconds = seconds()
  const beside = await running.stop()
  // What waits there would hold the imports up for minutes.
  await side.dropWaiting()
  const reports = await imports
  const importSeconds = Math.max(...reports.map(secondsOf))
  const lost = reports.find(({ inserted }) => inserted !== importRows)
  if (lost) throw new Error(`An import inserted ${lost.inserted} of ${importRows} rows`)
  const stale = await staleAnswers(cloud.sql, side, questions.slice(0, checked))
  return { beside, loadSeconds, importSeconds, stale }
}

function secondsOf({ started_at, finished_at }: { started_at: string | null; finished_at: string | null }) {
  return (Date.parse(finished_at!) - Date.parse(started_at!)) / 1000
}

/** Of the most popular questions how many are answered with another total than the exact one, all having ended. */
async function staleAnswers(
  sql: Sql,
  { url, key }: Side,
  questions: readonly MixQuestion[],
): Promise<Measured['stale']> {
  // As long as our own answers may be behind.
  await wait(1000)
  let [wrong, answered] = [0, 0]
  for (const { path, filter } of questions) {
    const response = await fetch(url + path, {
      headers: { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(10_000),
    }).catch(() => undefined)
    if (response?.status !== 200) continue
    const { total } = (await response.json()) as { total: number }
    answered++
    if (total !== (await exactTotal(sql, filter))) wrong++
  }
  return { wrong, answered }
}

async function exactTotal(sql: Sql, filter: Filter): Promise<number> {
  if (boundsProbability(filter)) return countByScan(sql, filter)
  return (await countByFacets(sql, filter)).matches
}

const answeredBy = (samples: readonly QuerySample[]) => samples.filter(({ status }) => status === 200)
const times = (samples: readonly QuerySample[]) => samples.map(({ ms }) => ms)

function hitRatio(samples: readonly QuerySample[]): number {
  const answered = answeredBy(samples)
  return answered.filter(({ cache }) => cache !== 'miss').length / answered.length
}

function report(measured: readonly Measured[], { importRows, idleSeconds, base }: MixOptions): PartResult {
  const line = (name: string, samples: readonly QuerySample[]) => [
    name,
    figure(samples.length),
    figure(samples.length - answeredBy(samples).length),
    ...[0.5, 0.95, 0.99].map((q) => figure(quantile(times(samples), q), 1)),
    `${figure(100 * hitRatio(samples), 0)} %`,
  ]
  const kinds = ['filters', 'plain English', 'probability'] as const
  const ours = measured.find(({ side }) => side.ours)!
  const others = measured.filter(({ side }) => !side.ours)
  const p95 = (samples: readonly QuerySample[]) => quantile(times(samples), 0.95)
  const lines = measured.flatMap(({ side, idle, beside }) => [
    line(`${side.name}, alone`, idle),
    line(`${side.name}, beside two imports`, beside),
  ])
  const byKind = kinds.map((kind) =>
    line(
      `Insighta beside: ${kind}`,
      ours.beside.filter((one) => one.kind === kind),
    ),
  )
  const others95 = others.map(({ beside }) => ({
    name: 'p95 of the other way beside two imports beside ours, ratio',
    value: p95(beside) / p95(ours.beside),
    limit: 1,
    unit: 'x',
    atLeast: true as const,
  }))
  return {
    goals: [
      {
        name: 'mix over HTTP beside two imports, p50',
        value: quantile(times(ours.beside), 0.5),
        limit: 20,
        unit: 'ms',
      },
      { name: 'mix over HTTP beside two imports, p95', value: p95(ours.beside), limit: 200, unit: 'ms' },
      {
        name: 'totals that are not exact a second after the imports',
        value: ours.stale.wrong,
        limit: 0,
        unit: 'answers',
      },
      ...others95,
    ],
    text: `### A mix of questions over HTTP, alone and beside two imports

${table(['way', 'questions', 'unanswered', 'p50', 'p95', 'p99', 'from the cache'], [...lines, ...byKind])}

Milliseconds. ${figure(questionCount)} questions of different meaning, by filters and in plain English, one of twenty over a probability,
drawn by Zipf's law (exponent ${exponent}), the same draws for both. ${perSecond} a second at fixed times, each measured from its own time on; what
is unanswered ten seconds after the last counts as that long. Alone for ${idleSeconds} s, beside two imports of ${figure(importRows)} rows
each into ${figure(base.rows)}, to their end or for ${longestLoad / 1000} s: ${measured.map(({ side, loadSeconds, importSeconds }) => `${side.name} ${figure(loadSeconds, 1)} s, its imports ${figure(importSeconds, 1)} s`).join('; ')}.

The other way is Fastify with postgres.js and ${'`COUNT(*)`'} beside \`LIMIT .. OFFSET\`, ten connections, reached directly: no gateway, no
keys, one process that shares all it remembers. It reads questions by our own rules, so that equal meaning is one entry of its
cache too. Its answers are up to five minutes old, ours exact within one second: of the ${checked} most popular questions
${measured.map(({ side, stale }) => `${side.name} answered ${stale.wrong} of ${stale.answered} with a total that was no longer true`).join(', ')}, a second after the imports.`,
    bars: measured.flatMap(({ side, idle, beside }) => [
      { name: `mix alone, p95: ${shortName(side)}`, value: p95(idle), ours: side.ours },
      { name: `mix beside imports, p95: ${shortName(side)}`, value: p95(beside), ours: side.ours },
    ]),
  }
}

const shortName = ({ ours, name }: Side) => (ours ? name : 'COUNT(*)')
