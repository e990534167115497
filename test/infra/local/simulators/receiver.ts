import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export type Received = { path: string; headers: IncomingHttpHeaders; body: string }

export type Receiver = {
  url: string
  received: readonly Received[]
  /** The first requests to come get these statuses, the others 202. */
  answerWith(...statuses: number[]): void
  /** Requests get no answer from here on. */
  hang(): void
  /** Resolves when nobody waits for an answer any more. */
  untilIdle(): Promise<void>
  /** Resolves when so many have come, with them. */
  until(count: number): Promise<readonly Received[]>
  close(): Promise<void>
}

/** Stands where the gateway takes webhooks. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = []
  const statuses: number[] = []
  let came = Promise.withResolvers<void>()
  const waiting = new Set<Promise<unknown>>()
  let isHanging = false
  const server = createServer(async (request, response) => {
    received.push({ path: request.url ?? '', headers: request.headers, body: await text(request) })
    if (isHanging) waiting.add(once(response, 'close'))
    else response.writeHead(statuses.shift() ?? 202).end()
    came.resolve()
    came = Promise.withResolvers()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answerWith: (...given) => void statuses.push(...given),
    hang() {
      isHanging = true
    },
    async untilIdle() {
      await Promise.all(waiting)
    },
    async until(count) {
      while (received.length < count) await came.promise
      return received
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
