import * as z from 'zod'
import { compressions, contentTypeOf, filename, formats } from '../lib/exports/format.ts'
import { exportInline, inlineLimits } from '../lib/exports/inline.ts'
import { exportReport, exportSchema, stateOf } from '../lib/exports/report.ts'
import type { ExportRequest } from '../lib/exports/request.ts'
import { countMatches } from '../lib/exports/snapshot.ts'
import { createExport, type ExportRow, findExport, listExports } from '../lib/exports/store.ts'
import type { Caller } from '../lib/platform/auth.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import { ConflictError, NotFoundError, UnprocessableError } from '../lib/platform/errors.ts'
import { download, downloadAnswers } from '../lib/platform/http/download.ts'
import { idempotencyHeaders, idempotencyKey } from '../lib/platform/http/idempotency.ts'
import { type Answer, httpFunction, json, route } from '../lib/platform/http/index.ts'
import { jsonParameters } from '../lib/platform/http/json-parameters.ts'
import { pageAnswer, pageQuery, pageSchema, rangeOf } from '../lib/platform/http/numbered-pages.ts'
import { prefersAsync } from '../lib/platform/http/prefer.ts'
import { idPath, wordInAnyCase } from '../lib/platform/http/shapes.ts'
import { logger } from '../lib/platform/log.ts'
import { env } from '../lib/platform/names.ts'
import { createQueue, sendOrLeave } from '../lib/platform/queue.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { filterQuery } from '../lib/profiles/filter-query.ts'
import { pageParameters, pageRequest } from '../lib/profiles/page.ts'
import { meaningOf, questionParameters } from '../lib/profiles/question.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const queue = createQueue(requiredEnv(env.exportsQueueUrl))
const limits = { ...inlineLimits, rows: numberEnv(env.exportInlineRows, inlineLimits.rows) }

const downloadSeconds = 300

const preferHeaders = z.object({
  Prefer: z
    .string()
    .optional()
    .meta({
      description: 'respond-async: an export in the background, however few profiles match',
      examples: ['respond-async'],
    }),
})

const { sort_by, order } = pageParameters
const exportQuery = z.strictObject({
  ...questionParameters,
  sort_by,
  order,
  format: wordInAnyCase(formats).default('csv'),
  compression: wordInAnyCase(compressions)
    .default('none')
    .meta({
      description: 'gzip: the file is a .csv.gz or .jsonl.gz',
      override: { enum: [...compressions], default: 'none' },
    }),
  bom: z
    .stringbool({ truthy: ['true'], falsy: ['false'] })
    .default(false)
    .meta({
      description: 'true: a CSV file begins with a UTF-8 byte order mark, for Excel; not with format=jsonl',
      override: { type: 'boolean', default: false },
    }),
})

/** Parameters that are lists in JSON. */
const lists = new Set(['age_group', 'country_id', 'exclude_country_id'])
const exportBody = jsonParameters(exportQuery, lists)

const fileTypes = [
  ...formats.map((format) => contentTypeOf({ format, compression: 'none' })),
  contentTypeOf({ format: 'csv', compression: 'gzip' }),
]
const file = z.union(fileTypes.map((type) => z.string().meta({ contentMediaType: type.split(';')[0] })))

function requestOf(query: z.output<typeof exportQuery>): ExportRequest {
  const filter = meaningOf(query)
  const { format, compression, bom } = query
  if (bom && format !== 'csv') {
    const message = `bom is for csv files, and format is ${format}`
    throw new UnprocessableError(message, [{ field: 'bom', message }])
  }
  return { filter, sort: pageRequest(query, filter).sort, format, compression, bom }
}

/** What a question was taken for, in a header: a file has no place for it. */
function interpreted({ q }: { q?: string | undefined }, { filter }: ExportRequest): Record<string, string> {
  return q === undefined ? {} : { 'x-interpreted-query': filterQuery(filter) }
}

/** Takes on an export of so many matches, or leads to one that is there already. */
async function takeOn(
  caller: Caller,
  request: ExportRequest,
  matches: number,
  key: string | null,
): Promise<Answer> {
  const { row, created } = await createExport(connect(), caller, request, matches, key)
  logger.info('Export asked for', { correlation_id: row.id, matches, created })
  if (created) await sendOrLeave(() => queue.send([{ export_id: row.id }]))
  return json(202, exportReport(row, new Date()), { location: `/api/exports/${row.id}` })
}

