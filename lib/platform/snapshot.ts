import { databaseUnavailable, ping, type Sql } from './db.ts'

/**
 * Runs reads that all see the data of one moment, over one connection: of a pool, or the given one if it is
 * reserved already. None of them may be tried again by itself: where the connection is cut, postgres.js writes
 * what follows to a socket that is gone, an error that nothing catches. (`sql.begin` sends its rollback there.)
 * The whole may be.
 */
export async function inSnapshot<T>(sql: Sql, read: (snapshot: Sql) => Promise<T>): Promise<T> {
  if (isReserved(sql)) return inTransaction(sql, read)
  // First a query: of a pool without an open connection postgres.js never makes a reservation.
  await ping(sql)
  const connection = await sql.reserve()
  try {
    const value = await inTransaction(connection, read)
    connection.release()
    return value
  } catch (error) {
    // One that was cut goes back to its pool by itself.
    if (!isCut(error)) connection.release()
    throw error
  }
}

function isReserved(sql: Sql): boolean {
  return 'release' in sql
}

async function inTransaction<T>(connection: Sql, read: (snapshot: Sql) => Promise<T>): Promise<T> {
  // Goes out together with the first of the reads.
  const begun = connection.unsafe('begin isolation level repeatable read read only').execute()
  try {
    const [value] = await Promise.all([read(connection), begun])
    await connection.unsafe('commit')
    return value
  } catch (error) {
    if (!isCut(error)) await connection.unsafe('rollback')
    throw error
  }
}

/** Whether the connection went with the error. */
function isCut(error: unknown): boolean {
  const fatal = error instanceof Error && 'severity' in error && error.severity !== 'ERROR'
  return fatal || databaseUnavailable(error)
}
