import { beforeAll, expect, it, vi } from 'vitest'
import * as z from 'zod'
import type { Route } from '../../lib/platform/http/index.ts'
import { env } from '../../lib/platform/names.ts'
import { routes } from '../../lib/platform/routes.ts'

/** Whole numbers that are kept as bigint, or as JSON. */
const large = new Set([
  'POST /api/imports size',
  'POST /api/candidates/{id}/resume size',
  'POST /api/interviews shortened',
  'PATCH /api/interviews/{id} shortened',
  'PUT /api/ops/teams/{id}/quotas model_calls',
  'PUT /api/ops/teams/{id}/quotas emails',
  'PUT /api/ops/teams/{id}/quotas upload_bytes',
])

const bodies = new Map<string, z.ZodType>()
beforeAll(async () => {
  // Nothing is called: any text will do that is a number too.
  for (const name of Object.values(env)) vi.stubEnv(name, '1')
  for (const name of new Set(Object.values(routes).map((route) => route.function))) {
    const { handler } = await import(`../../functions/${name}.ts`)
    for (const [key, { body }] of Object.entries<Route>(handler.routes)) if (body) bodies.set(key, body)
  }
  vi.unstubAllEnvs()
})

type Schema = { type?: string; maximum?: number; [key: string]: unknown }

/** The names of fields whose whole numbers may be larger than PostgreSQL's type integer. */
function unbounded(schema: unknown, name = ''): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { type, maximum = Number.POSITIVE_INFINITY, properties, ...rest } = schema as Schema
  if (type === 'integer') return maximum < 2 ** 31 ? [] : [name]
  return [
    ...Object.entries(properties ?? {}).flatMap(([field, inner]) => unbounded(inner, field)),
    ...Object.values(rest).flatMap((inner) => unbounded(inner, name)),
  ]
}

it('a whole number in a body is one that its column holds', () => {
  expect(bodies.size).toBeGreaterThan(15)
  const found = [...bodies].flatMap(([key, body]) =>
    unbounded(z.toJSONSchema(body, { io: 'input', unrepresentable: 'any' })).map(
      (field) => `${key} ${field}`,
    ),
  )
  expect(new Set(found)).toEqual(large)
})
