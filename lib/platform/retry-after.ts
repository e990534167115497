import { isInsightaError } from './errors.ts'

/** A header's value as milliseconds to wait: whole seconds, or an HTTP date. Undefined for anything else. */
export function parseRetryAfter(value: string | null | undefined, now: number): number | undefined {
  const text = value?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  // Date.parse takes "-5" and "1.5" for dates.
  if (!/^[A-Za-z]{3,9},? /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/**
 * How long the error asks to wait, in milliseconds: by `retryAfterMs` of our own, or by the Retry-After of the
 * answer that an SDK hangs on its errors (`headers`, `response.headers`, `$response.headers`).
 */
export function retryAfterOf(error: unknown, now = Date.now()): number | undefined {
  const own = read(error, 'retryAfterMs')
  if (typeof own === 'number') return own
  // The headers of our own errors are for our callers.
  if (isInsightaError(error)) return undefined
  const holders = [error, read(error, 'response'), read(error, '$response')]
  for (const holder of holders) {
    const value = headerOf(read(holder, 'headers'))
    const wait = parseRetryAfter(value, now)
    if (wait !== undefined) return wait
  }
  return undefined
}

function headerOf(headers: unknown): string | undefined {
  if (headers instanceof Headers) return headers.get('retry-after') ?? undefined
  for (const name of ['retry-after', 'Retry-After']) {
    const value = read(headers, name)
    if (value !== undefined) return String(value)
  }
  return undefined
}

function read(from: unknown, key: string): unknown {
  return typeof from === 'object' && from !== null ? Reflect.get(from, key) : undefined
}
