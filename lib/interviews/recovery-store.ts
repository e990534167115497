import type { Sql, Transaction } from '../platform/db.ts'
import type { FailureCause } from '../platform/failures.ts'
import { hasRoom } from '../platform/quotas.ts'
import { type Failure, type LeasedTable, leased } from './lease.ts'

/** The message of each kind of row. */
export const workMessages: Record<LeasedTable, (id: string) => object> = {
  assessments: (interview_id) => ({ interview_id }),
  emails: (email_id) => ({ email_id }),
  resumes: (resume_id) => ({ resume_id }),
}

/** What the attempts at a row left behind. */
export type Attempts = {
  attempts: number
  error: string | null
  error_cause: FailureCause | null
  resent_at: Date | null
  /** It is finished, or a worker that lives is at it. */
  unowed: boolean
}

/** Locks a row whose message died; undefined where there is none. */
export async function lockWork(
  tx: Transaction,
  table: LeasedTable,
  id: string,
): Promise<Attempts | undefined> {
  const { key, waiting, working } = leased[table]
  const [row] = await tx<Attempts[]>`
    select attempts, last_error as error, last_error_cause as error_cause, resent_at,
      not (state in ${tx([...waiting])} or state = ${working} and lease_until < now()) as unowed
    from ${tx(table)} where ${tx(key)} = ${id} for update`
  return row
}

/** Ends a row as failed, whatever its state. */
export async function giveUpWork(
  tx: Transaction,
  table: LeasedTable,
  id: string,
  failure: Failure,
): Promise<void> {
  await tx`
    update ${tx(table)}
    set state = 'failed', failure = ${tx.json(failure)}, lease = null, lease_until = null, touched_at = now()
    where ${tx(leased[table].key)} = ${id}`
}

/** Makes a failed row wait again, with all its attempts. False if it is not failed any more: it is left as it is. */
export async function reopenWork(tx: Transaction, table: LeasedTable, id: string): Promise<boolean> {
  const { key, waiting } = leased[table]
  const { count } = await tx`
    update ${tx(table)}
    set state = ${waiting[0]}, failure = null, attempts = 0, last_error = null, last_error_cause = null,
      touched_at = now(), resent_at = now()
    where ${tx(key)} = ${id} and state = 'failed'`
  return count === 1
}

/** When each row's work was asked for: the longer ago, the longer the sweep waits before it looks again. */
const askedAt = { assessments: 'requested_at', emails: 'created_at', resumes: 'created_at' } as const
/** That wait doubles up to 32-fold: a backlog of hours must not fill the queue with copies. */
const longestWait = 32

/** Attempts after which work that ends its worker each time is taken up no sooner than any other. */
const quickAttempts = 5

/** In seconds. */
export type StalledAfter = {
  /** After the last touch of a row that waits for its next attempt: longer than its message may stay away. */
  stalled: number
  /** The same of one that has not been tried: its message is lost, or its worker died before it could take it. */
  untried: number
  /** After the end of a lease: SQS delivers before. */
  grace: number
}

/**
 * Takes rows that stand still, and makes them wait for a worker again, each time about twice as late. Work whose
 * worker died is taken at once and keeps the count of its attempts, until it has ended five workers.
 */
export async function claimStalled(
  tx: Transaction,
  table: LeasedTable,
  { stalled, untried, grace }: StalledAfter,
  limit: number,
): Promise<string[]> {
  const { key, waiting, working } = leased[table]
  const first = waiting[0]
  // The message of an assessment that waits for late turns comes when that is due.
  const owed = table === 'assessments' ? tx`greatest(touched_at, due_at)` : tx`touched_at`
  const abandoned = tx`state = ${working} and lease_until < now() - make_interval(secs => ${grace})`
  const quick = tx`${abandoned} and attempts < ${quickAttempts}`
  // An e-mail beyond its team's quota is not late: it is due as soon as there is room, and not before.
  const due = table === 'emails' ? tx`(counted or ${hasRoom(tx, tx`emails.team_id`, 'emails')})` : tx`true`
  const waited = tx`least(${owed} - ${tx(askedAt[table])}, make_interval(secs => ${stalled * longestWait}))`
  const further = table === 'emails' ? tx`case when counted then ${waited} else interval '0' end` : waited
  const rows = await tx<{ id: string }[]>`
    update ${tx(table)}
    set state = ${first}, lease = null, lease_until = null, touched_at = now(), resent_at = now(),
      attempts = case when ${quick} then attempts else 0 end
    where ${tx(key)} in (
      select ${tx(key)} from ${tx(table)}
      where ${quick} or (state = ${first} or ${abandoned}) and ${due}
        and now() - ${owed} > greatest(
          make_interval(secs => case when state = ${first} and attempts = 0 then ${untried}::float8 else ${stalled}::float8 end),
          ${further})
      order by touched_at limit ${limit} for update skip locked)
    returning ${tx(key)} as id`
  return rows.map(({ id }) => id)
}

/**
 * Makes a row whose worker died wait for another one, with all its attempts, because a person asks for it. False if
 * its lease has not ended, or no worker had it.
 */
export async function takeOver(tx: Transaction, table: LeasedTable, id: string): Promise<boolean> {
  const { key, waiting, working } = leased[table]
  const { count } = await tx`
    update ${tx(table)}
    set state = ${waiting[0]}, lease = null, lease_until = null, attempts = 0, touched_at = now(), resent_at = now()
    where ${tx(key)} = ${id} and state = ${working} and lease_until < now()`
  return count === 1
}

/** Seconds after which an interview that began is over, also where nobody told that its room was closed. */
const longestSession = 24 * 60 * 60

/**
 * Takes interviews whose room has been closed for `after` seconds without the agent's account of it: they need
 * somebody's attention from now on. The session stays in progress, for that account may still come.
 */
export async function claimAbandoned(tx: Transaction, after: number, limit: number): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    update interviews set state = 'needs_attention', updated_at = now()
    where id in (
      select i.id from interviews i join sessions s on s.interview_id = i.id
      where i.state = 'in_progress' and s.state = 'in_progress'
        and (s.ended_at < now() - make_interval(secs => ${after})
          or s.started_at < now() - make_interval(secs => ${longestSession}))
      order by s.started_at limit ${limit} for no key update of i skip locked)
    returning id`
  return rows.map(({ id }) => id)
}

/** Whether an event has been worked on. */
export async function isEventKnown(tx: Transaction, source: string, id: string): Promise<boolean> {
  const [row] = await tx`select from webhook_events where source = ${source} and event_id = ${id}`
  return row !== undefined
}

/** Forgets what events of so many days ago said, and that they fitted nothing. Returns how many had a body. */
export async function forgetEvents(sql: Sql, days: number): Promise<number> {
  const { count } = await sql`
    update webhook_events set body = null
    where body is not null and received_at < now() - make_interval(days => ${days})`
  await sql`delete from unmatched_events where received_at < now() - make_interval(days => ${days})`
  return count
}
