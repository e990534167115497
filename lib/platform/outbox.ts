import type { JSONValue, PendingQuery, Row } from 'postgres'
import type { Sql, Transaction } from './db.ts'
import { messageBody, type SourceQueue, sendOrLeave } from './queue.ts'

/** The queues that a function may send to, by name. What is for others is left to who can send it. */
export type OutboxQueues = Partial<Record<string, SourceQueue>>

type Message = { id: string; queue: string; body: object; delay_seconds: number }

/** Seconds in which messages are sent and deleted, or the next sender may take them. */
const claimSeconds = 60
const sweptAtOnce = 500

/**
 * Writes a message inside the transaction that it belongs to; sendOutbox sends it after the commit, and SQS delivers
 * it after `delaySeconds`, 900 at most. Answers its id.
 */
export async function enqueue(
  tx: Transaction,
  queue: string,
  body: object,
  { delaySeconds = 0 }: { delaySeconds?: number } = {},
): Promise<string> {
  const [row] = await tx<{ id: string }[]>`
    insert into outbox (queue, body, delay_seconds)
    values (${queue}, ${tx.json(body as JSONValue)}, ${delaySeconds}) returning id`
  return row!.id
}

/**
 * Sends messages that are committed and have no other sender. Never rejects: what fails is logged and left to
 * the sweep. A crash between send and deletion sends twice, which every worker bears.
 */
export async function sendOutbox(sql: Sql, queues: OutboxQueues, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await sendOrLeave(async () => {
    const ours = sql`id in (select value::uuid from jsonb_array_elements_text(${sql.json([...ids])}))`
    await sendMessages(sql, queues, await claim(sql, queues, ours, ids.length))
  })
}

/**
 * Sends, oldest first, messages that were written longer ago and that nobody has sent. Answers how many were
 * sent; those of a queue that does not take them stay for the next sweep.
 */
export async function sweepOutbox(
  sql: Sql,
  queues: OutboxQueues,
  olderThanSeconds: number,
  limit = sweptAtOnce,
): Promise<number> {
  const old = sql`created_at < now() - make_interval(secs => ${olderThanSeconds})`
  return sendMessages(sql, queues, await claim(sql, queues, old, limit))
}

function claim(
  sql: Sql,
  queues: OutboxQueues,
  which: PendingQuery<Row[]>,
  limit: number,
): Promise<readonly Message[]> {
  return sql<Message[]>`
    update outbox set claimed_until = now() + make_interval(secs => ${claimSeconds})
    where id in (
      select id from outbox
      where ${which} and (claimed_until is null or claimed_until < now())
        and queue in (select jsonb_array_elements_text(${sql.json(Object.keys(queues))}))
      order by id limit ${limit} for update skip locked)
    returning id, queue, body, delay_seconds`
}

async function sendMessages(sql: Sql, queues: OutboxQueues, messages: readonly Message[]): Promise<number> {
  let sent = 0
  const alike = Map.groupBy(messages, ({ queue, delay_seconds }) => `${queue} ${delay_seconds}`)
  for (const some of alike.values()) {
    const { queue, delay_seconds: delaySeconds } = some[0]!
    await sendOrLeave(async () => {
      const bodies = some.map(({ body }) => messageBody(body))
      await (delaySeconds > 0
        ? queues[queue]!.sendBodies(bodies, { delaySeconds })
        : queues[queue]!.sendBodies(bodies))
      const ids = some.map(({ id }) => id)
      await sql`delete from outbox where id in (select value::uuid from jsonb_array_elements_text(${sql.json(ids)}))`
      sent += some.length
    })
  }
  return sent
}
