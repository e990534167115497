import { createConnection } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type postgres from 'postgres'
import { numberEnv, requiredEnv } from './config.ts'
import { guardedPool } from './guarded-pool.ts'
import { env } from './names.ts'

/** int8 arrives as a number: counts and byte offsets of this product stay far below 2^53. */
const types = { bigint: { to: 20, from: [20], parse: Number, serialize: String } }

export type Sql = postgres.Sql<{ bigint: number }>
export type Transaction = postgres.TransactionSql<{ bigint: number }>

export type ConnectOptions = {
  host: string
  port: number
  database: string
  user: string
  /** Called once for each new connection, so that a token may expire between two of them. */
  password: () => string | Promise<string>
  tls: boolean
  /** Connections at the most. */
  max: number
  /**
   * Refuses a server that follows another one: for a while after a failover the writer's name may lead to what is
   * a reader now, which would be asked for the latest state of the data. Rejects as an unreachable one does.
   */
  primary?: boolean
  /** Transactions, idle or not, end after this time: a frozen environment must not hold locks. */
  transactionTimeoutSeconds: number
  applicationName: string
}

/**
 * A plan for each set of values: a generic one takes a page for a tenth of the table. And a page out of order
 * costs hardly more than the next one, since no database of ours is on a spinning disk.
 */
export const planning = { plan_cache_mode: 'force_custom_plan', random_page_cost: 1.1 }

/**
 * A pool. A connection that is cut rejects what runs over it, with an error of which databaseUnavailable is true, and
 * costs no other.
 */
export function createPool(options: ConnectOptions): Sql {
  const { host, port } = options
  const timeout = options.transactionTimeoutSeconds * 1000
  const tls: ConnectionOptions = { servername: host, rejectUnauthorized: true }
  let password: string
  const sockets = {
    /**
     * A password takes its time. postgres.js would ask for it while it is answering the server, and write it to no
     * socket, which nothing can catch, if the connection was cut meanwhile.
     */
    async socket() {
      password = await passwordOf(options)
      // As postgres.js notes them, for its errors.
      return Object.assign(createConnection({ host, port }), { host, port })
    },
  }
  return guardedPool({
    ...sockets,
    host,
    port,
    database: options.database,
    user: options.user,
    password: () => password,
    ssl: options.tls ? tls : false,
    max: options.max,
    ...(options.primary && { target_session_attrs: 'primary' as const }),
    // After a freeze the socket may be dead; a short idle time keeps the pool from handing it out.
    idle_timeout: 20,
    max_lifetime: 600,
    connect_timeout: 5,
    // Saves a query a connection (~4 ms). The price: array parameters go as array literals or jsonb.
    fetch_types: false,
    types,
    onnotice: () => {},
    connection: {
      ...planning,
      application_name: options.applicationName,
      idle_in_transaction_session_timeout: timeout,
      transaction_timeout: timeout,
    },
  })
}

async function passwordOf({ password }: ConnectOptions): Promise<string> {
  try {
    return await password()
  } catch (cause) {
    const code = 'NO_PASSWORD'
    throw Object.assign(new Error('No database password', { cause }), { code, errno: code })
  }
}

/** An IAM token for the database, valid for 15 minutes: the password on AWS. Signed locally, no call is made. */
async function iamToken(hostname: string, port: number, username: string): Promise<string> {
  const { Signer } = await import('@aws-sdk/rds-signer')
  return new Signer({ hostname, port, username, region: requiredEnv('AWS_REGION') }).getAuthToken()
}

const pools: { writer?: Sql | undefined; reader?: Sql | undefined } = {}

/**
 * The pool of this execution environment, made at the first call from the PG* variables.
 * Throws ConfigurationError where one is missing.
 */
export function connect(): Sql {
  pools.writer ??= fromEnvironment(requiredEnv(env.databaseHost), numberEnv(env.databasePort, 5432), true)
  return pools.writer
}

/** The pool of the readers, which lag behind the writer; undefined where the stage has none. */
export function connectReader(): Sql | undefined {
  const host = process.env[env.databaseReaderHost]
  if (!host) return undefined
  const port = numberEnv(env.databaseReaderPort, numberEnv(env.databasePort, 5432))
  pools.reader ??= fromEnvironment(host, port, false)
  return pools.reader
}

/**
 * Lets go of the pools, so that the next connect() makes others. To be called when a query hung: what waits for it,
 * or behind it, is given up.
 */
export function replacePool(): void {
  letGo('writer')
  letGo('reader')
}

/** The same for the readers alone. */
export function replaceReaderPool(): void {
  letGo('reader')
}

function letGo(name: keyof typeof pools): void {
  // What still waits on it is given up; nobody is left to hear of a failure to close.
  pools[name]?.end({ timeout: 1 }).catch(() => {})
  pools[name] = undefined
}

/** Ends the pools, waiting at most two seconds for what runs: without a bound it hangs after a cut connection. */
export async function disconnect(): Promise<void> {
  const { writer, reader } = pools
  pools.writer = undefined
  pools.reader = undefined
  await Promise.all([writer?.end({ timeout: 2 }), reader?.end({ timeout: 2 })])
}

function fromEnvironment(host: string, port: number, primary: boolean): Sql {
  const user = requiredEnv(env.databaseUser)
  return createPool({
    host,
    port,
    user,
    database: requiredEnv(env.databaseName),
    password: () => process.env[env.databasePassword] ?? iamToken(host, port, user),
    tls: process.env[env.databaseTls] !== 'disable',
    max: numberEnv(env.databasePoolMax, 2),
    primary,
    transactionTimeoutSeconds: numberEnv(env.functionTimeoutSeconds, 60),
    applicationName: process.env.AWS_LAMBDA_FUNCTION_NAME ?? 'insighta',
  })
}

/** Codes of postgres.js, Node and PostgreSQL that say the connection went away, or was never there. */
const connectionCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'NO_PASSWORD',
  '57P01', // terminated by an administrator; also what the query after a cut one gets
  '57P02',
  '57P03', // starting up or shutting down
  '53300', // too many connections
  '08000',
  '08003',
  '08006',
])

/** Whether an error means that the database cannot be reached, rather than that it refused the query. */
export function databaseUnavailable(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return connectionCodes.has(code)
}

/** Runs an idempotent read, again up to twice when its connection was cut: that of the second try may be, too. */
export async function retryRead<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read()
    } catch (error) {
      if (attempt === 3 || !databaseUnavailable(error)) throw error
    }
  }
}

/** Resolves once the database has answered. */
export async function ping(sql: Sql): Promise<void> {
  await retryRead(() => sql`select 1`)
}

/** A PostgreSQL array literal of values that need no more than quoting: `fetch_types: false` takes no arrays. */
export function arrayLiteral(values: readonly (string | number | null)[]): string {
  const parts = values.map((value) => {
    if (value === null) return 'NULL'
    if (typeof value === 'number') return String(value)
    return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  })
  return `{${parts.join(',')}}`
}
