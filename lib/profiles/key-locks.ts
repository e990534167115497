import type { Transaction } from '../platform/db.ts'

/*
 * Keys of names that change. An import takes keys in their order and holds them to its commit; a key that changes
 * takes its new place in no order. So each could wait for the other: the change gives up, and begins again.
 */

/** Milliseconds: less than the second after which PostgreSQL looks for deadlocks, and ends whom it finds first. */
const keyWait = 400

/** Runs statements that take keys, none of which waits for another writer for longer than that. */
export async function takingKeys<T>(tx: Transaction, take: () => Promise<T>): Promise<T> {
  await limitLockWaits(tx, keyWait)
  const taken = await take()
  await limitLockWaits(tx, 0)
  return taken
}

async function limitLockWaits(tx: Transaction, milliseconds: number): Promise<void> {
  await tx`select set_config('lock_timeout', ${String(milliseconds)}, true)`
}

/** Lock not available in time, and deadlock. */
const inTheWay = new Set(['55P03', '40P01'])

/** Whether another writer was at work: the same transaction may succeed after it. */
export function isInTheWay(error: unknown): boolean {
  return inTheWay.has(codeOf(error))
}

/** Whether another profile has a key. */
export function isTaken(error: unknown): boolean {
  return codeOf(error) === '23505'
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