/** What GET begins its answer with, as far as the number of matches tells. Nothing is read or begun. */
async function headOf(query: z.output<typeof exportQuery>, background: boolean): Promise<Answer> {
  const request = requestOf(query)
  const own = { vary: 'Prefer', ...interpreted(query, request) }
  const matches = await countMatches(connect(), request.filter)
  if (background || matches > limits.rows) return { status: 202, headers: own }
  return { status: 200, headers: { ...fileHeaders(request), ...own } }
}

function fileHeaders(request: ExportRequest): Record<string, string> {
  return {
    'content-type': contentTypeOf(request),
    'content-disposition': `attachment; filename="${filename(request, new Date())}"`,
  }
}

async function find(teamId: string, id: string): Promise<ExportRow> {
  const row = await retryRead(() => findExport(connect(), teamId, id))
  if (!row) throw new NotFoundError('Export not found')
  return row
}

export const handler = httpFunction({
  'GET /api/profiles/export': route({
    summary: 'All profiles that match, as a file; of many the export that writes it',
    query: exportQuery,
    answers: { 200: file, 202: exportSchema },
    answerHeaders: { 202: ['Location', 'Preference-Applied'] },
    errors: [409],
    headers: preferHeaders,
    head: ({ query, event }) => headOf(query, prefersAsync(event.headers.prefer)),
    async handler({ query, caller, event }) {
      const request = requestOf(query)
      const background = prefersAsync(event.headers.prefer)
      const own = { vary: 'Prefer', ...interpreted(query, request) }
      const result = background
        ? { matches: await countMatches(connect(), request.filter) }
        : await exportInline(connect(), request, limits)
      if ('body' in result) {
        return { status: 200, headers: { ...fileHeaders(request), ...own }, body: result.body }
      }
      const answer = await takeOn(caller, request, result.matches, null)
      const applied = background && { 'preference-applied': 'respond-async' }
      return { ...answer, headers: { ...answer.headers, ...applied, ...own } }
    },
  }),

  'POST /api/exports': route({
    summary: 'Begins an export: a file of all profiles that match, written in the background',
    headers: idempotencyHeaders,
    body: exportBody,
    answers: { 202: exportSchema },
    answerHeaders: { 202: ['Location'] },
    errors: [409],
    async handler({ body, caller, event }) {
      const key = idempotencyKey(event)
      const request = requestOf(body)
      const answer = await takeOn(caller, request, await countMatches(connect(), request.filter), key)
      return { ...answer, headers: { ...answer.headers, ...interpreted(body, request) } }
    },
  }),

  'GET /api/exports': route({
    summary: "The team's exports, newest first",
    query: pageQuery,
    answers: { 200: pageSchema(exportSchema.omit({ status: true })) },
    async handler({ query, caller, event }) {
      const { rows, total } = await retryRead(() => listExports(connect(), caller.teamId, rangeOf(query)))
      const now = new Date()
      const data = rows.map((row) => {
        const { status: _, ...report } = exportReport(row, now)
        return report
      })
      return pageAnswer(event, query, total, data)
    },
  }),

  'GET /api/exports/{id}': route({
    summary: 'How far an export is',
    path: idPath,
    answers: { 200: exportSchema },
    async handler({ path, caller }) {
      return json(200, exportReport(await find(caller.teamId, path.id), new Date()))
    },
  }),

  'GET /api/exports/{id}/file': route({
    summary: 'The file of an export',
    path: idPath,
    answers: downloadAnswers,
    errors: [409],
    async handler({ path, caller, event }) {
      const row = await find(caller.teamId, path.id)
      const state = stateOf(row, new Date())
      if (state === 'expired')
        throw new NotFoundError('The file of this export has expired: ask for it again')
      if (!row.file_key) throw new ConflictError(`The export has no file: it is ${state}`, 'not_finished')
      // Of its name and not of the row: during a deployment a worker of the release before may have written it.
      const compression = row.file_key.endsWith('.gz') ? 'gzip' : 'none'
      const form = { format: row.format, compression } as const
      const type = contentTypeOf(form)
      const name = filename(form, row.created_at)
      return download(event, type, await storage.presignGet(row.file_key, name, type, downloadSeconds))
    },
  }),
})
