import * as z from 'zod'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponseObject } from 'zod-openapi'
import { type Access, type RouteKey, routes } from '../routes.ts'
import { errorSchema, gatewayErrorSchema } from './envelope.ts'
import { apiVersion, type RouteHandlers } from './http-function.ts'
import { jsonType } from './parse.ts'
import type { Route } from './route.ts'

export type OpenApiDocument = ReturnType<typeof createDocument>

/** What a status says where the route itself adds nothing to it. */
const meanings: Record<number, string> = {
  200: 'Success',
  201: 'Created',
  202: 'Taken on; it goes on in the background',
  204: 'Done: there is nothing to say',
  302: 'To be fetched from the address in Location',
  304: 'Unchanged since the ETag that was sent',
  400: 'Something is missing, unknown or cannot be understood',
  401: 'No key, or one that is unknown, revoked or expired; of a webhook, no valid signature',
  403: "None of the key's roles opens this route",
  404: 'Nothing is there, or it is of another team',
  409: 'The state of the thing does not allow it',
  412: 'It has changed since the ETag that was sent in If-Match',
  413: 'Larger than its limit',
  415: 'The body is of another type than the route takes, or has a content coding',
  422: 'A value is wrong, or values contradict each other',
  429: 'Too many calls: try again after Retry-After',
  500: 'A defect of ours; nothing of the inside is shown',
  502: 'A third party gave an answer that cannot be used',
  503: 'Something that this stands on does not answer: try again after Retry-After',
}

/** Those that API Gateway may answer by itself, without the envelope. */
const gatewayStatuses: ReadonlySet<number> = new Set([413, 429, 500, 503])

