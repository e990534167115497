import { beforeAll, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import { isInsightaError } from '../../../../lib/platform/errors.ts'
import type { Route } from '../../../../lib/platform/http/index.ts'
import { ourMessage } from '../../../../lib/platform/http/messages.ts'
import { parseBody, parseQuery } from '../../../../lib/platform/http/parse.ts'
import { env } from '../../../../lib/platform/names.ts'
import { routes } from '../../../../lib/platform/routes.ts'
import { backtracking } from '../../../support/backtracking.ts'
import { httpEvent } from '../../../support/http-event.ts'

/** How zod's own messages begin, in its English locale. */
const defaultPhrases = /^(?:Invalid|Too big|Too small|Unrecognized)|expected|received/

const all = new Map<string, Route>()
beforeAll(async () => {
  // Nothing is called: any text will do that is a number too.
  for (const name of Object.values(env)) vi.stubEnv(name, '1')
  for (const name of new Set(Object.values(routes).map((route) => route.function))) {
    const { handler } = await import(`../../../../functions/${name}.ts`)
    for (const [key, route] of Object.entries(handler.routes)) all.set(key, route as Route)
  }
  vi.unstubAllEnvs()
})

type Def = z.core.$ZodTypeDef & {
  innerType?: z.ZodType
  in?: z.ZodType
  out?: z.ZodType
  element?: z.ZodType
  valueType?: z.ZodType
  options?: z.ZodType[]
  shape?: Record<string, z.ZodType>
  catchall?: z.ZodType
}
const defOf = (schema: z.ZodType) => schema._zod.def as Def

/** The schemas right below one. */
function below(schema: z.ZodType): z.ZodType[] {
  const { innerType, in: before, out, element, valueType, options, shape } = defOf(schema)
  const inner = [
    innerType,
    before,
    out,
    element,
    valueType,
    ...(options ?? []),
    ...Object.values(shape ?? {}),
  ]
  return inner.filter((each) => each !== undefined)
}

const long = 'x'.repeat(30_000)
const wrong = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  '',
  ' ',
  'x',
  'ß\u0000',
  long,
  [],
  [null],
  ['x', 'x'],
  {},
  { x: 1 },
]

/** Values of which each is wrong somewhere in the schema, at any depth. */
function badValues(schema: z.ZodType, depth = 0): unknown[] {
  const { element, shape, options, innerType, in: before } = defOf(schema)
  if (depth > 6) return []
  const inner: unknown[] = []
  if (element) for (const value of badValues(element, depth + 1)) inner.push([value], Array(200).fill(value))
  for (const [name, field] of Object.entries(shape ?? {})) {
    for (const value of badValues(field, depth + 1))
      inner.push({ [name]: value }, { [name]: value, colour: 1 })
  }
  for (const other of [...(options ?? []), innerType, before]) {
    if (other) inner.push(...badValues(other, depth + 1))
  }
  return depth > 0 && (shape || element || options || innerType || before)
    ? [...inner, {}, []]
    : [...inner, ...wrong]
}

/** The messages of an error that is one for callers. */
function messagesOf(parse: () => unknown): string[] {
  try {
    parse()
    return []
  } catch (error) {
    if (!isInsightaError(error)) throw error
    return [error.message, ...(error.details ?? []).map(({ message }) => message)]
  }
}

