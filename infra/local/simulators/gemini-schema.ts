/** A JSON schema, or Gemini's own kind of it, whose types are in capitals. */
export type Schema = { readonly [keyword: string]: unknown }

export function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The schema's own properties by name; empty where it is not one of an object. */
export function propertiesOf(schema: Schema): Record<string, Schema> {
  return isSchema(schema.properties) ? (schema.properties as Record<string, Schema>) : {}
}

/** Deeper than this a schema that holds itself gets null. */
const deepest = 12

const formats: Record<string, string> = {
  uuid: '00000000-0000-0000-0000-000000000000',
  email: 'simulated@example.com',
  uri: 'https://example.com/',
  'date-time': '2026-01-01T00:00:00Z',
  date: '2026-01-01',
  time: '00:00:00Z',
}

/** The smallest value that fits the schema: required properties, and one element at the most of a list. */
export function instanceOf(schema: Schema, root: Schema = schema, depth = 0): unknown {
  const further = (inner: unknown) => (isSchema(inner) ? instanceOf(inner, root, depth + 1) : null)
  if (depth > deepest) return null
  if (typeof schema.$ref === 'string') return further(referenced(root, schema.$ref))
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  for (const choice of [schema.anyOf, schema.oneOf]) if (Array.isArray(choice)) return further(choice[0])
  if (Array.isArray(schema.allOf)) return Object.assign({}, ...schema.allOf.map(further))
  const type = [schema.type].flat()[0]
  switch (String(type ?? (schema.properties ? 'object' : 'string')).toLowerCase()) {
    case 'object': {
      const required = Array.isArray(schema.required) ? schema.required : undefined
      const wanted = Object.entries(propertiesOf(schema)).filter(([name]) => required?.includes(name) ?? true)
      return Object.fromEntries(wanted.map(([name, inner]) => [name, further(inner)]))
    }
    case 'array': {
      const least = Number(schema.minItems ?? Math.min(1, Number(schema.maxItems ?? 1)))
      return Array.from({ length: least }, () => further(schema.items ?? {}))
    }
    case 'integer':
    case 'number':
      return smallest(schema)
    case 'boolean':
      return false
    case 'null':
      return null
    default:
      return text(schema)
  }
}

function referenced(root: Schema, pointer: string): unknown {
  const parts = pointer.replace(/^#\/?/, '').split('/').filter(Boolean)
  return parts.reduce<unknown>((at, part) => (isSchema(at) ? at[part] : undefined), root)
}

function smallest({ minimum, exclusiveMinimum, maximum }: Schema): number {
  const least = Number(minimum ?? (exclusiveMinimum === undefined ? 0 : Number(exclusiveMinimum) + 1))
  return Math.min(least, Number(maximum ?? least))
}

function text({ format, minLength, maxLength }: Schema): string {
  const known = formats[String(format)]
  if (known !== undefined) return known
  return 'Simulated'.padEnd(Number(minLength ?? 0), '.').slice(0, Number(maxLength ?? Infinity))
}
