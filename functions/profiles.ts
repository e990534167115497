import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import * as z from 'zod'
import { connect, connectReader, replaceReaderPool, type Sql } from '../lib/platform/db.ts'
import { NotFoundError } from '../lib/platform/errors.ts'
import { etagOf } from '../lib/platform/http/etag.ts'
import { passesIfMatch } from '../lib/platform/http/if-match.ts'
import { type Answer, httpFunction, json, route } from '../lib/platform/http/index.ts'
import { type Links, linkHeader } from '../lib/platform/http/links.ts'
import { idPath } from '../lib/platform/http/shapes.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { createProfile, createRequestSchema, differences } from '../lib/profiles/create.ts'
import { editProfile, patchSchema } from '../lib/profiles/edit.ts'
import { fieldsParameter, selectFields } from '../lib/profiles/fields.ts'
import { searchText } from '../lib/profiles/grammar.ts'
import { interpretation } from '../lib/profiles/interpretation.ts'
import { listBody, listSchema, searchSchema } from '../lib/profiles/list.ts'
import { type PageInput, pageParameters, pageRequest } from '../lib/profiles/page.ts'
import { type ProfileRow, profileSchema, storedFields, toProfile } from '../lib/profiles/profile.ts'
import { createProfileQueries, type ProfileQueries, type Served } from '../lib/profiles/query.ts'
import { meaningOf, type Question, questionParameters } from '../lib/profiles/question.ts'
import { readingByReader } from '../lib/profiles/reader.ts'
import { byParameter, statsSchema } from '../lib/profiles/stats.ts'
import { deleteProfile, getProfile } from '../lib/profiles/store.ts'

/** Of each pool of this execution environment, the last of which is the one in use. */
const environmentQueries = new WeakMap<Sql, ProfileQueries>()

const readers = { connect: connectReader, replace: replaceReaderPool }

/** The queries of this execution environment with their cache. */
function queries(): ProfileQueries {
  const sql = connect()
  const made =
    environmentQueries.get(sql) ?? createProfileQueries(sql, { readAt: readingByReader(sql, readers) })
  environmentQueries.set(sql, made)
  return made
}

const oneSchema = z.strictObject({ status: z.literal('success'), data: profileSchema })
const knownSchema = oneSchema.extend({
  message: z.string(),
  differs: z
    .array(z.enum(storedFields))
    .meta({ description: 'Fields of the request in which the stored profile differs' }),
})
const ifMatch = z.object({
  'If-Match': z.string().optional().meta({
    description: 'The ETag of the profile that is to be changed, or *: 412 if it is another by now',
  }),
})

function bodyOfOne(row: ProfileRow): string {
  return JSON.stringify({ status: 'success', data: toProfile(row) })
}

/** One profile, with the tag by which a change can be bound to it. */
function answerOne(row: ProfileRow): Answer {
  const body = bodyOfOne(row)
  return { status: 200, headers: { etag: etagOf(body) }, body }
}

function notFound(): NotFoundError {
  return new NotFoundError('Profile not found')
}

const cacheMetrics = { hit: 'CacheHit', miss: 'CacheMiss', stale: 'CacheStale' }

function record({ cache, origin }: Served, duration: number): void {
  metrics.addMetric(cacheMetrics[cache], MetricUnit.Count, 1)
  if (origin === 'shared') metrics.addMetric('CacheSharedHit', MetricUnit.Count, 1)
  metrics.addMetric('QueryDuration', MetricUnit.Milliseconds, duration)
}

function serverTiming(timings: Record<string, number>): string {
  return Object.entries(timings)
    .map(([name, duration]) => `${name};dur=${duration.toFixed(2)}`)
    .join(', ')
}

/** A page of what is asked for, with what a question was taken for. */
async function answerPage(
  input: Question & PageInput & { fields?: string | undefined },
  event: APIGatewayProxyEventV2,
): Promise<Answer> {
  const started = performance.now()
  const select = selectFields(input.fields)
  const filter = meaningOf(input)
  const request = pageRequest(input, filter)
  const result = await queries().list(filter, request)
  const path = event.routeKey.replace('GET ', '')
  const page = listBody(path, event.rawQueryString, request, result)
  const beside = input.q !== undefined && interpretation(filter)
  return served({ ...page, data: page.data.map(select), ...beside }, result, started, page.links)
}

