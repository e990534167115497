import { arrayLiteral, type Transaction } from '../platform/db.ts'
import { foldName } from '../profiles/names.ts'

/**
 * Takes a name out of what exports of some teams were asked for: one that has still to be written finds no profile then, as the
 * erased name would. Files live on until they expire.
 */
export async function eraseNameFromExports(
  tx: Transaction,
  teams: readonly string[],
  name: string,
): Promise<void> {
  await tx`
    update exports set filter = jsonb_set(filter, '{name}', '""'), request_key = 'erased ' || id
    where team_id = any(${arrayLiteral(teams)}::text::uuid[]) and filter ->> 'name' = ${foldName(name)}`
}

/** Teams that have an export of a name. */
export async function teamsThatExported(tx: Transaction, name: string): Promise<string[]> {
  const rows = await tx<{ team_id: string }[]>`
    select distinct team_id from exports where filter ->> 'name' = ${foldName(name)}`
  return rows.map(({ team_id }) => team_id)
}
