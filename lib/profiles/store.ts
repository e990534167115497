import type postgres from 'postgres'
import { retryRead, type Sql, type Transaction } from '../platform/db.ts'
import { applyFacetDeltas } from './facets.ts'
import { type NewProfile, nameKey, type ProfileRow } from './profile.ts'

type Fragment = postgres.Fragment

/** What is read of a profile. */
export const profileColumns = (sql: Sql | Transaction): Fragment =>
  sql`id, name, gender, gender_probability, age, country_id, country_probability`

/** A query for the ids of the profiles with a name, by its key: the one that has it, and twins (name_twins). */
export const idsOfName = (sql: Sql | Transaction, key: string): Fragment => sql`
  select id from profiles where name_key = ${key} union all select profile_id from name_twins where name_key = ${key}`

/** The profile, or undefined. `id` must be a uuid. */
export async function getProfile(sql: Sql, id: string): Promise<ProfileRow | undefined> {
  const [row] = await retryRead(
    () => sql<ProfileRow[]>`select ${profileColumns(sql)} from profiles where id = ${id}`,
  )
  return row
}

/** The profile whose name is the same (see nameKey), or undefined. */
export async function findProfileByName(sql: Sql, name: string): Promise<ProfileRow | undefined> {
  const [row] = await retryRead(
    () => sql<ProfileRow[]>`select ${profileColumns(sql)} from profiles where name_key = ${nameKey(name)}`,
  )
  return row
}

/** Stores a profile, or finds the one that already has its name. `version` is set where it was stored. */
export async function insertProfile(
  sql: Sql,
  profile: NewProfile,
): Promise<{ row: ProfileRow; created: boolean; version?: number }> {
  const key = nameKey(profile.name)
  // Between the two statements the one that has the name may be deleted: then the name is free again.
  for (;;) {
    const stored = await sql.begin(async (tx) => {
      const [row] = await tx<ProfileRow[]>`
        insert into profiles (name_key, name, gender, gender_probability, age, country_id, country_probability)
        values (${key}, ${profile.name}, ${profile.gender}, ${profile.gender_probability}, ${profile.age},
          ${profile.country_id}, ${profile.country_probability})
        on conflict (name_key) do nothing
        returning ${profileColumns(sql)}`
      return row && { row, version: await applyFacetDeltas(tx, [{ ...row, delta: 1 }]) }
    })
    if (stored) return { ...stored, created: true }
    const [row] = await sql<ProfileRow[]>`select ${profileColumns(sql)} from profiles where name_key = ${key}`
    if (row) return { row, created: false }
  }
}

/**
 * Deletes a profile, writes down who did if it was a caller, and returns the new dataset version; undefined if there
 * is none. `id` must be a uuid.
 */
export async function deleteProfile(
  sql: Sql,
  id: string,
  by?: { teamId: string; keyId: string },
): Promise<number | undefined> {
  return sql.begin(async (tx) => {
    const [row] = await tx<
      ProfileRow[]
    >`delete from profiles where id = ${id} returning ${profileColumns(sql)}`
    if (!row) return undefined
    if (by) await noteProfileDeletion(tx, id, by)
    return applyFacetDeltas(tx, [{ ...row, delta: -1 }])
  })
}

async function noteProfileDeletion(
  tx: Transaction,
  id: string,
  { teamId, keyId }: { teamId: string; keyId: string },
): Promise<void> {
  await tx`
    insert into deletions (team_id, subject, subject_id, counts, triggered_by, requested_by)
    values (${teamId}, 'profile', ${id}, '{}', 'request', ${keyId})`
}
