import * as z from 'zod'
import { contentTypes, filename, formats } from '../lib/exports/format.ts'
import { exportInline, inlineLimits } from '../lib/exports/inline.ts'
import { exportReport, exportSchema, stateOf } from '../lib/exports/report.ts'
import type { ExportRequest } from '../lib/exports/request.ts'
import { createExport, type ExportRow, findExport, listExports } from '../lib/exports/store.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import { ConflictError, NotFoundError } from '../lib/platform/errors.ts'
import { download, downloadAnswers } from '../lib/platform/http/download.ts'
import { httpFunction, json, route } from '../lib/platform/http/index.ts'
import { pageBody, pageQuery, pageSchema, rangeOf } from '../lib/platform/http/numbered-pages.ts'
import { idPath } from '../lib/platform/http/shapes.ts'
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

const { sort_by, order } = pageParameters
const exportQuery = z.strictObject({
  ...questionParameters,
  sort_by,
  order,
  format: z.enum(formats).default('csv'),
})

const file = z.union(
  formats.map((format) => z.string().meta({ contentMediaType: contentTypes[format].split(';')[0] })),
)

function requestOf(query: z.output<typeof exportQuery>): ExportRequest {
  const filter = meaningOf(query)
  return { filter, sort: pageRequest(query, filter).sort, format: query.format }
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
    errors: [409],
    async handler({ query, caller }) {
      const request = requestOf(query)
      // A file has no place to say what the question was taken for.
      const interpreted = query.q !== undefined && { 'x-interpreted-query': filterQuery(request.filter) }
      const result = await exportInline(connect(), request, limits)
      if ('text' in result) {
        const disposition = `attachment; filename="${filename(request.format, new Date())}"`
        const headers = {
          'content-type': contentTypes[request.format],
          'content-disposition': disposition,
          ...interpreted,
        }
        return { status: 200, headers, body: result.text }
      }
      const { row, created } = await createExport(connect(), caller, request, result.matches)
      logger.info('Export asked for', { correlation_id: row.id, matches: result.matches, created })
      if (created) await sendOrLeave(() => queue.send([{ export_id: row.id }]))
      return json(202, exportReport(row, new Date()), { location: `/api/exports/${row.id}`, ...interpreted })
    },
  }),

  'GET /api/exports': route({
    summary: "The team's exports, newest first",
    query: pageQuery,
    answers: { 200: pageSchema(exportSchema.omit({ status: true })) },
    async handler({ query, caller }) {
      const { rows, total } = await retryRead(() => listExports(connect(), caller.teamId, rangeOf(query)))
      const now = new Date()
      const data = rows.map((row) => {
        const { status: _, ...report } = exportReport(row, now)
        return report
      })
      return json(200, pageBody(query, total, data))
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
      const { format, created_at } = row
      const type = contentTypes[format]
      const name = filename(format, created_at)
      return download(event, type, await storage.presignGet(row.file_key, name, type, downloadSeconds))
    },
  }),
})
