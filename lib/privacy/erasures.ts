import { hash } from 'node:crypto'
import { eraseNameFromExports, teamsThatExported } from '../exports/erase.ts'
import { eraseAddressFromImports, eraseName } from '../imports/erase.ts'
import { importingTeams, type TeamCounts } from '../imports/erase-store.ts'
import { type ErasedCounts, eraseAddress, noneErased, teamsNaming } from '../interviews/erase.ts'
import type { Transaction } from '../platform/db.ts'
import type { FacetDelta } from '../profiles/facets.ts'
import { foldName } from '../profiles/names.ts'

/** By either or both: an e-mail address, and the name of a profile. */
export type Person = { email?: string | undefined; name?: string | undefined }

/** Who has a person erased. */
export type Actor = { teamId: string; keyId: string }

/** What was erased of one team. */
export type TeamErasure = ErasedCounts & { import_rows: number }

/** What belongs to no team. */
export type UnownedErasure = Pick<ErasedCounts, 'webhook_events' | 'dead_letters'>

export const nothingErased: Readonly<TeamErasure> = { ...noneErased, import_rows: 0 }

export type Erased = {
  teams: Map<string, TeamErasure>
  /** Profiles are shared by all teams. */
  profiles: number
  deltas: FacetDelta[]
  /** Keys of files that are still to be removed, before the commit. */
  files: string[]
}

/** Erases a person from what some teams have and from the profiles, but for files. */
export async function eraseFrom(
  tx: Transaction,
  teams: readonly string[],
  { keyId }: Actor,
  { email, name }: Person,
): Promise<Erased> {
  const files: string[] = []
  const storage = { remove: async (key: string) => void files.push(key) }
  const ofPerson = new Map<string, ErasedCounts>()
  const importRows: TeamCounts[] = []
  if (email !== undefined) {
    for (const teamId of teams) {
      ofPerson.set(teamId, await eraseAddress(tx, storage, { teamId, keyId }, email))
    }
    importRows.push(await eraseAddressFromImports(tx, teams, email))
  }
  if (name !== undefined) await eraseNameFromExports(tx, teams, name)
  const named = name === undefined ? undefined : await eraseName(tx, teams, name)
  if (named) importRows.push(named.importRows)
  const erased = teams.map((id): [string, TeamErasure] => {
    const import_rows = importRows.reduce((sum, rows) => sum + (rows.get(id) ?? 0), 0)
    return [id, { ...(ofPerson.get(id) ?? noneErased), import_rows }]
  })
  return { teams: new Map(erased), profiles: named?.profiles ?? 0, deltas: named?.deltas ?? [], files }
}

/** Teams of which eraseFrom may have something to erase, in the order of their ids. */
export async function teamsConcerned(
  tx: Transaction,
  { email, name }: Person,
): Promise<{ id: string; name: string }[]> {
  const ids = new Set(await importingTeams(tx))
  for (const id of email === undefined ? [] : await teamsNaming(tx, email)) ids.add(id)
  for (const id of name === undefined ? [] : await teamsThatExported(tx, name)) ids.add(id)
  return tx<{ id: string; name: string }[]>`
    select id, name from teams
    where id in (select value::uuid from jsonb_array_elements_text(${tx.json([...ids])})) order by id`
}

/**
 * Writes down that a person was erased, once for each team that had something, all under the id of the first: who
 * had it done and how much, never who it was. Returns that id.
 */
export async function noteErasure(
  tx: Transaction,
  { teamId, keyId }: Actor,
  own: Record<string, number>,
  others: readonly { teamId: string; counts: Record<string, number> }[] = [],
): Promise<string> {
  const [row] = await tx<{ id: string }[]>`
    insert into deletions (id, team_id, subject, subject_id, counts, triggered_by, requested_by)
    select id, ${teamId}, 'person', id, ${tx.json(own)}, 'request', ${keyId}
    from (select uuidv7() as id) made
    returning id`
  const { id } = row!
  for (const { teamId, counts } of others) {
    await tx`
      insert into deletions (team_id, subject, subject_id, counts, triggered_by, requested_by)
      values (${teamId}, 'person', ${id}, ${tx.json(counts)}, 'request', ${keyId})`
  }
  return id
}

/** What an operator repeats to have done what was shown: it changes with the person and with what would be erased. */
export function confirmationOf({ keyId }: Actor, { email, name }: Person, found: object): string {
  const person = [email?.toLowerCase() ?? null, name === undefined ? null : foldName(name)]
  return hash('sha256', JSON.stringify([keyId, person, found]), 'base64url')
}
