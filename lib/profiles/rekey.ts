import type { Sql, Transaction } from '../platform/db.ts'
import { logger } from '../platform/log.ts'
import { retry } from '../platform/retry.ts'
import { applyFacetDeltas } from './facets.ts'
import { isInTheWay, isTaken, takingKeys } from './key-locks.ts'
import { nameKey, twinKey } from './profile.ts'
import {
  advancePass,
  currentPass,
  endPass,
  freedTwins,
  type HeldKey,
  keysAreOf,
  listTwins,
  lockKeys,
  namesOfPart,
  noteChanged,
  type PassWaits,
  setKeys,
  unlistTwins,
} from './rekey-store.ts'

/*
 * Brings the keys of stored names to the folding of the code (foldName), which no SQL can do. Passes over all
 * profiles, part by part, begin in the deployment (functions/migrate.ts) and go on in the sweep: workers of the
 * release before write keys of its folding until they are gone, so later passes look at what is new again, until
 * one finds nothing. Each step may be cut off anywhere and done twice.
 */

export { askForPasses } from './rekey-store.ts'

/** The number of foldName: it goes up with each change of what that returns. */
export const folding = 2

/** A key that changed, of a profile that an import made. */
export type MovedKey = { import_id: string; from: string }

export type RekeyContext = {
  sql: Sql
  remainingMs(): number
  /** Follows keys that change, in their transaction. */
  moved(tx: Transaction, keys: readonly MovedKey[]): Promise<void>
  partSize?: number
  waits?: PassWaits
}

/** Profiles looked at, keys changed, twins found, twins that got their name; and whether no pass is at work now. */
export type RekeyResult = { looked: number; changed: number; twins: number; freed: number; ended: boolean }

/** Names in memory at once: 10 MB at most. */
const defaultPart = 20_000
/** Keys of one transaction: rows locked for a tenth of a second. */
const batchSize = 500

/**
 * Quarters of an hour, since no function of an earlier deployment runs longer; two hours for the deployment
 * itself. An overlap of a day, in which an import ends that an earlier worker had begun.
 */
const defaultWaits: PassWaits = { between: 15 * 60, settledAfter: 2 * 60 * 60, overlap: 24 * 60 * 60 }

/**
 * Works on passes that are due until none is, or until time is over or another writer is in the way: then a later
 * call goes on.
 */
export async function rekeyNames(context: RekeyContext): Promise<RekeyResult> {
  const { sql, remainingMs, waits = defaultWaits } = context
  const result: RekeyResult = { looked: 0, changed: 0, twins: 0, freed: 0, ended: false }
  try {
    result.freed = (await rekeyPatiently(context, await freedTwins(sql, batchSize))).changed
    while (remainingMs() > 0) {
      const from = await currentPass(sql, folding, waits)
      if (from === undefined) return { ...result, ended: true }
      await rekeyPart(context, from, result)
    }
  } catch (error) {
    if (!isContended(error)) throw error
    logger.warn('Names are left to the sweep', { error: error as Error })
  }
  return result
}

/** Takes a pass on by one part; `result` is added to. What is left of a part when time is over is found again. */
async function rekeyPart(context: RekeyContext, from: string | null, result: RekeyResult): Promise<void> {
  const { sql, remainingMs, partSize = defaultPart, waits = defaultWaits } = context
  const { names, upTo } = await namesOfPart(sql, from, partSize)
  const stale = names.filter(({ name, key }) => nameKey(name) !== key).map(({ id }) => id)
  result.looked += names.length
  for (let at = 0; at < stale.length; at += batchSize) {
    if (at > 0 && remainingMs() <= 0) return
    const { changed, twins } = await rekeyPatiently(context, stale.slice(at, at + batchSize))
    await noteChanged(sql, changed)
    result.changed += changed
    result.twins += twins
  }
  if (upTo === undefined) await endPass(sql, folding, from, waits)
  else await advancePass(sql, folding, from, upTo)
}

