import type { Sql } from './db.ts'
import { connectionLost } from './guarded-pool.ts'

/**
 * Runs reads that all see the data of one moment, over one connection: of a pool, or the given one if it is
 * reserved already. None of them is of use tried again by itself: with its connection the moment is gone. The whole
 * may be.
 */
export async function inSnapshot<T>(sql: Sql, read: (snapshot: Sql) => Promise<T>): Promise<T> {
  if (isReserved(sql)) return inTransaction(sql, read)
  const connection = await sql.reserve()
  try {
    return await inTransaction(connection, read)
  } finally {
    connection.release()
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
    if (!connectionLost(error)) await connection.unsafe('rollback')
    throw error
  }
}
