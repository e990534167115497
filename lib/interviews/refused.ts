import type postgres from 'postgres'
import type { Sql, Transaction } from '../platform/db.ts'
import { refusedByProvider } from '../platform/errors.ts'
import { queues as queueNames, type ThirdPartyName, thirdParties } from '../platform/names.ts'
import { enqueue, type OutboxQueues, sendOutbox } from '../platform/outbox.ts'
import { type LeasedTable, leased } from './lease.ts'
import { reopenWork, workMessages } from './recovery-store.ts'

/*
 * Work that a third party refused for a reason that an operator can mend. It stays as it is, failed and with all that
 * it needs, until it is tried again: one by one by whoever asked for it, or all of it from here.
 */

/** `embeddings` are those of résumés that were read, and are searched once they have them. */
export const refusedKinds = ['assessments', 'emails', 'resumes', 'embeddings'] as const
export type RefusedKind = (typeof refusedKinds)[number]
export type RefusedCounts = Record<RefusedKind, number>
export type Refused = { service: ThirdPartyName; counts: RefusedCounts; oldest: Date | null }

/** Of all kinds together. */
export function totalOf(counts: RefusedCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

type Queries = Sql | Transaction

/** Rows of a kind that were refused by whichever third party, and the row's failure. */
function refusedRows(
  sql: Queries,
  kind: RefusedKind,
): { table: LeasedTable; failure: string; where: postgres.Fragment } {
  if (kind === 'embeddings') {
    const where = sql`embedding_due_at is not null and embedding_failure->>'code' = ${refusedByProvider}`
    return { table: 'resumes', failure: 'embedding_failure', where }
  }
  // The code as the partial indexes have it: a parameter would not match them in every plan.
  const refused = sql`state = 'failed' and failure->>'code' = 'refused_by_provider'`
  // An e-mail that was kept for its time has no recipient any more.
  const where = kind === 'emails' ? sql`${refused} and recipient <> ''` : refused
  return { table: kind, failure: 'failure', where }
}

/** What each third party refused and waits to be tried again, of all teams. */
export async function countRefused(sql: Sql): Promise<Refused[]> {
  const found = await Promise.all(
    refusedKinds.map(async (kind) => {
      const { table, failure, where } = refusedRows(sql, kind)
      const rows = await sql<{ service: string; count: number; oldest: Date }[]>`
        select ${sql(failure)}->>'service' as service, count(*)::int as count, min(touched_at) as oldest
        from ${sql(table)} where ${where} group by 1`
      return { kind, rows }
    }),
  )
  return thirdParties.map((service) => {
    const counts: RefusedCounts = { assessments: 0, emails: 0, resumes: 0, embeddings: 0 }
    let oldest: Date | null = null
    for (const { kind, rows } of found) {
      const row = rows.find((each) => each.service === service)
      if (!row) continue
      counts[kind] = row.count
      if (!oldest || row.oldest < oldest) oldest = row.oldest
    }
    return { service, counts, oldest }
  })
}

/** Rows that one call takes up: each takes a few milliseconds. */
const retriedAtOnce = 200

/**
 * Has what a third party refused tried again, of all teams, the longest waiting first: at most 200 pieces a call.
 * Returns how many of each kind it were, and how many remain.
 */
export async function retryRefused(
  { sql, queues }: { sql: Sql; queues: OutboxQueues },
  service: ThirdPartyName,
  limit = retriedAtOnce,
): Promise<{ retried: RefusedCounts; remaining: number }> {
  const retried: RefusedCounts = { assessments: 0, emails: 0, resumes: 0, embeddings: 0 }
  let left = limit
  for (const kind of refusedKinds) {
    const messages = await sql.begin((tx) => retrySome(tx, kind, service, left))
    await sendOutbox(sql, queues, messages)
    retried[kind] = messages.length
    left -= messages.length
  }
  const refused = (await countRefused(sql)).find((each) => each.service === service)!
  return { retried, remaining: totalOf(refused.counts) }
}

async function retrySome(
  tx: Transaction,
  kind: RefusedKind,
  service: ThirdPartyName,
  limit: number,
): Promise<string[]> {
  const { table, failure, where } = refusedRows(tx, kind)
  const rows = await tx<{ id: string }[]>`
    select ${tx(leased[table].key)} as id from ${tx(table)}
    where ${where} and ${tx(failure)}->>'service' = ${service}
    order by touched_at limit ${limit} for no key update skip locked`
  const messages: string[] = []
  for (const { id } of rows) {
    await (kind === 'embeddings' ? forgetRefusal(tx, id) : reopenWork(tx, table, id))
    messages.push(await enqueue(tx, queueNames[table], workMessages[table](id)))
  }
  return messages
}

/** Its passages are still owed, and their next attempt is not as late any more. */
async function forgetRefusal(tx: Transaction, id: string): Promise<void> {
  await tx`
    update resumes
    set embedding_failure = null, embedding_attempts = 1, embedding_due_at = now() + interval '1 minute'
    where id = ${id}`
}
