import { removeFiles } from '../interviews/candidates.ts'
import { eraseUnowned } from '../interviews/erase.ts'
import type { Sql, Transaction } from '../platform/db.ts'
import { ConflictError } from '../platform/errors.ts'
import type { Storage } from '../platform/storage.ts'
import { applyFacetDeltas } from '../profiles/facets.ts'
import {
  type Actor,
  confirmationOf,
  type Erased,
  eraseFrom,
  noteErasure,
  nothingErased,
  type Person,
  type TeamErasure,
  teamsConcerned,
  type UnownedErasure,
} from './erasures.ts'

type Context = { sql: Sql; storage: Pick<Storage, 'remove'> }

/** What one team had, and the profiles, which all teams share. */
export type ErasedCounts = TeamErasure & { profiles: number }

/**
 * Erases a person from what the actor's team has, and by name from the profiles: all or nothing, and `id` is that of
 * the record of it. Throws UnavailableError, and nothing has changed in the database, if S3 does not take the deletion
 * of a file, or while stored names are brought to a new folding.
 */
export async function erasePerson(
  { sql, storage }: Context,
  by: Actor,
  person: Person,
): Promise<{ id: string; counts: ErasedCounts }> {
  return sql.begin(async (tx) => {
    const erased = await eraseFrom(tx, [by.teamId], by, person)
    const counts = { ...erased.teams.get(by.teamId)!, profiles: erased.profiles }
    const id = await noteErasure(tx, by, counts)
    await finish(tx, storage, erased)
    return { id, counts }
  })
}

export type ErasedEverywhere = {
  /** Those that had something. */
  teams: { id: string; name: string; counts: TeamErasure }[]
  unowned: UnownedErasure
  profiles: number
}

/** Ends the transaction of a preview, of which nothing may stay. */
class PreviewEnd extends Error {}

/**
 * Erases a person from what every team has and what belongs to none. Without `confirm` it returns what would be
 * erased, and a `confirm` with which it is; with one that no longer fits it throws ConflictError
 * (`confirmation_outdated`). Else as erasePerson.
 */
export async function eraseEverywhere(
  { sql, storage }: Context,
  by: Actor,
  person: Person,
  confirm: string | undefined,
): Promise<ErasedEverywhere & ({ id: string } | { confirm: string })> {
  let found: ErasedEverywhere | undefined
  try {
    return await sql.begin(async (tx) => {
      const concerned = await teamsConcerned(tx, person)
      const ids = concerned.map(({ id }) => id)
      const erased = await eraseFrom(tx, ids, by, person)
      found = {
        teams: concerned
          .map((team) => ({ ...team, counts: erased.teams.get(team.id)! }))
          .filter(({ counts }) => Object.values(counts).some((count) => count > 0)),
        unowned: person.email === undefined ? nothingUnowned : await eraseUnowned(tx, person.email),
        profiles: erased.profiles,
      }
      // By throwing: what was erased to be counted is taken back.
      if (confirm === undefined) throw new PreviewEnd()
      if (confirm !== confirmationOf(by, person, found)) {
        const message = 'What would be erased is not what was shown; ask again without confirm'
        throw new ConflictError(message, 'confirmation_outdated')
      }
      const id = await noteEverywhere(tx, by, found)
      await finish(tx, storage, erased)
      return { id, ...found }
    })
  } catch (error) {
    if (error instanceof PreviewEnd && found) return { confirm: confirmationOf(by, person, found), ...found }
    throw error
  }
}

const nothingUnowned: UnownedErasure = { webhook_events: 0, dead_letters: 0 }

/** What belongs to no team, and the profiles, stand in the record of the actor's own. */
function noteEverywhere(tx: Transaction, by: Actor, found: ErasedEverywhere): Promise<string> {
  const own = found.teams.find(({ id }) => id === by.teamId)?.counts ?? nothingErased
  const { webhook_events, dead_letters } = found.unowned
  const counts = {
    ...own,
    profiles: found.profiles,
    unowned_webhook_events: webhook_events,
    unowned_dead_letters: dead_letters,
  }
  const others = found.teams.filter(({ id }) => id !== by.teamId)
  return noteErasure(
    tx,
    by,
    counts,
    others.map(({ id, counts }) => ({ teamId: id, counts })),
  )
}

/** Before the commit: a row whose file is gone can be erased again, a file without a row by no one. */
async function finish(
  tx: Transaction,
  storage: Pick<Storage, 'remove'>,
  { files, deltas }: Erased,
): Promise<void> {
  await removeFiles(
    storage,
    files.map((object_key) => ({ object_key })),
  )
  if (deltas.length > 0) await applyFacetDeltas(tx, deltas)
}
