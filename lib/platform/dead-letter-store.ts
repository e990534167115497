import type postgres from 'postgres'
import { mayNameAddress, namesAddress } from './address.ts'
import { inBatches } from './batches.ts'
import type { Sql, Transaction } from './db.ts'
import type { FailureCause } from './failures.ts'

type Queries = Sql | Transaction

export const deadLetterStates = ['open', 'redriven', 'discarded'] as const
export type DeadLetterState = (typeof deadLetterStates)[number]

/** Whose work a message was. A part is, say, the slice of an import. */
export type OwnerReference = { type: string; id: string; part: number | null }

/** Whose letters are meant: a team's own, or those of every team and of none. */
export type LetterScope = { teamId: string } | 'every'

function within(sql: Queries, scope: LetterScope): postgres.Fragment {
  return scope === 'every' ? sql`` : sql`and team_id = ${scope.teamId}`
}

const among = (sql: Queries, ids: readonly string[]): postgres.Fragment => sql`
  and id in (select value::uuid from jsonb_array_elements_text(${sql.json([...ids])}))`

export type DeadLetter = {
  id: string
  /** Of what the message was about; null if that is not known. */
  team_id: string | null
  queue: string
  message_id: string
  body: string
  attributes: Record<string, string>
  receive_count: number
  error: string
  cause: FailureCause
  owner_type: string | null
  owner_id: string | null
  owner_part: number | null
  state: DeadLetterState
  first_seen_at: Date
  last_seen_at: Date
  redriven_at: Date | null
  automatic_redrives: number
}

export type NewDeadLetter = Pick<
  DeadLetter,
  'queue' | 'message_id' | 'body' | 'attributes' | 'receive_count' | 'error' | 'cause'
> & { owner: OwnerReference | null; state: 'open' | 'discarded' }

/** Notes that a message came again. Undefined where it is new. */
export async function seeAgain(
  tx: Transaction,
  queue: string,
  messageId: string,
  receiveCount: number,
): Promise<Pick<DeadLetter, 'owner_id'> | undefined> {
  const [row] = await tx<Pick<DeadLetter, 'owner_id'>[]>`
    update dead_letters set last_seen_at = now(), receive_count = greatest(receive_count, ${receiveCount})
    where queue = ${queue} and message_id = ${messageId}
    returning owner_id`
  return row
}

/** Of one piece of work the count of automatic redrives goes on from letter to letter. */
export async function insertDeadLetter(tx: Transaction, letter: NewDeadLetter): Promise<void> {
  const { owner } = letter
  await tx`
    insert into dead_letters (queue, message_id, body, attributes, receive_count, error, cause, state,
      owner_type, owner_id, owner_part, automatic_redrives)
    values (${letter.queue}, ${letter.message_id}, ${letter.body}, ${tx.json(letter.attributes)},
      ${letter.receive_count}, ${letter.error}, ${letter.cause}, ${letter.state}, ${owner?.type ?? null},
      ${owner?.id ?? null}, ${owner?.part ?? null}, coalesce((
        select automatic_redrives from dead_letters
        where owner_id = ${owner?.id ?? null} and owner_part is not distinct from ${owner?.part ?? null}
          and queue = ${letter.queue} and state = 'redriven'
        order by redriven_at desc limit 1), 0))
    on conflict (queue, message_id) do update set last_seen_at = now()`
}

/** Locks an open letter for the transaction; undefined where it is not open, or another redrive has it. */
export async function lockOpenLetter(tx: Transaction, id: string): Promise<DeadLetter | undefined> {
  const [row] = await tx<DeadLetter[]>`
    select * from dead_letters where id = ${id} and state = 'open' for update skip locked`
  return row
}

/** An operator's redrive starts the count of automatic ones anew. */
export async function markRedriven(tx: Transaction, id: string, by: 'operator' | 'sweep'): Promise<void> {
  await tx`
    update dead_letters
    set state = 'redriven', redriven_at = now(), sent = false,
      automatic_redrives = case when ${by === 'sweep'} then automatic_redrives + 1 else 0 end
    where id = ${id}`
}

export async function markSent(sql: Sql, ids: readonly string[]): Promise<void> {
  await sql`
    update dead_letters set sent = true
    where id in (select value::uuid from jsonb_array_elements_text(${sql.json([...ids])}))`
}

/** Locks the open letters of an owner: whoever locks both takes letters before what they are about. */
export async function lockLetters(tx: Transaction, ownerId: string): Promise<void> {
  await tx`select from dead_letters where owner_id = ${ownerId} and state = 'open' order by id for update`
}

/**
 * Ends the open letters that an owner has in these queues, where its work goes on or is given up by another way
 * than a redrive: their messages are not sent again.
 */
export async function settleLetters(
  sql: Queries,
  state: 'redriven' | 'discarded',
  ownerId: string,
  queues: readonly string[],
): Promise<void> {
  await sql`
    update dead_letters
    set state = ${state}, sent = true, redriven_at = case when ${state} = 'redriven' then now() end
    where owner_id = ${ownerId} and state = 'open'
      and queue in (select jsonb_array_elements_text(${sql.json([...queues])}))`
}

