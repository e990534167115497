import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { parse } from 'csv-parse'
import type { Api } from '../../clients/cli/api.ts'
import type { Report } from '../../lib/imports/report.ts'
import { nameKey } from '../../lib/profiles/profile.ts'
import { type BenchCloud, masterPool } from './cloud.ts'

const run = promisify(execFile)

export type Contender = {
  name: string
  /** What it does, for the reader of the figures. */
  what: string
  /** Imports the file; answers seconds, how many rows it inserted, and the seconds that do not count. */
  run(file: string): Promise<{ seconds: number; inserted: number; uploadSeconds?: number }>
}

const columns = 'name text, gender text, age smallint, country_id text, gender_probability float8'
const stageColumns = `${columns}, country_probability float8, notes text`
// The least that gives rows like ours: no validation, no report, no facets, no normalisation but lower().
const insertStage = `insert into profiles
    (name_key, name, gender, gender_probability, age, country_id, country_probability)
  select substr(encode(sha256(convert_to(lower(btrim(name)), 'UTF8')), 'hex'), 1, 32)::uuid, btrim(name),
    lower(gender), gender_probability, age, upper(country_id), country_probability
  from stage on conflict (name_key) do nothing`

const oneSession =
  'one session and transaction: COPY into a temporary table, then INSERT .. SELECT .. ON CONFLICT DO NOTHING ' +
  'with the key as sha256(lower(btrim(name))); no validation, no report, no facets'

/** All that can run on this machine. `say` is told of those that cannot. */
export async function contenders(cloud: BenchCloud, say: (line: string) => void): Promise<Contender[]> {
  const all = [ours(cloud.api), postgresJs(cloud), multiRowInserts(cloud)]
  if (await onPath('psql')) all.splice(1, 0, psql(cloud))
  else say('psql is not on the PATH and is left out')
  if (await onPath('pgloader')) all.push(pgloader(cloud))
  else say('pgloader is not on the PATH and is left out')
  return all
}

export const oursName = 'Insighta'
export const isOneSession = ({ name }: Pick<Contender, 'name'>): boolean => name.startsWith('COPY')

async function onPath(program: string): Promise<boolean> {
  return run(program, ['--version']).then(
    () => true,
    () => false,
  )
}

const secondsSince = (started: number) => (performance.now() - started) / 1000

function ours(api: Api): Contender {
  return {
    name: oursName,
    what: 'the whole product: from the accepted PUT through S3, SQS and Lambda processes to the finished report, with validation, facets, and exactly-once slices',
    async run(file) {
      const uploading = performance.now()
      const id = await api.upload(file, 'people.csv')
      const uploadSeconds = secondsSince(uploading)
      const started = performance.now()
      const { inserted } = await finished(api, id)
      return { seconds: secondsSince(started), inserted, uploadSeconds }
    },
  }
}

/** Waits for the report of an import. Throws where it did not complete. */
export async function finished(api: Api, id: string): Promise<Report> {
  for (;;) {
    const report = await api.report(id)
    if (report.state === 'completed') return report
    if (report.finished_at) throw new Error(`The import ended ${report.state}: ${JSON.stringify(report)}`)
    await wait(100)
  }
}

function postgresJs(cloud: BenchCloud): Contender {
  return {
    name: 'COPY by postgres.js',
    what: oneSession,
    async run(file) {
      const started = performance.now()
      const inserted = await cloud.sql.begin(async (tx) => {
        await tx.unsafe(`create temporary table stage (${stageColumns}) on commit drop`)
        const copy = await tx`copy stage from stdin with (format csv, header)`.writable()
        await pipeline(createReadStream(file, { highWaterMark: 256 * 1024 }), copy)
        return (await tx.unsafe(insertStage)).count
      })
      return { seconds: secondsSince(started), inserted }
    },
  }
}

