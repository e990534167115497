import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export type WireAnswer = {
  status?: number
  headers?: Record<string, string>
  /** Sent as it is where it is a text, else as JSON. */
  body?: unknown
  /** Never answers. */
  hangs?: boolean
}

export type WireRequest = { path: string; headers: IncomingHttpHeaders; body: string }

export type Wire = {
  url: string
  /** What was asked since the last reset. */
  requests: WireRequest[]
  /** What is answered next, in this order; the last one stays. */
  answers: WireAnswer[]
  reset(): void
  close(): Promise<void>
}

/** A third party that says what a test tells it to, byte by byte. */
export async function startWire(): Promise<Wire> {
  const requests: WireRequest[] = []
  const answers: WireAnswer[] = []
  const server = createServer(async (request, response) => {
    requests.push({ path: request.url ?? '', headers: request.headers, body: await text(request) })
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? { status: 418 }
    if (answer.hangs) return
    const { status = 200, headers = { 'content-type': 'application/json' }, body = {} } = answer
    response.writeHead(status, headers)
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers,
    reset() {
      requests.length = 0
      answers.length = 0
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
