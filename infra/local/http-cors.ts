import type { IncomingHttpHeaders } from 'node:http'

/** The CorsConfiguration of an HTTP API. Origins may be `*`, or a scheme as in `http://*`. */
export type CorsConfiguration = {
  AllowOrigins?: string[]
  AllowMethods?: string[]
  AllowHeaders?: string[]
  ExposeHeaders?: string[]
  AllowCredentials?: boolean
  MaxAge?: number
}

/** Headers that the gateway alone decides on once it has a CORS configuration: a function's are dropped. */
export const corsHeaders = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-expose-headers',
  'access-control-max-age',
]

export function isPreflight(method: string | undefined, headers: IncomingHttpHeaders): boolean {
  return method === 'OPTIONS' && Boolean(headers.origin && headers['access-control-request-method'])
}

/** The headers for a request from `origin`: none where the configuration does not allow it. */
export function corsFor(
  configuration: CorsConfiguration,
  origin: string | undefined,
  preflight: boolean,
): Record<string, string> {
  const allowed = origin !== undefined && allowedOrigin(configuration.AllowOrigins ?? [], origin)
  if (!allowed) return {}
  const answer: Record<string, string> = { 'access-control-allow-origin': allowed }
  if (configuration.AllowCredentials) answer['access-control-allow-credentials'] = 'true'
  if (configuration.ExposeHeaders?.length) {
    answer['access-control-expose-headers'] = configuration.ExposeHeaders.join(',')
  }
  if (!preflight) return answer
  if (configuration.AllowMethods?.length) {
    answer['access-control-allow-methods'] = configuration.AllowMethods.join(',')
  }
  if (configuration.AllowHeaders?.length) {
    answer['access-control-allow-headers'] = configuration.AllowHeaders.join(',')
  }
  if (configuration.MaxAge !== undefined) answer['access-control-max-age'] = String(configuration.MaxAge)
  return answer
}

function allowedOrigin(patterns: readonly string[], origin: string): string | undefined {
  if (patterns.includes('*')) return '*'
  const matches = patterns.some((pattern) =>
    pattern.endsWith('://*') ? origin.startsWith(pattern.slice(0, -1)) : pattern === origin,
  )
  return matches ? origin : undefined
}
