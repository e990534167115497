import type { OpenApiDocument } from '../../../lib/platform/http/openapi.ts'
import { contractOf } from '../../support/contract.ts'
import type { WireResponse } from './wire.ts'

/** What only the inside of the product would say. */
const inside = /node:internal|node_modules|\/var\/task|\bat [\w.]+ \(|PostgresError|ZodError|syntax error at/

/**
 * What is wrong with a response to a call of an operation (`$default` for a path or method of none); undefined
 * if nothing is. A response of the third parties' troubles (502) is one that the document has.
 */
export function judgeOf(
  document: OpenApiDocument,
): (key: string, method: string, response: WireResponse) => string | undefined {
  const contract = contractOf(document)
  return (key, method, { status, headers, text }) => {
    if (status === 500) return 'a defect (500)'
    if (status === 503) return 'unavailable (503), though nothing is down'
    if (inside.test(text)) return 'the inside is shown'
    if (method === 'HEAD') return headProblem(document, key, status, text)
    const header = (name: string) => {
      const value = headers[name.toLowerCase()]
      return Array.isArray(value) ? value.join(', ') : value
    }
    try {
      contract(key, { status, header, text })
    } catch (error) {
      return (error as Error).message
    }
    const { request_id } = status >= 400 && text.startsWith('{') ? JSON.parse(text) : {}
    if (request_id !== undefined && request_id !== header('x-request-id'))
      return 'another request_id than X-Request-Id'
    return undefined
  }
}

/** Of what no operation takes: a redirect to one, or an error. */
const elsewhere = ['302', '308', '400', '404', '405']

/** A response to HEAD has the status that GET may have, and no body. */
function headProblem(
  document: OpenApiDocument,
  key: string,
  status: number,
  text: string,
): string | undefined {
  if (text !== '') return 'a body in response to HEAD'
  const path = (document.paths?.[key.replace(/^GET /, '')] ?? {}) as { get?: { responses?: object } }
  const described = path.get?.responses ? Object.keys(path.get.responses) : elsewhere
  return described.includes(String(status))
    ? undefined
    : `HEAD answered ${status}, which is not documented of GET`
}

/** A problem without what differs from one response to the next, so that the same one is told once. */
export function kindOf(problem: string): string {
  return problem
    .split('\n')[0]!
    .replaceAll(/[\da-f-]{8,}|"[^"]*"|\d+/g, '?')
    .slice(0, 120)
}