/** Which of some letters are in a queue and in the scope, whatever their state. */
export async function knownLetters(
  sql: Sql,
  queue: string,
  scope: LetterScope,
  ids: readonly string[],
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select id from dead_letters where queue = ${queue} ${within(sql, scope)} ${among(sql, ids)}`
  return rows.map(({ id }) => id)
}

/**
 * Closes open letters, and writes down in the same statement who did: in the letter's team, or the actor's for one
 * that has none. Returns how many there were.
 */
export async function discardLetters(
  sql: Sql,
  queue: string,
  scope: LetterScope,
  ids: readonly string[],
  by: { teamId: string; keyId: string },
): Promise<number> {
  const { count } = await sql`
    with closed as (
      update dead_letters set state = 'discarded'
      where queue = ${queue} and state = 'open' ${within(sql, scope)} ${among(sql, ids)}
      returning id, team_id)
    insert into deletions (team_id, subject, subject_id, counts, triggered_by, requested_by)
    select coalesce(team_id, ${by.teamId}), 'dead_letter', id, '{}', 'request', ${by.keyId} from closed`
  return count
}

/** The open letters of a queue, oldest first, and how many there are; of `ids` those that are open. */
export async function openLetters(
  sql: Sql,
  queue: string,
  scope: LetterScope,
  limit: number,
  ids?: readonly string[],
): Promise<{ ids: string[]; total: number }> {
  const rows = await sql<{ id: string; total: number }[]>`
    select id, count(*) over () as total from dead_letters
    where queue = ${queue} and state = 'open' ${within(sql, scope)} ${ids ? among(sql, ids) : sql``}
    order by id limit ${limit}`
  return { ids: rows.map(({ id }) => id), total: rows[0]?.total ?? 0 }
}

/** Letters whose only cause was an outage and whose wait, doubled by each redrive before, is over. */
export async function lettersDue(
  sql: Sql,
  wait: { seconds: number; redrives: number },
  limit: number,
): Promise<{ id: string; queue: string }[]> {
  return sql<{ id: string; queue: string }[]>`
    select id, queue from dead_letters
    where state = 'open' and cause = 'dependency' and automatic_redrives < ${wait.redrives}
      and last_seen_at < now() - make_interval(secs => ${wait.seconds} * power(2, automatic_redrives))
    order by id limit ${limit}`
}

/** Takes letters whose message a crash left unsent, so that no other sweep takes them for a while. */
export async function claimUnsent(
  sql: Sql,
  olderThanSeconds: number,
  limit: number,
): Promise<{ id: string; queue: string; body: string }[]> {
  return sql<{ id: string; queue: string; body: string }[]>`
    update dead_letters set redriven_at = now()
    where id in (
      select id from dead_letters
      where state = 'redriven' and not sent and redriven_at < now() - make_interval(secs => ${olderThanSeconds})
      order by redriven_at limit ${limit} for update skip locked)
    returning id, queue, body`
}

/** Letters of a queue in one state, newest first, those after `cursor` (an id). */
export async function listDeadLetters(
  sql: Sql,
  queue: string,
  scope: LetterScope,
  { state, cursor, limit }: { state: DeadLetterState; cursor: string | undefined; limit: number },
): Promise<DeadLetter[]> {
  return sql<DeadLetter[]>`
    select * from dead_letters
    where queue = ${queue} and state = ${state} ${within(sql, scope)} ${cursor ? sql`and id < ${cursor}` : sql``}
    order by id desc limit ${limit}`
}

/** Open letters of each queue that has any, with the age of the oldest in seconds. */
export async function countOpen(
  sql: Sql,
  scope: LetterScope,
): Promise<Map<string, { open: number; oldest_age_seconds: number }>> {
  const rows = await sql<{ queue: string; open: number; oldest_age_seconds: number }[]>`
    select queue, count(*) as open,
      floor(extract(epoch from now() - min(first_seen_at)))::integer as oldest_age_seconds
    from dead_letters where state = 'open' ${within(sql, scope)} group by queue`
  return new Map(rows.map(({ queue, ...counts }) => [queue, counts]))
}

/** Messages that are read at once: each may have a megabyte. */
const readAtOnce = 10

/**
 * Empties the messages of a team's letters, or with null of those that belong to no team, that name an e-mail
 * address, and closes them. Returns how many there were.
 */
export async function forgetLettersNaming(
  tx: Transaction,
  teamId: string | null,
  address: string,
): Promise<number> {
  const found: string[] = []
  const letters = tx<{ id: string; body: string }[]>`
    select id, body from dead_letters
    where team_id is not distinct from ${teamId}::uuid and ${mayNameAddress(tx, 'body', address)}`
  for await (const rows of inBatches(tx, readAtOnce, letters)) {
    for (const { id, body } of rows) if (namesAddress(body, address)) found.push(id)
  }
  if (found.length === 0) return 0
  const { count } = await tx`
    update dead_letters
    set body = '', state = case when state = 'open' then 'discarded' else state end
    where true ${among(tx, found)}`
  return count
}

/** Teams that may have letters which name an address. */
export async function teamsOfLettersNaming(tx: Transaction, address: string): Promise<string[]> {
  const rows = await tx<{ team_id: string }[]>`
    select distinct team_id from dead_letters
    where team_id is not null and ${mayNameAddress(tx, 'body', address)}`
  return rows.map(({ team_id }) => team_id)
}

/** Deletes letters that were closed and of which nothing was heard for so many days. Answers how many. */
export async function deleteClosedLetters(sql: Sql, days: number, limit: number): Promise<number> {
  const { count } = await sql`
    delete from dead_letters where id in (
      select id from dead_letters
      where state <> 'open' and (state = 'discarded' or sent) and last_seen_at < now() - make_interval(days => ${days})
      order by last_seen_at limit ${limit} for update skip locked)`
  return count
}

/** Empties the messages of an owner that is deleted, and closes its letters: they are of no more use. */
export async function forgetLetters(tx: Transaction, ownerType: string, ownerId: string): Promise<void> {
  await tx`
    update dead_letters
    set body = '', state = case when state = 'open' then 'discarded' else state end
    where owner_id = ${ownerId} and owner_type = ${ownerType}`
}