const component = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` })

/**
 * The OpenAPI 3.1 document of the routes given: parameters, bodies and answers from their schemas, who may
 * call them from lib/platform/routes.ts. Schemas with an `id` in their meta become components.
 */
export function openApiDocument(handlers: RouteHandlers): OpenApiDocument {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {}
  for (const key of Object.keys(routes) as RouteKey[]) {
    const route = (handlers as Partial<Record<RouteKey, Route>>)[key]
    const [method, path] = key.split(' ')
    if (!route || !method || !path) continue
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(key, method, path, route) }
  }
  return createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Insighta',
        version: apiVersion,
        description:
          'Demographic profiles, their import, and AI interviews. HEAD is taken wherever GET is, and begins no work. Bodies over 1 KB come compressed, by br or gzip, to clients that accept it.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'Profiles', description: 'Profiles, searched, written and imported.' },
        { name: 'Interviews', description: 'Candidates, interviews and what they lead to.' },
        { name: 'Platform', description: 'Keys, health and operation.' },
      ],
      paths,
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'Authorization: Bearer <key>' },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        },
        parameters: commonParameters,
        headers: commonHeaders,
        responses: errorResponses(),
      },
    },
    { override: ({ jsonSchema }) => withoutNoise(jsonSchema) },
  )
}

const commonParameters = {
  ApiVersion: {
    name: 'X-API-Version',
    in: 'header',
    description: 'Any other value is refused',
    schema: { const: apiVersion },
  },
  CorrelationId: {
    name: 'X-Correlation-Id',
    in: 'header',
    description: 'Comes back, and is in every log line',
    schema: { type: 'string', pattern: String.raw`^[\w.:-]{1,128}$` },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'An ETag from before: 304 without a body if the answer is still the same',
    schema: { type: 'string' },
  },
} as const

const wholeNumber = { type: 'string', pattern: String.raw`^\d+$` } as const

const commonHeaders = {
  RequestId: {
    description: 'The same as request_id in an error',
    required: true,
    schema: { type: 'string' },
  },
  ApiVersion: { required: true, schema: { const: apiVersion } },
  'Preference-Applied': { description: 'The preference that was followed', schema: { type: 'string' } },
  Location: { description: 'Where it is', required: true, schema: { type: 'string' } },
  ETag: { description: 'Names this very answer', required: true, schema: { type: 'string' } },
  Link: {
    description: 'The pages with rel=next and rel=prev, where there are such',
    schema: { type: 'string' },
  },
  Authenticate: { required: true, schema: { type: 'string', pattern: '^(Bearer|Signature)$' } },
  RetryAfter: { description: 'Seconds', schema: wholeNumber },
  RateLimitLimit: {
    description: 'Requests a minute that the key may make; absent where it has no limit',
    schema: wholeNumber,
  },
  RateLimitRemaining: { description: 'How many of them are left', schema: wholeNumber },
  RateLimitReset: { description: 'Seconds until all of them are there again', schema: wholeNumber },
} as const

const rateLimitHeaders = {
  'RateLimit-Limit': component('headers', 'RateLimitLimit'),
  'RateLimit-Remaining': component('headers', 'RateLimitRemaining'),
  'RateLimit-Reset': component('headers', 'RateLimitReset'),
}

function operation(key: RouteKey, method: string, path: string, route: Route): ZodOpenApiOperationObject {
  const { access } = routes[key]
  const responses: Record<string, ZodOpenApiResponseObject | { $ref: string }> = {}
  for (const status of statusesOf(route, access)) {
    responses[status] =
      status in route.answers ? answer(status, route, access) : component('responses', `Error${status}`)
  }
  return {
    operationId: operationId(method, path),
    tags: [half(path)],
    ...(route.summary !== undefined && { summary: route.summary }),
    parameters: [
      component('parameters', 'ApiVersion'),
      component('parameters', 'CorrelationId'),
      ...(304 in route.answers ? [component('parameters', 'IfNoneMatch')] : []),
    ],
    requestParams: {
      ...(route.path && { path: route.path as z.ZodObject }),
      ...(route.query && { query: route.query as z.ZodObject }),
      ...(route.headers && { header: route.headers }),
    },
    ...(route.body && {
      requestBody: { required: true, content: bodyContent(route.body, route.bodyTypes) },
    }),
    responses,
    security: security(access),
  }
}

function bodyContent(schema: z.ZodType, types: readonly string[] = [jsonType]) {
  return Object.fromEntries(types.map((type) => [type, { schema }]))
}

/** OpenAPI 3.1 lets a requirement name roles for any scheme. */
function security(access: Access): Record<string, string[]>[] {
  if (access === 'anyone') return []
  const sufficient = access === 'key' ? [[]] : access.split(' or ').map((role) => [role])
  return sufficient.flatMap((roles) => [{ bearer: roles }, { apiKey: roles }])
}

function statusesOf(route: Route, access: Access): number[] {
  const possible = [400, 413, 429, 500, 503, ...(route.errors ?? [])]
  if (access !== 'anyone') possible.push(401)
  if (access !== 'anyone' && access !== 'key') possible.push(403)
  if (route.path) possible.push(404)
  if (route.body) possible.push(415)
  if (route.body || route.query) possible.push(422)
  return [...new Set([...Object.keys(route.answers).map(Number), ...possible])].sort((a, b) => a - b)
}

function answer(status: number, route: Route, access: Access): ZodOpenApiResponseObject {
  const schema = route.answers[status]
  const headers = {
    'X-Request-Id': component('headers', 'RequestId'),
    'X-API-Version': component('headers', 'ApiVersion'),
    ...Object.fromEntries(
      (route.answerHeaders?.[status] ?? []).map((name) => [name, component('headers', name)]),
    ),
    ...([201, 302].includes(status) && { Location: component('headers', 'Location') }),
    ...((304 in route.answers || route.etag) && { ETag: component('headers', 'ETag') }),
    ...(isList(schema) && { Link: component('headers', 'Link') }),
  }
  return {
    description: meanings[status] ?? 'An answer of this route',
    headers: {
      ...(status < 400 ? headers : errorHeaders(status)),
      ...(access !== 'anyone' && rateLimitHeaders),
    },
    ...(schema && { content: contentOf(status, schema) }),
  }
}

function isList(schema: z.ZodType | null | undefined): boolean {
  return schema instanceof z.ZodObject && ('total_pages' in schema.shape || 'next_cursor' in schema.shape)
}

/** Every status that may be an error, once. */
function errorResponses(): Record<string, ZodOpenApiResponseObject> {
  const statuses = Object.entries(meanings).filter(([status]) => Number(status) >= 400)
  return Object.fromEntries(
    statuses.map(([status, description]) => [
      `Error${status}`,
      {
        description,
        // Without a key there is no limit to tell.
        headers: { ...errorHeaders(Number(status)), ...(status !== '401' && rateLimitHeaders) },
        content: contentOf(Number(status), errorSchema),
      },
    ]),
  )
}

function errorHeaders(status: number): Record<string, { $ref: string }> {
  if (status === 401) return { 'WWW-Authenticate': component('headers', 'Authenticate') }
  return [429, 503].includes(status) ? { 'Retry-After': component('headers', 'RetryAfter') } : {}
}

/** Texts say by `contentMediaType` in their meta what they are; everything else is JSON. */
function contentOf(status: number, schema: z.ZodType): NonNullable<ZodOpenApiResponseObject['content']> {
  if (gatewayStatuses.has(status)) {
    const forms = [...new Set([schema, errorSchema, gatewayErrorSchema])]
    return { 'application/json': { schema: z.union(forms) } }
  }
  const content: Record<string, { schema: z.ZodType }> = {}
  for (const form of schema instanceof z.ZodUnion ? (schema.options as z.ZodType[]) : [schema]) {
    const type = form.meta()?.contentMediaType
    if (typeof type === 'string') content[type] = { schema: form }
    else content['application/json'] = { schema: content['application/json'] ? schema : form }
  }
  return content
}

/** `GET /api/imports/{id}/rejects` becomes `getImportsIdRejects`. */
function operationId(method: string, path: string): string {
  const words = path.replace(/^\/api\//, '').match(/[a-z\d]+/gi) ?? []
  return method.toLowerCase() + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')
}

function half(path: string): string {
  const [first = ''] = path.replace(/^\/(?:api\/)?/, '').split('/')
  if (['profiles', 'imports', 'exports'].includes(first)) return 'Profiles'
  return ['candidates', 'interviews', 'webhooks'].includes(first) ? 'Interviews' : 'Platform'
}

/** Zod spells out the bounds of safe integers, and beside each format its pattern of 100 to 400 characters. */
function withoutNoise(schema: Record<string, unknown>): void {
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
  if (schema.format !== undefined) delete schema.pattern
}
