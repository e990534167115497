import type { RouteKey } from '../routes.ts'
import type { Answer } from './route.ts'
import { isKnownPath } from './unknown-route.ts'

/** What a person types who looks for the API. */
const doors = ['/', '/api', '/api/']
const start = 'GET /api/docs' satisfies RouteKey

/**
 * The redirect for a path that no route takes but that leads somewhere: an address without a page of its own to
 * the API's description, and a path with a slash at its end to the one without, with the same method and body
 * (308). Undefined for every other path.
 */
export function elsewhere(method: string, path: string, query: string): Answer | undefined {
  if (doors.includes(path)) {
    const reads = method === 'GET' || method === 'HEAD'
    return reads ? { status: 302, headers: { location: start.replace('GET ', '') } } : undefined
  }
  if (!path.endsWith('/')) return undefined
  const shorter = path.slice(0, -1)
  // Relative to our own host: `//name/` would lead to another one.
  if (shorter.startsWith('//') || !isKnownPath(shorter)) return undefined
  return { status: 308, headers: { location: query === '' ? shorter : `${shorter}?${query}` } }
}
