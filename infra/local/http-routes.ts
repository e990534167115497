export type RouteTarget = { routeKey: string; functionName: string }

export type MatchedRoute = RouteTarget & {
  /** Decoded; undefined where the route has none. */
  pathParameters: Record<string, string> | undefined
}

type Segment = { kind: 'exact' | 'parameter' | 'greedy'; text: string }
type CompiledRoute = RouteTarget & { method: string; segments: Segment[] }

const rank = { exact: 0, parameter: 1, greedy: 2 } as const

/**
 * Answers the most specific route for a method and an encoded path: an exact segment beats `{parameter}`,
 * which beats `{greedy+}`, which beats `$default`; at equal paths a method beats ANY. Throws where a key is
 * not one of API Gateway's.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
 */
export function routeTable(
  targets: readonly RouteTarget[],
): (method: string, path: string) => MatchedRoute | undefined {
  const fallback = targets.find(({ routeKey }) => routeKey === '$default')
  const routes = targets.filter((target) => target !== fallback).map(compile)
  routes.sort(bySpecificity)
  return (method, path) => {
    const parts = path.split('/').slice(1)
    for (const route of routes) {
      if (route.method !== 'ANY' && route.method !== method) continue
      const parameters = matchSegments(route.segments, parts)
      if (!parameters) continue
      const pathParameters = Object.keys(parameters).length > 0 ? parameters : undefined
      return { routeKey: route.routeKey, functionName: route.functionName, pathParameters }
    }
    return fallback && { ...fallback, pathParameters: undefined }
  }
}

function compile(target: RouteTarget): CompiledRoute {
  const [, method, path] = /^([A-Z]+) \/(.*)$/.exec(target.routeKey) ?? []
  if (!method || path === undefined) throw new Error(`"${target.routeKey}" is not a route key`)
  const segments = path.split('/').map((text): Segment => {
    const [, name, greedy] = /^\{([^{}+]+)(\+?)\}$/.exec(text) ?? []
    if (!name) return { kind: 'exact', text }
    return { kind: greedy ? 'greedy' : 'parameter', text: name }
  })
  if (segments.slice(0, -1).some(({ kind }) => kind === 'greedy')) {
    throw new Error(`"${target.routeKey}": only the last segment can be greedy`)
  }
  return { ...target, method, segments }
}

function bySpecificity(a: CompiledRoute, b: CompiledRoute): number {
  const length = Math.min(a.segments.length, b.segments.length)
  for (let at = 0; at < length; at++) {
    const difference = rank[a.segments[at]!.kind] - rank[b.segments[at]!.kind]
    if (difference !== 0) return difference
  }
  const longer = b.segments.length - a.segments.length
  return longer !== 0 ? longer : Number(a.method === 'ANY') - Number(b.method === 'ANY')
}

function matchSegments(segments: Segment[], parts: string[]): Record<string, string> | undefined {
  const parameters: Record<string, string> = {}
  for (const [at, segment] of segments.entries()) {
    const part = parts[at]
    if (part === undefined) return undefined
    if (segment.kind === 'exact') {
      if (decode(part) !== segment.text) return undefined
      continue
    }
    if (part === '') return undefined
    if (segment.kind === 'greedy') {
      parameters[segment.text] = decode(parts.slice(at).join('/'))
      return parameters
    }
    parameters[segment.text] = decode(part)
  }
  return parts.length === segments.length ? parameters : undefined
}

/** Percent-decoded; text that is not valid percent encoding is left as it is. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
