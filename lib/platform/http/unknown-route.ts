import { InsightaError, NotFoundError } from '../errors.ts'
import { gatewayRoutes } from '../routes.ts'

/** The known paths as patterns, those without parameters first, each with the methods it takes. */
const paths = new Map<string, { pattern: RegExp; methods: string[] }>()
const bySpecificity = gatewayRoutes.toSorted(
  (a, b) => Number(a.key.includes('{')) - Number(b.key.includes('{')),
)
for (const { key } of bySpecificity) {
  const [method, path] = key.split(' ')
  if (!method || !path) continue
  const known = paths.get(path)
  if (known) known.methods.push(method)
  else {
    const pattern = path
      .replaceAll('.', '\\.')
      .replaceAll(/\{\w+\+\}/g, '.+')
      .replaceAll(/\{\w+\}/g, '[^/]+')
    paths.set(path, { pattern: new RegExp(`^${pattern}$`), methods: [method] })
  }
}

/** Whether there is a route of this path, whatever its method. */
export function isKnownPath(path: string): boolean {
  return [...paths.values()].some(({ pattern }) => pattern.test(path))
}

/**
 * The error for a call that no route takes: 405 with Allow where the path exists under other methods (the
 * gateway itself knows no 405 and sends such calls to $default), else 404.
 */
export function unknownRoute(method: string, path: string): InsightaError {
  const methods = [...paths.values()].find(({ pattern }) => pattern.test(path))?.methods ?? []
  if (methods.length === 0 || methods.includes(method)) return new NotFoundError('There is no such route')
  const allow = methods.toSorted().join(', ')
  return new InsightaError(`This path takes ${allow}`, {
    code: 'method_not_allowed',
    status: 405,
    headers: { Allow: allow },
  })
}

/**
 * Whether a path that the gateway took for one with parameters is another: it has no DELETE for
 * /api/profiles/search, and so makes that an id.
 */
export function isOfAnotherPath(routeKey: string, path: string): boolean {
  return paths.has(path) && !routeKey.endsWith(` ${path}`)
}
