import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { joinPage, joinPageHeaders } from '../lib/interviews/join-page.ts'
import { connect, connectReader, ping, retryRead } from '../lib/platform/db.ts'
import { docsPolicy } from '../lib/platform/http/docs-style.ts'
import { etagOf } from '../lib/platform/http/etag.ts'
import { type Answer, httpFunction, json, openRoute, route } from '../lib/platform/http/index.ts'
import { usageAnswer, usageSchema } from '../lib/platform/http/usage.ts'
import { logger } from '../lib/platform/log.ts'
import { usageOf } from '../lib/platform/quotas.ts'
import { sharedRedis } from '../lib/platform/redis.ts'
import { roleNames } from '../lib/platform/routes.ts'
import { within } from '../lib/platform/within.ts'

/** Milliseconds after which a dependency counts as down: a health check must answer sooner than it is asked. */
const patience = 3000

const meSchema = z.strictObject({
  status: z.literal('success'),
  key: z.strictObject({
    id: z.uuid(),
    label: z.string(),
    role: z.enum(roleNames).meta({ description: 'The first of its roles' }),
    roles: z.array(z.enum(roleNames)).min(1),
    expires_at: z.iso.datetime().nullable(),
  }),
  team: z.strictObject({ id: z.uuid(), name: z.string() }),
  server_time: z.iso.datetime(),
})

const dependencySchema = z.strictObject({ status: z.enum(['up', 'down']), latency_ms: z.number().nullable() })
/** Readers and a shared cache where there are such: nothing but time is lost while they are down. */
const dependenciesSchema = z.strictObject({
  database: dependencySchema,
  reader: dependencySchema.optional(),
  cache: dependencySchema.optional(),
})
type Dependency = z.output<typeof dependencySchema>

async function stateOf(name: string, ask: () => Promise<unknown>): Promise<Dependency> {
  const started = performance.now()
  try {
    await within(patience, ask())
    return { status: 'up', latency_ms: Math.round((performance.now() - started) * 10) / 10 }
  } catch (error) {
    logger.warn(`The ${name} is down`, { error })
    return { status: 'down', latency_ms: null }
  }
}

async function dependencyStates(): Promise<z.output<typeof dependenciesSchema>> {
  const redis = await sharedRedis()
  const readers = connectReader()
  const [database, reader, cache] = await Promise.all([
    stateOf('database', () => ping(connect())),
    readers && stateOf('reader', () => ping(readers)),
    redis && stateOf('cache', () => redis.ping()),
  ])
  return { database, ...(reader && { reader }), ...(cache && { cache }) }
}

/** A part of the API's description, which the bundle has beside it. */
async function described(file: string, headers: Record<string, string>): Promise<Answer> {
  const body = await readFile(new URL(file, import.meta.url), 'utf8')
  const caching = { etag: etagOf(body), 'cache-control': 'public, max-age=300' }
  return { status: 200, body, headers: { ...caching, ...headers } }
}

export const handler = httpFunction({
  'GET /api/me': route({
    summary: 'Whose key this is',
    answers: { 200: meSchema },
    handler: ({ caller }) =>
      json(200, {
        status: 'success',
        key: {
          id: caller.keyId,
          label: caller.label,
          role: caller.roles[0],
          roles: caller.roles,
          expires_at: caller.expiresAt?.toISOString() ?? null,
        },
        team: { id: caller.teamId, name: caller.teamName },
        server_time: new Date().toISOString(),
      }),
  }),

  'GET /api/usage': route({
    summary: 'What the team has used today of what costs money, and how much it may',
    answers: { 200: usageSchema },
    async handler({ caller }) {
      const usage = await retryRead(() => usageOf(connect(), caller.teamId))
      return json(200, usageAnswer(usage), { 'cache-control': 'no-store' })
    },
  }),

  'GET /api/health': openRoute({
    summary: 'The state of each dependency',
    answers: {
      200: z.strictObject({ status: z.literal('success'), dependencies: dependenciesSchema }),
      503: z.strictObject({
        status: z.literal('error'),
        code: z.literal('unavailable'),
        message: z.string(),
        request_id: z.string(),
        dependencies: dependenciesSchema,
      }),
    },
    handler: async ({ requestId }) => {
      const dependencies = await dependencyStates()
      if (dependencies.database.status === 'up') return json(200, { status: 'success', dependencies })
      const message = 'The database does not answer'
      const body = { status: 'error', code: 'unavailable', message, request_id: requestId, dependencies }
      return json(503, body, { 'retry-after': '5', 'cache-control': 'no-store' })
    },
  }),

  'GET /api/openapi.json': openRoute({
    summary: 'This API in OpenAPI 3.1',
    answers: {
      200: z.looseObject({ openapi: z.string(), info: z.looseObject({}), paths: z.looseObject({}) }),
      304: null,
    },
    handler: () => described('openapi.json', {}),
  }),

  'GET /join': openRoute({
    summary: "The page of an invitation's link",
    // Mail programs add parameters of their own to links.
    query: z.looseObject({}),
    answers: { 200: z.string().meta({ contentMediaType: 'text/html' }) },
    handler: () => ({ status: 200, body: joinPage, headers: joinPageHeaders }),
  }),

  'GET /api/docs': openRoute({
    summary: 'This API as a page to read',
    answers: { 200: z.string().meta({ contentMediaType: 'text/html' }), 304: null },
    handler: () =>
      described('docs.html', {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': docsPolicy,
        'referrer-policy': 'no-referrer',
      }),
  }),
})
