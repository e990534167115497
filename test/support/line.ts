import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createPool, type Sql } from '../../lib/platform/db.ts'

/** A way to a database that counts how often somebody waits for it. */
export type Line = {
  sql: Sql
  port: number
  /** Ends every connection that there is. */
  cut(): void
  /** Round trips since the last call: what goes to and fro meanwhile on another connection is none of its own. */
  trips(): number
  close(): Promise<void>
}

/**
 * A pool whose connections go through this process. `before` is awaited before anything is passed on to the
 * database: something else may happen there between any two statements.
 */
export async function lineTo(url: string, max: number, before?: () => Promise<void>): Promise<Line> {
  const database = new URL(url)
  const sockets = new Set<Socket>()
  const waiting = new Set<Socket>()
  let trips = 0
  let closing = false

  const server = createServer((client) => {
    const upstream = connect(Number(database.port), database.hostname)
    for (const socket of [client, upstream]) sockets.add(socket)
    let passing = Promise.resolve()
    client.on('data', (chunk) => {
      if (waiting.size === 0) trips++
      waiting.add(client)
      passing = passing.then(() => (closing ? undefined : before?.())).then(() => void upstream.write(chunk))
    })
    upstream.on('data', (chunk) => {
      waiting.delete(client)
      client.write(chunk)
    })
    client.on('close', () => {
      waiting.delete(client)
      upstream.destroy()
    })
    upstream.on('close', () => client.destroy())
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  const sql = createPool({
    host: '127.0.0.1',
    port,
    database: database.pathname.slice(1),
    user: database.username,
    password: () => database.password,
    tls: false,
    max,
    transactionTimeoutSeconds: 60,
    applicationName: 'test',
  })
  return {
    sql,
    port,
    cut,
    trips() {
      const counted = trips
      trips = 0
      return counted
    },
    async close() {
      closing = true
      await sql.end({ timeout: 2 })
      cut()
      server.close()
    },
  }
}
