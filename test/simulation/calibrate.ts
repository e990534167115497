import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { applyFacetDeltas } from '../../lib/profiles/facets.ts'
import type { Gender } from '../../lib/profiles/profile.ts'
import type { BenchCloud } from '../bench/cloud.ts'
import { type Query, startQueryLoad } from '../bench/query-load.ts'
import { surroundings } from '../bench/report.ts'
import { median } from '../bench/statistics.ts'
import type { Calibration, QueryCost, Work } from './calibration.ts'
import { leastDisturbed, type MeasuredImport, measureImport, sum } from './measure.ts'
import { countries, measurePace } from './pace.ts'
import { measureParallelism } from './parallelism.ts'
import { type ProcessorTime, readProcessorTime, usedSince } from './processor-time.ts'

const rowsPerSlice = 10_000
const commits = 25
const queriesPerSecond = 40
const querySeconds = 6

/** Measures what one of everything costs, on a cloud with one insert worker that has imported before. */
export async function calibrate(cloud: BenchCloud, folder: string): Promise<Calibration> {
  const parallelism = await measureParallelism()
  // What a query costs alone, before the imports leave work for the vacuum.
  const idle = await measureIdle()
  const fresh = await measureQueries(cloud, idle, freshQueries())
  const cached = await measureQueries(cloud, idle, [
    { kind: 'cached', path: '/api/profiles?country_id=KE&limit=10' },
  ])
  const before = await measurePace(cloud, folder, 521)
  const measureSlices = (slices: number, seed: number) =>
    leastDisturbed(
      (nth) => measureImport(cloud, folder, { rows: slices * rowsPerSlice, seed: seed + nth }),
      ({ others }) => others,
      0.1,
    )
  const short = await measureSlices(4, 501)
  const long = await measureSlices(16, 511)
  // Before other files: it takes the rows that came last.
  const lock = await measureLock(cloud)
  const pace = (before + (await measurePace(cloud, folder, 541))) / 2
  const perSlice = Math.max(0, (long.splitSeconds - short.splitSeconds) / (long.slices - short.slices))
  const [size] = await cloud.sql<{ rows: number; bytes: number; indexes: number }[]>`
    select count(*)::float8 as rows, pg_total_relation_size('profiles')::float8 as bytes,
      pg_indexes_size('profiles')::float8 as indexes from profiles`
  // The long one alone, in which what happens once weighs least.
  const perSliceOf = (of: (run: MeasuredImport) => number) => of(long) / long.slices
  return {
    measured: await surroundings(cloud.sql),
    rowsPerSlice,
    tableRows: size!.rows,
    bytesPerRow: size!.bytes / size!.rows,
    indexBytesPerRow: size!.indexes / size!.rows,
    slice: {
      seconds: perSliceOf((run) => run.insertSeconds),
      workerSeconds: perSliceOf((run) => run.workerSeconds * run.slices),
      function: perSliceOf(({ used }) => used.get('insert') ?? 0),
      database: perSliceOf(({ used }) => databaseTime(used)),
      services: perSliceOf(
        ({ used, seconds }) => servicesTime(used, 'insert') - seconds * servicesTime(idle, 'insert'),
      ),
      fileBytes: perSliceOf((run) => run.fileBytes),
      walBytes: perSliceOf((run) => run.walBytes),
    },
    lock,
    split: { seconds: Math.max(0, short.splitSeconds - perSlice * short.slices), perSlice },
    finishSeconds: (short.finishSeconds + long.finishSeconds) / 2,
    // Others can only lessen it.
    parallelism: Math.max(parallelism, await measureParallelism()),
    others: long.others,
    pace,
    fresh,
    cached,
  }
}

const databaseTime = (used: ProcessorTime) => (used.get('database') ?? 0) + (used.get('upkeep') ?? 0)

const servicesTime = (used: ProcessorTime, name: string) =>
  Math.max(0, sum(used.values()) - (used.get(name) ?? 0) - databaseTime(used))

