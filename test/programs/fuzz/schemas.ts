import type { OpenApiDocument } from '../../../lib/platform/http/openapi.ts'
import { resolve } from '../../support/contract.ts'
import { fc } from '../../support/properties.ts'
import { knownOf } from './known.ts'
import type { Schema } from './operations.ts'

/** Of a list or a map that has no bound of its own. */
const maxItems = 4
const maxText = 40

/**
 * Values that a schema of the document allows. It knows what the document uses: types, enums, constants, unions,
 * bounds, formats, references. Where a schema says less than the code (a format in words), some values are
 * refused all the same.
 */
export function valuesOf(document: OpenApiDocument, source: unknown): fc.Arbitrary<unknown> {
  const schema = resolve(document, source ?? {})
  if ('const' in schema) return fc.constant(schema.const)
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum)
  const union = (schema.anyOf ?? schema.oneOf) as unknown[] | undefined
  if (union) return fc.oneof(...union.map((form) => valuesOf(document, form)))
  if (Array.isArray(schema.type)) {
    return fc.oneof(...schema.type.map((type) => valuesOf(document, { ...schema, type })))
  }
  switch (schema.type) {
    case 'string':
      return texts(schema)
    case 'integer':
      return fc.integer({ min: numberOf(schema.minimum, -1000), max: numberOf(schema.maximum, 100_000) })
    case 'number': {
      const [min, max] = [numberOf(schema.minimum, -1000), numberOf(schema.maximum, 100_000)]
      const plain = [0, 0.25, 0.5, 1].filter((value) => value >= min && value <= max)
      const any = fc.double({ min, max, noNaN: true })
      return either(plain.length > 0 ? fc.constantFrom(...plain) : undefined, any)
    }
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return fc.array(valuesOf(document, schema.items), {
        minLength: numberOf(schema.minItems, 0),
        maxLength: Math.min(numberOf(schema.maxItems, maxItems), numberOf(schema.minItems, 0) + maxItems),
      })
    case 'object':
      return objects(document, schema)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

/** Mostly the first, where there is one. */
export function either<T>(first: fc.Arbitrary<T> | undefined, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return first ? fc.oneof({ weight: 4, arbitrary: first }, { weight: 1, arbitrary: other }) : other
}

function objects(document: OpenApiDocument, schema: Schema): fc.Arbitrary<unknown> {
  const required = new Set((schema.required as string[] | undefined) ?? [])
  const properties = Object.entries((schema.properties as Schema | undefined) ?? {})
  const optional = properties.filter(([name]) => !required.has(name)).length
  // Of many that may be left out most are: together they would contradict each other.
  const rarely = Math.max(1, Math.ceil(optional / 3))
  const fields = properties.map(([name, of]) => {
    const field = either(fieldNamed(document, name, of), valuesOf(document, of)).map((value) => [
      [name, value],
    ])
    if (required.has(name)) return field
    return fc.oneof({ weight: rarely, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: field })
  })
  return fc.tuple(...fields).map((entries) => Object.fromEntries(entries.flat()))
}

/** As a list too, where the schema lets it be one. */
function fieldNamed(document: OpenApiDocument, name: string, of: unknown): fc.Arbitrary<unknown> | undefined {
  const text = valuesNamed(name)
  const forms = (resolve(document, of).anyOf ?? []) as Schema[]
  if (!text || !forms.some(({ type }) => type === 'array')) return text
  return fc.oneof(
    text,
    text.map((values) => values.split(',')),
  )
}

/**
 * Values that a name asks for and a schema cannot say: the ids of what is there (see Known), codes of countries,
 * questions in English.
 */
export function valuesNamed(name: string): fc.Arbitrary<string> | undefined {
  const [, thing] = /^(candidate|interview|import|export|profile)_id$/.exec(name) ?? []
  if (thing !== undefined) {
    return fc.oneof({ weight: 4, arbitrary: knownOf(`/api/${thing}s`) }, { weight: 1, arbitrary: fc.uuid() })
  }
  return Object.hasOwn(named, name) ? fc.constantFrom(...named[name]!) : undefined
}

const files = ['people.csv', 'resume.txt', 'cv.pdf', 'Lebenslauf Jürgen.docx']
const countries = ['NG', 'gh', 'NG,GH', 'KE,ZA,EG']
const named: Record<string, readonly string[]> = {
  country_id: countries,
  exclude_country_id: countries,
  age_group: ['adult', 'CHILD', 'senior'],
  filename: files,
  content_type: ['text/plain', 'application/pdf', 'application/octet-stream'],
  q: ['women from nigeria', 'men between 20 and 45', 'young people', 'queue', 'engineer', 'Ada'],
  created_after: ['2026-01-01', '2026-01-01T00:00:00Z'],
  created_before: ['2060-01-01', '2060-01-01T00:00:00Z'],
}

function texts(schema: Schema): fc.Arbitrary<string> {
  const formats: Record<string, fc.Arbitrary<string>> = {
    uuid: fc.uuid(),
    'idn-email': fc
      .tuple(
        fc.stringMatching(/^[a-zü][a-zü0-9]{0,8}$/),
        fc.constantFrom('people', 'menschenwürde'),
        fc.nat(99),
      )
      .map(([name, domain, n]) => `${name}@${domain}${n}.example`),
    uri: fc.webUrl(),
    'date-time': dates.map((date) => date.toISOString()),
    date: dates.map((date) => date.toISOString().slice(0, 10)),
  }
  const format = formats[String(schema.format)]
  if (format) return format
  if (typeof schema.pattern === 'string') return fc.stringMatching(new RegExp(schema.pattern))
  const minLength = numberOf(schema.minLength, 0)
  const maxLength = Math.min(numberOf(schema.maxLength, maxText), Math.max(maxText, minLength))
  const length = { minLength, maxLength }
  const fitting = words.filter((text) => text.length >= minLength && text.length <= maxLength)
  return fc.oneof(
    { weight: 3, arbitrary: fc.string({ ...length, unit: 'grapheme-ascii' }) },
    { weight: 1, arbitrary: fc.string({ ...length, unit: 'grapheme' }) },
    ...(fitting.length > 0 ? [{ weight: 2, arbitrary: fc.constantFrom(...fitting) }] : []),
  )
}

const dates = fc.date({ min: new Date('1990-01-01'), max: new Date('2060-01-01'), noInvalidDate: true })

/** So that questions and searches find something. */
const words = [
  'women from nigeria',
  'men between 20 and 45',
  'Ada Example',
  'Ada',
  'NG',
  'NG,GH',
  'engineer',
  'queue',
  'name,age',
  'people.csv',
  'resume.txt',
]

function numberOf(value: unknown, fallback: number): number {
  return typeof value === 'number' && Math.abs(value) < 1e9 ? value : fallback
}
