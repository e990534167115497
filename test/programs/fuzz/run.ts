import { setTimeout } from 'node:timers/promises'
import type { OpenApiDocument } from '../../../lib/platform/http/openapi.ts'
import { randomFrom } from '../../faults/random.ts'
import { fc } from '../../support/properties.ts'
import { createKnown } from './known.ts'
import { matcherOf, type Operation, operationsOf } from './operations.ts'
import { type FuzzRequest, requestsOf } from './requests.ts'
import type { Target } from './target.ts'
import { judgeOf, kindOf } from './verdict.ts'
import { createClient, curlOf, type WireRequest, type WireResponse, wireOf } from './wire.ts'

export type Violation = {
  operation: string
  problem: string
  /** The smallest request found that brings it about, as a command. */
  curl: string
  /** How many requests had it, those of the search for the smallest aside. */
  times: number
}

export type FuzzResult = {
  violations: Violation[]
  /** How often each operation, and `$default`, gave which status. */
  tally: Map<string, Map<number, number>>
}

export type FuzzOptions = {
  requests: number
  seed: number
  say?: (line: string) => void
}

/** At once: a function of the local stage runs twice at most. */
const lanes = 2
/** Requests that look for a smaller one with the same fault. */
const maxShrinks = 150
/** Further kinds of faults are only counted. */
const maxViolations = 30

/** Shares of operations whose responses are large or whose work goes on in the background; of others it is 1. */
const shares: Record<string, number> = {
  'GET /api/openapi.json': 0.1,
  'GET /api/docs': 0.1,
  'GET /api/profiles/export': 0.5,
  'POST /api/exports': 0.5,
}

/** Sends so many requests, made from the document that the target serves, and judges each response by it. */
export async function fuzz(
  target: Target,
  { requests, seed, say = () => {} }: FuzzOptions,
): Promise<FuzzResult> {
  const { url, keys } = target
  const client = createClient(url)
  const known = createKnown()
  for (const [kind, value] of target.known) known.learn(kind, value)
  try {
    const document = await documentOf(url)
    const operations = operationsOf(document)
    const match = matcherOf(operations)
    const judge = judgeOf(document)
    const arbitraries = new Map(operations.map((each) => [each, requestsOf(document, each)]))
    const tally: FuzzResult['tally'] = new Map()
    const violations = new Map<string, Violation>()

    async function answered(wire: WireRequest): Promise<WireResponse | string> {
      for (let tries = 1; ; tries++) {
        try {
          const response = await client.send(wire)
          // By the gateway itself: too many at once for a function, or for all of them.
          const busy = [429, 503].includes(response.status) && response.text.startsWith('{"message"')
          if (!busy || tries === 50) return response
        } catch (error) {
          return `no response: ${(error as Error).message}`
        }
        await setTimeout(20)
      }
    }

    async function attempt(operation: Operation, request: FuzzRequest) {
      const wire = await target.prepare(wireOf(request, known, keys))
      const path = wire.target.split('?', 1)[0]!
      const key = match(wire.method === 'HEAD' ? 'GET' : wire.method, path)
      const response = await answered(wire)
      if (typeof response === 'string') return { wire, key, status: 0, problem: response }
      learnFrom(operation, wire, response)
      return { wire, key, status: response.status, problem: judge(key, wire.method, response) }
    }

    function learnFrom({ method, path }: Operation, { target }: WireRequest, response: WireResponse): void {
      const { status, headers, text } = response
      const [, collection] = /^(.*)\/\{id\}$/.exec(path) ?? []
      const gone = method === 'DELETE' ? status === 204 : status === 404
      if (collection !== undefined && gone) known.forget(collection, target.split(/[/?]/)[3] ?? '')
      if (status >= 300) return
      const isJson = /^application\/json/.test(headers['content-type'] ?? '')
      known.read(method, path, isJson && text !== '' ? JSON.parse(text) : undefined, headers.etag)
    }

    /** One request; if it shows a fault that no other has, also those that look for a smaller one. */
    async function one(operation: Operation, number: number): Promise<void> {
      let first = true
      let shrinks = 0
      let found: { kind: string; violation: Violation } | undefined
      const property = fc.asyncProperty(arbitraries.get(operation)!, async (request) => {
        if (!first && ++shrinks > maxShrinks) return true
        const { wire, key, status, problem } = await attempt(operation, request)
        if (first) count(tally, wire.method === 'HEAD' ? key.replace('GET', 'HEAD') : key, status)
        const kind = problem && `${key} ${kindOf(problem)}`
        if (first && kind) {
          const before = violations.get(kind)
          if (before) before.times++
          if (before || violations.size >= maxViolations) return true
        }
        first = false
        if (!problem || (found && found.kind !== kind)) return true
        const violation = { operation: key, problem, curl: curlOf(url, wire), times: 1 }
        found = { kind: kind!, violation }
        return false
      })
      await fc.check(property, { seed: (seed + Math.imul(number, 0x9e3779b1)) | 0, numRuns: 1 })
      if (!found || violations.has(found.kind)) return
      violations.set(found.kind, found.violation)
      say(`${found.violation.operation}: ${found.violation.problem.split('\n')[0]}`)
    }

    const order = choose(operations, requests, seed)
    let next = 0
    async function lane(): Promise<void> {
      while (next < order.length) {
        const number = next++
        await one(order[number]!, number)
        if ((number + 1) % 2000 === 0) say(`${number + 1} requests`)
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    return { violations: [...violations.values()], tally }
  } finally {
    client.close()
  }
}

async function documentOf(url: string): Promise<OpenApiDocument> {
  const response = await fetch(`${url}/api/openapi.json`)
  if (!response.ok) throw new Error(`${url}/api/openapi.json: ${response.status}`)
  return (await response.json()) as OpenApiDocument
}

/** The operation of each request, in the order of the seed: every one at least once if there are enough. */
function choose(operations: readonly Operation[], requests: number, seed: number): Operation[] {
  const random = randomFrom(seed)
  // In tenths, so that each stands in the list as often as its share says.
  const pool = operations.flatMap((each) => Array.from({ length: 10 * (shares[each.key] ?? 1) }, () => each))
  return Array.from({ length: requests }, (_, n) => operations[n] ?? random.pick(pool))
}

function count(tally: FuzzResult['tally'], key: string, status: number): void {
  const statuses = tally.get(key) ?? new Map<number, number>()
  statuses.set(status, (statuses.get(status) ?? 0) + 1)
  tally.set(key, statuses)
}

/** A line for each operation with its statuses, those that never succeeded last. */
export function table({ tally }: FuzzResult): string {
  const lines = [...tally]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, statuses]) => {
      const sorted = [...statuses].toSorted(([a], [b]) => a - b)
      const sum = sorted.reduce((total, [, times]) => total + times, 0)
      const cells = sorted.map(([status, times]) => `${status}×${times}`).join(' ')
      return `  ${key.padEnd(52)} ${String(sum).padStart(6)}  ${cells}`
    })
  return lines.join('\n')
}

/** Operations that were never reached: all that a schema lets through was refused. */
export function neverSucceeded({ tally }: FuzzResult): string[] {
  return [...tally]
    .filter(
      ([key, statuses]) =>
        !/^(?:HEAD |\$default)/.test(key) &&
        ![...statuses.keys()].some((status) => status >= 200 && status < 400),
    )
    .map(([key]) => key)
}
