import * as z from 'zod'
import type { OpenApiDocument } from '../../lib/platform/http/openapi.ts'

type Json = Record<string, unknown>

/** An answer as it went over the wire. Names of headers are in lower case, or looked up in any. */
export type ActualAnswer = { status: number; header(name: string): string | undefined; text: string }

/** What no documented path takes: 404 or 405, or 400 where the version is refused before the path is looked at. */
const elsewhere: readonly number[] = [400, 404, 405]

/** Addresses that lead to a documented path. */
const redirects: readonly number[] = [302, 308]

/** Follows `$ref` once; throws where it leads nowhere. */
export function resolve(document: OpenApiDocument, value: unknown): Json {
  const ref = (value as Json | undefined)?.$ref
  if (typeof ref !== 'string') return value as Json
  let at: unknown = document
  for (const part of ref.replace(/^#\//, '').split('/')) at = (at as Json | undefined)?.[part]
  if (at === undefined) throw new Error(`${ref} leads nowhere`)
  return at as Json
}

/** A schema of the document as one that zod checks by; it must use no keyword that zod does not know. */
export function checkable(document: OpenApiDocument, schema: unknown): z.ZodType {
  const text = JSON.stringify({ ...(schema as Json), $defs: document.components?.schemas ?? {} })
  return z.fromJSONSchema(JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/')))
}

/**
 * Holds answers to a document: status, content type, headers that must be there, and body. The answer's route
 * comes as its key, `GET /api/profiles/{id}` or `$default`. The function throws with what differs.
 */
export function contractOf(document: OpenApiDocument): (routeKey: string, answer: ActualAnswer) => void {
  const schemas = new Map<unknown, z.ZodType>()
  const schemaOf = (source: unknown): z.ZodType => {
    const known = schemas.get(source) ?? checkable(document, source)
    schemas.set(source, known)
    return known
  }

  return (routeKey, { status, header, text }) => {
    const fail = (problem: string): never => {
      throw new Error(`${routeKey} answered ${status}, ${problem}: ${text.slice(0, 500)}`)
    }
    const declared = declaredAnswer(document, routeKey, status) ?? fail('which is not documented')
    for (const [name, of] of Object.entries((declared.headers as Json | undefined) ?? {})) {
      const { required, schema } = resolve(document, of)
      const value = header(name.toLowerCase())
      if (value === undefined && required) fail(`without the header ${name}`)
      if (value !== undefined && !schemaOf(schema).safeParse(value).success) fail(`with ${name}: ${value}`)
    }
    const content = declared.content as Record<string, Json> | undefined
    if (!content) return text === '' ? undefined : fail('with a body that is not documented')
    const type = header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? 'no content type'
    const form = content[type] ?? fail(`as ${type} instead of ${Object.keys(content).join(' or ')}`)
    const result = schemaOf(form.schema).safeParse(/[/+]json$/.test(type) ? JSON.parse(text) : text)
    if (!result.success) fail(`not as documented (${z.prettifyError(result.error)})`)
  }
}

function declaredAnswer(document: OpenApiDocument, routeKey: string, status: number): Json | undefined {
  if (routeKey === '$default' && redirects.includes(status)) return {}
  // Also of a path that the gateway took for one with a parameter.
  if (routeKey === '$default' || status === 405) {
    return elsewhere.includes(status)
      ? resolve(document, document.components?.responses?.Error404)
      : undefined
  }
  const [method = '', path = ''] = routeKey.split(' ')
  const operation = (document.paths?.[path] as Json | undefined)?.[method.toLowerCase()] as Json | undefined
  const answer = (operation?.responses as Json | undefined)?.[status]
  return answer === undefined ? undefined : resolve(document, answer)
}