function psql(cloud: BenchCloud): Contender {
  return {
    name: 'COPY by psql',
    what: oneSession,
    async run(file) {
      const started = performance.now()
      const output = await withInput(
        'psql',
        ['--no-psqlrc', '--single-transaction', '--set=ON_ERROR_STOP=1'],
        connectionEnvironment(cloud),
        `create temporary table stage (${stageColumns}) on commit drop;
\\copy stage from '${file}' with (format csv, header)
${insertStage};\n`,
      )
      const inserted = Number(/^INSERT 0 (\d+)$/m.exec(output)?.[1])
      return { seconds: secondsSince(started), inserted }
    },
  }
}

/** The way most teams take: a batch of parsed rows is a statement, and a pool runs them beside each other. */
function multiRowInserts(cloud: BenchCloud): Contender {
  const connections = 20
  return {
    name: 'multi-row INSERTs',
    what: `csv-parse in Node.js, the key in JavaScript, INSERT .. VALUES of 1,000 rows .. ON CONFLICT DO NOTHING over ${connections} connections, a transaction each; no validation, no report, no facets`,
    async run(file) {
      const sql = masterPool(cloud.credentials.database_url, connections)
      const started = performance.now()
      let inserted = 0
      const running = new Set<Promise<unknown>>()
      const send = async (rows: string[][]) => {
        const work = sql`insert into profiles ${sql(rows.map(toRow))} on conflict (name_key) do nothing`
          .then(({ count }) => {
            inserted += count
          })
          .finally(() => running.delete(work))
        running.add(work)
        if (running.size >= connections) await Promise.race(running)
      }
      try {
        let rows: string[][] = []
        const parser = createReadStream(file).pipe(parse({ from: 2, record_delimiter: '\n' }))
        for await (const row of parser as AsyncIterable<string[]>) {
          rows.push(row)
          if (rows.length < 1000) continue
          await send(rows)
          rows = []
        }
        if (rows.length > 0) await send(rows)
        await Promise.all(running)
        return { seconds: secondsSince(started), inserted }
      } finally {
        await sql.end({ timeout: 2 })
      }
    },
  }
}

function toRow([name = '', gender = '', age, country = '', genderProbability, countryProbability]: string[]) {
  const probability = (value: string | undefined) => (value ? Number(value) : null)
  return {
    name_key: nameKey(name),
    name: name.trim(),
    gender: gender.toLowerCase(),
    gender_probability: probability(genderProbability),
    age: Number(age),
    country_id: country.toUpperCase(),
    country_probability: probability(countryProbability),
  }
}

function pgloader(cloud: BenchCloud): Contender {
  return {
    name: 'pgloader',
    what: 'pgloader into an unlogged table, then the same INSERT .. SELECT as its AFTER LOAD step',
    async run(file) {
      const { PGUSER, PGPASSWORD, PGHOST, PGPORT, PGDATABASE } = connectionEnvironment(cloud)
      const target = `postgresql://${PGUSER}:${PGPASSWORD}@${PGHOST}:${PGPORT}/${PGDATABASE}`
      const script = `${file}.load`
      await cloud.sql.unsafe(`create unlogged table bench.stage (${stageColumns})`)
      const [before] = await cloud.sql<{ count: number }[]>`select sum(count)::bigint as count from facets`
      try {
        await writeFile(
          script,
          `load csv from '${file}' into ${target} target table bench.stage
            with skip header = 1, fields optionally enclosed by '"', fields terminated by ','
            after load do $$ ${insertStage.replace('from stage', 'from bench.stage')} $$;\n`,
          { mode: 0o600 },
        )
        const started = performance.now()
        await run('pgloader', [script])
        const seconds = secondsSince(started)
        const [after] = await cloud.sql<{ count: number }[]>`select count(*) as count from profiles`
        return { seconds, inserted: after!.count - before!.count }
      } finally {
        await cloud.sql`drop table bench.stage`
        await rm(script, { force: true })
      }
    },
  }
}

function connectionEnvironment(cloud: BenchCloud): Record<string, string> {
  const url = new URL(cloud.credentials.database_url)
  return {
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGDATABASE: url.pathname.slice(1),
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
  }
}

async function withInput(
  program: string,
  args: string[],
  environment: Record<string, string>,
  input: string,
): Promise<string> {
  const child = spawn(program, args, {
    env: { ...process.env, ...environment, PGCLIENTENCODING: 'UTF8' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} failed: ${output}`)
  return output
}
