import type postgres from 'postgres'
import type { Transaction } from './db.ts'

/** How many cursors a transaction has had: names that come again are statements that are prepared already. */
const cursors = new WeakMap<Transaction, number>()

/**
 * What a query of a transaction finds, read `size` rows at a time. By a cursor of the server's and not by one of
 * postgres.js, whose loop ends without an error if its connection is cut between two batches.
 */
export async function* inBatches<Row extends postgres.Row>(
  tx: Transaction,
  size: number,
  query: postgres.PendingQuery<Row[]>,
): AsyncGenerator<Row[]> {
  const count = (cursors.get(tx) ?? 0) + 1
  cursors.set(tx, count)
  const cursor = tx(`batches_${count}`)
  await tx`declare ${cursor} no scroll cursor for ${query}`
  for (;;) {
    const rows = await tx<Row[]>`fetch ${tx.unsafe(String(size))} from ${cursor}`
    if (rows.length === 0) break
    yield rows
  }
  await tx`close ${cursor}`
}
