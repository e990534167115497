import type postgres from 'postgres'
import type { Sql, Transaction } from '../platform/db.ts'

/** Has a room closed once the transaction is committed, also one that was closed before and is open again. */
export async function requestRoomClosing(tx: Transaction, interviewId: string): Promise<void> {
  await tx`
    insert into rooms_to_close (interview_id) values (${interviewId})
    on conflict (interview_id) do update set requested_at = now(), due_at = now(), attempts = 0, last_error = null`
}

export type RoomToClose = { interview_id: string; requested_at: Date; attempts: number }

/** Minutes before the next attempt at most; they double from one. */
const longestWait = 16

/**
 * Takes the room that has been due longest, or the named one if it is due: another worker may take it a minute
 * later, and after each attempt twice as late. Undefined if there is none.
 */
export async function claimRoom(sql: Sql, interviewId?: string): Promise<RoomToClose | undefined> {
  const [row] = await sql<RoomToClose[]>`
    update rooms_to_close
    set attempts = attempts + 1, due_at = now() + interval '1 minute' * least(power(2, attempts), ${longestWait}::float8)
    where interview_id = (
      select interview_id from rooms_to_close
      where due_at <= now() ${interviewId === undefined ? sql`` : sql`and interview_id = ${interviewId}`}
      order by due_at limit 1 for update skip locked)
    returning interview_id, requested_at, attempts`
  return row
}

/** Whether nobody has asked for it or taken it since. A Date has milliseconds. */
const same = (sql: Sql, { interview_id, requested_at, attempts }: RoomToClose): postgres.Fragment => sql`
  interview_id = ${interview_id} and attempts = ${attempts}
  and date_trunc('milliseconds', requested_at) = ${requested_at}`

/** Forgets a room that is closed, or given up; one that was asked for again meanwhile stays. */
export async function forgetRoom(sql: Sql, room: RoomToClose): Promise<void> {
  await sql`delete from rooms_to_close where ${same(sql, room)}`
}

export async function noteRoomFailure(sql: Sql, room: RoomToClose, error: string): Promise<void> {
  await sql`update rooms_to_close set last_error = ${error} where ${same(sql, room)}`
}