/** What the cloud uses in a second while nobody asks anything of it. */
async function measureIdle(): Promise<ProcessorTime> {
  const seconds = 3
  const reading = await readProcessorTime()
  await wait(seconds * 1000)
  const used = await usedSince(reading)
  return new Map([...used].map(([owner, time]) => [owner, time / seconds]))
}

/** The end of a slice's transaction, with its very code and the rows that came last, again and again. */
async function measureLock({ sql }: BenchCloud): Promise<Calibration['lock']> {
  const rows = await sql<{ country_id: string; gender: Gender; age: number }[]>`
    select country_id, gender, age from profiles order by id desc limit ${rowsPerSlice}`
  const reading = await readProcessorTime()
  const times: number[] = []
  // Every other one takes back what the one before counted.
  for (let n = 0; n < commits * 2; n++) {
    const deltas = rows.map((row) => ({ ...row, delta: n % 2 === 0 ? 1 : -1 }))
    const started = performance.now()
    await sql.begin((tx) => applyFacetDeltas(tx, deltas))
    times.push((performance.now() - started) / 1000)
  }
  const used = await usedSince(reading)
  const per = (value: number) => value / (commits * 2)
  return {
    seconds: median(times),
    function: per(used.get('cloud') ?? 0),
    database: per(databaseTime(used)),
    services: 0,
  }
}

/** What a query costs of those, at a rate at which none waits for another. Throws where one was refused. */
async function measureQueries(
  cloud: BenchCloud,
  idle: ProcessorTime,
  queries: readonly Query[],
): Promise<QueryCost> {
  const load = (asked: readonly Query[]) =>
    startQueryLoad({
      url: cloud.url,
      key: cloud.credentials.api_key,
      perSecond: queriesPerSecond,
      queries: asked,
    })
  // The first ones start the function, connect it and remember the cached one; then V8 compiles what is hot.
  const warming = load(queries.toReversed())
  await wait(6000)
  await warming.stop()
  const before = await readLog(cloud.logDir)
  const reading = await readProcessorTime()
  const loading = load(queries)
  await wait(querySeconds * 1000)
  const samples = await loading.stop()
  const used = await usedSince(reading)
  const log = await readLog(cloud.logDir)
  const refused = samples.find(({ status }) => status !== 200)
  if (refused) throw new Error(`A query was answered ${refused.status}`)
  const answer = await cloud.api.call('GET', queries[0]!.path)
  const durations = log.durations.slice(before.durations.length)
  const work: Work = {
    function: used.get('profiles') ?? 0,
    database: databaseTime(used),
    services: servicesTime(used, 'profiles') - querySeconds * servicesTime(idle, 'profiles'),
  }
  return {
    function: work.function / samples.length,
    database: work.database / samples.length,
    services: work.services / samples.length,
    seconds: sum(durations) / durations.length / 1000,
    responseBytes: Buffer.byteLength(JSON.stringify(answer.body)),
    logBytes: (log.bytes - before.bytes) / samples.length,
  }
}

/** Milliseconds of the invocations that the log of the queries tells of, and bytes with the log of the gateway. */
async function readLog(logDir: string): Promise<{ durations: number[]; bytes: number }> {
  let [text, bytes] = ['', 0]
  for (const file of (await readdir(logDir)).toSorted()) {
    if (!/profiles|access/i.test(file)) continue
    bytes += (await stat(join(logDir, file))).size
    if (/profiles/i.test(file)) text += await readFile(join(logDir, file), 'utf8')
  }
  const reports = text.matchAll(/REPORT RequestId: \S+\tDuration: ([\d.]+) ms/g)
  return { durations: [...reports].map(([, ms]) => Number(ms)), bytes }
}

/** Filters of ages, country and gender, each once. */
export function freshQueries(): Query[] {
  return Array.from({ length: 24 * 90 }, (_, n) => {
    const [from, country] = [n % 90, countries[n % countries.length]!]
    const to = from + 1 + Math.floor(n / 90)
    const others = [`&country_id=${country}`, '&gender=female', `&country_id=${country}&gender=male`, '']
    return {
      kind: 'fresh',
      path: `/api/profiles?min_age=${from}&max_age=${to}${others[n % 4]}&limit=10`,
    }
  })
}
