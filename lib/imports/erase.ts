import type { Transaction } from '../platform/db.ts'
import { UnavailableError } from '../platform/errors.ts'
import type { FacetDelta } from '../profiles/facets.ts'
import { nameKey, type ProfileRow } from '../profiles/profile.ts'
import { namesAreKeyed } from '../profiles/rekey.ts'
import { idsOfName } from '../profiles/store.ts'
import { changeFileWords, changeUnread, forgetNamedRows, type TeamCounts } from './erase-store.ts'
import { unreadWithout, type Wanted, wantedAddress, wantedName, wordsWithout } from './file-words.ts'

/**
 * Deletes the profiles of a name, in whatever case, and the name where imports of some teams still hold it: rows to
 * be settled, samples, values that could not be read, and names of columns. `deltas` are to be
 * counted into the facets at the end of the transaction (applyFacetDeltas) where there are any. Throws
 * UnavailableError in the minutes after a deployment in which stored names are brought to a new folding.
 */
export async function eraseName(
  tx: Transaction,
  teams: readonly string[],
  name: string,
): Promise<{ profiles: number; importRows: TeamCounts; deltas: FacetDelta[] }> {
  if (!(await namesAreKeyed(tx))) throw new UnavailableError('Stored names are being prepared', undefined, 60)
  const key = nameKey(name)
  // Before any profile is locked: whoever holds an import may wait for one.
  const importRows = await eraseWords(tx, teams, wantedName(name))
  const rows = await tx<Pick<ProfileRow, 'country_id' | 'gender' | 'age'>[]>`
    delete from profiles where id in (${idsOfName(tx, key)}) returning country_id, gender, age`
  await forgetNamedRows(tx, teams, importRows, key)
  return { profiles: rows.length, importRows, deltas: rows.map((row) => ({ ...row, delta: -1 })) }
}

/** Takes an e-mail address out of what imports of some teams hold of their files. Returns how often it was there. */
export async function eraseAddressFromImports(
  tx: Transaction,
  teams: readonly string[],
  address: string,
): Promise<TeamCounts> {
  return eraseWords(tx, teams, wantedAddress(address))
}

async function eraseWords(tx: Transaction, teams: readonly string[], wanted: Wanted): Promise<TeamCounts> {
  const counts: TeamCounts = new Map()
  await changeFileWords(tx, teams, counts, (held) => wordsWithout(held, wanted))
  await changeUnread(tx, teams, counts, (unread) => unreadWithout(unread, wanted))
  return counts
}
