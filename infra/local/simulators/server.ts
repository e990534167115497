import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { forOwnHosts } from '../hosts.ts'
import { demographics } from './demographics.ts'
import { createFaults, type Fault, faultSchema } from './faults.ts'
import { gemini } from './gemini.ts'
import { createLivekit } from './livekit.ts'
import { createResend } from './resend.ts'
import { isJson, jsonOf, type SimulatedAnswer, type SimulatedRequest, type Simulator } from './simulator.ts'
import { createWebhookSender, type Outgoing } from './webhook-sender.ts'

export type SimulatorsOptions = {
  /** Of 127.0.0.1; 0 = any free one. */
  port: number
  /** That control routes ask for: those of faults, mails and webhooks. */
  key: string
  /** All of them where it is not given. */
  simulators?: readonly Simulator[]
  /** Where webhooks go and how they are signed. Asked at each one, since the gateway starts later than this. */
  outgoing?(): Outgoing
  /** Waits before a webhook that was not taken is sent again, in milliseconds. */
  webhookWaitsMs?: readonly number[]
  log?(line: string): void
  /** Told of each request to a third party before it is answered. */
  onRequest?(path: string): void
}

export type Simulators = {
  url: string
  /** The address of each third party by the variable that the functions read it from. */
  environment: Record<string, string>
  close(): Promise<void>
}

/**
 * Third parties on one port of 127.0.0.1, each under a prefix of its own. `POST /faults` scripts what goes wrong
 * next, `GET /faults` lists what is still to come, `DELETE /faults` forgets it. Such control routes ask for the key.
 */
export async function startSimulators(options: SimulatorsOptions): Promise<Simulators> {
  const { log = () => {}, outgoing, webhookWaitsMs } = options
  const faults = createFaults()
  const closing = new AbortController()
  const webhooks = createWebhookSender({
    log,
    signal: closing.signal,
    ...(outgoing && { outgoing }),
    ...(webhookWaitsMs && { waitsMs: webhookWaitsMs }),
  })
  const simulators = options.simulators ?? [
    ...demographics,
    gemini,
    createResend(webhooks),
    ...createLivekit(webhooks),
  ]

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://simulators')
    const asked = {
      method: request.method ?? 'GET',
      path: pathname,
      query: searchParams,
      headers: request.headers,
      body: await buffer(request),
    }
    const simulator = simulators.find(
      ({ prefix }) => pathname === prefix || pathname.startsWith(`${prefix}/`),
    )
    const path = simulator ? pathname.slice(simulator.prefix.length) || '/' : pathname
    const isControl = pathname === '/faults' || simulator?.isControl?.(path)
    if (isControl && !bringsKey(request, options.key)) return send(response, keyless)
    if (pathname === '/faults') return send(response, script(asked))
    if (!simulator) return send(response, { status: 404, body: { error: 'Nobody is simulated here' } })
    options.onRequest?.(pathname)
    const fault = faults.take(pathname)
    if (fault?.delay_ms) await setTimeout(fault.delay_ms, undefined, { signal: closing.signal })
    if (fault?.status !== undefined) return send(response, failed(simulator, fault, fault.status))
    send(response, await simulator.answer({ ...asked, path }))
  }

  function script(request: SimulatedRequest): SimulatedAnswer {
    const { method, body } = request
    if (method === 'GET') return { status: 200, body: { faults: faults.list() } }
    if (method === 'DELETE') {
      faults.clear()
      return { status: 200, body: { faults: [] } }
    }
    if (method !== 'POST') return { status: 405, body: { error: 'GET, POST or DELETE' } }
    if (!isJson(request)) return { status: 415, body: { error: 'JSON is needed' } }
    const parsed = faultSchema.safeParse(jsonOf(body))
    if (!parsed.success) return { status: 422, body: { error: parsed.error.message } }
    faults.add(parsed.data)
    return { status: 201, body: { faults: faults.list() } }
  }

  const server = createServer(
    forOwnHosts((request, response) => {
      serve(request, response).catch((error: unknown) => {
        if (!closing.signal.aborted) log(`Simulators: ${String(error)}`)
        response.destroy()
      })
    }),
  )
  server.listen(options.port, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    environment: Object.fromEntries(simulators.map(({ variable, prefix }) => [variable, url + prefix])),
    async close() {
      closing.abort()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

const keyless: SimulatedAnswer = {
  status: 401,
  headers: { 'www-authenticate': 'Bearer' },
  body: { error: 'Authorization: Bearer <simulators_key of credentials.json> is needed' },
}

function bringsKey({ headers }: IncomingMessage, key: string): boolean {
  const [given, expected] = [headers.authorization ?? '', `Bearer ${key}`].map((text) => Buffer.from(text))
  return given!.length === expected!.length && timingSafeEqual(given!, expected!)
}

function failed(simulator: Simulator, fault: Fault, status: number): SimulatedAnswer {
  const retryAfter = fault.retry_after === undefined ? undefined : String(fault.retry_after)
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
  const own = status >= 400 ? simulator.errorBody?.(status, retryAfter) : undefined
  return { status, headers, body: fault.body ?? own ?? { error: 'A scripted fault' } }
}

function send(response: ServerResponse, { status, headers, body, afterwards }: SimulatedAnswer): void {
  if (afterwards) response.once('close', afterwards)
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}
