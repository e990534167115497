import type { Sql } from './db.ts'
import type { Storage } from './storage.ts'

/** A table whose rows await an upload: `awaiting_upload` until its event comes, `failed` where it never does. */
export type AwaitingTable = {
  name: string
  /** The column that says when a row ended, where it has one. */
  ended?: string
}

export type UploadSweep = {
  table: AwaitingTable
  /** Seconds between two looks for an upload whose event may be lost. */
  checkAfter: number
  /** Seconds after the address has expired: a PUT that began before may still be running. */
  grace: number
  /** Rows of one run. */
  limit: number
}

/**
 * Looks for uploads whose event may be lost: calls `found` for each that is there, and fails those that never came.
 * Answers how many there were of each. Rejects where S3 does not answer.
 */
export async function sweepUploads(
  { sql, storage }: { sql: Sql; storage: Pick<Storage, 'exists'> },
  sweep: UploadSweep,
  found: (id: string) => Promise<void>,
): Promise<{ found: number; expired: number }> {
  const counts = { found: 0, expired: 0 }
  for (const { id, object_key, expired } of await claimAwaited(sql, sweep)) {
    if (await storage.exists(object_key)) {
      await found(id)
      counts.found++
    } else if (expired && (await expireUpload(sql, sweep.table, id))) {
      counts.expired++
    }
  }
  return counts
}

/** Takes rows that were not looked at for a while: no other sweep gets them too. */
function claimAwaited(sql: Sql, { table, checkAfter, grace, limit }: UploadSweep) {
  return sql<{ id: string; object_key: string; expired: boolean }[]>`
    update ${sql(table.name)} set touched_at = now()
    where id in (
      select id from ${sql(table.name)}
      where state = 'awaiting_upload' and touched_at < now() - make_interval(secs => ${checkAfter})
      order by touched_at limit ${limit} for update skip locked)
    returning id, object_key, upload_expires_at < now() - make_interval(secs => ${grace}) as expired`
}

async function expireUpload(sql: Sql, { name, ended }: AwaitingTable, id: string): Promise<boolean> {
  const failure = { code: 'upload_expired', message: 'No file was uploaded while the address was valid' }
  const { count } = await sql`
    update ${sql(name)}
    set state = 'failed', failure = ${sql.json(failure)} ${ended === undefined ? sql`` : sql`, ${sql(ended)} = now()`}
    where id = ${id} and state = 'awaiting_upload'`
  return count === 1
}