describe('what is wrong with a request', () => {
  const reached = new Set<string>()
  const expectOurs = (key: string, messages: readonly string[]) => {
    for (const message of messages) {
      expect(message, `${key}: ${message}`).not.toMatch(defaultPhrases)
      reached.add(message)
    }
  }

  it('is said in our words for every query of every route', () => {
    for (const [key, { query }] of all) {
      if (!query) continue
      const { shape = {}, catchall } = defOf(query)
      const names = Object.keys(shape)
      // One that takes whatever comes refuses nothing.
      if (catchall?._zod.def.type === 'unknown' && names.length === 0) continue
      expect(names.length, key).toBeGreaterThan(0)
      for (const name of names) {
        for (const value of [
          ' ',
          'x',
          '-1',
          '1e99',
          'ß',
          'x,y',
          '9'.repeat(30),
          '{}',
          'true',
          long,
          '\0',
          '%',
        ]) {
          const messages = messagesOf(() => parseQuery(query, `${name}=${encodeURIComponent(value)}`))
          expectOurs(key, messages.slice(1))
        }
      }
      expectOurs(key, messagesOf(() => parseQuery(query, 'colour=red')).slice(1))
    }
  })

  it('is said in our words for every body of every route, at any depth', () => {
    for (const [key, { body }] of all) {
      if (!body) continue
      let refused = 0
      for (const value of badValues(body)) {
        const event = httpEvent('POST /', { body: JSON.stringify(value) })
        const messages = messagesOf(() => parseBody(body, event))
        if (messages.length > 0) refused++
        expectOurs(
          key,
          messages.filter((message) => message !== 'Invalid request body'),
        )
      }
      expect(refused, key).toBeGreaterThan(wrong.length)
    }
    for (const message of [
      'must be one JSON object',
      'must be a string',
      'must be a UUID',
      'must be a list',
      'must not be empty',
      'must be an e-mail address',
      'is not known here',
      'is required',
    ]) {
      expect([...reached]).toContain(message)
    }
  })

  it('is found in patterns that take linear steps, those of the library included', () => {
    const seen = new Set<z.ZodType>()
    const patterns = new Set<RegExp>()
    const visit = (schema: z.ZodType) => {
      if (seen.has(schema)) return
      seen.add(schema)
      const { pattern, checks = [] } = schema._zod.def as { pattern?: RegExp; checks?: z.core.$ZodCheck[] }
      for (const found of [
        pattern,
        ...checks.map(({ _zod }) => (_zod.def as { pattern?: RegExp }).pattern),
      ]) {
        if (found) patterns.add(found)
      }
      below(schema).forEach(visit)
    }
    for (const { query, body, path } of all.values()) {
      for (const schema of [query, body, path]) if (schema) visit(schema)
    }
    expect(patterns.size).toBeGreaterThan(4)
    for (const pattern of patterns)
      expect([pattern, backtracking(pattern).growth]).toEqual([pattern, 'linear'])
  })
})

describe('our messages', () => {
  const said = (schema: z.ZodType, value: unknown) =>
    schema.safeParse(value, { error: ourMessage }).error?.issues.map(({ message }) => message)

  it.each([
    [z.object({}), [], 'must be one JSON object'],
    [z.array(z.object({})), [5], 'must be an object'],
    [z.int(), 1.5, 'must be a whole number'],
    [z.boolean(), 1, 'must be true or false'],
    [z.null(), 1, 'must be null'],
    [z.map(z.string(), z.string()), 1, 'has the wrong type'],
    [z.literal('x'), 'y', 'must be x'],
    [z.enum(['a', 'b', 'c']), 'd', 'must be a, b or c'],
    [z.string().min(2), 'x', 'must have at least 2 characters'],
    [z.string().max(1), 'xx', 'must have at most 1 character'],
    [z.array(z.int()).min(1), [], 'must not be empty'],
    [z.array(z.int()).max(2), [1, 2, 3], 'must have at most 2 items'],
    [z.number().min(2), 1, 'must be at least 2'],
    [z.number().max(2), 3, 'must be at most 2'],
    [z.number().positive(), 0, 'must be greater than 0'],
    [z.number().lt(2), 2, 'must be less than 2'],
    [z.number().multipleOf(5), 7, 'must be a multiple of 5'],
    [z.uuid(), 'x', 'must be a UUID'],
    [z.email(), 'x', 'must be an e-mail address'],
    [z.iso.datetime(), 'x', 'must be a date and time with its zone in ISO 8601, as 2026-11-01T09:30:00Z'],
    [z.string().regex(/^x$/), 'y', 'does not have the form that is needed'],
    [z.strictObject({}), { a: 1, b: 1 }, 'has fields that are not known here: a, b'],
    [z.union([z.string(), z.int()]), true, 'has none of the forms that are taken here'],
    [
      z.discriminatedUnion('a', [z.object({ a: z.literal('x') }), z.object({ a: z.literal('y') })]),
      { a: 'z' },
      'must be x or y',
    ],
    [z.record(z.string().max(1), z.int()), { xx: 1 }, 'has a name that is not allowed'],
    [z.string().refine(() => false), 'x', 'is not allowed'],
    [z.string().regex(/^x$/, 'must be x'), 'y', 'must be x'],
  ] as [z.ZodType, unknown, string][])('%#: %j is said to be wrong as "%s"', (schema, value, message) => {
    expect(said(schema, value)).toEqual([message])
  })
})
