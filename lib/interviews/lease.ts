import type postgres from 'postgres'
import type { Sql, Transaction } from '../platform/db.ts'
import { InsightaError, InvalidAnswerError, UpstreamRefusedError } from '../platform/errors.ts'
import { describeFailure, type WorkFailure } from '../platform/failures.ts'
import { RetryLaterError } from '../platform/retry.ts'
import { beating, type Pulse, pulseFromEnvironment } from '../platform/work/heartbeat.ts'
import { giveUp } from '../platform/work/release.ts'
import { type Failure, FinalError, failureOf } from './failure.ts'

export { type Failure, FinalError }

/**
 * The tables whose rows are worked on under a lease: the states in which a row waits for a worker, the first of
 * them that of a row whose attempt failed, and the state of one that has a worker.
 */
export const leased = {
  assessments: { key: 'interview_id', waiting: ['pending'], working: 'generating' },
  emails: { key: 'id', waiting: ['queued'], working: 'sending' },
  resumes: { key: 'id', waiting: ['pending', 'awaiting_upload'], working: 'processing' },
} as const
export type LeasedTable = keyof typeof leased

/** Who works on a row: whatever is written at the end of it is written only while this is still so. */
export type Lease = { table: LeasedTable; id: string; token: string }

/** `done`: there is nothing to do any more. `busy`: another worker is at it, so many seconds at the most. */
export type Claim =
  | { claim: 'claimed'; lease: Lease }
  | { claim: 'done' }
  | { claim: 'busy'; seconds: number }

export type Outcome<T> =
  | { outcome: 'done'; result: T }
  | { outcome: 'failed'; failure: Failure }
  | { outcome: 'ignored' }

/** Thrown when a lease ran out under its worker and somebody else has the row. */
class LeaseLostError extends InsightaError {
  constructor() {
    super('Another worker has taken the work over', { code: 'lease_lost', status: 409 })
  }
}

/** Takes a row for so many seconds, after which another worker may take it. A row that is finished, or not there, is left as it is. */
export async function claimWork(sql: Sql, table: LeasedTable, id: string, seconds: number): Promise<Claim> {
  const { key, waiting, working } = leased[table]
  const token = crypto.randomUUID()
  const { count } = await sql`
    update ${sql(table)}
    set state = ${working}, lease = ${token}, lease_until = now() + make_interval(secs => ${seconds}),
      attempts = attempts + 1, last_error = null, last_error_cause = null, touched_at = now()
    where ${sql(key)} = ${id}
      and (state in ${sql([...waiting])} or state = ${working} and lease_until < now())`
  if (count === 1) return { claim: 'claimed', lease: { table, id, token } }
  const [row] = await sql<{ seconds: number | null }[]>`
    select extract(epoch from lease_until - now())::float8 as seconds from ${sql(table)}
    where ${sql(key)} = ${id} and state in ${sql([...waiting, working])}`
  // One that waits again was given up between the two statements.
  return row ? { claim: 'busy', seconds: Math.max(1, Math.ceil(row.seconds ?? 1)) } : { claim: 'done' }
}

/** Lets a lease end so many seconds from now. Changes nothing if another worker has the row, or the work is over. */
export async function renewLease(sql: Sql, lease: Lease, seconds: number): Promise<void> {
  await sql`
    update ${sql(lease.table)} set lease_until = now() + make_interval(secs => ${seconds})
    where ${own(sql, lease)}`
}

/** The condition of a row whose lease this still is. */
const own = (sql: Sql | Transaction, { table, id, token }: Lease): postgres.Fragment => {
  const { key, working } = leased[table]
  return sql`${sql(key)} = ${id} and state = ${working} and lease = ${token}`
}

/**
 * Locks the row for the transaction that ends the work. Where another worker has taken it over this throws, the
 * transaction is undone, and underLease answers `ignored`.
 */
export async function holdLease(tx: Transaction, lease: Lease): Promise<void> {
  const [row] = await tx`select from ${tx(lease.table)} where ${own(tx, lease)} for update`
  if (!row) throw new LeaseLostError()
}

/** Makes a row wait for its next attempt, and says why this one failed. */
export async function releaseWork(sql: Sql, lease: Lease, { error, cause }: WorkFailure): Promise<void> {
  await sql`
    update ${sql(lease.table)}
    set state = ${leased[lease.table].waiting[0]}, lease = null, lease_until = null, touched_at = now(),
      last_error = ${error}, last_error_cause = ${cause}
    where ${own(sql, lease)}`
}

/** Ends a row as failed. False where another worker has taken it over. */
export async function failWork(sql: Sql, lease: Lease, failure: Failure): Promise<boolean> {
  const { count } = await sql`
    update ${sql(lease.table)}
    set state = 'failed', failure = ${sql.json(failure)}, lease = null, lease_until = null, touched_at = now()
    where ${own(sql, lease)}`
  return count === 1
}

/**
 * Runs one attempt at a row under a lease that is renewed while the work goes on, so that it ends soon after the
 * worker does. `work` ends it by a transaction of its own that begins with holdLease and sets state and
 * `lease = null`. A FinalError, a refusal and an answer of no use make the row failed; after any other error it
 * waits again. Rejects if the message is to come back: with that error, and with RetryLaterError for the rest of
 * another worker's lease.
 */
export async function underLease<T>(
  sql: Sql,
  table: LeasedTable,
  id: string,
  remainingMs: () => number,
  work: (lease: Lease) => Promise<T>,
  pulse: Pulse = pulseFromEnvironment(),
): Promise<Outcome<T>> {
  const claim = await claimWork(sql, table, id, pulse.lease)
  if (claim.claim === 'done') return { outcome: 'ignored' }
  if (claim.claim === 'busy') {
    throw new RetryLaterError('Work that another worker holds', claim.seconds, undefined, { exact: true })
  }
  const { lease } = claim
  const heart = {
    name: 'Renewing a lease',
    everySeconds: pulse.beat,
    beat: () => renewLease(sql, lease, pulse.lease),
  }
  try {
    return { outcome: 'done', result: await beating(heart, () => work(lease)) }
  } catch (error) {
    if (error instanceof LeaseLostError) return { outcome: 'ignored' }
    return endAttempt(sql, lease, error, remainingMs)
  }
}

async function endAttempt(
  sql: Sql,
  lease: Lease,
  error: unknown,
  remainingMs: () => number,
): Promise<Outcome<never>> {
  if (isFinal(error)) {
    const failure = failureOf(error)
    return (await failWork(sql, lease, failure)) ? { outcome: 'failed', failure } : { outcome: 'ignored' }
  }
  await giveUp(() => releaseWork(sql, lease, describeFailure(error)), remainingMs)
  throw error
}

/** What a third party would say again: a refusal, and an answer of no use after all attempts. */
function isFinal(error: unknown): error is InsightaError {
  return [FinalError, UpstreamRefusedError, InvalidAnswerError].some((kind) => error instanceof kind)
}
