import { hash } from 'node:crypto'

/** The strong entity tag of a body. */
export function etagOf(body: string): string {
  return `"${hash('sha256', body, 'base64url').slice(0, 22)}"`
}