/** Whether a name leads to its profile: not before the first pass under this folding has ended. */
export function namesAreKeyed(tx: Sql | Transaction): Promise<boolean> {
  return keysAreOf(tx, folding)
}

function isContended(error: unknown): boolean {
  // A key that was free may be taken meanwhile.
  return isInTheWay(error) || isTaken(error)
}

async function rekeyPatiently(
  { sql, moved }: RekeyContext,
  ids: readonly string[],
): Promise<{ changed: number; twins: number }> {
  if (ids.length === 0) return { changed: 0, twins: 0 }
  const options = {
    name: 'Re-key names',
    attempts: 10,
    initialDelay: 100,
    maxDelay: 2000,
    jitter: 'full' as const,
    retryOn: isContended,
  }
  return retry(options, () =>
    sql.begin(async (tx) => {
      const done = await takingKeys(tx, () => rekeyBatch(tx, ids, moved))
      // What a name leads to has changed.
      if (done.changed > 0) await applyFacetDeltas(tx, [])
      return done
    }),
  )
}

/** Gives each name its key; of several profiles with one name the oldest has it, and the others are listed. */
async function rekeyBatch(
  tx: Transaction,
  ids: readonly string[],
  moved: RekeyContext['moved'],
): Promise<{ changed: number; twins: number }> {
  const given = await lockWithHolders(tx, ids)
  const keys = new Map<string, string>()
  const elders: HeldKey[] = []
  const twins: (HeldKey & { of: string })[] = []
  for (const [key, [elder, ...younger]] of byName(given)) {
    keys.set(elder!.id, key)
    elders.push(elder!)
    for (const twin of younger) {
      keys.set(twin.id, twinKey(twin.id))
      twins.push({ ...twin, of: key })
    }
  }
  const changing = given.filter(({ id, name_key }) => keys.get(id) !== name_key)
  if (changing.length === 0) return { changed: 0, twins: 0 }
  // Keys are unique at every moment: first they are given up, then taken.
  const wanted = new Set(keys.values())
  const inTheWay = changing.filter(({ name_key }) => wanted.has(name_key))
  await setKeys(
    tx,
    inTheWay.map(({ id }) => ({ id, name_key: twinKey(id) })),
  )
  await setKeys(
    tx,
    changing.map(({ id }) => ({ id, name_key: keys.get(id)! })),
  )
  await unlistTwins(
    tx,
    elders.filter(({ twin_of }) => twin_of !== null).map(({ id }) => id),
  )
  const found = twins.filter(({ twin_of, of }) => twin_of !== of)
  await listTwins(
    tx,
    found.map(({ id, of }) => ({ id, name_key: of })),
  )
  await moved(
    tx,
    changing.flatMap(({ import_id, name_key }) => (import_id ? [{ import_id, from: name_key }] : [])),
  )
  if (found.length > 0) logger.warn('Profiles have the name of an older one', { twins: found.length })
  return { changed: changing.length, twins: found.length }
}

/** The profiles, and whichever stand under a key that one of these should have, and so on. */
async function lockWithHolders(tx: Transaction, ids: readonly string[]): Promise<HeldKey[]> {
  const found = new Map((await lockKeys(tx, 'id', ids)).map((row) => [row.id, row]))
  const looked = new Set<string>()
  for (;;) {
    const wanted = [...new Set([...found.values()].map(({ name }) => nameKey(name)))].filter(
      (key) => !looked.has(key),
    )
    if (wanted.length === 0) return [...found.values()]
    for (const key of wanted) looked.add(key)
    for (const row of await lockKeys(tx, 'name_key', wanted)) found.set(row.id, row)
  }
}

/** Oldest first: ids begin with the time at which they were made. */
function byName(rows: readonly HeldKey[]): Map<string, HeldKey[]> {
  const sorted = rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  return Map.groupBy(sorted, ({ name }) => nameKey(name))
}
