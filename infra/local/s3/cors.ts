import { S3Error } from './errors.ts'
import type { CorsRule } from './types.ts'

function matches(pattern: string, value: string): boolean {
  const [before = '', ...after] = pattern.split('*')
  if (after.length === 0) return pattern === value
  const end = after.join('*')
  return value.length >= before.length + end.length && value.startsWith(before) && value.endsWith(end)
}

function splitList(header: string | undefined): string[] {
  return (header ?? '')
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .filter((item) => item !== '')
}

function findRule(
  rules: readonly CorsRule[],
  origin: string,
  method: string,
  requestHeaders: readonly string[],
): CorsRule | undefined {
  return rules.find(
    ({ allowedOrigins, allowedMethods, allowedHeaders = [] }) =>
      allowedOrigins.some((pattern) => matches(pattern, origin)) &&
      allowedMethods.includes(method) &&
      requestHeaders.every((name) => allowedHeaders.some((pattern) => matches(pattern.toLowerCase(), name))),
  )
}

function ruleHeaders(rule: CorsRule, origin: string): Record<string, string> {
  const headers: Record<string, string> = {
    'access-control-allow-methods': rule.allowedMethods.join(', '),
    vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
  }
  if (rule.allowedOrigins.includes('*')) {
    headers['access-control-allow-origin'] = '*'
  } else {
    headers['access-control-allow-origin'] = origin
    headers['access-control-allow-credentials'] = 'true'
  }
  if (rule.exposedHeaders !== undefined && rule.exposedHeaders.length > 0) {
    headers['access-control-expose-headers'] = rule.exposedHeaders.join(', ')
  }
  if (rule.maxAgeSeconds !== undefined) headers['access-control-max-age'] = String(rule.maxAgeSeconds)
  return headers
}

type Headers = Readonly<Record<string, string | undefined>>

/** The headers of a preflight's answer. Throws InvalidRequest or AccessForbidden when no rule allows it. */
export function preflightHeaders(
  rules: readonly CorsRule[] | undefined,
  headers: Headers,
): Record<string, string> {
  const origin = headers.origin
  const method = headers['access-control-request-method']
  if (origin === undefined || method === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'Insufficient information. Origin and Access-Control-Request-Method request headers needed.',
    )
  }
  if (rules === undefined || rules.length === 0) {
    throw new S3Error('AccessForbidden', 'CORSResponse: CORS is not enabled for this bucket.')
  }
  const requestHeaders = splitList(headers['access-control-request-headers'])
  const rule = findRule(rules, origin, method, requestHeaders)
  if (rule === undefined) {
    throw new S3Error(
      'AccessForbidden',
      "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
    )
  }
  const answer = ruleHeaders(rule, origin)
  if (requestHeaders.length > 0) answer['access-control-allow-headers'] = requestHeaders.join(', ')
  return answer
}

/** The CORS headers of an actual answer: none without an Origin or a rule for it. */
export function corsHeaders(
  rules: readonly CorsRule[] | undefined,
  method: string,
  headers: Headers,
): Record<string, string> {
  if (headers.origin === undefined || rules === undefined) return {}
  const rule = findRule(rules, headers.origin, method, [])
  return rule === undefined ? {} : ruleHeaders(rule, headers.origin)
}
