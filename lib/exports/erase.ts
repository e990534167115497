import type { Transaction } from '../platform/db.ts'
import { foldName } from '../profiles/names.ts'

/**
 * Takes a name out of what exports were asked for: one that has still to be written finds no profile then, as the
 * erased name would. Files live on until they expire.
 */
export async function eraseNameFromExports(tx: Transaction, name: string): Promise<void> {
  await tx`
    update exports set filter = jsonb_set(filter, '{name}', '""'), request_key = 'erased ' || id
    where filter ->> 'name' = ${foldName(name)}`
}
