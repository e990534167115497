import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { CompareOptions } from './compare.ts'
import { finished } from './contenders.ts'
import { writePeople } from './people-file.ts'
import { type Query, type QuerySample, startQueryLoad } from './query-load.ts'
import { figure, surroundings, table, writeSection } from './report.ts'
import { quantile } from './statistics.ts'
import { restore } from './table.ts'

const perSecond = 20

export type BesideOptions = Omit<CompareOptions, 'rounds'> & { idleSeconds: number }

/** Measures queries over HTTP, first alone and then while two imports run at once. */
export async function queriesBeside(options: BesideOptions): Promise<void> {
  const { cloud, base, folder, rows, idleSeconds, say } = options
  const load = () =>
    startQueryLoad({ url: cloud.url, key: cloud.credentials.api_key, perSecond, queries: drawQueries() })
  const files = [101, 102].map((seed) => ({ seed, file: join(folder, `people-${seed}.csv`) }))
  for (const { seed, file } of files) await writePeople(file, rows, seed)
  try {
    // The functions start, and what is popular is read once.
    const warming = load()
    await wait(3000)
    await warming.stop()

    const alone = load()
    await wait(idleSeconds * 1000)
    const idle = await alone.stop()

    await cloud.sql`checkpoint`
    const beside = load()
    const started = performance.now()
    const ids = await Promise.all(files.map(({ file }) => cloud.api.upload(file, 'people.csv')))
    const reports = await Promise.all(ids.map((id) => finished(cloud.api, id)))
    const seconds = (performance.now() - started) / 1000
    const busy = await beside.stop()

    const lost = reports.find(({ inserted }) => inserted !== rows)
    if (lost) throw new Error(`An import inserted ${lost.inserted} of ${rows} rows`)
    say(`queries beside imports: p95 ${quantile(times(idle), 0.95).toFixed(1)} ms alone, \
${quantile(times(busy), 0.95).toFixed(1)} ms beside`)
    await write(options, idle, busy, seconds)
  } finally {
    for (const { file } of files) await rm(file, { force: true })
    await restore(cloud.sql, base)
  }
}

/** What people ask again and again. */
const popular = [
  'gender=female&country_id=NG&min_age=20&max_age=45',
  'country_id=KE',
  'gender=male',
  'age_group=senior&sort_by=age&order=desc',
  'country_id=GH&gender=male&page=3&limit=50',
  'age_group=teenager&limit=50',
  'min_age=30&max_age=39&country_id=ZA',
  '',
]
const codes = ['NG', 'KE', 'ET', 'GH', 'ZA', 'EG', 'US', 'GB', 'FR', 'DE', 'IN', 'BR']

/** Enough for a quarter of an hour without a repetition: of 20 nine popular ones, ten new ones, one over a probability. */
function drawQueries(): Query[] {
  return Array.from({ length: 900 * perSecond }, (_, n) => drawQuery(n))
}

function drawQuery(n: number): Query {
  const pick = <T>(list: readonly T[]) => list[Math.floor(Math.random() * list.length)]!
  const query = (kind: string, text: string): Query => ({ kind, path: `/api/profiles?${text}` })
  if (n % 2 === 0) return query('popular', pick(popular))
  const from = Math.floor(Math.random() * 80)
  const to = from + Math.floor(Math.random() * (95 - from))
  const gender = pick(['', '&gender=male', '&gender=female'])
  const country = pick(['', ...codes.map((code) => `&country_id=${code}`)])
  const order = pick(['', '&sort_by=age', '&sort_by=age&order=desc', '&sort_by=created_at&order=desc'])
  const ages = `min_age=${from}&max_age=${to}`
  if (n % 20 === 19) {
    const least = (0.9 + Math.floor(Math.random() * 100) / 1000).toFixed(3)
    return query('probability', `${ages}${country}&min_gender_probability=${least}`)
  }
  return query('fresh', `${ages}${gender}${country}${order}&page=${1 + (n % 5)}`)
}

const times = (samples: readonly QuerySample[]) => samples.map(({ ms }) => ms)

async function write(options: BesideOptions, idle: QuerySample[], busy: QuerySample[], seconds: number) {
  const { cloud, base, rows, idleSeconds, out } = options
  const line = (name: string, keep: (sample: QuerySample) => boolean) => {
    const [alone, beside] = [idle, busy].map((samples) => times(samples.filter(keep)))
    const cells = [0.5, 0.95, 0.99].flatMap((q) => [quantile(alone!, q), quantile(beside!, q)])
    const ratio = quantile(beside!, 0.95) / quantile(alone!, 0.95)
    return [name, beside!.length, ...cells.map((value) => figure(value, 1)), figure(ratio, 1)]
  }
  const lines = [
    line('all', () => true),
    line('popular filters, asked again and again', ({ kind }) => kind === 'popular'),
    line('filters nobody asked before', ({ kind }) => kind === 'fresh'),
    line('with a bound on a probability', ({ kind }) => kind === 'probability'),
    line('answered from the cache', ({ cache }) => cache !== 'miss'),
  ]
  const failed = [...idle, ...busy].filter(({ status }) => status !== 200).length
  await writeSection(
    out,
    'import-queries',
    `## Queries while two imports run

${perSecond} queries a second over HTTP at fixed times, each measured in ms from its time on, first for ${idleSeconds} s
alone and then for the ${figure(seconds, 1)} s in which two files of ${figure(rows)} rows landed at once in the
table of ${figure(base.rows)}. ${failed === 0 ? 'Every query was answered' : `${failed} queries failed`}.

${table(['queries', 'beside', 'p50 alone', 'p50', 'p95 alone', 'p95', 'p99 alone', 'p99', 'p95 ratio'], lines)}

${await surroundings(cloud.sql)}`,
  )
}
