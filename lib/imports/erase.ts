import type { Transaction } from '../platform/db.ts'
import { UnavailableError } from '../platform/errors.ts'
import type { FacetDelta } from '../profiles/facets.ts'
import { nameKey, type ProfileRow } from '../profiles/profile.ts'
import { namesAreKeyed } from '../profiles/rekey.ts'
import { idsOfName } from '../profiles/store.ts'
import { changeFileWords, changeUnread } from './erase-store.ts'
import { unreadWithoutName, withoutName } from './file-words.ts'

/** In the place of the key of a name that was erased. */
const noName = '00000000-0000-0000-0000-000000000000'

/**
 * Deletes the profiles of a name, in whatever case, and the name where imports still hold it: rows to be settled,
 * samples, values that could not be read, and names of columns. `deltas` are to be
 * counted into the facets at the end of the transaction (applyFacetDeltas) where there are any. Throws
 * UnavailableError in the minutes after a deployment in which stored names are brought to a new folding.
 */
export async function eraseName(
  tx: Transaction,
  name: string,
): Promise<{ counts: { profiles: number; import_rows: number }; deltas: FacetDelta[] }> {
  if (!(await namesAreKeyed(tx))) throw new UnavailableError('Stored names are being prepared', undefined, 60)
  const key = nameKey(name)
  // Before any profile is locked: whoever holds an import may wait for one.
  const words = await eraseWords(tx, name)
  const rows = await tx<Pick<ProfileRow, 'country_id' | 'gender' | 'age'>[]>`
    delete from profiles where id in (${idsOfName(tx, key)}) returning country_id, gender, age`
  // No longer to be settled: nobody holds the name any more.
  const unsettled = await tx`
    delete from import_conflicts where name_key = ${key} and displaced_row is null`
  // Settled ones tell a retry which rows changed places, and need neither name nor profile for it.
  const settled = await tx`
    update import_conflicts set name_key = ${noName}, profile = '{}' where name_key = ${key}`
  const trials = await tx`delete from import_trial_names where name_key = ${key}`
  return {
    counts: { profiles: rows.length, import_rows: unsettled.count + settled.count + trials.count + words },
    deltas: rows.map((row) => ({ ...row, delta: -1 })),
  }
}

/** Takes a name out of what imports hold of their files' words. Returns in how many places it was. */
async function eraseWords(tx: Transaction, name: string): Promise<number> {
  const words = await changeFileWords(tx, (held) => withoutName(held, name))
  return words + (await changeUnread(tx, (unread) => unreadWithoutName(unread, name)))
}
