import type postgres from 'postgres'
import type { Metrics } from '../metrics.ts'

const everyMs = 10_000

/** What PostgreSQL has counted since it started. */
export type Counters = { deadlocks: number; hits: number; reads: number }

type Row = Counters & { connections: number; bytes: number; lagMs: number | null }

/**
 * Records what PostgreSQL knows of what RDS tells CloudWatch of a cluster, under the dimension
 * `DBClusterIdentifier`: connections of others than the platform, bytes on disk, what the furthest standby is behind,
 * and since `before`, if given, deadlocks and the percentage of pages that were found in memory. Returns the counters
 * for the next call. Rejects if the database does not answer.
 */
export async function recordDatabase(
  sql: postgres.Sql,
  cluster: string,
  metrics: Metrics,
  before?: Counters,
): Promise<Counters> {
  const [row] = await sql<[Row]>`
    select
      (select count(*)::integer from pg_stat_activity
        where backend_type = 'client backend' and usename <> current_user) as connections,
      (select sum(pg_database_size(oid))::float8 from pg_database) as bytes,
      (select max(coalesce(extract(epoch from replay_lag), 0))::float8 * 1000 from pg_stat_replication) as "lagMs",
      sum(deadlocks)::float8 as deadlocks, sum(blks_hit)::float8 as hits, sum(blks_read)::float8 as reads
    from pg_stat_database`
  const { connections, bytes, lagMs, deadlocks, hits, reads } = row
  const record = (metric: string, value: number, unit: string) =>
    metrics.record({
      namespace: 'AWS/RDS',
      metric,
      dimensions: { DBClusterIdentifier: cluster },
      value,
      unit,
    })
  record('DatabaseConnections', connections, 'Count')
  record('VolumeBytesUsed', bytes, 'Bytes')
  if (lagMs !== null) record('AuroraReplicaLagMaximum', lagMs, 'Milliseconds')
  // After a restart of the server that lost its counters they may be smaller.
  if (before && deadlocks >= before.deadlocks) record('Deadlocks', deadlocks - before.deadlocks, 'Count')
  const [found, read] = before ? [hits - before.hits, reads - before.reads] : [0, 0]
  if (found >= 0 && read >= 0 && found + read > 0)
    record('BufferCacheHitRatio', (100 * found) / (found + read), 'Percent')
  return { deadlocks, hits, reads }
}

/** The metrics of recordDatabase, as names of AWS/RDS. */
export const databaseMetrics = [
  'DatabaseConnections',
  'VolumeBytesUsed',
  'AuroraReplicaLagMaximum',
  'Deadlocks',
  'BufferCacheHitRatio',
]

/**
 * Calls recordDatabase every ten seconds until it is closed. `connected` runs it over a connection of its own. While
 * the database is away there are no points: the gap in the graph says so.
 */
export function watchDatabase(
  cluster: string,
  connected: <T>(work: (sql: postgres.Sql) => Promise<T>) => Promise<T>,
  metrics: Metrics,
): { close(): Promise<void> } {
  let counters: Counters | undefined
  let running = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const next = () => {
    running = connected((sql) => recordDatabase(sql, cluster, metrics, counters))
      .then(
        (found) => {
          counters = found
        },
        () => {
          counters = undefined
        },
      )
      .then(() => {
        if (!closed) timer = setTimeout(next, everyMs)
      })
  }
  next()
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}
