import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer, isIP } from 'node:net'
import { hostname } from 'node:os'

/** The address on which everything listens, unless it is opened. */
export const loopback = '127.0.0.1'

/** What this machine calls itself. */
const ownNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1'])
const everyAddress: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/** Whether others than this machine reach what listens on the address or name. */
export function isOpen(host: string): boolean {
  return !ownNames.has(host.toLowerCase())
}

/** A host as it stands in a URL that this machine reaches it by. */
export function urlHost(host: string): string {
  if (everyAddress.has(host)) return loopback
  return isIP(host) === 6 ? `[${host}]` : host
}

/**
 * Whether a Host header names this machine, on whatever port: one may be forwarded to another. `host` is what the
 * server listens on. On every address any address will do, since it is names that can be made to lead here.
 */
export function isOwnHost(header: string | undefined, host: string = loopback): boolean {
  if (header === undefined) return false
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(header.toLowerCase()) ?? []
  const name = bracketed ?? plain
  if (name === undefined || (bracketed !== undefined && isIP(bracketed) !== 6)) return false
  if (ownNames.has(name) || name === host.toLowerCase()) return true
  return everyAddress.has(host) && (isIP(name) !== 0 || name === hostname().toLowerCase())
}

/**
 * Serves only requests to this machine by one of its own names; others get 403 before anything is read. A page of
 * another site that lets its own name resolve to 127.0.0.1 would otherwise be of the same origin as what listens here.
 */
export function forOwnHosts(listener: RequestListener, host?: string): RequestListener {
  return (request: IncomingMessage, response: ServerResponse & { req: IncomingMessage }) => {
    if (isOwnHost(request.headers.host, host)) return listener(request, response)
    response.writeHead(403, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ message: 'Forbidden: this machine is not called that' }))
  }
}

/** Thrown when INSIGHTA_HOST is nothing that this machine can listen on. */
export class HostError extends Error {
  override readonly name = 'HostError'
}

/** Rejects with HostError unless this machine can listen on the address or name. */
export async function assertOwnAddress(host: string): Promise<void> {
  const server = createServer()
  try {
    if (isIP(host) === 0 && !/^[\w.-]+$/.test(host)) throw new Error('This is no name')
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, host, resolve)
    })
  } catch (error) {
    throw new HostError(
      `INSIGHTA_HOST must be an address or a name of this machine, without a port, not "${host}"`,
      { cause: error },
    )
  }
  await new Promise((resolve) => server.close(resolve))
}
