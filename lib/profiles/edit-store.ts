import { arrayLiteral, type Transaction } from '../platform/db.ts'
import type { ProfileRow, StoredField } from './profile.ts'
import { profileColumns } from './store.ts'

/** Locks a profile; undefined if there is none. `id` must be a uuid. */
export async function lockProfile(tx: Transaction, id: string): Promise<ProfileRow | undefined> {
  const [row] = await tx<ProfileRow[]>`
    select ${profileColumns(tx)} from profiles where id = ${id} for update`
  return row
}

/** Writes all values of a profile that has its id. Its key stays. */
export async function updateProfile(tx: Transaction, row: ProfileRow): Promise<void> {
  await tx`
    update profiles set name = ${row.name}, gender = ${row.gender}, gender_probability = ${row.gender_probability},
      age = ${row.age}, country_id = ${row.country_id}, country_probability = ${row.country_probability}
    where id = ${row.id}`
}

/**
 * Gives a profile the key of another name, after which it is no twin any more. Rejects with a unique violation if
 * another profile has the key.
 */
export async function moveKey(tx: Transaction, id: string, key: string): Promise<void> {
  await tx`update profiles set name_key = ${key} where id = ${id}`
  await tx`delete from name_twins where profile_id = ${id}`
}

/** Writes down an edit, under the lock on the dataset. */
export async function noteEdit(
  tx: Transaction,
  id: string,
  by: string,
  fields: readonly StoredField[],
): Promise<void> {
  await tx`
    insert into profile_edits (profile_id, edited_at, edited_by, fields)
    values (${id}, date_trunc('milliseconds', clock_timestamp()), ${by}, ${arrayLiteral(fields)}::text::text[])`
}

/**
 * Which of some profiles were edited. Those must be locked, by a statement before: this one then sees the edit
 * that a lock was waited for.
 */
export async function editedAmong(tx: Transaction, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const rows = await tx<{ profile_id: string }[]>`
    select profile_id from profile_edits where profile_id = any(${arrayLiteral(ids)}::text::uuid[])`
  return new Set(rows.map(({ profile_id }) => profile_id))
}
