import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

/** What this machine calls itself. */
const ownNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Whether a Host header names this machine, on whatever port: one may be forwarded to another. */
export function isOwnHost(host: string | undefined): boolean {
  return host !== undefined && ownNames.has(host.replace(/:\d+$/, '').toLowerCase())
}

/**
 * Serves only requests to this machine by one of its own names; others get 403 before anything is read. A page of
 * another site that lets its own name resolve to 127.0.0.1 would otherwise be of the same origin as what listens here.
 */
export function forOwnHosts(listener: RequestListener): RequestListener {
  return (request: IncomingMessage, response: ServerResponse & { req: IncomingMessage }) => {
    if (isOwnHost(request.headers.host)) return listener(request, response)
    response.writeHead(403, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ message: 'Forbidden: this machine is not called that' }))
  }
}