/** An answer with its tag and where it came from. */
async function served(content: object, result: Served, started: number, links: Links = {}): Promise<Answer> {
  const body = JSON.stringify(content)
  const duration = performance.now() - started
  record(result, duration)
  const etag = etagOf(body)
  const headers = {
    etag,
    'x-cache': result.cache,
    'server-timing': serverTiming({ ...result.timings, query: duration }),
    'cache-control': 'private, no-cache',
    ...linkHeader(links),
  }
  await queries().settle()
  return { status: 200, headers, body }
}

export const handler = httpFunction({
  'GET /api/profiles': route({
    summary: 'A page of the profiles that match, with the exact total',
    query: z.strictObject({ ...questionParameters, ...pageParameters, fields: fieldsParameter }),
    answers: { 200: listSchema, 304: null },
    handler: ({ query, event }) => answerPage(query, event),
  }),

  'GET /api/profiles/search': route({
    summary: 'The same for a question in plain English; interpreted is the filter it means',
    query: z.strictObject({
      ...questionParameters,
      q: searchText,
      ...pageParameters,
      fields: fieldsParameter,
    }),
    answers: { 200: searchSchema, 304: null },
    handler: ({ query, event }) => answerPage(query, event),
  }),

  'GET /api/profiles/stats': route({
    summary: 'Exact counts of the profiles that match: by gender, age group, country and age',
    query: z.strictObject({ ...questionParameters, by: byParameter.optional() }),
    answers: { 200: statsSchema, 304: null },
    async handler({ query }) {
      const started = performance.now()
      const filter = meaningOf(query)
      const result = await queries().stats(filter, query.by)
      const beside = query.q !== undefined && interpretation(filter)
      return served({ status: 'success', filter, ...result.stats, ...beside }, result, started)
    },
  }),

  'POST /api/profiles': route({
    summary: 'Writes one profile; 200 with the one that already has the name',
    body: createRequestSchema,
    answers: { 200: knownSchema, 201: oneSchema },
    errors: [502],
    async handler({ body, signal }) {
      const { row, version } = await createProfile(connect(), body, signal)
      const data = toProfile(row)
      if (version === undefined) {
        const differs = differences(body, row)
        return json(200, { status: 'success', message: 'Profile already exists', differs, data })
      }
      queries().wrote()
      return json(201, { status: 'success', data }, { location: `/api/profiles/${row.id}` })
    },
  }),

  'GET /api/profiles/{id}': route({
    summary: 'One profile',
    path: idPath,
    answers: { 200: oneSchema, 304: null },
    etag: true,
    async handler({ path }) {
      const row = await getProfile(connect(), path.id)
      if (!row) throw notFound()
      return answerOne(row)
    },
  }),

  'PATCH /api/profiles/{id}': route({
    summary: 'Changes one profile by a JSON merge patch; who did it is kept',
    path: idPath,
    headers: ifMatch,
    body: patchSchema,
    bodyTypes: ['application/merge-patch+json', 'application/json'],
    answers: { 200: oneSchema },
    etag: true,
    errors: [409, 412],
    async handler({ path, body, caller, event }) {
      const accepts = (row: ProfileRow) => passesIfMatch(etagOf(bodyOfOne(row)), event.headers['if-match'])
      const { row, version } = await editProfile(connect(), path.id, body, { by: caller.keyId, accepts })
      if (version !== undefined) queries().wrote()
      return answerOne(row)
    },
  }),

  'DELETE /api/profiles/{id}': route({
    summary: 'Deletes one profile, for all teams; who did it is kept',
    path: idPath,
    answers: { 204: null },
    async handler({ path, caller }): Promise<Answer> {
      const version = await deleteProfile(connect(), path.id, caller)
      if (version === undefined) throw notFound()
      queries().wrote()
      return { status: 204 }
    },
  }),
})
