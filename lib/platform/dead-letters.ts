import { requiredEnv } from './config.ts'
import type { Sql, Transaction } from './db.ts'
import {
  claimUnsent,
  type DeadLetter,
  insertDeadLetter,
  type LetterScope,
  lettersDue,
  lockOpenLetter,
  markRedriven,
  markSent,
  type OwnerReference,
  openLetters,
  seeAgain,
} from './dead-letter-store.ts'
import type { WorkFailure } from './failures.ts'
import { type QueueName, queueVariables } from './names.ts'
import { createSourceQueue, type SourceQueue } from './queue.ts'

/** A message as a dead-letter queue delivers it. */
export type DeadMessage = {
  id: string
  body: string
  attributes: Record<string, string>
  receiveCount: number
  /** When it was first sent to its own queue. */
  sentAt: Date
}

export type Verdict = WorkFailure & {
  owner: OwnerReference | null
  /** The work was done, given up or sent anew in the meantime: the letter is kept, and asks for nobody. */
  moot: boolean
}

/** What the domain behind a queue does about its dead letters, inside the transaction that records them. */
export type DeadLetterOwner = {
  /** Puts whatever the message was about into its failed state, and says why it failed. */
  fail(tx: Transaction, message: DeadMessage): Promise<Verdict>
  /** Makes it ready to be worked on again. False where that has to wait: the letter then stays open. */
  reopen(tx: Transaction, letter: DeadLetter): Promise<boolean>
}

export type DeadLetterOwners = Record<QueueName, DeadLetterOwner>
export type SourceQueues = Record<QueueName, SourceQueue>

/** A message comes back after its visibility timeout whatever its clock said: small differences mean nothing. */
const clockSkewMs = 5000

/** Whether a message was sent before its work was last sent anew. */
export function superseded(message: DeadMessage, resentAt: Date | null): boolean {
  return resentAt !== null && message.sentAt.getTime() < resentAt.getTime() - clockSkewMs
}

/**
 * Records a dead letter and its owner's failed state in one transaction; of a message that comes again only that
 * is noted. Answers the owner's id each time, and the verdict the first time.
 */
export async function recordDeadLetter(
  sql: Sql,
  queue: QueueName,
  owner: DeadLetterOwner,
  message: DeadMessage,
): Promise<{ ownerId: string | null; verdict?: Verdict }> {
  return sql.begin(async (tx) => {
    const seen = await seeAgain(tx, queue, message.id, message.receiveCount)
    if (seen) return { ownerId: seen.owner_id }
    const verdict = await owner.fail(tx, message)
    await insertDeadLetter(tx, {
      queue,
      message_id: message.id,
      body: message.body,
      attributes: message.attributes,
      receive_count: message.receiveCount,
      error: verdict.error,
      cause: verdict.cause,
      owner: verdict.owner,
      state: verdict.moot ? 'discarded' : 'open',
    })
    return { ownerId: verdict.owner?.id ?? null, verdict }
  })
}

export type RedriveContext = { sql: Sql; queues: SourceQueues; owners: DeadLetterOwners }

/** Letters that one call redrives: each takes a transaction of a few milliseconds. */
const redrivenAtOnce = 200

/**
 * Redrives open letters of a queue and a scope, all (200 a call) or the named ones: the owner is made ready and the letter
 * marked in one transaction, then its message goes back to the queue it came from. Answers how many were
 * redriven, how many of the asked-for were not (not open, or their owner is busy), and how many open ones
 * remain that were asked for.
 */
export async function redrive(
  context: RedriveContext,
  queue: QueueName,
  scope: LetterScope,
  chosen: { ids: readonly string[] } | { all: true },
): Promise<{ redriven: number; skipped: number; remaining: number }> {
  const ids = 'ids' in chosen ? chosen.ids : undefined
  const open = await openLetters(context.sql, queue, scope, redrivenAtOnce, ids)
  const redriven = await redriveLetters(context, queue, open.ids, 'operator')
  return {
    redriven,
    skipped: (ids?.length ?? open.ids.length) - redriven,
    remaining: open.total - open.ids.length,
  }
}

/**
 * Redrives what failed only because a dependency was out: at most `redrives` times for one piece of work, after
 * waits that double. To be called when the dependencies answer.
 */
export async function redriveAfterOutage(
  context: RedriveContext,
  wait: { seconds: number; redrives: number },
): Promise<number> {
  const byQueue = Map.groupBy(await lettersDue(context.sql, wait, redrivenAtOnce), ({ queue }) => queue)
  let redriven = 0
  for (const [queue, letters] of byQueue) {
    const ids = letters.map(({ id }) => id)
    redriven += await redriveLetters(context, queue as QueueName, ids, 'sweep')
  }
  return redriven
}

async function redriveLetters(
  { sql, queues, owners }: RedriveContext,
  queue: QueueName,
  ids: readonly string[],
  by: 'operator' | 'sweep',
): Promise<number> {
  const ready: DeadLetter[] = []
  for (const id of ids) {
    const letter = await sql.begin(async (tx) => {
      const open = await lockOpenLetter(tx, id)
      if (!open || !(await owners[queue].reopen(tx, open))) return undefined
      await markRedriven(tx, id, by)
      return open
    })
    if (letter) ready.push(letter)
  }
  await send(sql, queues[queue], ready)
  return ready.length
}

/** Sends what a crash left between a redrive's commit and its message. Answers how many there were. */
export async function sendUnsent(
  { sql, queues }: Pick<RedriveContext, 'sql' | 'queues'>,
  olderThanSeconds: number,
): Promise<number> {
  const letters = await claimUnsent(sql, olderThanSeconds, redrivenAtOnce)
  for (const [queue, some] of Map.groupBy(letters, ({ queue }) => queue)) {
    await send(sql, queues[queue as QueueName], some)
  }
  return letters.length
}

// A crash after the send and before the mark sends the message a second time: every worker bears that.
async function send(
  sql: Sql,
  queue: SourceQueue,
  letters: readonly { id: string; body: string }[],
): Promise<void> {
  if (letters.length === 0) return
  await queue.sendBodies(letters.map(({ body }) => body))
  const ids = letters.map(({ id }) => id)
  await markSent(sql, ids)
}

/** The queues that the environment names, by what it says about each. */
export function sourceQueues(): SourceQueues {
  return everyQueue(({ source }) => source)
}

export function deadLetterQueues(): SourceQueues {
  return everyQueue(({ deadLetters }) => deadLetters)
}

function everyQueue(variable: (variables: (typeof queueVariables)[QueueName]) => string): SourceQueues {
  const entries = Object.entries(queueVariables).map(
    ([name, variables]) => [name, createSourceQueue(requiredEnv(variable(variables)))] as const,
  )
  return Object.fromEntries(entries) as SourceQueues
}
